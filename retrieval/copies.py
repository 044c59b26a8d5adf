"""Backups of an index, and how one is put back without bringing back what was deleted since."""

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from retrieval import history, milvus_collections, rows
from retrieval.check import verify
from retrieval.commits import Change, apply
from retrieval.milvus_collections import Collection
from retrieval.store import DATABASE_NAME, IndexCorrupt, Store
from retrieval.switch import job_lock, staging, switch
from tandem.errors import ConfigError, NotFound, TandemError
from tandem.files import locked, sync_path


@dataclass(frozen=True, slots=True)
class Restored:
    """The index after a restoration; `deleted` are the ids that were deleted since the backup, and are again.

    `warning` is a sentence where the deletions of a damaged index could not be read, else empty.
    """

    snapshot: int
    documents: int
    deleted: list[str]
    warning: str = ""


def backup(store: Store, file: Path) -> int:
    """Copy the newest snapshot of `store` to `file`; raises ConfigError where that cannot be written."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb"):
            pass
        try:
            with store.copying() as connection:
                # Written anew and not copied: what was deleted is in no page of it.
                connection.execute("VACUUM INTO ?", (str(temporary),))
            sync_path(temporary)
            os.replace(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)
        sync_path(file.parent)
    except OSError as error:
        raise ConfigError(f"The backup cannot be written to {file}: {error.strerror}.") from error
    return _snapshot_in(file)


def backup_folder(folder: Path, file: Path) -> int:
    """`backup` of the index in `folder`, whichever embedder made it."""
    store = Store(folder / DATABASE_NAME)
    try:
        return backup(store, file)
    finally:
        store.close()


def restore(folder: Path, file: Path) -> Restored:
    """Put the backup `file` in the place of the index in `folder`, or make it there.

    What was deleted by name in the present index since the backup is deleted from the restored one
    first. The present index stays as it is unless the whole backup is sound. Raises NotFound for no
    file, and ConfigError for one that is no sound backup.
    """
    if not file.is_file():
        raise NotFound(f"There is no backup {file}.", code="missing_path")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(job_lock(folder)):
        next_folder = staging(folder)
        _copy(file, next_folder / DATABASE_NAME)
        checked = verify(next_folder)
        if not checked.sound:
            raise ConfigError(
                f"The backup {file} is damaged, and nothing was restored: {checked.problems[0]}", code="damaged_backup"
            )
        present, warning = _present(folder)
        try:
            replaced = _read_replaced(present)
            restored = _follow(Store(next_folder / DATABASE_NAME), replaced)
            switch(next_folder, folder)
        except BaseException:
            if present is not None and next_folder.exists():
                with contextlib.suppress(TandemError):
                    present.mark_replaced(False)
            raise
        finally:
            if present is not None:
                present.close()
    return replace(restored, warning=warning or replaced.unread)


class _Replaced(NamedTuple):
    """What outlives the index that is replaced: all its deletions by name, and those that hold still."""

    erasures: Sequence[tuple[str, float]] = ()
    deletions: Sequence[tuple[str, float]] = ()
    collections: Sequence[Collection] = ()
    unread: str = ""
    """What kept it from being read."""


def _present(folder: Path) -> tuple[Store | None, str]:
    if not (folder / DATABASE_NAME).exists():
        return None, ""
    try:
        return Store(folder / DATABASE_NAME), ""
    except IndexCorrupt as error:
        return None, _unread(error)


def _unread(error: TandemError) -> str:
    return f"What was deleted since the backup is not known, since the index that was replaced is damaged: {error}"


def _read_replaced(present: Store | None) -> _Replaced:
    """Nobody writes to it from here on."""
    if present is None:
        return _Replaced()
    try:
        present.mark_replaced(True)
        with present.copying() as connection:
            return _Replaced(
                connection.execute("SELECT id, time FROM erasures").fetchall(),
                connection.execute("SELECT id, time FROM deletions").fetchall(),
                milvus_collections.held(connection),
            )
    except IndexCorrupt as error:
        return _Replaced(unread=_unread(error))


def _follow(store: Store, replaced: _Replaced) -> Restored:
    """Delete in `store` what was deleted by name since it was copied, and know the collections of `replaced`."""
    try:
        with store.writing() as connection:
            milvus_collections.take_over(connection, replaced.collections)
            known = set(connection.execute("SELECT id, time FROM erasures").fetchall())
            asked = sorted({name for name, time in replaced.erasures if (name, time) not in known})
            there = rows.document_numbers(connection, asked).keys() | history.held(connection, asked)
            deleted = [name for name in asked if name in there]
            if deleted:
                apply(connection, Change(remove=deleted, by_name=True, keep=10_000))
            connection.executemany("INSERT OR IGNORE INTO erasures (id, time) VALUES (?, ?)", replaced.erasures)
            snapshot = rows.current_state(connection).snapshot
            connection.executemany(
                "INSERT OR REPLACE INTO deletions (id, snapshot, time) VALUES (?, ?, ?)",
                [(name, snapshot, time) for name, time in replaced.deletions if name in asked],
            )
        store.vacuum()
        store.empty_log()
        with store.reading() as connection:
            state = rows.current_state(connection)
        return Restored(state.snapshot, state.documents, deleted)
    finally:
        store.close()


def _copy(file: Path, target: Path) -> None:
    try:
        source = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            copy = sqlite3.connect(target)
            with copy:
                source.backup(copy)
            copy.close()
        finally:
            source.close()
    except sqlite3.Error as error:
        raise ConfigError(f"{file} is no backup of an index: {error}.", code="damaged_backup") from error
    if not _has_tables(target):
        raise ConfigError(f"{file} is no backup of an index.", code="damaged_backup")


def _has_tables(file: Path) -> bool:
    connection = sqlite3.connect(file)
    try:
        query = "SELECT count(*) FROM sqlite_master WHERE name IN ('documents', 'passages', 'snapshots')"
        return bool(connection.execute(query).fetchone()[0] == 3)
    finally:
        connection.close()


def _snapshot_in(file: Path) -> int:
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        return int(connection.execute("SELECT max(number) FROM snapshots").fetchone()[0])
    finally:
        connection.close()
