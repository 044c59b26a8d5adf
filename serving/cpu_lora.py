"""A vLLM plugin: LoRA operators for CPU that leave rows without an adapter alone and multiply once per adapter.

vLLM's own use the index -1 ("no adapter") as a Python index, so that requests to the base model are answered with the
last slot's adapter, and they gather an adapter's weights once per token (`vllm/lora/ops/torch_ops/lora_ops.py`). These
group the rows by adapter and do one plain matrix product per group. Only for the versions in `TESTED`; with any other
vLLM is left as it is and says so. Nothing is done on a GPU, whose kernels do not have the fault.

Shapes: T rows (tokens), S adapter slots, I inputs, O outputs, R the rank that the engine reserves; `weights` are
(S, O, I) or (S, 1, O, I). Names and arguments are vLLM's.
"""

import importlib
import logging
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from torch import Tensor

TESTED: Final = frozenset({"0.32.0"})
"""vLLM's versions whose operators were compared with these."""
PLUGIN: Final = "tandem_cpu_lora"
"""Its name among vLLM's plugins (`VLLM_PLUGINS`)."""
USERS: Final = (
    "vllm.lora.ops.torch_ops.lora_ops",
    "vllm.lora.ops.torch_ops",
    "vllm.lora.punica_wrapper.punica_cpu",
)
"""Where the operators are defined, and the modules that import them by name."""

LONG_RUN: Final = 32
"""Rows from which on a run is multiplied by itself, where it lies, instead of copied together with others."""

Run = tuple[int, int, int]
"""Adapter slot (-1: none), first row, row behind the last."""

logger = logging.getLogger(__name__)


def register() -> None:
    """Put the operators in place; called by vLLM in each of its processes, and any number of times."""
    platform = importlib.import_module("vllm.platforms").current_platform
    if not platform.is_cpu():
        return
    version = str(importlib.import_module("vllm.version").__version__).partition("+")[0]
    if version not in TESTED:
        logger.warning(
            "Tandem's LoRA operators were tested with vLLM %s, not with %s, and stay off: requests without an adapter "
            "may be answered with one when they are batched together.",
            ", ".join(sorted(TESTED)),
            version,
        )
        return
    for name in USERS:
        module = importlib.import_module(name)
        for operator in OPERATORS:
            setattr(module, operator.__name__, operator)


def bgmv_shrink(
    inputs: "Tensor",
    lora_b_weights: "Tensor",
    output_tensor: "Tensor",
    lora_indices_tensor: "Tensor",
    scaling: float = 1.0,
) -> None:
    """output (T, ≥R) = scaling · inputs (T, I) @ weights[slot of the row]ᵀ; zero where the slot is -1."""
    rows = output_tensor.shape[0]
    if _adds_nothing(lora_b_weights, lora_indices_tensor, rows):
        output_tensor.zero_()
        return
    runs = _runs_of_rows(_for_all(lora_indices_tensor, rows))
    _shrink(_for_all(inputs, rows), lora_b_weights, output_tensor, runs, scaling)


def sgmv_shrink(
    inputs: "Tensor",
    lora_a_weights: "Tensor",
    output_tensor: "Tensor",
    b_seq_start_loc: "Tensor",
    seq_len_tensor: "Tensor",
    lora_indices_tensor: "Tensor",
    batches: int,
    max_seq_length: int,
    token_nums: int,
    scaling: float,
) -> None:
    """`bgmv_shrink` with one slot for each run of `seq_len_tensor` rows."""
    del b_seq_start_loc, batches, max_seq_length, token_nums
    _shrink(inputs, lora_a_weights, output_tensor, _runs(lora_indices_tensor, seq_len_tensor), scaling)


def bgmv_expand(
    inputs: "Tensor",
    lora_b_weights: "Tensor",
    output_tensor: "Tensor",
    lora_indices_tensor: "Tensor",
    add_inputs: bool = True,
) -> None:
    """output (T, ≥O) += inputs (T, R) @ weights[slot of the row]ᵀ, or = without `add_inputs`; rows of slot -1 stay.

    Output and weights may be padded differently: the columns that both have are written. A single row of inputs is for
    every row of the output; rows beyond the output's are left out.
    """
    rows = output_tensor.shape[0]
    if _adds_nothing(lora_b_weights, lora_indices_tensor, rows):
        return
    runs = _runs_of_rows(_for_all(lora_indices_tensor, rows))
    _expand_common(_for_all(inputs, rows), lora_b_weights, output_tensor, runs, add_inputs)


def sgmv_expand(
    inputs: "Tensor",
    lora_b_weights: "Tensor",
    output_tensor: "Tensor",
    b_seq_start_loc: "Tensor",
    seq_len_tensor: "Tensor",
    lora_indices_tensor: "Tensor",
    batches: int,
    max_seq_length: int,
    token_nums: int,
    add_inputs: bool = False,
) -> None:
    """`bgmv_expand` with one slot for each run of `seq_len_tensor` rows."""
    del b_seq_start_loc, batches, max_seq_length, token_nums
    _expand_common(inputs, lora_b_weights, output_tensor, _runs(lora_indices_tensor, seq_len_tensor), add_inputs)


def bgmv_expand_slice(
    inputs: "Tensor",
    lora_b_weights: "Tensor",
    output_tensor: "Tensor",
    lora_indices_tensor: "Tensor",
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = True,
) -> None:
    """`bgmv_expand` into the `slice_size` columns of the output from `slice_offset`."""
    columns = output_tensor[:, slice_offset : slice_offset + slice_size]
    _expand(inputs, lora_b_weights, columns, _runs_of_rows(lora_indices_tensor), add_inputs)


