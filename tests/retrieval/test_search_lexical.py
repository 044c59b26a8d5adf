"""The lexical index: its scores are those of BM25 by the book, over what one may see and nothing else."""

import math
from collections import Counter

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from retrieval import bm25
from retrieval.lexical import LexicalIndex
from retrieval.vectors import Stamp
from retrieval.words import STEMMERS, words_of

WORDS = [f"w{number}" for number in range(12)]
texts = st.lists(st.sampled_from(WORDS), max_size=15).map(" ".join)
queries = st.lists(st.sampled_from([*WORDS, "unheard"]), min_size=1, max_size=6).map(" ".join)


def by_the_book(passages: dict[int, str], query: str) -> dict[int, float]:
    """BM25 (k1 1.2, b 0.75) of the passages that have a word of `query`: the slow twin."""
    counts = {number: Counter(text.split()) for number, text in passages.items()}
    mean = sum(count.total() for count in counts.values()) / max(1, len(counts)) or 1.0
    scores: dict[int, float] = {}
    for word in set(query.split()):
        having = [number for number, count in counts.items() if count[word]]
        rarity = math.log(1 + (len(counts) - len(having) + 0.5) / (len(having) + 0.5))
        for number in having:
            often, length = counts[number][word], counts[number].total()
            gain = rarity * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * length / mean))
            scores[number] = scores.get(number, 0.0) + gain
    return scores


def assert_best(found: list[tuple[int, float]], expected: dict[int, float], limit: int) -> None:
    """`found` are the best of `expected`; near-ties may change places, scores may not."""
    assert len(found) == min(limit, len(expected))
    assert len({number for number, _ in found}) == len(found)
    for (number, score), best in zip(found, sorted(expected.values(), reverse=True), strict=False):
        assert math.isclose(score, expected[number], rel_tol=1e-9)
        assert math.isclose(score, best, rel_tol=1e-9)
    assert found == sorted(found, key=lambda pair: (-pair[1], pair[0]))


class LexicalMachine(RuleBasedStateMachine):
    """`twin` is what the index should hold; numbers are never used twice."""

    @initialize(pruned=st.booleans())
    def start(self, pruned: bool) -> None:
        self.index, self.twin, self.next = LexicalIndex(), {}, 1
        self.ever: dict[int, str] = {}
        # At this size the index would never leave out passages that cannot be among the best.
        self.frequent = bm25._FREQUENT
        bm25._FREQUENT = 0 if pruned else self.frequent

    def teardown(self) -> None:
        bm25._FREQUENT = self.frequent

    @rule(added=st.lists(texts, min_size=1, max_size=8), data=st.data())
    def update(self, added: list[str], data: st.DataObject) -> None:
        removed = data.draw(st.lists(st.sampled_from([*self.twin, 10**6]), unique=True, max_size=4))
        new = dict(enumerate(added, self.next))
        self.index.update(removed, new.items())
        self.next += len(new)
        self.ever |= new
        self.twin = {number: text for number, text in self.twin.items() if number not in removed} | new

    @rule()
    def reopen(self) -> None:
        stamp = Stamp(1, "token", "digest", len(self.twin))
        self.index, read = LexicalIndex.from_bytes(self.index.to_bytes(stamp))
        assert read == stamp

    @rule(query=queries, limit=st.integers(1, 12), data=st.data())
    def search(self, query: str, limit: int, data: st.DataObject) -> None:
        assert_best(self.index.search(query, limit), by_the_book(self.twin, query), limit)
        allowed = sorted(data.draw(st.sets(st.sampled_from([*self.twin, 10**6]))))
        visible = {number: self.twin[number] for number in allowed if number in self.twin}
        found = self.index.search(query, limit, np.array(allowed, np.int64))
        assert_best(found, by_the_book(visible, query), limit)
        alone = LexicalIndex()
        alone.update([], sorted(visible.items()))
        assert found == alone.search(query, limit), "what one may not see changed a score"

    @rule(query=queries, data=st.data())
    def look_back(self, query: str, data: st.DataObject) -> None:
        before = sorted(data.draw(st.sets(st.sampled_from([*self.ever])))) if self.ever else []
        asked: list[int] = []

        def entries(lacking: np.ndarray) -> list[tuple[int, str]]:
            asked.extend(lacking.tolist())
            return [(number, self.ever[number]) for number in lacking.tolist()]

        then = self.index.copied().holding(np.array(before, np.int64), entries)
        alone = LexicalIndex()
        alone.update([], [(number, self.ever[number]) for number in before])
        assert not set(asked) & self.twin.keys(), "what is there is not read again"
        assert len(then) == len(before)
        assert then.search(query, 12) == alone.search(query, 12)
        some = np.array(before[::2], np.int64)
        assert then.search(query, 12, some) == alone.search(query, 12, some)

    @invariant()
    def it_counts_what_is_there(self) -> None:
        if hasattr(self, "index"):
            assert len(self.index) == len(self.twin)


