"""The SQLite file: connections, transactions, schema version, and errors in words.

One writer at a time and any number of readers, in this and in other processes: SQLite's own
locking (WAL). A reader sees one snapshot from its first to its last row.
"""

import contextlib
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from retrieval.schema import SCHEMA, SCHEMA_VERSION
from tandem.errors import ConfigError, TandemError, Unavailable

BUSY_TIMEOUT_SECONDS: Final = 30.0


class IndexCorrupt(TandemError):
    """The database of an index is damaged: nothing is answered from it."""

    code = "index_corrupt"


class Store:
    """The database of one index; every connection is closed by `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._writing = threading.Lock()
        self._closed = False
        with self._errors():
            connection = self._connect()
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                self._prepare(connection)
            finally:
                connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection inside a read transaction."""
        with self._errors():
            connection = self._borrow()
            try:
                connection.execute("BEGIN")
                # A transaction sees the state of its first read, not of BEGIN.
                connection.execute("SELECT max(number) FROM snapshots").fetchone()
                yield connection
            finally:
                self._return(connection)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection inside the write transaction: committed at the end, undone by an exception."""
        with self._writing, self._errors():
            connection = self._borrow()
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            finally:
                self._return(connection)

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        self._closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def _borrow(self) -> sqlite3.Connection:
        if self._closed:
            raise TandemError("The index is closed.", code="index_closed")
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._connect()

    def _return(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.rollback()
        except sqlite3.Error:
            connection.close()
            raise
        if self._closed:
            connection.close()
        else:
            self._idle.put(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            # FULL: a commit that was acknowledged survives a power cut. secure_delete: freed pages
            # are overwritten, so that deleted text does not stay in the file.
            for pragma in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise ConfigError(
                f"The index {self.path} has schema version {version}, made by a newer Tandem;"
                f" this one reads up to {SCHEMA_VERSION}."
            )
        if version == SCHEMA_VERSION:
            return
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have made the schema while this one waited for the lock.
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            for statement in _statements(SCHEMA):
                connection.execute(statement)
            insert_snapshot(connection, 0)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """SQLite's errors as ours; mistakes in our SQL pass through unchanged."""
        try:
            yield
        except (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.IntegrityError):
            raise
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error


def insert_snapshot(connection: sqlite3.Connection, number: int) -> None:
    """Begin state `number`; its totals are set by the commit that makes it."""
    connection.execute(
        "INSERT INTO snapshots (number, token, time, documents, passages) VALUES (?, ?, ?, 0, 0)",
        (number, secrets.token_hex(8), time.time()),
    )


def _statements(script: str) -> list[str]:
    """The single statements: `executescript` would commit the transaction around them."""
    statements, pending = [], ""
    for line in script.splitlines():
        pending += line.partition("--")[0] + "\n"
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements


def _translated(error: sqlite3.Error, path: Path) -> TandemError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Unavailable("Another process is writing the index; try again in a moment.")
    if name.startswith("SQLITE_FULL"):
        return TandemError(f"The disk is full: nothing was written to {path}.", code="disk_full", status=507)
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_IOERR")):
        return TandemError(f"The index {path} cannot be read or written ({error}).", code="index_unusable")
    return IndexCorrupt(
        f"The index {path} is damaged ({error}); restore a backup, or delete its folder and index the documents again."
    )
