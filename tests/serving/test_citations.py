"""Markers become citations that hold."""

from hypothesis import given
from hypothesis import strategies as st

from serving.citations import CheckedAnswer, Source, check_answer
from serving.spans import sentences
from tandem.prompt import find_markers

QUESTION = "How long is the warranty of the Brisa 300?"
SOURCES = [
    Source("a.md", "a#0", 10, "The Brisa 200 has a warranty of 12 months. It is blue."),
    Source("b.md", "b#3", 0, "# Brisa 300\n\nThe Brisa 300 is sold with a warranty\nof 24 months. Call us for more."),
    Source("c.md", "c#0", 500, "Nothing here lasts. Repairs take 5 days."),
]


def check(answer: str) -> CheckedAnswer:
    return check_answer(answer, QUESTION, SOURCES)


def test_a_right_marker_stays_and_quotes_the_sentence_that_holds_the_value() -> None:
    checked = check("24 months [2].")
    assert (checked.text, checked.mended, checked.removed) == ("24 months [2].", 0, 0)
    [citation] = checked.citations
    assert citation.quote == "The Brisa 300 is sold with a warranty\nof 24 months."
    assert (citation.document, citation.passage, citation.start) == ("b.md", "b#3", 13)


def test_offsets_count_in_the_document_and_not_in_the_passage() -> None:
    [citation] = check("Repairs take 5 days [3].").citations
    assert (citation.start, citation.end) == (520, 540)


def test_a_marker_is_mended_when_the_value_stands_in_exactly_one_other_passage() -> None:
    checked = check("24 months [1].")
    assert (checked.text, checked.mended) == ("24 months [2].", 1)
    assert checked.citations[0].document == "b.md"


def test_a_sentence_is_mended_by_what_it_says_beyond_the_question() -> None:
    assert check("The Brisa 300 has a warranty of 24 months [3].").text.endswith("24 months [2].")


def test_a_marker_stays_when_its_own_passage_holds_the_value_too() -> None:
    sources = [Source("x", "x#0", 0, "It lasts 2 years."), Source("y", "y#0", 0, "That one lasts 2 years.")]
    assert check_answer("2 years [2]", QUESTION, sources).text == "2 years [2]"


def test_a_marker_stays_when_no_passage_holds_the_value() -> None:
    checked = check("36 months [1].")
    assert (checked.text, checked.mended) == ("36 months [1].", 0)


def test_part_of_a_number_is_not_the_value() -> None:
    sources = [Source("x", "x#0", 0, "It weighs 12.4 kg."), Source("y", "y#0", 0, "It weighs 2.4 kg.")]
    assert check_answer("2.4 kg [1]", QUESTION, sources).text == "2.4 kg [2]"


def test_yes_is_not_a_value_to_mend_by() -> None:
    sources = [Source("x", "x#0", 0, "It can be repaired."), Source("y", "y#0", 0, "Yes, ask us.")]
    assert check_answer("Yes [1].", "Can it be repaired?", sources).mended == 0


def test_a_marker_without_a_passage_is_removed_and_counted() -> None:
    checked = check("24 months [9].")
    assert (checked.text, checked.removed, checked.citations) == ("24 months.", 1, ())


def test_markers_that_become_the_same_are_shown_once() -> None:
    checked = check("24 months [1][2].")
    assert checked.text == "24 months [2]."
    assert len(checked.citations) == 1


def test_each_marker_stands_behind_its_own_sentence() -> None:
    checked = check("It lasts 24 months [2]. Repairs take 5 days [3].")
    assert [citation.quote for citation in checked.citations][1] == "Repairs take 5 days."


def test_an_abstention_keeps_no_markers() -> None:
    assert check("I don't know. [1]") == CheckedAnswer("I don't know.", abstained=True, removed=1)


def test_an_answer_without_markers_is_left_alone() -> None:
    assert check("24 months.") == CheckedAnswer("24 months.")


def test_a_heading_is_not_the_evidence_for_a_value_it_does_not_hold() -> None:
    [citation] = check("99 months [2].").citations
    assert not citation.quote.startswith("#")


pieces = st.lists(st.sampled_from(["24 months", "blue", "[1]", "[2]", "[3]", "[17]", ". ", " ", "\n", "é", "Brisa"]))


@given(answer=st.one_of(pieces.map("".join), st.text()), texts=st.lists(st.text(min_size=1), max_size=4))
def test_every_citation_is_verbatim_and_every_marker_has_one(answer: str, texts: list[str]) -> None:
    sources = [Source(f"d{n}", f"p{n}", 7 * n, text) for n, text in enumerate(texts)]
    checked = check_answer(answer, QUESTION, sources)
    cited = {citation.marker for citation in checked.citations}
    assert cited == {marker.number for marker in find_markers(checked.text)}
    for citation in checked.citations:
        source = sources[citation.marker - 1]
        start, end = citation.start - source.start, citation.end - source.start
        assert source.text[start:end] == citation.quote
        assert (citation.document, citation.passage) == (source.document, source.passage)


@given(answer=pieces.map("".join))
def test_checking_twice_changes_nothing_more(answer: str) -> None:
    once = check(answer)
    twice = check(once.text)
    assert (twice.text, twice.mended, twice.removed) == (once.text, 0, 0)


@given(st.text())
def test_sentences_cover_all_but_blank_space_in_order(text: str) -> None:
    found = sentences(text)
    assert "".join("".join(text[span.start : span.end] for span in found).split()) == "".join(text.split())
    assert all(text[span.start : span.end].strip() == text[span.start : span.end] != "" for span in found)
