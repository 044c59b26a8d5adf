"""What a run will need is told before it begins, and what cannot fit is refused; presets fill in what nobody wrote."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tandem.errors import NotFound, UserError
from tandem.training_settings import PRESETS, TrainingConfig
from tandem.workspace import Workspace
from tests.training.helpers import TINY, kettle_config
from training.preflight import MemoryEstimate, _left_in_group, estimate_memory, require_memory
from training.prepare import prepare
from training.rows import Row
from training.tokens import TokenRow
from training.train import train

ROOT = Path(__file__).resolve().parents[2]
GIB = 2**30


def row(prompt: int, completion: int) -> Row:
    return Row("1", [], "", (), TokenRow([5] * prompt, [6] * completion))


def test_the_weights_of_the_tiny_model_and_of_its_adapter_are_counted_exactly() -> None:
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    from training.lora import lora_config

    settings = TrainingConfig(rank=8)
    estimate = estimate_memory(TINY, [row(90, 10)], settings, on_gpu=True)
    model = AutoModelForCausalLM.from_pretrained(TINY, dtype="float32")
    assert estimate.weights == 4 * model.num_parameters()
    trained = get_peft_model(model, lora_config(settings)).get_nb_trainable_parameters()[0]
    assert estimate.adapter == 4 * 4 * trained
    assert estimate.largest_batch_tokens == 100 * settings.batch_size


def test_activations_grow_with_the_batch_and_the_longest_row() -> None:
    small = estimate_memory(TINY, [row(90, 10)], TrainingConfig(batch_size=2)).activations
    assert estimate_memory(TINY, [row(90, 10)], TrainingConfig(batch_size=4)).activations == 2 * small
    assert estimate_memory(TINY, [row(90, 10), row(500, 10)], TrainingConfig(batch_size=2)).activations > 3 * small


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (
            5 * GIB,
            r"needs about 11\.0 GiB of memory, and 5\.0 GiB are free: set `training\.batch_size` to 2 \(it is 8\)",
        ),
        (3 * GIB + 10, r"`training\.batch_size` 1 would not fit either"),
        (2 * GIB, r"base model alone takes 2\.0 GiB: set `base_model` to a smaller one"),
    ],
)
def test_what_cannot_fit_is_refused_with_the_setting_to_change(free: int, expected: str) -> None:
    estimate = MemoryEstimate(2 * GIB, GIB, 8 * GIB, 0, 1000)
    require_memory(estimate, 11 * GIB, TrainingConfig())
    with pytest.raises(UserError, match=expected) as raised:
        require_memory(estimate, free, TrainingConfig())
    assert raised.value.code == "too_little_memory"


def test_a_containers_limit_counts_and_a_missing_one_does_not(tmp_path: Path) -> None:
    assert _left_in_group(tmp_path) == 2**60
    for name, text in (("memory.max", "1000\n"), ("memory.current", "700\n"), ("memory.stat", "inactive_file 50\n")):
        (tmp_path / name).write_text(text)
    assert _left_in_group(tmp_path) == 350
    (tmp_path / "memory.max").write_text("max\n")
    assert _left_in_group(tmp_path) == 2**60


MEASURE = """
import sys
from training.metrics import held_bytes
from tandem.workspace import Workspace
from tests.training.helpers import TINY, kettle_config
from tests.training.test_preflight import measured_step
measured_step(int(sys.argv[1]), int(sys.argv[2]))
"""


def measured_step(batch: int, length: int) -> None:
    """Print the most memory that a process held over two real steps, and what was estimated."""
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    from training.lora import lora_config

    settings = TrainingConfig(batch_size=batch)
    rows = [row(length - 16, 16)]
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(TINY, dtype="float32"), lora_config(settings))
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad])
    ids = torch.randint(5, 2000, (batch, length))
    for _ in range(2):
        hidden = model.get_base_model().model(input_ids=ids, use_cache=False).last_hidden_state[:, -16:]
        logits = model.get_base_model().lm_head(hidden)
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, -16:].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
    # Of this program alone: `getrusage` counts what the process held before it became this one, the tests' memory.
    held = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert held
    print(int(held[1]) * 1024, estimate_memory(TINY, rows, settings).total)


@pytest.mark.parametrize(("batch", "length"), [(8, 64), (16, 512)])
def test_the_estimate_is_that_of_a_real_step(batch: int, length: int) -> None:
    command = [sys.executable, "-c", MEASURE, str(batch), str(length)]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    measured, expected = map(int, output.split())
    assert 0.6 < expected / measured < 1.6, output


def test_a_preset_fills_in_what_is_not_written_and_what_is_written_wins() -> None:
    settings = TrainingConfig.model_validate({"preset": "thorough", "epochs": 3})
    assert (settings.rank, settings.alpha, settings.epochs, settings.learning_rate) == (32, 64, 3, 5e-4)
    by_kind = TrainingConfig.model_validate({"preset": "start-small", "reading": {"rank": 64}})
    assert (by_kind.for_kind("reading").rank, by_kind.for_kind("closed-book").rank) == (64, 8)


def test_balanced_is_what_holds_without_a_preset() -> None:
    written = TrainingConfig(preset="balanced").model_dump(exclude={"preset"})
    assert written == TrainingConfig().model_dump(exclude={"preset"})


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_valid(preset: Any) -> None:
    assert TrainingConfig(preset=preset).preset == preset


@pytest.mark.parametrize("value", ["tiny", 3, [], {}])
def test_an_unknown_preset_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ValidationError, match="preset"):
        TrainingConfig.model_validate({"preset": value})


def test_a_run_that_cannot_fit_or_has_nothing_to_go_on_from_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, workspace = kettle_config(tmp_path), Workspace.open(tmp_path / "home")
    prepare(config, workspace, "shop")
    said: list[str] = []

    def begin(resume: bool) -> None:
        train(config, workspace, "shop", "closed-book", None, said.append, lambda *_: None, resume=resume)

    with pytest.raises(NotFound, match="leave out --resume") as raised:
        begin(resume=True)
    assert raised.value.code == "nothing_to_resume"
    monkeypatch.setattr("training.train.free_memory", lambda _together: 100_000_000)
    with pytest.raises(UserError, match=r"0\.1 GiB are free: the base model alone takes"):
        begin(resume=False)
    assert not any("epoch" in line for line in said)
    assert not (workspace.home / "runs").exists()
