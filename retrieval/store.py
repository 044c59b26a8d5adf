"""The SQLite file: connections, transactions, schema version, and errors in words.

One writer at a time and any number of readers, in this and in other processes: SQLite's own
locking (WAL). A reader sees one snapshot from its first to its last row.
"""

import contextlib
import os
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from retrieval.history import look_back, mirror
from retrieval.schema import MIGRATIONS, SCHEMA, SCHEMA_VERSION
from retrieval.seals import seal_all
from tandem.errors import ConfigError, TandemError, Unavailable

DATABASE_NAME: Final = "index.db"
REPLACED: Final = frozenset({"index_replaced", "index_closed"})
"""Codes of errors after which the same request may succeed on the index that is opened next."""
BUSY_TIMEOUT_SECONDS: Final = 30.0
# Emptying the log holds up writers while it waits for readers; it is tried again instead.
TRUNCATE_TIMEOUT_SECONDS: Final = 2.0


WAY_OUT: Final = "restore a backup (`tandem index restore`), or delete its folder and index the documents again."


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
        self.opened: os.stat_result | None = None
        """Which file this is: another may take its place under the same path."""
        with self._errors():
            connection = self._connect()
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                self._prepare(connection)
            finally:
                connection.close()
        self.opened = path.stat()

    @contextlib.contextmanager
    def reading(self, snapshot: int | None = None) -> Iterator[sqlite3.Connection]:
        """A connection inside a read transaction, which sees the newest snapshot or the one given.

        Raises NotFound and Conflict for a snapshot that is not kept.
        """
        with self._errors():
            connection = self._borrow()
            try:
                connection.execute("BEGIN")
                # A transaction sees the state of its first read, not of BEGIN.
                connection.execute("SELECT max(number) FROM snapshots").fetchone()
                self._require_in_use(connection)
                if snapshot is not None:
                    look_back(connection, snapshot)
                with self._damage_named(connection):
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
                self._require_in_use(connection)
                with self._damage_named(connection):
                    yield connection
                connection.execute("COMMIT")
            finally:
                self._return(connection)

    @contextlib.contextmanager
    def copying(self) -> Iterator[sqlite3.Connection]:
        """A connection outside any transaction, for statements that bring their own; also of a replaced index."""
        with self._errors():
            connection = self._borrow()
            try:
                yield connection
            finally:
                self._return(connection)

    def marked(self) -> bool:
        """Whether another index was about to take the place of this one."""
        with self._errors():
            connection = self._borrow()
            try:
                return _is_marked(connection)
            finally:
                self._return(connection)

    def in_place(self) -> bool:
        """Whether the path still leads to this database."""
        try:
            return self.opened is None or os.path.samestat(self.path.stat(), self.opened)
        except OSError:
            return False

    def mark_replaced(self, replaced: bool) -> None:
        """Refuse all reading and writing, here and in other processes, or no longer."""
        with self._writing, self._errors():
            connection = self._borrow()
            try:
                if replaced:
                    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('replaced', 'yes')")
                else:
                    connection.execute("DELETE FROM meta WHERE key = 'replaced'")
            finally:
                self._return(connection)

    def _require_in_use(self, connection: sqlite3.Connection) -> None:
        if _is_marked(connection) or not self.in_place():
            raise replaced(self.path.parent)

    def vacuum(self) -> None:
        """Write the file anew, so that nothing is left of what was deleted from it.

        `secure_delete` zeroes the place a row was deleted from, but not copies of it that SQLite left
        behind earlier, when it moved rows between pages. Readers go on, writers wait.
        """
        with self._writing, self._errors():
            connection = self._borrow()
            try:
                connection.execute("VACUUM")
            finally:
                self._return(connection)

    def empty_log(self) -> bool:
        """Move the write-ahead log into the file and cut it to nothing; False where readers kept it."""
        with self._errors():
            connection = self._borrow()
            try:
                connection.execute(f"PRAGMA busy_timeout = {int(TRUNCATE_TIMEOUT_SECONDS * 1000)}")
                busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_SECONDS * 1000)}")
            finally:
                self._return(connection)
            return not busy

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
            # Opens the files beside it, too: those of another database, if that took the place meanwhile.
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
            failure = None
        except sqlite3.Error as error:
            failure = error
        in_place = self.in_place()
        if failure or not in_place:
            connection.close()
            raise (failure if failure and in_place else replaced(self.path.parent)) from failure
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
        # Another process may have made or migrated the schema while this one waited for the lock.
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in _statements(SCHEMA):
                connection.execute(statement)
            insert_snapshot(connection, 0)
        for newer in range(max(version, 1) + 1, SCHEMA_VERSION + 1):
            for statement in _statements(MIGRATIONS[newer]):
                connection.execute(statement)
        seal_all(connection)
        mirror(connection)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")

    @contextlib.contextmanager
    def _damage_named(self, connection: sqlite3.Connection) -> Iterator[None]:
        """What a value of an impossible kind led to, as damage; an error with another cause stays what it is."""
        try:
            yield
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            if isinstance(error, UnicodeDecodeError) or connection.execute("PRAGMA quick_check(1)").fetchone() == (
                "ok",
            ):
                raise
            raise IndexCorrupt(f"The index {self.path} is damaged; {WAY_OUT}") from error

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """SQLite's errors as ours; mistakes in our SQL pass through unchanged."""
        try:
            yield
        except (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.IntegrityError):
            raise
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error
        except UnicodeDecodeError as error:
            # SQLite's message quoted damaged text.
            raise IndexCorrupt(f"The index {self.path} is damaged; {WAY_OUT}") from error


def replaced(folder: Path) -> Unavailable:
    """The error of an index whose place another took."""
    return Unavailable(
        f"Another index took the place of {folder}, or is about to (restored or embedded anew);"
        " open it again in a moment.",
        code="index_replaced",
    )


def insert_snapshot(connection: sqlite3.Connection, number: int) -> None:
    """Begin state `number`; its totals are set by the commit that makes it."""
    connection.execute(
        "INSERT INTO snapshots (number, token, time, documents, passages) VALUES (?, ?, ?, 0, 0)",
        (number, secrets.token_hex(8), time.time()),
    )


def _is_marked(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM meta WHERE key = 'replaced'").fetchone() is not None


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
    return IndexCorrupt(f"The index {path} is damaged ({error}); {WAY_OUT}")
