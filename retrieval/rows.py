"""Reads from the tables of an index, inside a transaction that the caller holds. Rows are verified."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from retrieval.documents import Document, document_digest
from retrieval.embedder import Vectors
from retrieval.passages import Passage
from retrieval.results import DocumentInfo
from retrieval.store import IndexCorrupt
from tandem.errors import NotFound

_PASSAGE: Final = "passages.number, position, start, stop, passages.text, section, context, vector, checksum"
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


def current_state(connection: sqlite3.Connection) -> State:
    """The newest snapshot that this transaction sees."""
    query = "SELECT number, token, documents, passages FROM snapshots ORDER BY number DESC LIMIT 1"
    return State(*connection.execute(query).fetchone())


def has_state(connection: sqlite3.Connection, snapshot: int, token: str) -> bool:
    """Whether that snapshot is one of this database's own."""
    row = connection.execute("SELECT token FROM snapshots WHERE number = ?", (snapshot,)).fetchone()
    return row is not None and row[0] == token


def known_documents(connection: sqlite3.Connection, ids: Sequence[str] | None = None) -> dict[str, Known]:
    """Documents by id, without their texts: those of `ids` that exist, or all."""
    query = """SELECT id, number, digest, cut, root, path, content
               FROM documents LEFT JOIN sources ON sources.document = documents.number
               WHERE ?1 IS NULL OR id IN (SELECT value FROM json_each(?1))"""
    wanted = None if ids is None else json.dumps(list(ids))
    return {row[0]: Known(*row[1:]) for row in connection.execute(query, (wanted,))}


def document_numbers(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, int]:
    """Internal numbers of those of `ids` that exist."""
    query = "SELECT id, number FROM documents WHERE id IN (SELECT value FROM json_each(?))"
    return dict(connection.execute(query, (json.dumps(list(ids)),)).fetchall())


def deleted_ids(connection: sqlite3.Connection) -> dict[str, float]:
    """Ids that were deleted by name, with the time, seconds since 1970."""
    return dict(connection.execute("SELECT id, time FROM deletions").fetchall())


def read_document(connection: sqlite3.Connection, document_id: str) -> Document:
    """The document as it was indexed; raises NotFound, and IndexCorrupt if its row changed since."""
    query = "SELECT title, text, metadata, digest FROM documents WHERE id = ?"
    row = connection.execute(query, (document_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no document {document_id!r} in the index.")
    try:
        document = Document(document_id, row[0], row[1], json.loads(row[2]))
    except ValueError:
        raise _damaged(f"document {document_id!r}") from None
    if document_digest(document) != row[3]:
        raise _damaged(f"document {document_id!r}")
    return document


def document_infos(connection: sqlite3.Connection) -> list[DocumentInfo]:
    """All documents in the order of their ids."""
    query = """SELECT id, title, length(documents.text), count(passages.number), metadata
               FROM documents JOIN passages ON passages.document = documents.number
               GROUP BY documents.number ORDER BY id"""
    return [
        DocumentInfo(name, title, characters, passages, json.loads(metadata))
        for name, title, characters, passages, metadata in connection.execute(query)
    ]


def passages_of_document(connection: sqlite3.Connection, number: int) -> list[StoredPassage]:
    """The passages of one document, in order."""
    query = f"SELECT {_PASSAGE} FROM passages WHERE document = ? ORDER BY position"  # noqa: S608 - only constants
    return [_verified(row) for row in connection.execute(query, (number,))]


def passages_after(connection: sqlite3.Connection, snapshot: int) -> Iterator[StoredPassage]:
    """The passages that came after `snapshot` (−1: all), in the order of their numbers."""
    query = f"SELECT {_PASSAGE} FROM passages WHERE snapshot > ? ORDER BY number"  # noqa: S608 - only constants
    return map(_verified, connection.execute(query, (snapshot,)))


def removals_after(connection: sqlite3.Connection, snapshot: int) -> list[int]:
    """Numbers of the passages that went after `snapshot`."""
    query = "SELECT number FROM removals WHERE snapshot > ? ORDER BY number"
    return [row[0] for row in connection.execute(query, (snapshot,))]


def read_passages(
    connection: sqlite3.Connection, numbers: Sequence[int]
) -> dict[int, tuple[StoredPassage, str, str, dict[str, Any]]]:
    """Number → passage, document id, title and metadata."""
    query = f"""SELECT {_PASSAGE}, id, title, metadata
                FROM passages JOIN documents ON documents.number = passages.document
                WHERE passages.number IN (SELECT value FROM json_each(?))"""  # noqa: S608 - only constants
    found = {}
    for *row, document, title, metadata in connection.execute(query, (json.dumps(list(numbers)),)):
        found[row[0]] = (_verified(row), document, title, json.loads(metadata))
    return found


def vector_bytes(vector: Vectors) -> bytes:
    """A vector as it is stored."""
    return vector.astype(_STORED_VECTOR).tobytes()


def checksum(position: int, passage: Passage, vector: bytes) -> bytes:
    """16 bytes over everything in a passage's row that an answer may show or rest on."""
    words = [position, passage.start, passage.end, passage.text, passage.section, passage.context]
    digest = hashlib.blake2b(json.dumps(words).encode(), digest_size=16)
    digest.update(vector)
    return digest.digest()


def _verified(row: Sequence[Any]) -> StoredPassage:
    number, position, start, stop, text, section, context, vector, expected = row
    passage = Passage(start, stop, text, section, context)
    if checksum(position, passage, vector) != expected:
        raise _damaged(f"passage {number}")
    return StoredPassage(number, position, passage, np.frombuffer(vector, dtype=_STORED_VECTOR))


def _damaged(what: str) -> IndexCorrupt:
    return IndexCorrupt(
        f"The stored {what} does not match its checksum; restore a backup of the index, or delete its folder and index"
        " the documents again."
    )
