"""The index: add, replace, delete, search, filters, errors."""

import threading
from pathlib import Path

import pytest

from retrieval.documents import Document
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from retrieval.results import Commit, Failure
from tandem.errors import ConfigError, Conflict, NotFound, TooLarge, UserError
from tandem.settings import RetrievalConfig
from tests.retrieval.helpers import SMALL, CountingEmbedder, documents, exact_order, open_index

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture
def index(tmp_path: Path):
    with open_index(tmp_path / "index") as opened:
        yield opened


def test_commits_are_numbered_and_report_what_changed(index: Index) -> None:
    first = index.add(documents(3))
    assert first == Commit(1, added=["d0", "d1", "d2"], passages=3)
    second = index.add([*documents(2), Document("d2", "New", "other text"), Document("d3", "t", "more")])
    assert second == Commit(2, added=["d3"], replaced=["d2"], unchanged=["d0", "d1"], passages=2)
    assert index.delete(["d0"]) == Commit(3, removed=["d0"])
    assert index.add(documents(3)[1:2]) == Commit(3, unchanged=["d1"])
    assert index.snapshot == 3


def test_documents_that_cannot_be_indexed_do_not_stop_the_rest(index: Index) -> None:
    commit = index.add([Document("a", "t", "good"), Document("b", "t", " "), Document("a", "t", "again")])
    assert commit.added == ["a"]
    assert commit.failed == [
        Failure("b", "The document has no text."),
        Failure("a", "Another document of the same call has this id and was taken instead."),
    ]


def test_hit_is_verbatim_at_its_offsets(index: Index) -> None:
    text = "# Kettle\n\nIt boils.\n\n## Warranty\n\nThe guarantee lasts for five years after the day of purchase."
    index.add([Document("k", "Kettle", text, {"product": "kettle"})])
    hit = index.search("warranty guarantee five years").hits[0]
    assert index.document("k").text[hit.start : hit.end] == hit.text
    assert hit.text.startswith("## Warranty")
    assert (hit.document, hit.title, hit.section, hit.metadata) == ("k", "Kettle", "Warranty", {"product": "kettle"})
    assert hit.passage == "k#2"
    assert 0 < hit.similarity <= 1


def test_vector_search_agrees_with_the_exact_twin(tmp_path: Path) -> None:
    texts = {f"d{number}": f"alpha{number % 7} beta{number % 11} gamma{number % 13}" for number in range(60)}
    dense = SMALL.model_copy(update={"lexical_weight": 0.0})
    with open_index(tmp_path, settings=dense) as index:
        index.add([Document(key, "", text) for key, text in texts.items()])
        searchable = {key: f"{key}\n{text}" for key, text in texts.items()}  # an empty title becomes the id
        found = [hit.document for hit in index.search("alpha3 beta5 gamma2", k=20).hits]
        assert found == exact_order("alpha3 beta5 gamma2", searchable, HashEmbedder())[:20]


def test_words_are_found_stemmed_without_accents_and_in_scripts_without_spaces(tmp_path: Path) -> None:
    lexical = SMALL.model_copy(update={"dense_weight": 0.0})
    with open_index(tmp_path, settings=lexical) as index:
        index.add([Document("run", "t", "she was running"), Document("café", "t", "un café crème")])
        index.add([Document("zh", "t", "北京是中国的首都"), Document("zh2", "t", "上海是一座大城市")])
        for query, expected in {"runs": "run", "cafe": "café", "CAFÉS": "café", "中国首都": "zh"}.items():
            assert [hit.document for hit in index.search(query).hits][:1] == [expected]
        assert index.search("nowhere").hits == []


def test_operators_and_punctuation_in_a_query_are_only_words(index: Index) -> None:
    index.add(documents(3))
    for query in ('"', "word1 AND (", "title:word1", "*", "word1^5 -word2", "' OR 1=1 --", "\x00 word1"):
        index.search(query)


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"even": True}, {"d0", "d2", "d4"}),
        ({"even": [True, False]}, {"d0", "d1", "d2", "d3", "d4"}),
        ({"even": 1}, set()),
        ({"even": []}, set()),
        ({"document": "d3"}, {"d3"}),
        ({"document": ["d3", "d1", "nothing"]}, {"d3", "d1"}),
        ({"document_prefix": "d"}, {"d0", "d1", "d2", "d3", "d4"}),
        ({"document_prefix": ["d1", "e"]}, {"d1"}),
        ({"document_prefix": "d", "even": False}, {"d1", "d3"}),
        ({"missing": "x"}, set()),
        ({}, {"d0", "d1", "d2", "d3", "d4"}),
    ],
)
def test_filter_is_applied_before_the_search(index: Index, filter: dict, expected: set[str]) -> None:
    index.add(documents(5))
    assert {hit.document for hit in index.search("the number word3", k=5, filter=filter).hits} == expected


def test_metadata_lists_and_whole_numbers_are_matched_by_any_value(index: Index) -> None:
    index.add(
        [Document("a", "t", "x", {"tags": ["red", "blue"], "year": 2026}), Document("b", "t", "x", {"year": "2026"})]
    )
    assert [hit.document for hit in index.search("x", filter={"tags": "blue"}).hits] == ["a"]
    assert [hit.document for hit in index.search("x", filter={"year": 2026.0}).hits] == ["a"]


