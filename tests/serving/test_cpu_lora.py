"""Our LoRA operators against arithmetic in 64 bits, row by row."""

import ast
import importlib.util
import logging
import tomllib
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from serving import cpu_lora

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
SLOTS = 3
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 3e-2}

runs_of_rows = st.tuples(st.integers(-1, SLOTS - 1), st.one_of(st.integers(1, 4), st.just(cpu_lora.LONG_RUN + 1)))
slots_of_rows = st.lists(runs_of_rows, min_size=1, max_size=12).map(
    lambda drawn: [slot for slot, length in drawn for _ in range(length)]
)
widths = st.integers(1, 33)
dtypes = st.sampled_from([torch.float32, torch.bfloat16])


def tensor(*shape: int, dtype: Any = torch.float32, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator).to(dtype)


def reference(inputs: Any, weights: Any, slots: list[int]) -> Any:
    """Row by row in float64: inputs (T, I), weights (S, 1, O, I) → (T, O); zero where the slot is -1."""
    rows = [
        inputs[row].double() @ weights[slot, 0].double().T if slot >= 0 else torch.zeros(weights.shape[-2]).double()
        for row, slot in enumerate(slots)
    ]
    return torch.stack(rows)


def runs(slots: list[int]) -> tuple[Any, ...]:
    """What vLLM hands the operators for prompts: starts, lengths, slots, and three numbers, by run of equal slots."""
    lengths = [len(list(rows)) for _, rows in groupby(slots)]
    starts = [sum(lengths[:position]) for position in range(len(lengths))]
    by_run = [slots[start] for start in starts]
    return torch.tensor(starts), torch.tensor(lengths), torch.tensor(by_run), len(by_run), max(lengths), len(slots)


def assert_near(found: Any, expected: Any, dtype: Any) -> None:
    scale = max(1.0, float(expected.abs().max()))
    assert float((found.double() - expected).abs().max()) <= TOLERANCE[dtype] * scale


@settings(max_examples=60)
@given(slots=slots_of_rows, width=widths, rank=st.integers(1, 16), spare=st.integers(0, 3), dtype=dtypes)
def test_shrink_is_the_product_scaled_and_zero_without_an_adapter(
    slots: list[int], width: int, rank: int, spare: int, dtype: Any
) -> None:
    inputs, weights = tensor(len(slots), width, dtype=dtype), tensor(SLOTS, 1, rank, width, dtype=dtype, seed=1)
    expected = 0.5 * reference(inputs, weights, slots)
    by_row, by_run = torch.full((2, len(slots), rank + spare), 7.0)
    cpu_lora.bgmv_shrink(inputs, weights, by_row, torch.tensor(slots), 0.5)
    cpu_lora.sgmv_shrink(inputs, weights, by_run, *runs(slots), 0.5)
    for found in (by_row, by_run):
        assert_near(found[:, :rank], expected, dtype)
        assert bool((found[:, rank:] == 7).all())


@settings(max_examples=60)
@given(
    slots=slots_of_rows, size=widths, offset=st.integers(0, 5), rank=st.integers(1, 16), dtype=dtypes, add=st.booleans()
)
def test_expand_writes_its_slice_only_and_not_where_there_is_no_adapter(
    slots: list[int], size: int, offset: int, rank: int, dtype: Any, add: bool
) -> None:
    inputs, weights = tensor(len(slots), rank), tensor(SLOTS, 1, size, rank, dtype=dtype, seed=1)
    before = tensor(len(slots), offset + size + 2, dtype=dtype, seed=2)
    delta, has_adapter = reference(inputs, weights, slots), torch.tensor(slots)[:, None] >= 0
    old = before[:, offset : offset + size].double()
    expected = torch.where(has_adapter, old + delta if add else delta, old)
    by_row, by_run = before.clone(), before.clone()
    cpu_lora.bgmv_expand_slice(inputs, weights, by_row, torch.tensor(slots), offset, size, add)
    cpu_lora.sgmv_expand_slice(inputs, weights, by_run, *runs(slots), offset, size, add)
    for found in (by_row, by_run):
        assert_near(found[:, offset : offset + size], expected, dtype)
        without = torch.tensor(slots) < 0
        assert torch.equal(found[without], before[without])
        assert torch.equal(found[:, :offset], before[:, :offset])
        assert torch.equal(found[:, offset + size :], before[:, offset + size :])


