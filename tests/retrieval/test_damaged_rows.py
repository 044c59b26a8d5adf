"""Rows that decide who finds what: one that is changed behind the index's back neither widens nor narrows it."""

import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.check import verify
from retrieval.documents import Document
from retrieval.filters import Filter
from retrieval.index import Index
from retrieval.store import IndexCorrupt
from tandem.errors import NotFound
from tests.retrieval.helpers import open_index

ANA, BEN = frozenset({"ana"}), frozenset({"ben"})
DOCUMENTS = [
    Document("a1", "t", "the plan of Ana", {"kind": "plan", "year": 2024}, ("ana",)),
    Document("a2", "t", "another plan of Ana", {"kind": "plan", "year": 2025}, ("ana",)),
    Document("b1", "t", "the plan of Ben", {"kind": "plan", "year": 2025}, ("ben",)),
    Document("open", "t", "a plan for all", {"kind": "note"}),
]


def damaged(folder: Path, statement: str) -> Index:
    """An index of which one statement changed a row unseen by its triggers."""
    with open_index(folder) as index:
        index.add(DOCUMENTS)
    with sqlite3.connect(folder / "index.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(statement).rowcount == 1
    connection.close()
    return open_index(folder)


NARROWER: list[tuple[str, dict[str, Any]]] = [
    ("DELETE FROM attributes WHERE key = 'kind' AND document = 2", {"filter": {"kind": "plan"}}),
    ("UPDATE attributes SET value = '2026' WHERE key = 'year' AND document = 2", {"filter": {"year": 2025}}),
    ("UPDATE attributes SET document = 4 WHERE key = 'year' AND document = 2", {"filter": {"year": 2025}}),
    ("DELETE FROM permissions WHERE document = 2", {"principals": ANA}),
    ("UPDATE seals SET name = 5 WHERE document = 2", {"filter": {"document_prefix": "a"}}),
    ("UPDATE documents SET id = 'c2' WHERE number = 2", {"filter": {"document": "a2"}}),
    ("UPDATE documents SET id = 'c2' WHERE number = 2", {"filter": {"document_prefix": "a"}}),
    ("UPDATE passages SET document = 1, position = 2 WHERE document = 2", {"principals": BEN}),
]
WIDER: list[tuple[str, dict[str, Any]]] = [
    ("UPDATE permissions SET principal = 'ben' WHERE document = 1", {"principals": BEN}),
    ("UPDATE documents SET allow = NULL WHERE number = 1", {"principals": BEN}),
    ("UPDATE documents SET allow = '[\"ben\"]' WHERE number = 1", {"principals": ANA}),
    ("INSERT INTO attributes VALUES (4, 'kind', '\"plan\"')", {"filter": {"kind": "plan"}}),
]


@pytest.mark.parametrize(("statement", "search"), NARROWER + WIDER)
def test_a_changed_row_is_an_error_and_no_other_answer(tmp_path: Path, statement: str, search: dict[str, Any]) -> None:
    with damaged(tmp_path, statement) as index, pytest.raises(IndexCorrupt, match="restore a backup"):
        index.search("plan", **search)


@pytest.mark.parametrize("statement", sorted({statement for statement, _ in NARROWER + WIDER}))
def test_verify_finds_a_changed_row(tmp_path: Path, statement: str) -> None:
    damaged(tmp_path, statement).close()
    assert not verify(tmp_path).sound


def test_what_a_damaged_permission_would_open_is_not_shown_even_where_its_total_fits(tmp_path: Path) -> None:
    with damaged(tmp_path, "UPDATE permissions SET principal = 'ben' WHERE document = 1") as index:
        with sqlite3.connect(tmp_path / "index.db") as connection:
            connection.execute("DELETE FROM totals WHERE kind = 'permission'")
            connection.execute("INSERT INTO totals VALUES ('permission', 'ben', '', 2, 4, 0)")
        connection.close()
        with pytest.raises(IndexCorrupt, match="may not find"):
            index.search("plan", principals=BEN)


def test_totals_follow_replacing_deleting_and_collecting(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.add(DOCUMENTS)
        index.add([Document("a1", "t", "a new plan", {"kind": ["note", "plan"]}, ("ana", "ben"))])
        index.delete(["b1"])
        assert [hit.document for hit in index.search("new plan", filter={"kind": "plan"}, principals=BEN).hits] == [
            "a1"
        ]
        index.delete(["a1", "a2", "open"])
        assert verify(tmp_path).sound
    with sqlite3.connect(tmp_path / "index.db") as connection:
        assert connection.execute("SELECT * FROM totals").fetchall() == []
    connection.close()


def test_what_an_older_snapshot_lacks_is_no_damage(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.add(DOCUMENTS[:1])
        index.add(DOCUMENTS[1:])
        for values in ({"document": ["a1", "b1"]}, {"document_prefix": ["a", "b"]}, {"kind": "plan"}):
            assert [hit.document for hit in index.search("plan", filter=values, snapshot=1).hits] == ["a1"]
        with pytest.raises(NotFound):
            index.document("b1", snapshot=1)


scalars = st.one_of(
    st.sampled_from(["a", "b", "1", "é"]), st.integers(0, 3), st.booleans(), st.sampled_from([1.0, 2.5])
)
metadata = st.dictionaries(st.sampled_from(["k", "l", "language"]), st.one_of(scalars, st.lists(scalars, max_size=3)))


@given(st.lists(metadata, min_size=1, max_size=5), metadata, st.sampled_from(["", "en"]))
def test_what_a_filter_finds_in_the_tables_is_what_it_matches(
    rows: list[dict[str, Any]], values: dict[str, Any], language: str
) -> None:
    wanted = Filter.checked(values)
    documents = [Document(f"d{n}", "t", "text", row, language=language) for n, row in enumerate(rows)]
    with tempfile.TemporaryDirectory() as folder, open_index(Path(folder)) as index:
        index.add(documents)
        found = {hit.document for hit in index.search("text", k=10, filter=values).hits}
    expected = {d.id for d in documents if wanted is None or wanted.matches(d.id, d.metadata, language)}
    assert found == expected
