"""QLoRA is refused in one sentence where the hardware or its library is missing, before anything is loaded."""

from pathlib import Path

import pytest
import torch

from tandem.errors import ConfigError
from tandem.training_settings import TrainingConfig
from tandem.workspace import Workspace
from tests.training.helpers import TINY, kettle_config
from training import quantising
from training.preflight import estimate_memory
from training.prepare import prepare
from training.quantising import require_quantisable
from training.rows import Row
from training.tokens import TokenRow
from training.train import train

QUANTISED = TrainingConfig(quantisation="nf4")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    config, workspace = kettle_config(tmp_path, quantisation="nf4"), Workspace.open(tmp_path / "home")
    prepare(config, workspace, "shop")
    with pytest.raises(ConfigError, match="an NVIDIA GPU, of which there is none here: set it to null") as caught:
        train(config, workspace, "shop", "closed-book", None, lambda _: None, lambda *_: None)
    assert caught.value.code == "cannot_quantise"
    assert not list(workspace.home.glob("training/*"))


def test_without_its_library_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(quantising, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="bitsandbytes, which is not installed: install the extra `gpu`"):
        require_quantisable(QUANTISED)
    require_quantisable(TrainingConfig())


def test_four_bits_take_an_eighth_of_the_layers_memory() -> None:
    rows = [Row("x", [], "", (), TokenRow([1] * 10, [2] * 5))]
    whole, quantised = (
        estimate_memory(TINY, rows, settings, on_gpu=True).weights for settings in (TrainingConfig(), QUANTISED)
    )
    embedding = 4 * 2048 * 256
    assert (quantised - embedding) / (whole - embedding) == pytest.approx(0.13, abs=0.01)


def test_checkpointing_takes_less_memory() -> None:
    rows = [Row("x", [], "", (), TokenRow([1] * 400, [2] * 5))]
    kept, anew = (
        estimate_memory(TINY, rows, TrainingConfig(gradient_checkpointing=anew)).activations for anew in (False, True)
    )
    assert anew < kept / 2


def test_checkpointing_changes_no_loss(tmp_path: Path) -> None:
    config, losses = kettle_config(tmp_path, epochs=1, batch_size=4, rank=8), []
    for anew in (False, True):
        settings = config.training.model_copy(update={"gradient_checkpointing": anew})
        workspace = Workspace.open(tmp_path / f"home-{anew}")
        prepare(config, workspace, "shop")
        changed = config.model_copy(update={"training": settings})
        adapter = train(changed, workspace, "shop", "closed-book", None, lambda _: None, lambda *_: None)
        assert adapter is not None
        losses.append(adapter.card.losses)
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
