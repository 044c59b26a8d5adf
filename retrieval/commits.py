"""The short part of a commit: one transaction that moves the index from a snapshot to the next."""

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from retrieval import rows
from retrieval.filters import attribute
from retrieval.prepare import Prepared, Source
from retrieval.results import Commit, Failure
from retrieval.store import insert_snapshot


@dataclass(frozen=True, slots=True)
class Change:
    """Everything one commit does. `sources` are new origins of documents that stay as they are."""

    write: Sequence[Prepared] = ()
    remove: Sequence[str] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    unchanged: Sequence[str] = ()
    failed: Sequence[Failure] = ()
    by_name: bool = False
    """The removal was asked for by id: sync is not to bring these documents back."""
    restores: bool = False
    """The documents were given by hand: an earlier deletion of them no longer counts."""


def apply(connection: sqlite3.Connection, change: Change) -> Commit:
    """Make `change`, inside the caller's write transaction; an empty one makes no snapshot."""
    # What was deleted by name while this commit was prepared stays deleted.
    gone = set() if change.restores else set(rows.deleted_ids(connection))
    writes = [prepared for prepared in change.write if prepared.document.id not in gone]
    names = [*change.remove, *(prepared.document.id for prepared in writes)]
    numbers = rows.document_numbers(connection, names)
    removed = [name for name in change.remove if name in numbers]
    _write_sources(connection, change.sources)
    before = rows.current_state(connection)
    snapshot = before.snapshot
    if removed or writes:
        snapshot += 1
        insert_snapshot(connection, snapshot)
        _delete(connection, list(numbers.values()), snapshot)
        for prepared in writes:
            _insert(connection, prepared, snapshot)
        _count(connection, snapshot)
    if change.by_name:
        entries = [(name, snapshot, time.time()) for name in removed]
        connection.executemany("INSERT OR REPLACE INTO deletions (id, snapshot, time) VALUES (?, ?, ?)", entries)
    if change.restores:
        given = [(name,) for name in [*names, *change.unchanged]]
        connection.executemany("DELETE FROM deletions WHERE id = ?", given)
    written = [prepared.document.id for prepared in writes]
    return Commit(
        snapshot=snapshot,
        added=[name for name in written if name not in numbers],
        replaced=[name for name in written if name in numbers],
        unchanged=list(change.unchanged),
        removed=removed,
        failed=list(change.failed),
        passages=sum(len(prepared.passages) for prepared in writes),
    )


def _delete(connection: sqlite3.Connection, documents: list[int], snapshot: int) -> None:
    for number in documents:
        connection.execute(
            "INSERT INTO removals (number, snapshot) SELECT number, ? FROM passages WHERE document = ?",
            (snapshot, number),
        )
        connection.execute("DELETE FROM documents WHERE number = ?", (number,))


def _insert(connection: sqlite3.Connection, prepared: Prepared, snapshot: int) -> None:
    document = prepared.document
    metadata = dict(document.metadata)
    number = connection.execute(
        "INSERT INTO documents (id, title, text, metadata, digest, cut, snapshot) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (document.id, document.title, document.text, json.dumps(metadata), prepared.digest, prepared.cut, snapshot),
    ).lastrowid
    values = []
    for position, (passage, vector) in enumerate(zip(prepared.passages, prepared.vectors, strict=True), start=1):
        stored = rows.vector_bytes(vector)
        check = rows.checksum(position, passage, stored)
        shown = (passage.start, passage.end, passage.text, passage.section, passage.context)
        values.append((number, position, *shown, stored, check, snapshot))
    connection.executemany(
        """INSERT INTO passages (document, position, start, stop, text, section, context, vector, checksum, snapshot)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        values,
    )
    pairs = {
        (number, key, attribute(item))
        for key, value in metadata.items()
        for item in (value if isinstance(value, list) else [value])
    }
    connection.executemany("INSERT INTO attributes (document, key, value) VALUES (?, ?, ?)", sorted(pairs))
    if prepared.source:
        _write_sources(connection, {document.id: prepared.source})


def _write_sources(connection: sqlite3.Connection, sources: Mapping[str, Source]) -> None:
    connection.executemany(
        """INSERT OR REPLACE INTO sources (document, root, path, content)
           SELECT number, ?, ?, ? FROM documents WHERE id = ?""",
        [(source.root, source.path, source.content, name) for name, source in sources.items()],
    )


def _count(connection: sqlite3.Connection, snapshot: int) -> None:
    connection.execute(
        """UPDATE snapshots SET documents = (SELECT count(*) FROM documents),
                                passages = (SELECT count(*) FROM passages)
           WHERE number = ?""",
        (snapshot,),
    )