def sgmv_expand_slice(
    inputs: "Tensor",
    lora_b_weights: "Tensor",
    output_tensor: "Tensor",
    b_seq_start_loc: "Tensor",
    seq_len_tensor: "Tensor",
    lora_indices_tensor: "Tensor",
    batches: int,
    max_seq_length: int,
    token_nums: int,
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = False,
) -> None:
    """`bgmv_expand_slice` with one slot for each run of `seq_len_tensor` rows."""
    del b_seq_start_loc, batches, max_seq_length, token_nums
    columns = output_tensor[:, slice_offset : slice_offset + slice_size]
    _expand(inputs, lora_b_weights, columns, _runs(lora_indices_tensor, seq_len_tensor), add_inputs)


OPERATORS: Final = (bgmv_expand, bgmv_expand_slice, bgmv_shrink, sgmv_expand, sgmv_expand_slice, sgmv_shrink)


def _runs(slots: "Tensor", lengths: "Tensor") -> tuple[Run, ...]:
    """Neighbouring rows with the same slot, from slots and lengths by run."""
    return _number(zip(slots.tolist(), lengths.tolist(), strict=True))


def _runs_of_rows(slots: "Tensor") -> tuple[Run, ...]:
    """Neighbouring rows with the same slot, from slots by row."""
    return _number((slot, sum(1 for _ in rows)) for slot, rows in groupby(slots.tolist()))


def _number(lengths: Iterable[tuple[int, int]]) -> tuple[Run, ...]:
    runs, start = [], 0
    for slot, length in lengths:
        runs.append((slot, start, start + length))
        start += length
    return tuple(runs)


@lru_cache(maxsize=16)
def _groups(runs: tuple[Run, ...]) -> "tuple[tuple[int, slice | Tensor], ...]":
    """Each adapter with its rows: slices, which copy nothing, for its long runs, and one index for all its short ones.

    Remembered, since the operators of every layer ask for the same rows in one step.
    """
    import torch

    by_slot: dict[int, list[slice]] = {}
    for slot, start, stop in runs:
        places = by_slot.setdefault(slot, [])
        adjoining = places.pop() if places and places[-1].stop == start else slice(start, start)
        places.append(slice(adjoining.start, stop))
    groups: list[tuple[int, slice | torch.Tensor]] = []
    for slot, places in by_slot.items():
        short = [place for place in places if place.stop - place.start < LONG_RUN]
        if len(short) == 1:
            short = []
        groups += [(slot, place) for place in places if place not in short]
        if short:
            groups.append((slot, torch.cat([torch.arange(place.start, place.stop) for place in short])))
    return tuple(groups)


def _shrink(inputs: "Tensor", weights: "Tensor", output: "Tensor", runs: tuple[Run, ...], scaling: float) -> None:
    _check_rows(runs, inputs, output)
    columns = output[:, : weights.shape[-2]]
    for slot, rows in _groups(runs):
        columns[rows] = 0 if slot < 0 else _product(inputs[rows], weights[slot]).to(output.dtype).mul_(scaling)


def _expand_common(inputs: "Tensor", weights: "Tensor", output: "Tensor", runs: tuple[Run, ...], add: bool) -> None:
    common = min(weights.shape[-2], output.shape[1])
    _expand(inputs, weights[..., :common, :], output[:, :common], runs, add)


def _expand(inputs: "Tensor", weights: "Tensor", columns: "Tensor", runs: tuple[Run, ...], add: bool) -> None:
    _check_rows(runs, inputs, columns)
    for slot, rows in _groups(runs):
        if slot < 0:
            continue
        if add and isinstance(rows, slice) and columns.dtype == weights.dtype:
            columns[rows].addmm_(inputs[rows].to(weights.dtype), _matrix(weights[slot]).T)
            continue
        product = _product(inputs[rows], weights[slot]).to(columns.dtype)
        if add:
            columns[rows] += product
        else:
            columns[rows] = product


def _product(inputs: "Tensor", weights: "Tensor") -> Any:
    """inputs (rows, I) @ weights (O, I) or (1, O, I), transposed, in the weights' arithmetic."""
    return inputs.to(weights.dtype) @ _matrix(weights).T


def _matrix(weights: "Tensor") -> Any:
    """weights (O, I) or (1, O, I) as (O, I)."""
    return weights.reshape(weights.shape[-2:])


def _adds_nothing(weights: "Tensor", slots: "Tensor", rows: int) -> bool:
    """Whether rows without a slot meet weights of zero.

    For the log-probabilities of a prompt vLLM sends rows through the output matrix that have no slot. Adapters that are
    served here leave that matrix alone (its slots hold zeros), so there is nothing to add, whosever rows they are.
    """
    return 1 < slots.shape[0] < rows and not bool(weights.any())


def _for_all(tensor: "Tensor", rows: int) -> "Tensor":
    """The first `rows` rows; a single one is repeated."""
    return tensor.expand(rows, *tensor.shape[1:]) if tensor.shape[0] == 1 else tensor[:rows]


def _check_rows(runs: tuple[Run, ...], *tensors: "Tensor") -> None:
    """Raise ValueError rather than leave rows out without a word."""
    rows = runs[-1][2] if runs else 0
    if any(tensor.shape[0] != rows for tensor in tensors):
        raise ValueError(f"{rows} rows have adapters, but the tensors have {[len(tensor) for tensor in tensors]} rows")
