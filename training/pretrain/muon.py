"""Muon in float32 (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks").

``torch.optim.Muon`` orthogonalises in bfloat16, which a CPU without bf16 instructions does a hundred times more slowly.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import distributed

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalised(matrix: torch.Tensor, iterations: int = 5) -> torch.Tensor:
    """The nearest semi-orthogonal matrix, roughly, by a quintic Newton-Schulz iteration. matrix: (rows, columns)."""
    first, second, third = COEFFICIENTS
    turned = matrix.shape[0] > matrix.shape[1]
    found = matrix.mT if turned else matrix
    found = found / (found.norm() + 1e-7)
    for _ in range(iterations):
        square = found @ found.mT
        found = torch.addmm(first * found, second * square + third * square @ square, found)
    return found.mT if turned else found


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised; for matrices only. The rate is scaled by sqrt(rows / columns).

    Of several ``workers`` that hold the same gradients, each computes its share of the updates and all add all of them.
    """

    def __init__(
        self,
        matrices: Iterable[torch.Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        rank: int = 0,
        workers: int = 1,
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.rank, self.workers = rank, workers

    @torch.no_grad()
    def step(self, _closure: Any = None) -> None:
        for group in self.param_groups:
            matrices = [matrix for matrix in group["params"] if matrix.grad is not None]
            for matrix, update in zip(matrices, self._updates(matrices, group["momentum"]), strict=True):
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5)

    def _updates(self, matrices: list[torch.Tensor], momentum: float) -> list[torch.Tensor]:
        """The orthogonalised update of every matrix."""
        flat = torch.zeros(sum(matrix.numel() for matrix in matrices), device=matrices[0].device)
        updates = [
            piece.view_as(matrix)
            for matrix, piece in zip(matrices, flat.split([matrix.numel() for matrix in matrices]), strict=True)
        ]
        for index, (matrix, update) in enumerate(zip(matrices, updates, strict=True)):
            state = self.state[matrix]
            if not state:
                state["momentum"] = torch.zeros_like(matrix)
            average = state["momentum"].lerp_(matrix.grad, 1 - momentum)
            if index % self.workers == self.rank:
                update.copy_(orthogonalised(matrix.grad.lerp(average, momentum)))
        if self.workers > 1:
            distributed.all_reduce(flat)
        return updates