def test_narrow_filter_still_gives_k_results(tmp_path: Path) -> None:
    settings = SMALL.model_copy(update={"depth": 10})
    with open_index(tmp_path, settings=settings) as index:
        index.add([Document(f"d{n}", "t", f"common words {n}", {"rare": n % 100 == 99}) for n in range(1200)])
        for filter, count in ({"rare": True}, 10), ({"rare": False}, 10):
            hits = index.search("common words", k=10, filter=filter).hits
            assert len(hits) == count
            assert all(hit.metadata["rare"] is filter["rare"] for hit in hits)


@pytest.mark.parametrize(
    ("arguments", "error", "code"),
    [
        ({"query": ""}, UserError, "empty_query"),
        ({"query": " \x00\n"}, UserError, "empty_query"),
        ({"query": "x" * 100_001}, TooLarge, "too_large"),
        ({"query": "x", "k": 0}, UserError, "invalid_k"),
        ({"query": "x", "k": 1001}, UserError, "invalid_k"),
        ({"query": "x", "k": True}, UserError, "invalid_k"),
        ({"query": "x", "filter": {"a": None}}, UserError, "invalid_filter"),
        ({"query": "x", "filter": {"a": {"b": 1}}}, UserError, "invalid_filter"),
        ({"query": "x", "filter": {"document": 3}}, UserError, "invalid_filter"),
        ({"query": "x"}, Conflict, "empty_index"),
    ],
)
def test_bad_search_is_refused_with_a_code(index: Index, arguments: dict, error: type, code: str) -> None:
    with pytest.raises(error) as caught:
        index.search(**arguments)
    assert caught.value.code == code


def test_deleting_an_unknown_document_deletes_nothing(index: Index) -> None:
    index.add(documents(2))
    with pytest.raises(NotFound, match="'nothing'"):
        index.delete(["d0", "nothing"])
    with pytest.raises(NotFound):
        index.document("nothing")
    assert [info.id for info in index.documents()] == ["d0", "d1"]


def test_replacing_embeds_only_passages_that_changed(tmp_path: Path) -> None:
    embedder = CountingEmbedder()
    with open_index(tmp_path, embedder) as index:
        index.add([Document("d", "T", "# One\n\nFirst.\n\n# Two\n\nSecond.")])
        embedder.texts.clear()
        index.add([Document("d", "T", "# One\n\nFirst.\n\n# Two\n\nChanged.", {"new": "metadata"})])
        assert embedder.texts == ["T\n# Two\n\nChanged."]


def test_documents_and_stats_describe_the_index(index: Index) -> None:
    index.add([Document("b", "B", "Größe"), Document("a", "A", "# X\n\ny\n\n# Z\n\nw", {"k": [1]})])
    infos = [(info.id, info.title, info.characters, info.passages, info.metadata) for info in index.documents()]
    assert infos == [("a", "A", 14, 2, {"k": [1]}), ("b", "B", 5, 1, {})]
    stats = index.stats()
    assert (stats.snapshot, stats.documents, stats.passages, stats.characters) == (1, 2, 3, 19)
    assert stats.bytes > 0


def test_many_queries_at_once_find_what_each_finds_alone(index: Index) -> None:
    index.add(documents(8))
    queries = [f"word{number}" for number in range(8)]
    assert [result.hits for result in index.search_all(queries, 3)] == [
        index.search(query, 3).hits for query in queries
    ]
    with pytest.raises(UserError, match="empty"):
        index.search_all(["word1", " "])


def test_search_reports_milliseconds_of_each_step(index: Index) -> None:
    index.add(documents(2))
    timings = index.search("word1").timings_ms
    assert set(timings) == {"embed", "filter", "dense", "lexical", "fuse", "read"}
    assert all(value >= 0 for value in timings.values())


def test_another_embedder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    open_index(tmp_path).close()
    with pytest.raises(ConfigError) as caught:
        open_index(tmp_path, HashEmbedder(dimension=32))
    assert caught.value.code == "embedder_mismatch"
    assert "'hash-64'" in caught.value.message


def test_closed_index_says_so(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    index.close()
    index.close()
    with pytest.raises(Exception, match="closed"):
        index.search("x")


def test_equal_scores_come_in_the_same_order_every_time(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.add([Document(f"d{number:02}", "same", "same words") for number in range(20)])
        order = [hit.document for hit in index.search("same words", k=20).hits]
        assert order == sorted(order)
    with open_index(tmp_path) as index:
        assert [hit.document for hit in index.search("same words", k=20).hits] == order


def test_searches_go_on_during_commits_and_never_see_half_of_one(tmp_path: Path) -> None:
    with open_index(tmp_path, settings=RetrievalConfig(k=20)) as index:
        index.add([Document(f"d{n}", "t", "round 0 common") for n in range(5)])
        seen: set[frozenset[str]] = set()
        stop = threading.Event()

        def search() -> None:
            while not stop.is_set():
                seen.add(frozenset(hit.text for hit in index.search("common round", k=20).hits))

        threads = [threading.Thread(target=search) for _ in range(3)]
        for thread in threads:
            thread.start()
        for turn in range(1, 16):
            index.add([Document(f"d{n}", "t", f"round {turn} common") for n in range(5)])
        stop.set()
        for thread in threads:
            thread.join()
    assert all(len(texts) == 1 for texts in seen)
