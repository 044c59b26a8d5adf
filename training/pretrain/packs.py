"""Rows side by side, for an accelerator: one padded pass where a CPU takes row after row.

Legend as in `rows`; R rows of a pack, T tokens of its longest, A sources of the row that has most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch.nn import functional

from training.pretrain.rows import Row

PADDING = -1
"""The lesson of places behind a row's end."""


@dataclass(frozen=True)
class Pack:
    """Rows as tensors: tokens, positions, weights, lesson and branch (R, T).

    ``source_at`` (R, A) says where an answer token is predicted (0 where ``source_real`` (R, A) is False), and
    ``source_places`` (R, A, T) where it is copied from.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    weights: torch.Tensor
    lesson: torch.Tensor
    branch: torch.Tensor
    source_at: torch.Tensor
    source_real: torch.Tensor
    source_places: torch.Tensor

    def to(self, device: torch.device) -> Pack:
        """The same pack on a device."""
        return Pack(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))

    def seen(self) -> torch.Tensor:
        """What each token sees: of its lesson the context and its own question, up to itself. (R, T, T)."""
        length = self.tokens.shape[1]
        behind = torch.ones(length, length, dtype=torch.bool, device=self.tokens.device).tril()
        same = self.lesson[:, :, None] == self.lesson[:, None]
        own = (self.branch[:, None] == 0) | (self.branch[:, :, None] == self.branch[:, None])
        return behind & same & own


def to_pack(rows: Sequence[Row]) -> Pack:
    """The tensors of rows."""
    length, sources = max(len(row.tokens) for row in rows), max(len(row.sources) for row in rows)

    def padded(lists: list[list[int]], width: int, value: int = 0) -> torch.Tensor:
        return torch.stack([functional.pad(torch.tensor(row), (0, width - len(row)), value=value) for row in lists])

    places = torch.zeros(len(rows), sources, length, dtype=torch.bool)
    for number, row in enumerate(rows):
        for index, (_, found) in enumerate(row.sources):
            places[number, index, found] = True
    return Pack(
        tokens=padded([row.tokens for row in rows], length),
        positions=padded([row.positions for row in rows], length),
        weights=torch.stack(
            [functional.pad(torch.tensor(row.weights), (0, length - len(row.weights))) for row in rows]
        ),
        lesson=padded([row.lesson for row in rows], length, PADDING),
        branch=padded([row.branch for row in rows], length),
        source_at=padded([[at for at, _ in row.sources] for row in rows], sources).long(),
        source_real=padded([[1] * len(row.sources) for row in rows], sources).bool(),
        source_places=places,
    )


def pack_guidance(
    pack: Pack, seen: torch.Tensor, query: torch.Tensor, key: torch.Tensor, scaling: float
) -> torch.Tensor:
    """The loss of guided heads, a mean over a row's sources and heads, then over rows. query, key: (R, heads, T, D)."""
    rows = torch.arange(len(query), device=query.device)[:, None]
    asked = query.transpose(1, 2)[rows, pack.source_at]  # (R, A, H, D)
    scores = torch.einsum("rahd,rhtd->raht", asked.float(), key.float()) * scaling
    visible = seen[rows, pack.source_at][:, :, None]  # (R, A, 1, T)
    log_attention = scores.masked_fill(~visible, -torch.inf).log_softmax(-1)
    right = log_attention.masked_fill(~pack.source_places[:, :, None], -torch.inf).logsumexp(-1)  # (R, A, H)
    losses = -right.clamp(min=-20.0).mean(-1) * pack.source_real
    return (losses.sum(-1) / pack.source_real.sum(-1).clamp(min=1)).mean()