@settings(max_examples=40)
@given(slots=slots_of_rows, size=widths, padding=st.integers(-3, 3), add=st.booleans())
def test_expand_takes_the_columns_that_weights_and_output_share(
    slots: list[int], size: int, padding: int, add: bool
) -> None:
    inputs, weights = tensor(len(slots), 4), tensor(SLOTS, size, 4, seed=1)
    before = tensor(len(slots), max(1, size + padding), seed=2)
    common = min(size, before.shape[1])
    by_row, by_run = before.clone(), before.clone()
    cpu_lora.bgmv_expand(inputs, weights, by_row, torch.tensor(slots), add)
    cpu_lora.sgmv_expand(inputs, weights, by_run, *runs(slots), add)
    delta, old = reference(inputs, weights[:, None, :common], slots), before[:, :common].double()
    expected = torch.where(torch.tensor(slots)[:, None] >= 0, old + delta if add else delta, old)
    for found in (by_row, by_run):
        assert_near(found[:, :common], expected, torch.float32)
        assert torch.equal(found[:, common:], before[:, common:])


def test_one_row_is_for_every_row_of_the_output() -> None:
    inputs, weights, output = tensor(1, 4), tensor(SLOTS, 1, 6, 4, seed=1), torch.zeros(3, 6)
    cpu_lora.bgmv_expand(inputs, weights, output, torch.tensor([1]))
    assert_near(output, reference(inputs, weights, [1]).expand(3, -1), torch.float32)


def test_rows_without_a_slot_are_passed_over_where_the_weights_are_zero() -> None:
    inputs, slots = tensor(27, 8), torch.tensor([0, 1, -1])
    shrunk, output = torch.ones(27, 4), tensor(27, 6)
    before = output.clone()
    cpu_lora.bgmv_shrink(inputs, torch.zeros(SLOTS, 1, 4, 8), shrunk, slots)
    cpu_lora.bgmv_expand(shrunk, torch.zeros(SLOTS, 1, 6, 4), output, slots)
    assert not shrunk.any()
    assert torch.equal(output, before)


def test_rows_are_never_left_out_silently() -> None:
    with pytest.raises(ValueError, match="2 rows have adapters"):
        cpu_lora.bgmv_expand_slice(torch.ones(3, 4), tensor(SLOTS, 6, 4), torch.zeros(3, 6), torch.tensor([0, 1]), 0, 6)


@pytest.fixture
def vllm_parts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand-ins for the modules that `register` changes, so that the rest of the run keeps vLLM's own."""
    parts: dict[str, Any] = {name: SimpleNamespace() for name in cpu_lora.USERS}
    parts["vllm.platforms"] = SimpleNamespace(current_platform=SimpleNamespace(is_cpu=lambda: True))
    parts["vllm.version"] = SimpleNamespace(__version__="0.32.0+cpu")
    monkeypatch.setattr(cpu_lora.importlib, "import_module", lambda name: parts[name])
    return parts


def test_the_operators_are_replaced_wherever_they_are_used(vllm_parts: dict[str, Any]) -> None:
    cpu_lora.register()
    cpu_lora.register()
    for name in cpu_lora.USERS:
        assert vars(vllm_parts[name]) == {operator.__name__: operator for operator in cpu_lora.OPERATORS}


def test_an_untested_version_is_left_alone_with_a_warning(
    vllm_parts: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    vllm_parts["vllm.version"].__version__ = "0.33.0"
    with caplog.at_level(logging.WARNING):
        cpu_lora.register()
    assert vars(vllm_parts[cpu_lora.USERS[0]]) == {}
    assert [record.message.split(",")[0] for record in caplog.records] == [
        "Tandem's LoRA operators were tested with vLLM 0.32.0"
    ]


def test_nothing_is_done_on_a_gpu(vllm_parts: dict[str, Any]) -> None:
    vllm_parts["vllm.platforms"].current_platform.is_cpu = lambda: False
    cpu_lora.register()
    assert vars(vllm_parts[cpu_lora.USERS[0]]) == {}


def test_vllm_finds_the_plugin_by_its_entry_point() -> None:
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    assert project["entry-points"]["vllm.general_plugins"] == {cpu_lora.PLUGIN: "serving.cpu_lora:register"}


def arguments(source: Path) -> dict[str, str]:
    """Function → its arguments, read from the source because importing vLLM takes seconds."""
    functions = (node for node in ast.parse(source.read_text()).body if isinstance(node, ast.FunctionDef))
    return {function.name: ast.unparse(function.args) for function in functions}


def test_the_installed_vllm_has_the_operators_with_the_same_arguments() -> None:
    found = importlib.util.find_spec("vllm")
    assert found is not None
    assert found.submodule_search_locations is not None
    theirs = arguments(Path(found.submodule_search_locations[0]) / "lora" / "ops" / "torch_ops" / "lora_ops.py")
    ours = arguments(Path(cpu_lora.__file__))
    assert set(theirs) == {operator.__name__ for operator in cpu_lora.OPERATORS}
    assert {name: ours[name].replace("'Tensor'", "torch.Tensor") for name in theirs} == theirs
