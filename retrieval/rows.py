"""Reads from the tables of an index, inside a transaction that the caller holds. Rows are verified."""

import hashlib
import json
import sqlite3
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from retrieval.documents import Document, document_digest
from retrieval.embedder import Vectors
from retrieval.passages import Passage
from retrieval.results import DocumentInfo
from retrieval.seals import name_mark, seal
from retrieval.store import WAY_OUT, IndexCorrupt
from retrieval.vectors import Numbers
from tandem.errors import NotFound

_PASSAGE: Final = """passages.number, position, start, stop, passages.text, section, context, vector, checksum,
    passages.pages, (SELECT language FROM documents WHERE documents.number = passages.document)"""
_DOCUMENT: Final = "documents.number, id, title, metadata, allow, language, value"
_SEALS: Final = "LEFT JOIN seals ON seals.document = documents.number"
_STORED_VECTOR: Final = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class State:
    """A snapshot: its number, its random token, and how many documents and passages it has."""

    snapshot: int
    token: str
    documents: int
    passages: int


@dataclass(frozen=True, slots=True)
class Known:
    """What sync compares a file with: digests of the indexed document and of the file it came from."""

    number: int
    digest: str
    cut: str
    root: str | None
    path: str | None
    content: str | None


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A verified row; `vector` has shape (dimension,)."""

    number: int
    position: int
    passage: Passage
    vector: Vectors
    language: str = ""
    """Of its document."""


@dataclass(frozen=True, slots=True)
class ShownDocument:
    """What is known of a document beside its text; verified."""

    id: str
    title: str
    metadata: Mapping[str, Any]
    allow: tuple[str, ...] | None
    language: str


def current_state(connection: sqlite3.Connection) -> State:
    """The newest snapshot that this transaction sees."""
    query = "SELECT number, token, documents, passages FROM snapshots ORDER BY number DESC LIMIT 1"
    return State(*connection.execute(query).fetchone())


def newest_snapshot(connection: sqlite3.Connection) -> int:
    """The newest snapshot there is, also for a transaction that looks back to an older one."""
    return int(connection.execute("SELECT max(number) FROM main.snapshots").fetchone()[0])


def looks_back(connection: sqlite3.Connection) -> bool:
    """Whether this transaction sees an older snapshot than the newest."""
    return current_state(connection).snapshot < newest_snapshot(connection)


def has_state(connection: sqlite3.Connection, snapshot: int, token: str) -> bool:
    """Whether that snapshot is one of this database's own."""
    row = connection.execute("SELECT token FROM snapshots WHERE number = ?", (snapshot,)).fetchone()
    return row is not None and row[0] == token


def known_documents(connection: sqlite3.Connection, ids: Sequence[str] | None = None) -> dict[str, Known]:
    """Documents by id, without their texts: those of `ids` that exist, or all."""
    query = """SELECT id, number, digest, cut, root, path, content
               FROM documents LEFT JOIN sources ON sources.document = documents.number"""
    if ids is None:
        found = connection.execute(query)
    else:
        numbers = json.dumps(list(document_numbers(connection, ids).values()))
        # A query of its own: with an OR for "all" SQLite would read every document.
        found = connection.execute(f"{query} WHERE number IN (SELECT value FROM json_each(?))", (numbers,))  # noqa: S608
    return {row[0]: Known(*row[1:]) for row in found}


def document_numbers(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, int]:
    """Internal numbers of those of `ids` that exist; raises IndexCorrupt where the index of ids is damaged."""
    query = """SELECT id, number, name FROM documents LEFT JOIN seals ON seals.document = number
               WHERE id IN (SELECT value FROM json_each(?))"""
    found = dict(map(_named, connection.execute(query, (json.dumps(list(ids)),))))
    marks = {name_mark(name): name for name in ids if name not in found}
    # An older snapshot sees the seals of newer documents, too, but not these documents.
    query = """SELECT name FROM seals JOIN documents ON number = document
               WHERE name IN (SELECT value FROM json_each(?)) LIMIT 1"""
    lost = connection.execute(query, (json.dumps(list(marks)),)).fetchone() if marks else None
    if lost:
        raise damaged(f"id of document {marks[lost[0]]!r}")
    return found


