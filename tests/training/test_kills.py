"""A run that is killed anywhere goes on to the same bytes as one that was never interrupted."""

import random
import signal
import time
from pathlib import Path

import pytest

from tandem.adapters import WEIGHTS, Adapter, list_adapters
from tandem.workspace import Workspace
from tests.training.killed_run import Run, start_run
from training.metrics import METRICS, read_metrics

RANDOM_KILLS = 30
PLACES = [
    [
        ("step", 1),
        ("step", 3),
        ("weights", 1),
        ("optimizer", 2),
        ("generator", 1),
        ("rename", 2),
        ("forget", 2),
        ("step", 2),
        ("publish", 1),
        ("remove", 1),
    ],
    [
        ("weights", 1),
        ("weights", 2),
        ("generator", 2),
        ("rename", 1),
        ("forget", 1),
        ("optimizer", 1),
        ("step", 1),
        ("rename", 1),
        ("forget", 1),
        ("publish", 1),
    ],
]
"""Where two runs are killed, again and again; with the kills at random moments there are fifty."""


def finish(run: Run, expected: int = 0) -> str:
    assert run.finish() == expected, run.said
    return run.said


def only_adapter(home: Path) -> Adapter:
    (adapter,) = list_adapters(Workspace.open(home), "shop")
    return adapter


def assert_same_result(one: Path, other: Path) -> None:
    """Equal bytes of the weights, equal losses, and equal losses of every step."""
    first, second = only_adapter(one), only_adapter(other)
    assert (first.folder / WEIGHTS).read_bytes() == (second.folder / WEIGHTS).read_bytes()
    assert first.card.losses == second.card.losses
    numbers = []
    for home, adapter in ((one, first), (other, second)):
        lines = read_metrics(home / str(adapter.card.run) / METRICS)
        numbers.append([(line["step"], line.get("loss"), line.get("evaluation"), line.get("tokens")) for line in lines])
    assert numbers[0] == numbers[1]
    assert sorted({step for step, *_ in numbers[0]}) == list(range(1, max(step for step, *_ in numbers[0]) + 1))
    assert list((other / "training").glob("*/")) == []


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("unbroken")
    finish(start_run(folder, folder / "home"))
    return folder / "home"


def test_killed_within_an_epoch_and_while_a_checkpoint_is_written_it_ends_in_the_same_bytes(
    unbroken: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    finish(start_run(tmp_path, home, "optimizer", 2), -signal.SIGKILL)
    (run,) = (home / "training").glob("*/")
    assert [path.name for path in run.glob("checkpoint-*")] == ["checkpoint-1"]
    assert (run / "writing" / "checkpoint-2" / "optimizer.pt").is_file()
    assert "going on after step 1 " in finish(start_run(tmp_path, home))
    assert_same_result(unbroken, home)


@pytest.mark.slow
@pytest.mark.parametrize("places", PLACES, ids=["one", "other"])
def test_killed_again_and_again_in_every_phase_it_ends_in_the_same_bytes(
    places: list[tuple[str, int]], unbroken: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    for place, times in places:
        finish(start_run(tmp_path, home, place, times), -signal.SIGKILL)
    finish(start_run(tmp_path, home))
    assert_same_result(unbroken, home)


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_in_the_same_bytes(unbroken: Path, tmp_path: Path) -> None:
    home, chance, kills = tmp_path / "home", random.Random(7), 0
    began = time.monotonic()
    finish(start_run(tmp_path, tmp_path / "timed"))
    longest = time.monotonic() - began
    while kills < RANDOM_KILLS:
        run = start_run(tmp_path, home)
        time.sleep(chance.uniform(0, longest))
        run.process.kill()
        status = run.finish()
        kills += status == -signal.SIGKILL
        assert status in (0, -signal.SIGKILL), run.said
    finish(start_run(tmp_path, home))
    expected = (only_adapter(unbroken).folder / WEIGHTS).read_bytes()
    adapters = list_adapters(Workspace.open(home), "shop")
    assert {(adapter.folder / WEIGHTS).read_bytes() for adapter in adapters} == {expected}
    assert all(adapter.card.losses == only_adapter(unbroken).card.losses for adapter in adapters)
