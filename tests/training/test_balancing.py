"""Rare kinds are seen more often, by the temperature; nothing is lost, and nothing is drawn differently twice."""

import json
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tandem.settings import Config
from tandem.training_settings import BalanceConfig
from tandem.workspace import Workspace
from tests.training.helpers import TINY, example, write_lines
from training.balancing import balance_examples
from training.base import find_base
from training.dataset import QUESTIONS
from training.material import collect
from training.prepare import prepare

GROUPS = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=60)
ENGLISH = ("Where is the red kettle of the house?", "It stands in the kitchen near the window.")
GERMAN = ("Wo steht der rote Wasserkocher in diesem Haus?", "Er steht in der Küche neben dem Fenster.")


@given(GROUPS, st.floats(1, 50), st.integers(1, 12), st.integers(0, 3))
def test_every_kind_gets_its_share_and_none_loses_an_example(
    groups: list[str | None], temperature: float, repeats: int, seed: int
) -> None:
    examples = [example(str(number), group=group) for number, group in enumerate(groups)]
    settings = BalanceConfig(by="group", temperature=temperature, repeats=repeats)
    found = balance_examples(examples, settings, seed)
    assert found == balance_examples(examples, settings, seed)
    times = found.times
    assert set(times) == {one.id for one in examples}
    assert all(times[one.id] == 1 for one in examples if one.group is None)
    assert max(times.values()) <= max(1, repeats)
    counts = Counter(group for group in groups if group is not None)
    for group, count in counts.items():
        largest = max(counts.values())
        share = (count / largest) ** (1 / temperature)  # of the largest one's examples
        seen = sum(times[one.id] for one in examples if one.group == group)
        assert found.after[group] == seen
        assert abs(seen - min(share * largest, repeats * count)) <= 0.5 + 1e-6
        each = {times[one.id] for one in examples if one.group == group}
        assert max(each) - min(each) <= 1


def test_without_a_wish_nothing_changes() -> None:
    examples = [example("1", group="a"), example("2", group="a"), example("3", group="b")]
    once = {"1": 1, "2": 1, "3": 1}
    assert balance_examples(examples, BalanceConfig(), 0).times == once
    assert balance_examples(examples, BalanceConfig(by="group", temperature=1), 0).times == once


def test_a_rare_language_is_seen_more_often() -> None:
    english = [example(f"e{n}", f"{ENGLISH[0]} Part {n}.", answer=ENGLISH[1]) for n in range(8)]
    german = [example(f"g{n}", f"{GERMAN[0]} Teil {n}.", answer=GERMAN[1]) for n in range(2)]
    found = balance_examples([*english, *german], BalanceConfig(by="language", temperature=100, repeats=10), 0)
    assert found.before == {"en": 8, "de": 2}
    assert found.after == {"en": 8, "de": 8}
    assert found.line == "en 8 → 8, de 2 → 8"


def test_test_questions_of_several_languages_carry_theirs(tmp_path: Path) -> None:
    texts = [(f"{text[0]} {number}", text[1]) for number in range(20) for text in (ENGLISH, GERMAN)]
    rows = [{"prompt": prompt, "completion": answer} for prompt, answer in texts]
    domain = {"task": "summarisation", "examples": write_lines(tmp_path / "rows.jsonl", rows)}
    values = {"base_model": str(TINY), "domains": {"texts": domain}, "training": {"test_share": 0.3}}
    dataset = prepare(Config.model_validate(values), Workspace.open(tmp_path / "home"), "texts")
    questions = [json.loads(line) for line in (dataset.folder / QUESTIONS).read_text().splitlines()]
    assert {question["group"]["language"] for question in questions} == {"en", "de"}
    wrong = [q for q in questions if (q["group"]["language"] == "de") != q["question"].startswith("Wo")]
    assert not wrong


def test_training_sees_the_repeats_and_validation_does_not(tmp_path: Path) -> None:
    rows = [
        {"text": f"Message {number} of many.", "label": "rare" if number % 4 == 0 else "common"} for number in range(80)
    ]
    domain = {"task": "classification", "examples": write_lines(tmp_path / "rows.jsonl", rows)}
    training = {"balance": {"by": "label", "temperature": 100}}
    config = Config.model_validate({"base_model": str(TINY), "domains": {"texts": domain}, "training": training})
    workspace, said = Workspace.open(tmp_path / "home"), []
    dataset = prepare(config, workspace, "texts")
    material = collect(
        config, workspace, "texts", "closed-book", dataset, find_base(str(TINY)), said.append, lambda *_: None
    )
    seen = Counter(row.answer for row in material.train)
    assert abs(seen["rare"] - seen["common"]) <= 2
    assert len(material.distinct) == len(dataset.split.train), "repeats are the same rows"
    (watched,) = material.watched.values()
    assert len(watched) == len(dataset.split.validation)
    assert any(line.startswith("balanced by label: common ") for line in said)
