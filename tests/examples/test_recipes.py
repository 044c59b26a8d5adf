"""One recipe for each kind of training: all read, each trains."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tandem.adapters import Adapter, verify
from tandem.cli import run as run_command
from tandem.config import load_config
from tandem.settings import Config
from tandem.workspace import Workspace
from training.prepare import prepare
from training.train import train

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RECIPES = EXAMPLES / "recipes"
TASKS = ("classification", "extraction", "summarisation", "translation")
KINDS = {
    "domain-closed-book": "closed-book",
    "domain-open-book": "reading",
    "mixed": "mixed",
    "documents": "documents",
    "parameter-efficient": "closed-book",
    "multi-task": "multi-task",
    "incremental": "closed-book",
    **dict.fromkeys(TASKS, "closed-book"),
}
"""Recipe → the kind of adapter that it trains."""
FEW_STEPS = {"epochs": 1, "rank": 8, "alpha": 16}


def file_of(recipe: str) -> Path:
    return EXAMPLES / "tasks" / recipe / "tandem.yaml" if recipe in TASKS else RECIPES / f"{recipe}.yaml"


def loaded(recipe: str) -> tuple[Config, str]:
    """A recipe, and the domain that it trains."""
    config = load_config(file_of(recipe))
    several = [name for name, domain in config.domains.items() if domain.multi_task]
    return config, (several or list(config.domains))[0]


def shortened(config: Config) -> Config:
    return config.model_copy(update={"training": config.training.model_copy(update=FEW_STEPS)})


@pytest.mark.parametrize("recipe", KINDS)
def test_a_recipe_reads(recipe: str) -> None:
    config, domain = loaded(recipe)
    assert Path(config.base_model) == EXAMPLES.parent / "models" / "tiny"
    assert config.domain(domain).multi_task or config.domain(domain).system_prompt


def test_every_recipe_is_named_and_none_is_left_untested() -> None:
    assert {path.stem for path in RECIPES.glob("*.yaml")} == set(KINDS) - set(TASKS)
    linked = re.findall(r"\]\(([^)]+)\)", (RECIPES / "README.md").read_text())
    assert sorted(str((RECIPES / link).resolve()) for link in linked) == sorted(str(file_of(one)) for one in KINDS)


@pytest.mark.parametrize("rows", ["train.jsonl", "more.jsonl"])
def test_every_value_of_the_kiosk_stands_in_the_document_that_its_row_names(rows: str) -> None:
    values = [json.loads(line) for line in (RECIPES / "kiosk" / rows).read_text().splitlines()]
    named = [row for row in values if "value" in row]
    assert len(named) >= 8
    for row in named:
        text = (RECIPES / "kiosk" / "documents" / row["documents"][0]).read_text()
        assert row["value"] in text, row["id"]
        assert row["value"] in row["answer"], row["id"]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [recipe for recipe in KINDS if recipe != "incremental"])
def test_a_recipe_trains(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adapter = trained(recipe, Workspace.open(tmp_path))
    capsys.readouterr()
    verify(adapter)
    assert adapter.card.kind == KINDS[recipe]
    assert adapter.card.losses["train"] > 0
    if recipe == "multi-task":
        assert list(adapter.card.tasks) == ["bookings", "desk", "notes", "signs"]


@pytest.mark.slow
def test_the_incremental_recipe_goes_on_from_the_closed_book_one(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    parent = trained("domain-closed-book", workspace)
    child = trained("incremental", workspace, parent_version=parent.version)
    assert child.card.parent == parent.version
    assert child.card.forgetting["other_wordings"]["rows"] >= 2


def trained(recipe: str, workspace: Workspace, **options: Any) -> Adapter:
    """The recipe's adapter after one epoch."""
    config, domain = loaded(recipe)
    several = config.domain(domain).multi_task
    config = shortened(config)
    if config.domain(domain).documents:
        index(recipe, domain, workspace)
    parts: Sequence[str] = several.tasks if several else [domain] if config.domain(domain).examples else []
    for name in parts:
        prepare(config, workspace, name)
    return train(config, workspace, domain, KINDS[recipe], None, lambda _line: None, lambda *_: None, **options)


def index(recipe: str, domain: str, workspace: Workspace) -> None:
    """As a person does it."""
    assert run_command(["index", domain, "--config", str(file_of(recipe)), "--home", str(workspace.home)]) == 0
