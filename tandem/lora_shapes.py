"""Whether the matrices of an adapter fit the base model, told from the headers of safetensors files alone."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

PREFIX: Final = "base_model.model."
"""What PEFT puts before the base model's own names."""
HALVES: Final = (".lora_A.weight", ".lora_B.weight")


def wrong_shapes(settings: Mapping[str, Any], shapes: Shapes, base: Shapes | None) -> Iterator[str]:
    """Matrices of the adapter that are not R×I and O×R for a base weight of O×I. `base` None leaves that unchecked."""
    modules = {name.removesuffix(half) for name in shapes for half in HALVES if name.endswith(half)}
    strange = sorted(name for name in shapes if not name.startswith(PREFIX) or not name.endswith(HALVES))
    yield from (f"{name} is no matrix of a LoRA" for name in strange[:3])
    if not modules:
        yield "it has no matrices"
    ranks = {settings["r"], *(settings.get("rank_pattern") or {}).values()}
    wrong = []
    for module in sorted(modules):
        first, second = (shapes.get(module + half, ()) for half in HALVES)
        weight = _weight_of(module, base) if base is not None else (*second[:1], *first[1:])
        if weight is None:
            wrong.append(f"the base model has no {module.removeprefix(PREFIX)}")
        elif not any((first, second) == ((rank, weight[-1]), (weight[0], rank)) for rank in ranks):
            wrong.append(
                f"{module.removeprefix(PREFIX)} is {_show(first)} and {_show(second)} for a weight of {_show(weight)}"
            )
    yield from wrong[:3]
    if len(wrong) > 3:
        yield f"and {len(wrong) - 3} more do not fit"


def read_shapes(path: Path) -> dict[str, Shape]:
    """Name → shape of the tensors in a safetensors file; ValueError when it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path.name}: {error}") from error


def _weight_of(module: str, base: Shapes) -> Shape | None:
    name = module.removeprefix(PREFIX)
    if name == "lm_head" and "lm_head.weight" not in base:  # tied to the embedding
        name = "model.embed_tokens"
    return base.get(f"{name}.weight")


def _show(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "missing"
