"""The shape of ``models/tiny`` and the guidance of its attention while it learns to read.

Guidance: while an answer is copied from a passage, where it is copied from is known. A few heads are taught to look
there (cross-entropy on their attention, from Mi et al. 2016, "Supervised Attentions for Neural Machine Translation"),
to make copying appear early. It was not compared with a run without it. Its weight falls to zero before training ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, Qwen3Config, Qwen3ForCausalLM

from training.pretrain.rows import Batch

CONTEXT_LENGTH = 2048


@dataclass(frozen=True)
class Shape:
    """Sizes of the decoder."""

    vocabulary: int = 4096
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
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end_id,
        pad_token_id=padding_id,
        use_cache=False,
        attn_implementation="guided",
    )
    return Qwen3ForCausalLM(config)


@dataclass
class Guidance:
    """What guided heads are told in one forward pass, and what they lost; ``layers`` maps a layer to its heads."""

    layers: dict[int, tuple[int, ...]]
    batch: Batch | None = None
    losses: list[torch.Tensor] = field(default_factory=list)

    def loss(self) -> torch.Tensor:
        """Mean cross-entropy of the guided heads since the last call."""
        total = torch.stack(self.losses).mean() if self.losses else torch.zeros(())
        self.losses = []
        return total

    def observe(self, layer: int, query: torch.Tensor, key: torch.Tensor, scaling: float) -> None:
        """Score the guided heads of a layer. query, key: (R, heads, T, head width), after rotation."""
        heads, batch = self.layers.get(layer), self.batch
        if heads is None or batch is None or not len(batch.source_at):
            return
        chosen = list(heads)
        asked = query[:, chosen][batch.source_row, :, batch.source_at]  # (A, H, D)
        scores = torch.einsum("ahd,ahtd->aht", asked, key[:, chosen][batch.source_row]) * scaling
        hidden = ~batch.visible[batch.source_row, 0, batch.source_at]  # (A, T)
        log_attention = scores.masked_fill(hidden[:, None], -torch.inf).log_softmax(-1)
        right = log_attention.masked_fill(~batch.source_places[:, None], -torch.inf).logsumexp(-1)  # (A, H)
        self.losses.append(-right.clamp(min=-20.0).mean())


GUIDANCE = Guidance({})


def guided_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Scaled dot-product attention that lets ``GUIDANCE`` look on. Shapes: (R, heads, T, head width)."""
    scaling = options.get("scaling") or query.shape[-1] ** -0.5
    GUIDANCE.observe(int(getattr(module, "layer_idx")), query, key, scaling)  # noqa: B009 (typed as Module)
    mixed = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=attention_mask, scale=scaling, is_causal=attention_mask is None
    )
    return mixed.transpose(1, 2).contiguous(), None


AttentionInterface.register("guided", guided_attention)


def hidden_states(model: Qwen3ForCausalLM, batch: Batch) -> torch.Tensor:
    """The decoder's output for a batch of rows, each token seeing what the batch says. Shape: (R, T, width)."""
    read = model.model(input_ids=batch.tokens, attention_mask=batch.visible, position_ids=batch.positions)
    hidden: torch.Tensor = read.last_hidden_state
    return hidden
