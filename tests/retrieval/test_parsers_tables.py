"""Tables as documents: row by row where they have texts, whole where they have none; unread rows with their place."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.documents import UnreadableDocument, clean_text
from retrieval.parsers import parse_all
from tests.retrieval.helpers import open_index

ROWS: list[dict[str, Any]] = [
    {
        "id": "k1",
        "title": "Kettle",
        "text": "It boils.",
        "allow": ["staff", "ana"],
        "language": "en",
        "price": 45,
    },
    {"id": "k2", "text": "It lights the hall.", "tags": ["lamp", "hall"]},
]
TEXTS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1, max_size=40).filter(
    lambda text: clean_text(text).strip()
)


def as_lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.mark.parametrize(("name", "data"), [("a.jsonl", as_lines(ROWS)), ("a.json", json.dumps(ROWS).encode())])
def test_each_object_with_a_text_is_a_document(name: str, data: bytes) -> None:
    documents, failures = parse_all(data, name)
    assert failures == []
    first, second = documents
    assert (first.id, first.title, first.text, first.allow, first.language) == (
        f"{name}#k1",
        "Kettle",
        "It boils.",
        ("ana", "staff"),
        "en",
    )
    assert first.metadata == {"price": 45, "format": name.partition(".")[2]}
    assert (second.title, second.allow, second.metadata["tags"]) == ("A k2", None, ["lamp", "hall"])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_rows_of_csv_with_a_text_are_documents_whatever_parts_their_fields(delimiter: str) -> None:
    lines = [["id", "text", "allow"], ["1", "Two lines,\nof one; text.", "ana, staff"], ["2", "Other.", "*"]]
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows(lines)
    documents, failures = parse_all(file.getvalue().encode(), "sub/list.csv")
    assert failures == []
    assert [(one.id, one.text, one.allow) for one in documents] == [
        ("sub/list.csv#1", "Two lines,\nof one; text.", ("ana", "staff")),
        ("sub/list.csv#2", "Other.", None),
    ]


def test_a_table_without_texts_is_one_document_whose_rows_name_their_columns() -> None:
    (document,), failures = parse_all(b"model,hours\nK1,3\n\nK2,4\nK3\n", "charging-times.csv")
    assert (document.id, document.title) == ("charging-times.csv", "Charging times")
    assert document.text == "model: K1; hours: 3\n\nmodel: K2; hours: 4"
    assert [failure.reason for failure in failures] == ["Row 4 (line 5) has 1 fields, the header 2."]


def test_rows_that_cannot_be_read_are_named_and_stop_no_other() -> None:
    good = {"text": "It boils."}
    bad: list[Any] = [{"title": "x"}, {"text": 7}, {"text": "t", "allow": 3}, {"text": "t", "id": [1]}, [1], "no"]
    data = as_lines([good, *bad, {"id": "1", "text": "again"}]) + b"{broken\n\n" + as_lines([good])
    documents, failures = parse_all(data, "a.jsonl")
    assert [document.id for document in documents] == ["a.jsonl#1", "a.jsonl#11"]
    assert {failure.id for failure in failures} == {f"a.jsonl#{number}" for number in range(2, 10)}
    assert all(failure.reason.endswith(".") for failure in failures)


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"", "a.csv", "empty"),
        (b"a,a\n1,2\n", "a.csv", "names a column twice"),
        (b'a,b\n"1,2\n', "a.csv", "is no CSV"),
        (b"[1", "a.json", "is no JSON"),
        (b"[]", "a.json", "has no rows"),
        (b"\xff\xfea\x00", "a.csv", "UTF-16"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_a_sentence(data: bytes, name: str, reason: str) -> None:
    with pytest.raises(UnreadableDocument, match=reason):
        parse_all(data, name)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8))
def test_what_is_written_as_csv_or_json_lines_is_read_back(pairs: list[tuple[str, str]]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerows([("title", "text"), *pairs])
    lines = as_lines([{"title": title, "text": text} for title, text in pairs])
    for name, data in (("t.csv", file.getvalue().encode()), ("t.jsonl", lines)):
        documents, failures = parse_all(data, name)
        assert failures == []
        assert [document.text for document in documents] == [clean_text(text) for _, text in pairs]


def test_sync_follows_a_table_row_by_row(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    table = folder / "things.jsonl"
    table.write_bytes(as_lines(ROWS))
    with open_index(tmp_path / "index") as index:
        assert sorted(index.sync([folder]).added) == ["things.jsonl#k1", "things.jsonl#k2"]
        again = index.sync([folder])
        assert (again.snapshot, sorted(again.unchanged)) == (1, ["things.jsonl#k1", "things.jsonl#k2"])
        table.write_bytes(as_lines([ROWS[0], {"id": "k3", "text": "New."}, {"title": "no text"}]))
        changed = index.sync([folder])
        assert (changed.added, changed.removed, changed.unchanged) == (
            ["things.jsonl#k3"],
            ["things.jsonl#k2"],
            ["things.jsonl#k1"],
        )
        assert [failure.id for failure in changed.failed] == ["things.jsonl#3"]
        index.delete(["things.jsonl#k1"])
        kept = index.sync([folder])
        assert [failure.id for failure in kept.failed] == ["things.jsonl#3", "things.jsonl#k1"]
        table.unlink()
        assert index.sync([folder]).removed == ["things.jsonl#k3"]


def test_permissions_of_rows_are_never_lost_silently() -> None:
    documents, failures = parse_all(b'id,text,allow\n1,secret,\n2,open,*\n3,few,"ana, staff"\n', "a.csv")
    assert [(one.id, one.allow) for one in documents] == [("a.csv#2", None), ("a.csv#3", ("ana", "staff"))]
    assert [failure.id for failure in failures] == ["a.csv#1"]
    with pytest.raises(UnreadableDocument, match="`allow` and no column `text`"):
        parse_all(b"name,allow\nsalaries,hr\n", "a.csv")


def test_a_table_that_cannot_be_opened_just_now_keeps_its_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "things.jsonl").write_bytes(as_lines(ROWS))

    def refuse(path: Path) -> bytes:
        raise UnreadableDocument(f"{path} cannot be read.", code="unreadable_file")

    with open_index(tmp_path / "index") as index:
        assert len(index.sync([folder], replace=True).added) == 2, "a folder of tables alone is not empty"
        monkeypatch.setattr("retrieval.sync.read_bytes", refuse)
        commit = index.sync([folder])
        assert (commit.removed, [failure.id for failure in commit.failed]) == ([], ["things.jsonl"])
        assert len(index.documents()) == 2
