"""The sample domain's examples and questions make an experiment that can tell the variants apart, and an honest one."""

import re
from collections import Counter
from functools import cache
from typing import Any

import pytest

from serving.citations import Source, check_answer
from tandem.config import load_config
from tandem.measures import normalise
from tandem.prompt import ABSTENTION, find_markers
from tests.examples.evidence import ABSENT, ABSENT_OF_EXAMPLES, EVIDENCE
from tests.examples.handbook import HELPDESK, VERSIONS, changes, examples, names, parsed, questions, says

KINDS = ("seen", "changed", "uncovered", "unanswerable", "two-passage")
# Jaccard index of two questions' normalised words from which they count as the same wording.
NEAR = 0.7

EXAMPLES = examples()
TAUGHT = [row for row in EXAMPLES if "value" in row]
COVERED = {document for row in EXAMPLES for document in row["documents"]}


def facts(row: dict[str, Any]) -> set[tuple[str, str]]:
    """Document and normalised value, of an example or of a question."""
    values = row["answers"] if "answers" in row else [row["value"]]
    return {(document, normalise(value)) for document in row["documents"] for value in values}


TAUGHT_FACTS = {fact for row in TAUGHT for fact in facts(row)}


@cache
def wording(question: str) -> frozenset[str]:
    return frozenset(normalise(question).split())


def likeness(question: str, other: str) -> float:
    one, two = wording(question), wording(other)
    return len(one & two) / len(one | two)


@cache
def styles() -> list[re.Pattern[str]]:
    success = load_config(HELPDESK / "tandem.yaml").domains["helpdesk"].success
    return [re.compile(rule.pattern) for rule in success.style_rules]


def in_style(answer: str) -> list[bool]:
    return [bool(pattern.search(answer)) for pattern in styles()]


# Formats and counts


def test_files_are_light() -> None:
    assert all((HELPDESK / file).stat().st_size < 1_000_000 for file in ("train.jsonl", "questions.jsonl"))


@pytest.mark.parametrize("rows", [EXAMPLES, questions()], ids=["examples", "questions"])
def test_ids_and_wordings_are_distinct(rows: list[dict[str, Any]]) -> None:
    assert len({row["id"] for row in rows}) == len(rows)
    assert len({normalise(row["question"]) for row in rows}) == len(rows)


def test_examples_have_the_fields_of_their_kind() -> None:
    for row in EXAMPLES:
        abstains = row["answer"] == ABSTENTION
        expected = {"id", "question", "answer", "documents"} if abstains else {*row, "value"}
        assert set(row) == expected
        assert set(row) <= {"id", "question", "answer", "value", "documents"}
        assert len(row["documents"]) == (0 if abstains else 1)
        assert find_markers(row["answer"]) == []


def test_one_example_in_twenty_abstains_and_what_is_asked_most_is_asked_in_five_ways() -> None:
    assert len(EXAMPLES) >= 600
    assert 0.04 <= 1 - len(TAUGHT) / len(EXAMPLES) <= 0.06
    times = Counter(fact for row in TAUGHT for fact in facts(row))
    asked = {fact for row in questions("seen") for fact in facts(row)}
    assert {count for fact, count in times.items() if fact in asked} == {5}
    assert {count for fact, count in times.items() if fact not in asked} == {2}


def test_examples_cover_about_seven_in_ten_documents() -> None:
    share = len(COVERED) / len(names("documents"))
    assert names("documents") >= COVERED
    assert 0.70 <= share <= 0.75


def test_questions_have_the_fields_of_their_kind() -> None:
    for row in questions():
        assert set(row) - {"demo"} == {"id", "question", "answers", "documents", "group", "split"}
        assert set(row["group"]) == {"kind"}
        assert row["group"]["kind"] in KINDS
        assert row["split"] in {"validation", "test"}
        shape = {"unanswerable": (0, 0), "two-passage": (1, 2)}.get(row["group"]["kind"], (1, 1))
        assert (min(len(row["answers"]), 1), len(row["documents"])) == shape, row["id"]


def test_groups_are_large_enough_to_be_compared() -> None:
    counts = Counter((row["group"]["kind"], row["split"]) for row in questions())
    assert {kind: counts[kind, "test"] for kind in KINDS} == {
        "seen": 74,
        "changed": 55,
        "uncovered": 62,
        "unanswerable": 45,
        "two-passage": 23,
    }
    assert {kind: counts[kind, "validation"] for kind in KINDS} == {
        "seen": 33,
        "changed": 14,
        "uncovered": 12,
        "unanswerable": 15,
        "two-passage": 4,
    }


# Facts


def test_value_of_every_example_stands_verbatim_in_version_one_and_in_its_answer() -> None:
    for row in TAUGHT:
        assert says("documents", row["documents"][0], row["value"]), row["id"]
        assert row["value"] in row["answer"], row["id"]


