"""When training stops, what it is watched by, and which checkpoints count."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.errors import Conflict
from tandem.workspace import Workspace
from tests.training.helpers import example
from training.runs import NEEDED, STATE, Run, open_run, run_key
from training.stopping import best_evaluation, is_out_of_patience, losses_at
from training.watching import (
    OTHER_WORDINGS,
    TRAINING_ROWS,
    UNSEEN_DOCUMENTS,
    at_most,
    watch_closed_book,
    watch_reading,
)


def history(losses: list[float]) -> list[dict[str, float]]:
    return [{"step": 10 * number, "eval_a_loss": loss} for number, loss in enumerate(losses, 1)]


@pytest.mark.parametrize(
    ("losses", "patience", "expected"),
    [
        ([], 1, False),
        ([3.0], 1, False),
        ([3, 2, 1], 1, False),
        ([3, 1, 2], 1, True),
        ([3, 1, 2], 2, False),
        ([3, 1, 2, 1], 2, True),
        ([1, 1], 1, True),
    ],
)
def test_patience_counts_evaluations_since_the_best(losses: list[float], patience: int, expected: bool) -> None:
    assert is_out_of_patience(history(losses), "a", patience) is expected


@given(st.lists(st.floats(0, 10), min_size=1))
def test_the_best_evaluation_is_the_first_of_the_lowest(losses: list[float]) -> None:
    step, loss = best_evaluation(history(losses), "a")
    assert loss == min(losses)
    assert step == 10 * (losses.index(loss) + 1)


def test_the_losses_of_a_step_are_those_of_all_watched_rows() -> None:
    entries = [{"step": 5, "loss": 2.0}, {"step": 5, "eval_a_loss": 1.0}, {"step": 9, "eval_b_loss": 7.0}]
    assert losses_at([*entries, {"step": 5, "eval_b_loss": 3.0}], 5, ["a", "b"]) == {"train": 2.0, "a": 1.0, "b": 3.0}


def test_a_reading_adapter_is_watched_by_unseen_documents() -> None:
    watch = watch_reading([example("1")], [example("2")])
    assert (watch.decisive, [row.id for row in watch.train]) == (UNSEEN_DOCUMENTS, ["1"])


def test_a_closed_book_adapter_is_watched_by_other_wordings_of_facts_it_is_taught() -> None:
    rows = [
        example(f"{fact}{number}", documents=[f"{fact}.md"], answer=f"It is {fact}.")
        for fact in "abcdefghij"
        for number in (1, 2)
    ]
    watch = watch_closed_book(rows, [example("v")], 0.1, 1)
    held = watch.watched[OTHER_WORDINGS]
    assert watch.decisive == OTHER_WORDINGS
    assert len(held) == 2
    assert {row.id for row in held}.isdisjoint(row.id for row in watch.train)
    assert {row.answer for row in watch.train} == {row.answer for row in [*rows, example("v")]}


def test_of_a_fact_that_is_asked_often_the_first_wordings_stay() -> None:
    rows = [example(name, documents=["a.md"], answer=f"It is {name[0]}.") for name in ("a1", "b1", "a2", "a3", "b2")]
    absent = [example(name, answer="I don't know.") for name in "xyz"]
    kept = at_most([*rows, *absent], 2)
    assert [row.id for row in kept] == ["a1", "b1", "a2", "b2", "x", "y", "z"]
    assert at_most(rows, None) == rows


def test_facts_that_are_asked_once_all_stay_in_training() -> None:
    rows = [example(name, documents=[name], answer=f"It is {name}.") for name in "abcdefghij"]
    watch = watch_closed_book(rows, [example("v")], 0.2, 1)
    assert (watch.train, len(watch.watched[TRAINING_ROWS])) == ([*rows, example("v")], 2)


def checkpoint(run: Run, step: int, without: str = "") -> None:
    folder = run.folder / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for name in (*NEEDED, "rng_state.pth"):
        if name != without:
            (folder / name).write_text(json.dumps({"global_step": step}) if name == STATE else "x")


def test_only_whole_checkpoints_count_in_the_order_of_their_steps(tmp_path: Path) -> None:
    run = Run(tmp_path)
    checkpoint(run, 100)
    checkpoint(run, 20)
    checkpoint(run, 300, without=STATE)
    checkpoint(run, 400, without="optimizer.pt")
    checkpoint(run, 500, without="rng_state.pth")
    assert [found.step for found in run.checkpoints()] == [20, 100]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-100", "checkpoint-20"]


def test_one_process_at_a_time_trains_the_same(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    with (
        open_run(workspace, "shop", "reading", "k"),
        pytest.raises(Conflict, match="Another process is training"),
        open_run(workspace, "shop", "reading", "k"),
    ):
        pass
    with open_run(workspace, "shop", "reading", "k") as run:
        assert run.folder.is_dir()


def test_the_key_says_what_is_trained() -> None:
    assert run_key({"a": 1, "b": [2]}) == run_key({"b": [2], "a": 1}) != run_key({"a": 1, "b": [3]})
