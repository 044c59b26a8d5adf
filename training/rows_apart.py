"""The rows of a batch one after the other in one row: nothing is padded, and each row attends to itself alone.

TRL lays a batch out so (`padding_free`): `input_ids`, `labels` and `position_ids` of shape (1, T), with positions that
begin anew for each row, and `cu_seq_lens_q` of shape (rows + 1,), the places where the rows begin and end. With the
attention that transformers brings, such a batch costs a mask of T × T; row by row it costs the sum of the squares of
the rows' lengths.
"""

from contextlib import nullcontext
from typing import Any, Final

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

BY_ROW: Final = "by_row"
"""Name of this attention among those of transformers."""


def keep_rows_apart(model: Any) -> bool:
    """Have a model attend within each row of a batch without padding; False, and nothing changed, where it cannot.

    It cannot where its layers look back over a window, attend by other means than transformers' common interface, or
    not by `scaled_dot_product_attention`.
    """
    config = model.config.get_text_config()
    whole = set(getattr(config, "layer_types", None) or ["full_attention"]) == {"full_attention"}
    windowed = getattr(config, "sliding_window", None) is not None
    if not model._supports_attention_backend or config._attn_implementation != "sdpa" or not whole or windowed:
        return False
    AttentionInterface.register(BY_ROW, attend_by_row)
    AttentionMaskInterface.register(BY_ROW, mask_of_padding)
    model.set_attn_implementation(BY_ROW)
    return True


def attend_by_row(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    cu_seq_lens_q: torch.Tensor | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of shape (B, T, heads, head size) for a query of (B, heads, T, head size); row by row where
    `cu_seq_lens_q` says where the rows are, else that of transformers with its mask."""
    if cu_seq_lens_q is None:
        attended, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return attended, None
    lengths = cu_seq_lens_q.diff().tolist()
    whole = (query, key, value)
    on_cpu = value.device.type == "cpu"
    with torch.autocast("cpu", enabled=False) if on_cpu else nullcontext():
        # In bfloat16 each new length of a row would have kernels compiled for it on a CPU, at every step.
        parts = [(tensor.float() if on_cpu else tensor).split(lengths, dim=2) for tensor in whole]
        rows = zip(*parts, strict=True)
        outputs = [sdpa_attention_forward(module, *row, None, **options)[0] for row in rows]
    return torch.cat(outputs, dim=1).to(value.dtype), None


def mask_of_padding(*arguments: Any, attention_mask: torch.Tensor | None = None, **options: Any) -> Any:
    """The mask of a padded batch; none for one without padding, where position alone decides."""
    return None if attention_mask is None else sdpa_mask(*arguments, attention_mask=attention_mask, **options)