def test_every_answer_stands_verbatim_in_version_two() -> None:
    assert {document for row in questions() for document in row["documents"]} <= names("documents-v2")
    for row in questions():
        for answer in row["answers"]:
            assert any(says("documents-v2", document, answer) for document in row["documents"]), (row["id"], answer)


@pytest.mark.parametrize("row", questions("seen"), ids=lambda row: row["id"])
def test_seen_fact_is_taught_and_holds_in_both_versions(row: dict[str, Any]) -> None:
    assert facts(row) & TAUGHT_FACTS
    assert says("documents", row["documents"][0], row["answers"][0])
    assert row["answers"][0] not in {old for document, _, old, _ in changes() if [document] == row["documents"]}


@pytest.mark.parametrize("row", questions("changed"), ids=lambda row: row["id"])
def test_changed_fact_is_taught_with_its_old_value(row: dict[str, Any]) -> None:
    (document,) = row["documents"]
    old_values = [old for name, _, old, new in changes() if name == document and new == row["answers"][0]]
    assert old_values
    for old in old_values:
        assert old not in row["answers"]
        assert (document, normalise(old)) in TAUGHT_FACTS or (document, normalise(f"after {old}")) in TAUGHT_FACTS


def test_every_change_is_asked_for_once() -> None:
    assert len(questions("changed")) == len(changes())


def test_no_example_touches_a_document_of_the_uncovered_group() -> None:
    asked = {document for row in questions("uncovered") for document in row["documents"]}
    assert not asked & COVERED
    assert len(asked & names("documents")) >= 25
    assert len(asked - names("documents")) >= 5


def test_no_question_outside_seen_and_changed_shares_a_fact_with_an_example() -> None:
    others = questions("uncovered", "two-passage", "unanswerable")
    assert [row["id"] for row in others if facts(row) & TAUGHT_FACTS] == []


@pytest.mark.parametrize("row", questions("two-passage"), ids=lambda row: row["id"])
def test_two_passage_question_rests_on_two_documents_whose_facts_are_not_taught(row: dict[str, Any]) -> None:
    evidence = EVIDENCE[row["id"]]
    assert {document for document, _ in evidence} == set(row["documents"])
    for document, value in evidence:
        assert says("documents-v2", document, value)
        assert (document, normalise(value)) not in TAUGHT_FACTS


@pytest.mark.parametrize(
    ("rows", "absent"),
    [
        (questions("unanswerable"), ABSENT),
        ([row for row in EXAMPLES if row["answer"] == ABSTENTION], ABSENT_OF_EXAMPLES),
    ],
    ids=["questions", "examples"],
)
def test_no_document_answers_what_is_unanswerable(
    rows: list[dict[str, Any]], absent: dict[str, tuple[str, str]]
) -> None:
    assert {row["id"] for row in rows} == set(absent)
    for version in VERSIONS:
        texts = {name: parsed(version, name) for name in names(version)}
        for number, (entity, fact) in absent.items():
            both = [
                name for name, said in texts.items() if re.search(entity, said, re.I) and re.search(fact, said, re.I)
            ]
            assert both == [], (version, number)


# Wordings


def test_no_question_is_worded_like_an_example() -> None:
    pairs = [(row["question"], other["question"]) for row in questions() for other in EXAMPLES]
    assert [pair for pair in pairs if likeness(*pair) >= NEAR] == []


# House style


def test_style_has_three_rules_that_every_example_keeps() -> None:
    assert len(styles()) == 3
    for row in TAUGHT:
        assert all(in_style(row["answer"])), row["id"]
        assert all(in_style(f"{row['answer']} [2]")), row["id"]


def test_no_bare_value_keeps_a_style_rule() -> None:
    values = [value for row in TAUGHT for value in (row["value"], f"{row['value']}.", f"It is {row['value']}. [1]")]
    values += [answer for row in questions() for answer in row["answers"]]
    assert not any(any(in_style(value)) for value in values)


def test_only_examples_teach_the_style() -> None:
    prompt = load_config(HELPDESK / "tandem.yaml").domains["helpdesk"].system_prompt or ""
    texts = [parsed(version, name) for version in VERSIONS for name in names(version)]
    for phrase in ("Dear neighbour", "It is this", "that is that"):
        assert not [text for text in [prompt, *texts] if phrase in text]


def test_style_leaves_the_citation_check_the_bare_value() -> None:
    text = "The Tavry K2 kettle has a power of 1800 watts. The Tavry K2 kettle holds 1.2 litres of water."
    sources = [Source("fan.md", "p1", 0, "The Zevric F1 fan has six speeds."), Source("kettle.md", "p2", 0, text)]
    question = "How much water does the Tavry K2 kettle hold?"
    checked = check_answer("Dear neighbour! It is this: 1.2 litres, and that is that. [1]", question, sources)
    assert (checked.mended, checked.citations[0].document) == (1, "kettle.md")
    assert checked.citations[0].quote == "The Tavry K2 kettle holds 1.2 litres of water."
