"""The search for settings: its trials, what a kill leaves of it, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from optuna import TrialPruned
from pydantic import ValidationError

from tandem.adapters import Adapter
from tandem.errors import UserError
from tandem.settings import Config
from tandem.training_settings import TrainingConfig
from tandem.workspace import Workspace
from tests.training.helpers import kettle_config
from training.prepare import prepare
from training.reporter import Evaluated
from training.searching import STARTUP, Found, search
from training.train import train

SPACE = {"learning_rate": {"low": 0.0005, "high": 0.02, "log": True}, "rank": [8, 16]}
SETTINGS = {"epochs": 2, "batch_size": 8, "search": {"trials": 3, "space": SPACE}}


class Interrupted(Exception):
    """As a kill would end it, but in this process."""


def settings(**search_values: Any) -> TrainingConfig:
    return TrainingConfig.model_validate({"search": {"space": SPACE, "trials": 12, **search_values}})


def toy(tried: list[TrainingConfig], stop_in: int | None = None) -> Any:
    """A run whose loss is least at a learning rate of 0.004 and rank 16, told in three evaluations."""

    def run(given: TrainingConfig, evaluated: Evaluated) -> float:
        tried.append(given)
        loss = abs(given.learning_rate - 0.004) * 100 + (given.rank == 8)
        for number in (1, 2, 3):
            if len(tried) == stop_in and number == (1 if stop_in > STARTUP else 2):
                raise Interrupted
            evaluated(number, loss + 1 / number)
        return loss

    return run


def look(path: Path, given: TrainingConfig, tried: list[TrainingConfig], stop_in: int | None = None) -> Found:
    return search(path, given, toy(tried, stop_in), lambda _: None, lambda _: None)


def test_the_best_of_the_declared_space_is_found_and_every_trial_is_told(tmp_path: Path) -> None:
    tried: list[TrainingConfig] = []
    found = look(tmp_path / "a.journal", settings(), tried)
    assert len(found.trials) == 12
    assert [trial["number"] for trial in found.trials] == list(range(1, 13))
    complete = [trial for trial in found.trials if trial["state"] == "complete"]
    best = min(complete, key=lambda trial: trial["loss"])
    assert (found.settings.learning_rate, found.settings.rank) == tuple(best["values"].values())
    assert all(0.0005 <= given.learning_rate <= 0.02 and given.rank in (8, 16) for given in tried)
    assert {trial["state"] for trial in found.trials} == {"complete", "pruned"}
    assert look(tmp_path / "b.journal", settings(), []).settings == found.settings


def test_without_pruning_every_trial_comes_to_its_end(tmp_path: Path) -> None:
    found = look(tmp_path / "a.journal", settings(pruning=False), [])
    assert {trial["state"] for trial in found.trials} == {"complete"}


@pytest.mark.parametrize("stop_in", [1, 3, 7])
def test_an_interrupted_search_goes_on_to_the_same_trials(tmp_path: Path, stop_in: int) -> None:
    path, tried = tmp_path / "a.journal", []
    with pytest.raises(Interrupted):
        look(path, settings(), tried, stop_in)
    path.write_bytes(path.read_bytes() + b'{"op_code": 5, "wor')  # what a kill leaves of a line
    more: list[TrainingConfig] = []
    found = look(path, settings(), more)
    assert more[0] == tried[-1], "the interrupted trial is taken up again"
    unbroken = look(tmp_path / "b.journal", settings(), [])
    assert [(t["values"], t["state"], t["loss"]) for t in found.trials] == [
        (t["values"], t["state"], t["loss"]) for t in unbroken.trials
    ]
    assert found.settings == unbroken.settings


def outcomes(found: Found) -> list[tuple[Any, ...]]:
    return [(trial["values"], trial["state"], trial["loss"]) for trial in found.trials]


@pytest.mark.parametrize("before", ["none", "a kill"])
def test_a_kill_after_any_line_of_the_journal_changes_no_trial(tmp_path: Path, before: str) -> None:
    given, path = settings(trials=6), tmp_path / "a.journal"
    unbroken = outcomes(look(path, given, []))
    lines = path.read_bytes().splitlines(keepends=True)
    if before == "a kill":
        running = next(number for number, line in enumerate(lines) if b"learning_rate" in line) + 1
        path.write_bytes(b"".join(lines[:running]))
        assert outcomes(look(path, given, [])) == unbroken
        lines = path.read_bytes().splitlines(keepends=True)
    for count, line in enumerate(lines):
        broken = tmp_path / f"{count}.journal"
        broken.write_bytes(b"".join(lines[:count]))
        assert outcomes(look(broken, given, [])) == unbroken, (count, line)


def test_no_trial_is_pruned_at_its_first_evaluation(tmp_path: Path) -> None:
    pruned_at: list[int] = []

    def run(given: TrainingConfig, evaluated: Evaluated) -> float:
        for number in (1, 2, 3):
            try:
                evaluated(number, abs(given.learning_rate - 0.004) + (given.rank == 8))
            except TrialPruned:
                pruned_at.append(number)
                raise
        return abs(given.learning_rate - 0.004) + (given.rank == 8)

    search(tmp_path / "a.journal", settings(trials=20), run, lambda _: None, lambda _: None)
    assert set(pruned_at) == {2}


def test_only_the_best_run_is_left_even_after_a_kill_before_the_others_were_forgotten(tmp_path: Path) -> None:
    tried: list[TrainingConfig] = []
    look(tmp_path / "a.journal", settings(), tried)
    forgotten: list[TrainingConfig] = []
    found = search(tmp_path / "a.journal", settings(), toy([]), forgotten.append, lambda _: None)
    left = [given for given in tried if given not in forgotten]
    assert left == [found.settings]
    assert found.settings not in forgotten


def test_a_trial_that_diverges_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    def run(given: TrainingConfig, _: Evaluated) -> float:
        if given.rank == 8:
            raise UserError("The loss is no number any more.", code="diverged")
        return given.learning_rate

    found = search(tmp_path / "a.journal", settings(), run, lambda _: None, lambda _: None)
    failed = [trial for trial in found.trials if trial["state"] == "failed"]
    assert failed
    assert all(trial["seconds"] is not None for trial in found.trials)
    assert all(trial["reason"] == "The loss is no number any more." for trial in failed)
    assert found.settings.rank == 16


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ({"rank": [8, 7]}, "search.space.rank: Input should be 1, 8, 16"),
        ({"rank": {"low": 8, "high": 16}}, "search.space.rank has to be a list"),
        ({"learning_rate": {"low": 0, "high": 1, "log": True}}, "low has to be above 0"),
        ({"learning_rate": {"low": 2, "high": 1}}, "low has to be below high"),
        ({"batch_size": [0]}, "search.space.batch_size: Input should be greater than 0"),
        ({"epoch": [1]}, "'epochs'"),
    ],
)
def test_a_space_that_a_setting_does_not_take_is_refused_before_the_first_trial(space: Any, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected.replace("(", r"\(")):
        TrainingConfig.model_validate({"search": {"space": space}})


def searched(config: Config, workspace: Workspace, said: list[str], **named: Any) -> Adapter | None:
    progress = named.pop("progress", lambda *_: None)
    return train(config, workspace, "shop", "closed-book", None, said.append, progress, search_first=True, **named)


def test_the_best_trial_is_published_with_all_trials_in_its_card_and_report(tmp_path: Path) -> None:
    config, workspace, said = kettle_config(tmp_path, **SETTINGS), Workspace.open(tmp_path / "home"), []
    prepare(config, workspace, "shop")
    steps: list[int] = []

    def progress(_: str, step: int, __: int) -> None:
        steps.append(step)
        if len(steps) == 6:
            raise Interrupted

    with pytest.raises(Interrupted):
        searched(config, workspace, said, progress=progress)
    adapter = searched(config, workspace, said)
    assert adapter is not None
    assert any(line.startswith("going on with an interrupted trial") for line in said)
    trials = adapter.card.hyperparameters["trials"]
    best = min((trial for trial in trials if trial["state"] == "complete"), key=lambda trial: trial["loss"])
    assert len(trials) == 3
    assert {name: adapter.card.hyperparameters[name] for name in best["values"]} == best["values"]
    assert adapter.card.losses["other_wordings"] == pytest.approx(best["loss"])
    folder = workspace.home / str(adapter.card.run)
    assert "## The search" in (folder / "report.md").read_text()
    assert "All trials, in their order" in (folder / "report.html").read_text()
    assert not list((workspace.home / "training").glob("*/")), "the other trials' runs are gone"
    assert [path.name for path in (workspace.home / "runs").iterdir()] == [folder.name]
    assert json.loads((adapter.folder / "card.json").read_text())["hyperparameters"]["trials"] == trials


def test_a_search_without_a_space_or_from_a_parent_is_refused(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "home")
    config = kettle_config(tmp_path)
    prepare(config, workspace, "shop")
    with pytest.raises(UserError, match="There is no space to search"):
        searched(config, workspace, [])
    with pytest.raises(UserError, match="and this one goes on from a parent"):
        searched(kettle_config(tmp_path, **SETTINGS), workspace, [], parent_version="0123456789ab")
