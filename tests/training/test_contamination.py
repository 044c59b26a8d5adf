"""Examples like a question of the evaluation are all found, named, and taken out where that is asked for."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.settings import Config
from tandem.workspace import Workspace
from tests.training.helpers import example, kettle_config, kettle_rows, write_lines
from training.cleaning import NEAR, normalise, overlap
from training.contamination import LIKENESSES, RUN, contamination
from training.examples import Question
from training.prepare import prepare, summary

WORDS = st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=24).map(" ".join)
LONG = [f"w{number}" for number in range(40)]


def like(question: str, asked: str, answer: str = "Red.") -> str | None:
    found = contamination([example("e", question, answer=answer)], [Question("q", asked)])
    return found[0].likeness if found else None


@given(st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=8))
def test_all_that_a_slow_search_finds_is_found_and_nothing_else(examples: list[str], asked: list[str]) -> None:
    questions = [Question(f"q{number}", text) for number, text in enumerate(asked)]
    rows = [example(f"e{number}", text, answer="Red.") for number, text in enumerate(examples)]
    expected = {}
    for row in rows:
        words = normalise(row.question).split()
        runs = {tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}
        kinds = set()
        for text in asked:
            other = normalise(text).split()
            kinds |= {"exact"} if words == other else set()
            kinds |= {"near"} if overlap(frozenset(words), frozenset(other)) >= NEAR else set()
            others = {tuple(other[start : start + RUN]) for start in range(len(other) - RUN + 1)}
            kinds |= {"overlap"} if runs & others else set()
        if kinds:
            expected[row.id] = next(kind for kind in LIKENESSES if kind in kinds)
    assert {item.example: item.likeness for item in contamination(rows, questions)} == expected


@given(st.integers(1, 200), st.integers(0, 200))
def test_near_begins_at_nine_tenths_of_the_words_at_any_length(common: int, more: int) -> None:
    words = [f"w{number}" for number in range(common + more)]
    # Reversed, so that no eight words stand in the same row.
    found = like(" ".join(reversed(words)), " ".join(words[:common]))
    if common / len(words) >= NEAR and more:
        assert found == "near"
    elif more:
        assert found is None


@pytest.mark.parametrize(
    ("question", "asked", "answer", "expected"),
    [
        ("How much IS it?", "how much is it", "Red.", "exact"),
        (" ".join(LONG[:20]), " ".join(LONG[:21]), "Red.", "near"),
        (" ".join([*LONG[:8], "x"]), " ".join(["y", *LONG[:8]]), "Red.", "overlap"),
        (" ".join([*LONG[:7], "x"]), " ".join(["y", *LONG[:7]]), "Red.", None),
        ("Why?", " ".join(LONG[:9]), f"Since {' '.join(LONG[:9])}.", "overlap"),
        ("この湯沸かしには水が何リットル入りますか", "この湯沸かしには水がどれだけ入りますか", "1.2", "overlap"),
    ],
)
def test_each_likeness_has_its_line(question: str, asked: str, answer: str, expected: str | None) -> None:
    assert like(question, asked, answer) == expected


def leaky(folder: Path, taken_out: list[str]) -> Config:
    values = kettle_config(folder, remove_leaks=taken_out).model_dump()
    long = " ".join(LONG[:20])
    rows: list[dict[str, Any]] = [
        *kettle_rows(),
        {"id": "near", "question": long, "answer": "Red."},
        {"id": "run", "question": f"{' '.join(LONG[:8])} and then", "answer": "Blue."},
    ]
    write_lines(folder / "train.jsonl", rows)
    questions = [{"id": "q1", "question": "who designed the ARLO"}, {"id": "q2", "question": f"{long} w99"}]
    values["domains"]["shop"]["questions"] = write_lines(folder / "questions.jsonl", questions)
    return Config.model_validate(values)


@pytest.mark.parametrize("taken_out", [[], ["exact"], ["near", "overlap"], ["exact", "near", "overlap"]])
def test_every_likeness_is_named_and_only_those_asked_for_leave(tmp_path: Path, taken_out: list[str]) -> None:
    dataset = prepare(leaky(tmp_path, taken_out), Workspace.open(tmp_path / "home"), "shop")
    names = {"exact": "Arlo-3", "near": "near", "overlap": "run"}
    found = dataset.report["contamination"]
    assert {kind: [item["example"] for item in found[kind]] for kind in LIKENESSES} == {
        kind: [name] for kind, name in names.items()
    }
    trained = {row.id for part in (dataset.split.train, dataset.split.validation) for row in part}
    assert {kind for kind, name in names.items() if name not in trained} == set(taken_out)
    assert {item["id"] for item in dataset.report["left"]} == {names[kind] for kind in taken_out}
    assert any(line.startswith("leakage: ") and "like one of 2 questions" in line for line in summary(dataset.report))
    text = (dataset.folder / "report.md").read_text()
    assert "- run: it has “w0 w1 w2 w3 w4 w5 w6 w7” in common with question q2" in text