def names(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """Id and number of every document; raises IndexCorrupt where one is not as it was written, or missing."""
    query = "SELECT id, number, name FROM documents LEFT JOIN seals ON seals.document = number"
    found = list(map(_named, connection.execute(query)))
    sealed = connection.execute("SELECT count(*) FROM main.seals").fetchone()[0]
    if not looks_back(connection) and len(dict(found)) != sealed:
        raise damaged("list of documents")
    return found


def _named(row: tuple[str, int, int | None]) -> tuple[str, int]:
    name, number, mark = row
    if name_mark(name) != mark:
        raise damaged(f"id of document {name!r}")
    return name, number


def deleted_ids(connection: sqlite3.Connection) -> dict[str, float]:
    """Ids that were deleted by name, with the time, seconds since 1970."""
    return dict(connection.execute("SELECT id, time FROM deletions").fetchall())


@dataclass(frozen=True, slots=True)
class Purge:
    """Texts of which bytes may still be in the files; `snapshot` is that of the newest of them."""

    number: int
    snapshot: int
    documents: int
    due: float
    """When they are to be purged, seconds since 1970."""


def pending_purge(connection: sqlite3.Connection, delays: Mapping[str, float]) -> Purge | None:
    """What is still to be purged; `delays`: reason → seconds after which it is due."""
    query = "SELECT number, snapshot, documents, reason, asked_at FROM purges WHERE purged_at IS NULL"
    found = connection.execute(query).fetchall()
    if not found:
        return None
    # A reason that damage made unknown is no reason to wait.
    due = min(asked_at + delays.get(reason, 0.0) for *_, reason, asked_at in found)
    return Purge(max(row[0] for row in found), max(row[1] for row in found), sum(row[2] for row in found), due)


def purged_snapshot(connection: sqlite3.Connection) -> int:
    """Derived files of older snapshots than this may hold what has to leave the disk; −1 where none does."""
    return int(connection.execute("SELECT coalesce(max(snapshot), -1) FROM purges").fetchone()[0])


def last_erasure(connection: sqlite3.Connection) -> int:
    """The snapshot that came with the newest deletion by name, which reaches back into the older ones; −1 for none."""
    query = "SELECT coalesce(max(snapshot), -1) FROM purges WHERE reason = 'deleted'"
    return int(connection.execute(query).fetchone()[0])


def last_purge(connection: sqlite3.Connection) -> float | None:
    """When the newest purge was done, seconds since 1970."""
    value = connection.execute("SELECT max(purged_at) FROM purges").fetchone()[0]
    return None if value is None else float(value)


def read_document(connection: sqlite3.Connection, document_id: str) -> Document:
    """The document as it was indexed; raises NotFound, and IndexCorrupt if its row changed since."""
    number = document_numbers(connection, [document_id]).get(document_id)
    if number is None:
        raise missing(document_id)
    query = f"SELECT {_DOCUMENT}, text, digest, documents.pages FROM documents {_SEALS} WHERE number = ?"  # noqa: S608
    row = connection.execute(query, (number,)).fetchone()
    if row is None or row[1] != document_id:
        raise damaged(f"document {document_id!r}")
    *sealed, text, digest, pages = row
    shown = _shown(sealed)
    try:
        begins = tuple(json.loads(pages)) if pages else ()
    except (ValueError, TypeError):
        raise damaged(f"document {document_id!r}") from None
    document = Document(shown.id, shown.title, text, shown.metadata, shown.allow, shown.language, begins)
    if document_digest(document) != digest:
        raise damaged(f"document {document_id!r}")
    return document


def missing(document_id: str) -> NotFound:
    """The error for a document that is not there, or that the one who asks may not know of."""
    return NotFound(f"There is no document {document_id!r} in the index.")


def document_infos(connection: sqlite3.Connection, hidden: Container[int] = ()) -> list[DocumentInfo]:
    """All documents but those with the numbers `hidden`, in the order of their ids."""
    query = f"""SELECT {_DOCUMENT}, length(documents.text), count(passages.number)
                FROM documents {_SEALS} JOIN passages ON passages.document = documents.number
                GROUP BY documents.number ORDER BY id"""  # noqa: S608 - only constants
    infos = []
    for *row, characters, passages in connection.execute(query):
        document = _shown(row)
        if row[0] not in hidden:
            infos.append(DocumentInfo(document.id, document.title, characters, passages, document.metadata))
    return infos


def permissions_of_now(connection: sqlite3.Connection, ids: Sequence[str]) -> list[tuple[str, ...] | None]:
    """Who may see those of `ids` that the newest snapshot has, whichever this transaction sees."""
    query = f"""SELECT {_DOCUMENT} FROM main.documents LEFT JOIN main.seals ON seals.document = documents.number
                WHERE id IN (SELECT value FROM json_each(?))"""  # noqa: S608 - only constants
    return [_shown(row).allow for row in connection.execute(query, (json.dumps(list(ids)),))]


def numbers(connection: sqlite3.Connection, query: str, *parameters: str) -> Numbers:
    """The only column of `query`, shape (rows,); raises IndexCorrupt where damage made other than numbers of it."""
    found = [row[0] for row in connection.execute(query, parameters)]
    if not all(isinstance(number, int) for number in found):
        raise damaged("list of numbers")
    return np.array(found, np.int64)


def passages_of_document(connection: sqlite3.Connection, number: int) -> list[StoredPassage]:
    """The passages of one document, in order."""
    query = f"SELECT {_PASSAGE} FROM passages WHERE document = ? ORDER BY position"  # noqa: S608 - only constants
    return [_verified(row) for row in connection.execute(query, (number,))]


def passages_after(connection: sqlite3.Connection, snapshot: int) -> Iterator[StoredPassage]:
    """The passages that came after `snapshot` (−1: all), in the order of their numbers."""
    if snapshot < 0:
        query = f"SELECT {_PASSAGE} FROM passages ORDER BY number"  # noqa: S608 - only constants
        return map(_verified, connection.execute(query))
    # The sign keeps SQLite from reading all passages in order to find these few sorted.
    query = f"SELECT {_PASSAGE} FROM passages WHERE snapshot > ? ORDER BY +number"  # noqa: S608 - only constants
    return map(_verified, connection.execute(query, (snapshot,)))


def passage_numbers(connection: sqlite3.Connection) -> Numbers:
    """The numbers of all passages, ascending, without a look at their rows."""
    return np.sort(numbers(connection, "SELECT number FROM passages"))


def passages_numbered(connection: sqlite3.Connection, numbers: Sequence[int]) -> Iterator[StoredPassage]:
    """These passages, in the order of their numbers."""
    query = f"SELECT {_PASSAGE} FROM passages WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number"  # noqa: S608
    return map(_verified, connection.execute(query, (json.dumps(list(numbers)),)))


def count_passages(connection: sqlite3.Connection) -> int:
    """The rows that there are, whatever the snapshot says."""
    return int(connection.execute("SELECT count(*) FROM passages").fetchone()[0])


def changes_after(connection: sqlite3.Connection, snapshot: int) -> int:
    """How many passages came or went after `snapshot`."""
    query = """SELECT (SELECT count(*) FROM passages WHERE snapshot > ?1)
                    + (SELECT count(*) FROM removals WHERE snapshot > ?1)"""
    return int(connection.execute(query, (snapshot,)).fetchone()[0])


def vectors_of(connection: sqlite3.Connection, numbers: Sequence[int]) -> Vectors:
    """The stored vectors of these passages, shape (len(numbers), dimension)."""
    found = {row.number: row.vector for row in passages_numbered(connection, numbers)}
    return np.stack([found[number] for number in numbers])


def removals_after(connection: sqlite3.Connection, snapshot: int) -> list[int]:
    """Numbers of the passages that went after `snapshot`."""
    query = "SELECT number FROM removals WHERE snapshot > ? ORDER BY number"
    return [row[0] for row in connection.execute(query, (snapshot,))]


def read_passages(
    connection: sqlite3.Connection, numbers: Sequence[int]
) -> dict[int, tuple[StoredPassage, ShownDocument]]:
    """Number → passage, and the document that it is of."""
    query = f"""SELECT {_PASSAGE}, substr(documents.text, start + 1, stop - start) = passages.text, {_DOCUMENT}
                FROM passages JOIN documents ON documents.number = passages.document {_SEALS}
                WHERE passages.number IN (SELECT value FROM json_each(?))"""  # noqa: S608 - only constants
    found = {}
    for *row, verbatim, number, name, title, metadata, allow, language, value in connection.execute(
        query, (json.dumps(list(numbers)),)
    ):
        passage, document = _verified(row), _shown((number, name, title, metadata, allow, language, value))
        if not verbatim:
            raise damaged(f"document {name!r}, of which passage {row[0]} is said to be a part,")
        found[row[0]] = (passage, document)
    missing = [number for number in numbers if number not in found]
    if missing:
        raise damaged(f"passage {missing[0]}")
    return found


def vector_bytes(vector: Vectors) -> bytes:
    """A vector as it is stored."""
    return vector.astype(_STORED_VECTOR).tobytes()


def checksum(position: int, passage: Passage, vector: bytes) -> bytes:
    """16 bytes over everything in a passage's row that an answer may show or rest on."""
    words = [position, passage.start, passage.end, passage.text, passage.section, passage.context]
    # Only where there are pages: checksums that were made without stay valid.
    words += [] if passage.page is None else [passage.page, *passage.page_breaks]
    # Damage may turn texts into bytes and bytes into texts, which SQLite hands on.
    digest = hashlib.blake2b(json.dumps(words, default=repr).encode(), digest_size=16)
    digest.update(vector if isinstance(vector, bytes) else repr(vector).encode())
    return digest.digest()


def encoded_pages(passage: Passage) -> str | None:
    """The pages of a passage as they are stored."""
    return None if passage.page is None else json.dumps([passage.page, *passage.page_breaks])


def decoded_pages(stored: str | None) -> tuple[int | None, tuple[int, ...]]:
    """`page` and `page_breaks` of a passage; raises ValueError or TypeError for what was not stored so."""
    if stored is None:
        return None, ()
    page, *breaks = json.loads(stored)
    return page, tuple(breaks)


def _shown(row: Sequence[Any]) -> ShownDocument:
    """From a row of `_DOCUMENT`; raises IndexCorrupt unless all of it is as it was written."""
    *fields, value = row
    if seal(*fields) != value:
        raise damaged(f"document {fields[1]!r}")
    _, name, title, metadata, allow, language = fields
    allowed = None if allow is None else tuple(json.loads(allow))
    return ShownDocument(name, title, json.loads(metadata), allowed, language)


def _verified(row: Sequence[Any]) -> StoredPassage:
    number, position, start, stop, text, section, context, vector, expected, pages, language = row
    try:
        passage = Passage(start, stop, text, section, context, *decoded_pages(pages))
    except (ValueError, TypeError):
        raise damaged(f"passage {number}") from None
    if checksum(position, passage, vector) != expected:
        raise damaged(f"passage {number}")
    return StoredPassage(number, position, passage, np.frombuffer(vector, dtype=_STORED_VECTOR), language)


def damaged(what: str) -> IndexCorrupt:
    """The error for a row that is not as it was written."""
    return IndexCorrupt(f"The stored {what} does not match its checksum; {WAY_OUT}")