TestLexicalMachine = LexicalMachine.TestCase
TestLexicalMachine.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)


@given(seed=st.integers(0, 2**16), limit=st.sampled_from([1, 10, 100]))
@settings(max_examples=8, deadline=None)
def test_best_passages_are_exact_when_frequent_words_are_looked_up_for_candidates_only(seed: int, limit: int) -> None:
    rng = np.random.default_rng(seed)
    passages = {
        number: " ".join(f"w{word}" for word in rng.zipf(1.4, 12) if word < 10**9) for number in range(1, 8_001)
    }
    index = LexicalIndex("")
    index.update([], passages.items())
    view = index.view(np.arange(1, 8_001, 2))
    odd = {number: passages[number] for number in range(1, 8_001, 2)}
    for words in ([1, 2, 3, 30, 70, 400], [1, 2], [1, 5, 9, 100]):
        query = " ".join(f"w{word}" for word in words)
        assert_best(index.search(query, limit), by_the_book(passages, query), limit)
        assert_best(view.search(query, limit), by_the_book(odd, query), limit)


def test_long_passages_are_counted_in_the_steps_of_lucene() -> None:
    lengths = [0, 1, 39, 40, 41, 55, 56, 59, 63, 87, 95, 100, 2_000, 2**31 - 1]
    steps = [0, 1, 39, 40, 40, 54, 56, 56, 60, 84, 88, 96, 1_944, 2_013_265_944]
    assert bm25.rounded(np.array(lengths, np.int32)).tolist() == steps


def test_numbers_below_those_that_are_there_are_refused() -> None:
    index = LexicalIndex()
    index.update([], [(5, "one")])
    with pytest.raises(ValueError, match="not above"):
        index.update([], [(4, "two")])
    with pytest.raises(ValueError, match="ascend"):
        index.update([], [(9, "two"), (8, "three")])
    assert [number for number, _ in index.search("one two three", 9)] == [5]


def test_a_changed_byte_anywhere_is_not_read() -> None:
    index = LexicalIndex()
    index.update([], [(1, "one two"), (2, "two three")])
    data = index.to_bytes(Stamp(1, "t", "d", 2))
    for place in range(len(data)):
        with pytest.raises(ValueError, match="not a complete"):
            LexicalIndex.from_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    for end in (0, 10, len(data) - 1):
        with pytest.raises(ValueError, match="not a complete"):
            LexicalIndex.from_bytes(data[:end])


def test_nothing_of_a_removed_passage_is_written() -> None:
    index, other = LexicalIndex(), LexicalIndex()
    index.update([], [(1, "one two"), (2, "secret word"), (3, "two three")])
    index.update([2], [])
    other.update([], [(1, "one two"), (3, "two three")])
    stamp = Stamp(1, "t", "d", 2)
    assert index.to_bytes(stamp) == other.to_bytes(stamp)


@pytest.mark.parametrize(
    ("texts", "query", "expected"),
    [
        (["北京是中国的首都", "上海是一座大城市", "我喜欢喝绿茶"], "中国的首都在哪里", 1),
        (["この電気ケトルは五分で沸きます", "保証期間は二年です", "返品は三十日以内です"], "保証期間", 2),
        (["กาต้มน้ำรับประกันสองปี", "เครื่องปิ้งขนมปังมีหกระดับ", "โคมไฟให้แสงอบอุ่น"], "ขนมปังกี่ระดับ", 2),
    ],
    ids=["Chinese", "Japanese", "Thai"],
)
def test_scripts_without_spaces_are_searched_by_pairs_of_characters(
    texts: list[str], query: str, expected: int
) -> None:
    index = LexicalIndex()
    index.update([], enumerate(texts, 1))
    assert index.search(query, 1)[0][0] == expected


def test_words_are_stemmed_as_their_language_is_and_not_at_all_where_it_is_unknown() -> None:
    assert list(words_of("running cafés", "en")) == ["run", "cafe"]
    assert list(words_of("corriendo garantías", "es")) == ["corr", "garanti"]
    assert list(words_of("running cafés", "")) == list(words_of("running cafés", "tlh")) == ["running", "cafes"]
    for language in STEMMERS:
        assert words_of("word", language)


def test_auto_stems_documents_and_questions_each_as_its_own_language() -> None:
    index = LexicalIndex("auto")
    passages = [(1, "la garantía cubre las reparaciones", "es"), (2, "the warranty covers repairs", "en")]
    index.update([], [*passages, (3, "reparacion", "")])
    assert [number for number, _ in index.search("garantías reparación", 9, language="es")] == [1]
    assert [number for number, _ in index.search("repairing", 9, language="en")] == [2]
    assert [number for number, _ in index.search("reparación", 9)] == [3]
