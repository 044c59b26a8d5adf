"""Every recipe of a task reads, prepares and has a test part."""

from pathlib import Path

import pytest

from tandem.config import load_config
from tandem.workspace import Workspace
from training.prepare import prepare

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "tasks"


@pytest.mark.parametrize("task", ["classification", "extraction", "summarisation", "translation"])
def test_a_recipe_prepares_with_all_its_rows_and_a_test_part(task: str, tmp_path: Path) -> None:
    config = load_config(FOLDER / task / "tandem.yaml")
    ((name, domain),) = config.domains.items()
    dataset = prepare(config, Workspace.open(tmp_path), name)
    parts = dataset.split
    assert domain.task == task
    assert dataset.report["counts"]["read"] == dataset.report["counts"]["kept"]
    assert min(len(part) for part in (parts.train, parts.validation, parts.test)) >= 2
