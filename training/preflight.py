"""What a run will need, told and checked before it begins."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tandem.errors import UserError
from tandem.training_settings import TrainingConfig
from training.rows import Row

FLOAT_BYTES: Final = 4
NF4_BYTES: Final = 0.52
"""Half a byte, and the scales of each 64 numbers, which are quantised themselves."""
COPIES_OF_ADAPTER: Final = 4
"""Its weights, their gradients, and Adam's two moments."""
PROCESS_BYTES: Final = 600_000_000
"""Python with torch, transformers and datasets, before any weights: 0.55 to 0.6 GB were measured on Linux."""
HIDDEN_TENSORS: Final = 16
"""Tensors of (tokens, hidden size) that the backward pass of one layer keeps: norms, residuals, projections."""
FEED_FORWARD_TENSORS: Final = 4
"""And of (tokens, inner size of the feed-forward part): gate, up, their activation and product."""
HELD_ON_CPU: Final = 2
"""Memory that the process holds for each byte of these on a CPU: the C library keeps much of what temporary tensors
took. Measured: 740 MiB of tensors kept, 1.6 GiB held for them (0.7 GiB with `MALLOC_MMAP_THRESHOLD_=65536`)."""
CGROUP: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that a run is expected to hold at its most."""

    weights: int
    adapter: int
    activations: int
    """Of the batch that has the most tokens."""
    process: int
    largest_batch_tokens: int
    """Rows of a batch times the longest of all rows: no batch has more, padded or not."""

    @property
    def total(self) -> int:
        """All together."""
        return self.weights + self.adapter + self.activations + self.process


def estimate_memory(
    base: Path, rows: Sequence[Row], settings: TrainingConfig, on_gpu: bool | None = None
) -> MemoryEstimate:
    """From the base model's files and the rows, with weights in float32 as they are loaded.

    An upper bound of the same order, not a measurement; `tests/training/test_preflight.py` holds it against real runs.
    """
    from transformers import AutoConfig

    shapes = _shapes(base)
    config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False).get_text_config()
    hidden, layers = int(config.hidden_size), int(config.num_hidden_layers)
    inner = int(getattr(config, "intermediate_size", None) or 4 * hidden)
    heads = int(getattr(config, "num_attention_heads", None) or 1)
    width = max(heads * int(getattr(config, "head_dim", None) or hidden // heads), hidden)
    longest = max(len(row.tokens) for row in rows)
    answers = max(len(row.tokens.completion_ids) for row in rows)
    tokens = settings.batch_size * longest
    each_layer = HIDDEN_TENSORS * width + FEED_FORWARD_TENSORS * inner
    if settings.gradient_checkpointing:  # of each layer its input, and all of one layer at a time
        each_layer = hidden + each_layer // layers
    # The output layer runs where there is a loss: logits, their gradient and the probabilities.
    logits = 3 * settings.batch_size * answers * int(config.vocab_size)
    linear = [
        shape
        for name, shape in shapes.items()
        if _is_linear(name, shape) and (not settings.targets or _leaf(name) in settings.targets)
    ]
    adapter = sum(settings.rank * (rows_ + columns) for rows_, columns in linear)
    gpu = _has_gpu() if on_gpu is None else on_gpu
    return MemoryEstimate(
        weights=round(sum(_product(shape) * _bytes_each(name, shape, settings) for name, shape in shapes.items())),
        adapter=FLOAT_BYTES * COPIES_OF_ADAPTER * adapter,
        activations=FLOAT_BYTES * (tokens * each_layer * layers + logits) * (1 if gpu else HELD_ON_CPU),
        process=0 if gpu else PROCESS_BYTES,
        largest_batch_tokens=tokens,
    )


def require_memory(estimate: MemoryEstimate, free: int, settings: TrainingConfig) -> None:
    """Raise UserError (`too_little_memory`) with the setting to change where a run cannot fit into `free` bytes."""
    if estimate.total <= free:
        return
    needed = f"This run needs about {_gib(estimate.total)} of memory, and {_gib(free)} are free"
    fixed = estimate.weights + estimate.adapter + estimate.process
    batch = int((free - fixed) / (estimate.activations / settings.batch_size)) if estimate.activations else 0
    if batch >= 1:
        way_out = f"set `training.batch_size` to {batch} (it is {settings.batch_size}), or shorten the longest rows"
    elif fixed <= free:
        way_out = "`training.batch_size` 1 would not fit either: shorten or take out the longest rows"
    else:
        way_out = (
            f"the base model alone takes {_gib(estimate.weights)}: set `base_model` to a smaller one, or end what else "
            "uses the memory"
        )
    raise UserError(f"{needed}: {way_out}.", code="too_little_memory")


def free_memory(together: int = 1) -> int:
    """Bytes that this process may still take: of its GPU, else of the machine within its control group's limit, which
    `together` processes share."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    # What this process holds already is part of the estimate.
    held = psutil.Process().memory_info().rss
    return min(psutil.virtual_memory().available, _left_in_group(CGROUP)) // together + int(held)


def _left_in_group(folder: Path) -> int:
    """What a container's limit leaves; without a limit more than any machine has."""
    try:
        limit, used = (folder / "memory.max").read_text().strip(), (folder / "memory.current").read_text()
        reclaimable = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return 2**60 if limit == "max" else int(limit) - int(used) + int(reclaimable.get("inactive_file", 0))
    except (OSError, ValueError):
        return 2**60


def _shapes(base: Path) -> Mapping[str, tuple[int, ...]]:
    """Name → shape of every tensor of a model, read from the heads of its files."""
    found: dict[str, tuple[int, ...]] = {}
    for path in sorted(base.glob("*.safetensors")):
        with path.open("rb") as file:
            head: Mapping[str, Any] = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        found |= {name: tuple(value["shape"]) for name, value in head.items() if name != "__metadata__"}
    return found


def _bytes_each(name: str, shape: Sequence[int], settings: TrainingConfig) -> float:
    """Of one number of a tensor: the matrices of the layers are what is quantised."""
    return NF4_BYTES if settings.quantisation and _is_linear(name, shape) else FLOAT_BYTES


def linear_names(base: Path) -> set[str]:
    """What the linear matrices of a base model's layers are called, such as `q_proj`."""
    return {_leaf(name) for name, shape in _shapes(base).items() if _is_linear(name, shape)}


def _is_linear(name: str, shape: Sequence[int]) -> bool:
    return len(shape) == 2 and ".layers." in name


def _leaf(name: str) -> str:
    return name.removesuffix(".weight").rpartition(".")[2]


def _product(shape: Sequence[int]) -> int:
    result = 1
    for size in shape:
        result *= size
    return result


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
