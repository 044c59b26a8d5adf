"""Several processes train one adapter: the same as one process makes, written once."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tandem.adapters import WEIGHTS, Adapter, list_adapters
from tandem.errors import UserError
from tandem.workspace import Workspace
from tests.training.helpers import TINY, kettle_rows, write_lines
from training import processes
from training.metrics import METRICS, read_metrics

TRAIN_SECONDS = 300
SETTINGS = {"epochs": 2, "batch_size": 4, "rank": 8, "checkpoint_seconds": 0}


def test_one_process_alone_is_the_first_and_takes_all_rows() -> None:
    assert (processes.count(), processes.is_first(), processes.share_of_batch(8)) == (1, True, 8)
    assert processes.agreed(True)
    assert processes.mean_and_total(0.5, 7) == (0.5, 7)
    with processes.first_goes_first():
        processes.wait_for_all()


def test_a_batch_that_cannot_be_shared_evenly_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert processes.share_of_batch(12) == 4
    with pytest.raises(
        UserError, match="`training.batch_size` is 8, which 3 processes cannot share evenly: set it to 6"
    ):
        processes.share_of_batch(8)


def project(folder: Path) -> Path:
    domain = {"examples": str(write_lines(folder / "train.jsonl", kettle_rows())), "system_prompt": "You sell kettles."}
    config = folder / "tandem.yaml"
    config.write_text(json.dumps({"base_model": str(TINY), "domains": {"shop": domain}, "training": SETTINGS}))
    return config


def run(config: Path, home: Path, launcher: list[str]) -> str:
    """Prepare and train; what the training printed."""
    options = ["--config", str(config), "--home", str(home)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
    settings: dict[str, Any] = {"check": True, "capture_output": True, "text": True, "env": environment}
    subprocess.run([sys.executable, "-m", "tandem.cli", "prepare", "shop", *options], timeout=TRAIN_SECONDS, **settings)
    command = [sys.executable, *launcher, "-m", "tandem.cli", "train", "shop", "--kind", "closed-book", *options]
    return str(subprocess.run(command, timeout=TRAIN_SECONDS, **settings).stdout)


def only_adapter(home: Path) -> Adapter:
    (adapter,) = list_adapters(Workspace.open(home), "shop")
    return adapter


@pytest.mark.slow
def test_two_processes_make_what_one_makes_and_the_first_one_alone_writes_it(tmp_path: Path) -> None:
    config = project(tmp_path)
    run(config, tmp_path / "one", [])
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    said = run(config, tmp_path / "two", launcher)
    assert said.count("shop: a closed-book adapter") == 1
    assert "in each of 2 processes" in said
    one, two = only_adapter(tmp_path / "one"), only_adapter(tmp_path / "two")
    assert two.card.losses == pytest.approx(one.card.losses, abs=1e-3)
    assert two.card.hyperparameters["processes"] == 2
    weights, others = load_file(one.folder / WEIGHTS), load_file(two.folder / WEIGHTS)
    assert weights.keys() == others.keys()
    assert all(weights[name].allclose(others[name], atol=1e-3) for name in weights)
    lines, more = (
        read_metrics(home / str(a.card.run) / METRICS) for home, a in ((tmp_path / "one", one), (tmp_path / "two", two))
    )
    assert [(line["step"], line.get("tokens")) for line in more] == [
        (line["step"], line.get("tokens")) for line in lines
    ]
    assert not list((tmp_path / "two" / "training").glob("*/"))
