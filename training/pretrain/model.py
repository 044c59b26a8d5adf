"""The shape of ``models/tiny`` and the guidance of its attention while it learns to read.

Guidance: while an answer is copied from a passage, where it is copied from is known. A few heads are taught to look
there (cross-entropy on their attention, from Mi et al. 2016, "Supervised Attentions for Neural Machine Translation"),
to make copying appear early. It was not compared with a run without it. Its weight falls to zero before training ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, Qwen3Config, Qwen3ForCausalLM

from training.pretrain.packs import Pack, pack_guidance
from training.pretrain.rows import Batch

CONTEXT_LENGTH = 2048


@dataclass(frozen=True)
class Shape:
    """Sizes of the decoder."""

    vocabulary: int = 2048
    width: int = 256
    layers: int = 5
    heads: int = 4
    head_width: int = 64
    feed_forward: int = 512


def build_model(shape: Shape, end_id: int, padding_id: int) -> Qwen3ForCausalLM:
    """A Qwen3 decoder with random weights, float32, tied embeddings; its attention can be guided."""
    config = Qwen3Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        head_dim=shape.head_width,
        max_position_embeddings=CONTEXT_LENGTH,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end_id,
        pad_token_id=padding_id,
        use_cache=False,
        attn_implementation="rows",
    )
    model = Qwen3ForCausalLM(config)
    begin_alike(model)
    return model


@torch.no_grad()
def begin_alike(model: Qwen3ForCausalLM) -> None:
    """Let attention begin by looking for what is alike and, in later layers, by passing on what it looks at.

    Queries and keys of a layer begin with the same rotation, and what values take in, the output gives back (after
    Trockman and Kolter 2023, "Mimetic Initialization of Self-Attention Layers"). Both treat every token alike, those
    too that are seldom seen. The first layer, which has to tell neighbours apart, begins at random.
    """
    for number, layer in enumerate(model.model.layers[1:], 1):
        attention = layer.self_attn
        rotation = _rotation(attention.q_proj.weight)
        attention.q_proj.weight.copy_(0.5 * rotation)
        attention.k_proj.weight.copy_(0.5 * rotation)
        if number > 1:
            rotation = _rotation(attention.v_proj.weight)
            attention.v_proj.weight.copy_(0.4 * rotation)
            attention.o_proj.weight.copy_(0.4 * rotation.mT)


def _rotation(like: torch.Tensor) -> torch.Tensor:
    """A random matrix of that shape whose rows (or columns, if fewer) are orthonormal."""
    return torch.nn.init.orthogonal_(torch.empty_like(like))


@dataclass
class Reading:
    """What attention is told in one forward pass: the row's layout, and what the guided heads lost."""

    guided_layers: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Layers, and their heads that guidance teaches."""
    batch: Batch | Pack | None = None
    seen: torch.Tensor | None = None
    """Of a pack, what each token sees: (R, 1, T, T)."""
    guided: bool = False
    losses: list[torch.Tensor] = field(default_factory=list)

    def loss(self) -> torch.Tensor:
        """Mean cross-entropy of the guided heads since the last call."""
        total = torch.stack(self.losses).mean() if self.losses else torch.zeros(())
        self.losses = []
        return total

    def observe(self, batch: Batch | Pack, layer: int, query: torch.Tensor, key: torch.Tensor, scaling: float) -> None:
        """Score the guided heads of a layer. query, key: (rows, heads, T, head width), after rotation."""
        if layer not in self.guided_layers or not batch.source_at.numel():
            return
        heads = list(self.guided_layers[layer])
        if isinstance(batch, Pack):
            assert self.seen is not None, "a pack is read with what it sees"
            self.losses.append(pack_guidance(batch, self.seen[:, 0], query[:, heads], key[:, heads], scaling))
            return
        asked = query[0, heads][:, batch.source_at]  # (H, A, D)
        scores = torch.einsum("had,htd->aht", asked, key[0, heads]) * scaling
        log_attention = scores.masked_fill(~batch.source_seen[:, None], -torch.inf).log_softmax(-1)
        right = log_attention.masked_fill(~batch.source_places[:, None], -torch.inf).logsumexp(-1)  # (A, H)
        self.losses.append(-right.clamp(min=-20.0).mean())


READING = Reading()


def row_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of the row or pack in ``READING``: contexts see themselves, questions their context and themselves.

    Shapes: (rows, heads, T, head width). Without a row it is plain causal attention.
    """
    scaling = options.get("scaling") or query.shape[-1] ** -0.5
    attend = partial(functional.scaled_dot_product_attention, scale=scaling)
    batch = READING.batch
    if batch is None:
        mixed = attend(query, key, value, attn_mask=attention_mask, is_causal=attention_mask is None)
        return mixed.transpose(1, 2).contiguous(), None
    if READING.guided:
        READING.observe(batch, int(getattr(module, "layer_idx")), query, key, scaling)  # noqa: B009 (typed as Module)
    if isinstance(batch, Pack):
        return attend(query, key, value, attn_mask=READING.seen).transpose(1, 2).contiguous(), None
    parts = []
    for layout in batch.layouts:
        context = slice(layout.start, layout.context_end)
        inner = [whole[:, :, context] for whole in (query, key, value)]
        parts.append(attend(*inner, is_causal=True)[0].transpose(0, 1))
        if len(layout.branches):
            asked, own_keys, own_values = (
                whole[0][:, layout.branches].transpose(0, 1) for whole in (query, key, value)
            )  # (B, heads, L, D)
            width = asked.shape[2]
            causal = torch.ones(width, width, dtype=torch.bool).tril()
            mask = functional.pad(causal, (layout.context_end - layout.start, 0), value=True)
            keys, values = (
                torch.cat([shared.expand(len(asked), -1, -1, -1), own], 2)
                for shared, own in ((inner[1], own_keys), (inner[2], own_values))
            )
            parts.append(attend(asked, keys, values, attn_mask=mask).transpose(1, 2)[layout.real])
    return torch.cat(parts)[None], None


AttentionInterface.register("rows", row_attention)


def hidden_states(model: Qwen3ForCausalLM, batch: Batch | Pack) -> torch.Tensor:
    """The decoder's output for a row or a pack, each token seeing what the layout says. Shape: (rows, T, width)."""
    READING.batch = batch
    READING.seen = batch.seen()[:, None] if isinstance(batch, Pack) else None
    try:
        read = model.model(
            input_ids=batch.tokens, attention_mask={"full_attention": None}, position_ids=batch.positions
        )
    finally:
        READING.batch, READING.seen = None, None
    hidden: torch.Tensor = read.last_hidden_state
    return hidden
