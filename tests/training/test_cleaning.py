"""Cleaning: one form of text, nothing twice, and nothing taken out that is not said."""

import re

from hypothesis import given
from hypothesis import strategies as st

from retrieval.documents import clean_text
from tandem.training_settings import CleaningConfig
from tests.training.helpers import example
from training.cleaning import NEAR, distinct, near_duplicates, normalise, overlap, tidy, tidy_text
from training.examples import Example

WORDS = st.lists(st.sampled_from(["the", "kettle", "holds", "water", "K2", "K5", "how", "much"]), min_size=1)
EXAMPLES = st.lists(st.tuples(WORDS, st.sampled_from(["Yes.", "No."]), st.sampled_from(["a.md", "b.md"])), max_size=25)


def make(drawn: list[tuple[list[str], str, str]]) -> list[Example]:
    return [
        example(str(number), " ".join(words), [document], answer=answer)
        for number, (words, answer, document) in enumerate(drawn)
    ]


def test_texts_get_one_form() -> None:
    assert tidy_text("  Cafe\u0301\u00a0au \t lait \r\n  please\u0000 ") == "Café au lait\nplease"
    assert normalise("What IS it — the “K2”?") == "what is it the k2"


@given(st.text())
def test_tidying_twice_is_tidying_once(text: str) -> None:
    assert tidy_text(tidy_text(text)) == tidy_text(text)


def test_the_first_of_equal_examples_stays() -> None:
    cleaned = distinct(
        [example("a", "How  much?"), example("b", "how much"), example("c", "How much?", answer="Lots.")]
    )
    assert [kept.id for kept in cleaned.examples] == ["a"]
    assert (cleaned.exact_duplicates, cleaned.contradictions) == (["b"], ["c"])


def test_nearly_the_same_question_goes_and_another_number_or_answer_stays() -> None:
    question = "Please tell me how much hot water the big Tavry K2 kettle holds today"
    rows = [
        example("a", question),
        example("b", question.replace("today", "today please")),
        example("c", question.replace("K2", "K5")),
        example("d", question + " then", answer="It is blue."),
        example("e", "How much does the Tavry K2 hold?"),
    ]
    assert distinct(rows).near_duplicates == ["b"]


@given(st.text())
def test_the_default_steps_do_what_documents_get_and_even_blanks(text: str) -> None:
    lines = (re.sub(r"[^\S\n]+", " ", line).strip(" ") for line in clean_text(text).split("\n"))
    assert tidy_text(text) == "\n".join(lines).strip()


def test_each_step_can_be_switched_off_and_is_counted() -> None:
    question = "Please tell me how much hot water the big Tavry K2 kettle holds today"
    rows = [
        example("a", question),
        example("b", question.upper()),
        example("c", question, answer="Lots."),
        example("d", question + " please"),
        example("e", "Cafe\u0301\u200b  au lait?"),
        example("f", "\u0000"),
    ]
    tidied = tidy(rows)
    assert (tidied.empty, tidied.changed) == (["f"], {"noise": 2, "zero_width": 0, "unicode": 1})
    kept = distinct(tidied.examples)
    assert (kept.exact_duplicates, kept.contradictions, kept.near_duplicates) == (["b"], ["c"], ["d"])
    off = CleaningConfig.model_validate(dict.fromkeys(CleaningConfig.model_fields, False))
    assert distinct(tidy(rows, off).examples, off).examples == rows
    for step, name in [("exact_duplicates", "b"), ("contradictions", "c"), ("near_duplicates", "d")]:
        left = distinct(tidied.examples, CleaningConfig.model_validate({step: False})).examples
        assert [row.id for row in left] == sorted(["a", name, "e"])
    assert tidy(rows, CleaningConfig(zero_width=True)).examples[-1].question == "Café au lait?"


@given(EXAMPLES)
def test_every_example_is_kept_or_reported_once(drawn: list[tuple[list[str], str, str]]) -> None:
    examples = make(drawn)
    cleaned = distinct(examples)
    removed = [*cleaned.exact_duplicates, *cleaned.near_duplicates, *cleaned.contradictions]
    assert sorted([*(kept.id for kept in cleaned.examples), *removed]) == sorted(row.id for row in examples)
    assert distinct(cleaned.examples).examples == cleaned.examples


@given(EXAMPLES)
def test_near_duplicates_are_those_that_comparing_all_pairs_finds(drawn: list[tuple[list[str], str, str]]) -> None:
    kept: list[Example] = []
    expected = set()
    for row in make(drawn):
        if any(_near(row, earlier) for earlier in kept):
            expected.add(row.id)
        else:
            kept.append(row)
    assert near_duplicates(make(drawn)) == expected


def _near(left: Example, right: Example) -> bool:
    """The slow twin: two examples compared directly."""
    words = [frozenset(normalise(row.question).split()) for row in (left, right)]
    numbers = [{word for word in side if any(letter.isdigit() for letter in word)} for side in words]
    same = (left.answer, left.documents, numbers[0]) == (right.answer, right.documents, numbers[1])
    return same and overlap(*words) >= NEAR
