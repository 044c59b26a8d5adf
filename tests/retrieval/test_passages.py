"""Passages: exact offsets, full cover, the budget, and headings that stay with their text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents import Document, clean_text
from retrieval.hash_embedder import HashEmbedder
from retrieval.passages import Passage, Splitter
from retrieval.structure import sections, unwrap
from tandem.errors import ConfigError
from tandem.settings import RetrievalConfig

WORDS = [
    "charge",
    "Größe",
    "e\u0301t\u00e9",
    "東京都は大きい。",
    "battery.",
    "Why?",
    "x" * 40,
    "👩‍👩‍👧",
    "`code`",
    "3.5",
]
LINES = [
    "# Title",
    "## Part two",
    "Under\n-----",
    "- item one",
    "| a | b |",
    "```",
    "> quoted",
    "",
    "   ",
    "\t",
    "Key: value",
]
texts = st.one_of(
    st.text(max_size=300),
    st.lists(
        st.one_of(st.sampled_from(LINES), st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join)), max_size=12
    ).map("\n".join),
).map(clean_text)


def split(text: str, title: str = "A title", tokens: int = 12, overlap: int = 3) -> list[Passage]:
    config = RetrievalConfig(passage_tokens=tokens, overlap_tokens=overlap)
    return Splitter(HashEmbedder(), config).split(Document("d", title, text))


@given(texts)
@settings(max_examples=150)
def test_offsets_are_exact_and_everything_not_blank_is_covered(text: str) -> None:
    covered = bytearray(len(text))
    for passage in split(text):
        assert text[passage.start : passage.end] == passage.text
        covered[passage.start : passage.end] = b"\1" * (passage.end - passage.start)
    assert not "".join(letter for letter, seen in zip(text, covered, strict=True) if not seen).strip()


@given(texts, st.integers(1, 30))
@settings(max_examples=150)
def test_no_passage_is_over_the_budget_or_blank_and_order_is_that_of_the_text(text: str, tokens: int) -> None:
    embedder = HashEmbedder()
    passages = split(text, tokens=tokens, overlap=min(3, tokens - 1))
    assert all(embedder.count_tokens(passage.text) <= tokens for passage in passages)
    assert all(passage.text.strip() for passage in passages)
    assert [passage.start for passage in passages] == sorted({passage.start for passage in passages})


@given(texts)
@settings(max_examples=50)
def test_splitting_is_deterministic(text: str) -> None:
    assert split(text) == split(text)


@given(texts)
def test_sections_cover_the_text_and_unwrapping_keeps_every_offset(text: str) -> None:
    cut = sections(text)
    assert [section.start for section in cut[1:]] == [section.end for section in cut[:-1]]
    assert not text[: cut[0].start].strip()
    assert cut[-1].end == len(text)
    assert len(unwrap(text)) == len(text)
    assert unwrap(text).split() == text.split()


def test_long_section_keeps_its_heading_with_its_first_sentence() -> None:
    text = "# Manual\n\n## Cable\n\n" + " ".join(f"Sentence number {number} is here." for number in range(9))
    passages = split(text, title="Manual", tokens=20)
    assert passages[0].text.startswith("# Manual\n\n## Cable\n\nSentence number 0 is here.")
    assert {passage.section for passage in passages} == {"Cable"}
    assert passages[1].context == "Manual > Cable"
    assert passages[1].searchable == f"Manual > Cable\n{passages[1].text}"


def test_passages_do_not_cross_headings() -> None:
    passages = split("Intro.\n\n# One\n\nFirst.\n\n# Two\n\nSecond.", tokens=50)
    assert [passage.text for passage in passages] == ["Intro.", "# One\n\nFirst.", "# Two\n\nSecond."]


def test_hard_wrapped_sentences_are_cut_at_their_ends_not_at_line_ends() -> None:
    text = (
        "The first sentence is wrapped by hand after some sixty or\n"
        "seventy letters or so. The second one is wrapped too,\nsince it was written by the same person. Third."
    )
    ends = [passage.text[-1] for passage in split(text, tokens=20, overlap=0)]
    assert set(ends) == {"."}


def test_passages_larger_than_the_embedder_reads_are_refused() -> None:
    with pytest.raises(ConfigError, match="passage_tokens is 500"):
        Splitter(HashEmbedder(max_tokens=256), RetrievalConfig(passage_tokens=500))


def test_context_never_pushes_a_passage_over_what_the_embedder_reads() -> None:
    embedder = HashEmbedder(max_tokens=20)
    splitter = Splitter(embedder, RetrievalConfig(passage_tokens=12, overlap_tokens=0))
    text = "# " + "very " * 6 + "long\n\n" + "word " * 60
    for passage in splitter.split(Document("d", "Some title of five words", text)):
        assert embedder.count_tokens(passage.searchable) <= 18
