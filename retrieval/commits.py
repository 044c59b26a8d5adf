"""The short part of a commit: one transaction that moves the index from a snapshot to the next."""

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from retrieval import history, rows
from retrieval.filters import attributes
from retrieval.prepare import Prepared, Source
from retrieval.results import Commit, Failure
from retrieval.seals import name_mark, seal
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
    keep: int = 0
    """Older snapshots that stay readable after this commit."""


def apply(connection: sqlite3.Connection, change: Change) -> Commit:
    """Make `change`, inside the caller's write transaction; an empty one makes no snapshot."""
    # What was deleted by name while this commit was prepared stays deleted.
    gone = set() if change.restores else set(rows.deleted_ids(connection))
    writes = [prepared for prepared in change.write if prepared.document.id not in gone]
    names = [*change.remove, *(prepared.document.id for prepared in writes)]
    numbers = rows.document_numbers(connection, names)
    old = history.held(connection, change.remove) if change.by_name else set()
    removed = [name for name in change.remove if name in numbers or name in old]
    _write_sources(connection, change.sources)
    before = rows.current_state(connection)
    snapshot = before.snapshot
    if removed or writes:
        snapshot += 1
        insert_snapshot(connection, snapshot)
        gone_passages = _take_out(connection, change, list(numbers.values()), snapshot)
        for prepared in writes:
            _insert(connection, prepared, snapshot)
        new_passages = sum(len(prepared.passages) for prepared in writes)
        # Counted on, not anew: that would read every row of a large index for a small commit.
        totals = (before.documents - len(numbers) + len(writes), before.passages - gone_passages + new_passages)
        connection.execute("UPDATE snapshots SET documents = ?, passages = ? WHERE number = ?", (*totals, snapshot))
        collect(connection, snapshot - change.keep)
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
        hidden={prepared.document.id: count for prepared in writes if (count := prepared.document.hidden)},
    )


def collect(connection: sqlite3.Connection, first: int) -> int:
    """Let go of the snapshots before `first`; returns how many documents that took out of the tables."""
    collected = history.collect(connection, first)
    if collected:
        ask_purge(connection, rows.current_state(connection).snapshot, "collected", collected)
    return collected


def _take_out(connection: sqlite3.Connection, change: Change, documents: list[int], snapshot: int) -> int:
    """Documents by their numbers, for good if deleted by name, into the history otherwise; returns their passages."""
    if change.by_name:
        history.erase(connection, change.remove)
        erasures = [(name, time.time()) for name in change.remove]
        connection.executemany("INSERT OR REPLACE INTO erasures (id, time) VALUES (?, ?)", erasures)
        ask_purge(connection, snapshot, "deleted", len(change.remove))
    else:
        history.retire(connection, documents, snapshot)
    passages = 0
    for number in documents:
        passages += connection.execute(
            "INSERT INTO removals (number, snapshot) SELECT number, ? FROM passages WHERE document = ?",
            (snapshot, number),
        ).rowcount
        connection.execute("DELETE FROM documents WHERE number = ?", (number,))
    return passages


def ask_purge(connection: sqlite3.Connection, snapshot: int, reason: str, documents: int) -> None:
    """Note that texts left the tables, so that their bytes leave the files."""
    connection.execute(
        "INSERT INTO purges (snapshot, reason, documents, asked_at) VALUES (?, ?, ?, ?)",
        (snapshot, reason, documents, time.time()),
    )


def _insert(connection: sqlite3.Connection, prepared: Prepared, snapshot: int) -> None:
    document = prepared.document
    metadata = dict(document.metadata)
    stored_metadata, allow = json.dumps(metadata), None if document.allow is None else json.dumps(document.allow)
    number = connection.execute(
        """INSERT INTO documents (id, title, text, metadata, digest, cut, snapshot, allow, language, pages)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            document.id,
            document.title,
            document.text,
            stored_metadata,
            prepared.digest,
            prepared.cut,
            snapshot,
            allow,
            document.language,
            json.dumps(document.pages) if document.pages else None,
        ),
    ).lastrowid
    allowed = [(number, name) for name in document.allow or ()]
    connection.executemany("INSERT INTO permissions (document, principal) VALUES (?, ?)", allowed)
    sealed = seal(int(number or 0), document.id, document.title, stored_metadata, allow, document.language)
    entry = (number, sealed, name_mark(document.id))
    connection.execute("INSERT INTO seals (document, value, name) VALUES (?, ?, ?)", entry)
    values = []
    for position, (passage, vector) in enumerate(zip(prepared.passages, prepared.vectors, strict=True), start=1):
        stored = rows.vector_bytes(vector)
        check = rows.checksum(position, passage, stored)
        shown = (passage.start, passage.end, passage.text, passage.section, passage.context)
        values.append((number, position, *shown, stored, check, snapshot, rows.encoded_pages(passage)))
    connection.executemany(
        """INSERT INTO passages
               (document, position, start, stop, text, section, context, vector, checksum, snapshot, pages)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        values,
    )
    pairs = [(number, *pair) for pair in sorted(attributes(metadata, document.language))]
    connection.executemany("INSERT INTO attributes (document, key, value) VALUES (?, ?, ?)", pairs)
    if prepared.source:
        _write_sources(connection, {document.id: prepared.source})


def _write_sources(connection: sqlite3.Connection, sources: Mapping[str, Source]) -> None:
    connection.executemany(
        """INSERT OR REPLACE INTO sources (document, root, path, content)
           SELECT number, ?, ?, ? FROM documents WHERE id = ?""",
        [(source.root, source.path, source.content, name) for name, source in sources.items()],
    )
