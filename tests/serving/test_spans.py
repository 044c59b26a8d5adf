"""Words and sentences with their places."""

import pytest

from serving.spans import find_words, new_runs, sentences, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two!", ["One.", "Two!"]),
        ("A value of 3.5 kg. Next.", ["A value of 3.5 kg.", "Next."]),
        ("a wrapped\nline. End", ["a wrapped\nline.", "End"]),
        ("- first\n- second", ["- first", "- second"]),
        ("# Title\n\nText", ["# Title", "Text"]),
        ('He said "Yes." Then left.', ['He said "Yes.', "Then left."]),
        ("  \n ", []),
    ],
)
def test_sentences_end_at_marks_and_lines_but_not_in_wrapped_ones(text: str, expected: list[str]) -> None:
    assert [text[span.start : span.end] for span in sentences(text)] == expected


def test_numbers_addresses_and_units_are_one_word_each() -> None:
    found = [span.word for span in words("Costs 3.50 € at help@maker.example, 10-20 %.")]
    assert found == ["costs", "3.50", "€", "at", "help@maker.example", "10-20", "%"]


def test_a_part_of_a_word_is_not_found() -> None:
    assert find_words(("4",), words("24 months")) is None


def test_new_runs_are_what_the_question_does_not_say() -> None:
    claim = words("The Brisa has a warranty of 24 months and costs 30 euros")
    assert new_runs(claim, frozenset({"brisa", "warranty", "costs"})) == [("24", "months"), ("30", "euros")]
