"""Kept snapshots: what later commits replaced or removed stays readable until it is collected.

Live rows and old ones lie in tables of the same columns, so everything that reads the newest state
is as quick as without a history. To read snapshot N, views of the live tables' own names are put in
front of them for one transaction; every query then sees N without knowing of it.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from tandem.errors import Conflict, NotFound

# Table → the column with the document's number. Those that a database lacks are passed over.
MIRRORED: Final = {
    "documents": "number",
    "passages": "document",
    "attributes": "document",
    "permissions": "document",
    "seals": "document",
}


def mirror(connection: sqlite3.Connection) -> None:
    """Give every mirrored table its `old_` twin with the same columns; part of a migration."""
    for table, owner in MIRRORED.items():
        wanted = _columns(connection, table)
        if not wanted:
            continue
        connection.execute(f"CREATE TABLE IF NOT EXISTS old_{table} (gone INTEGER NOT NULL)")
        present = _columns(connection, f"old_{table}")
        for name, kind in wanted.items():
            if name not in present:
                connection.execute(f"ALTER TABLE old_{table} ADD COLUMN {name} {kind}")
        for name in sorted({owner, "number", "id", "gone"} & (wanted.keys() | {"gone"})):
            connection.execute(f"CREATE INDEX IF NOT EXISTS old_{table}_{name} ON old_{table} ({name})")


def retire(connection: sqlite3.Connection, numbers: Sequence[int], snapshot: int) -> None:
    """Copy documents that `snapshot` no longer has, with all that belongs to them; the caller deletes them."""
    for table, owner in MIRRORED.items():
        names = ", ".join(_columns(connection, table))
        if names:
            connection.executemany(
                f"INSERT INTO old_{table} (gone, {names}) SELECT ?, {names} FROM {table} WHERE {owner} = ?",  # noqa: S608
                [(snapshot, number) for number in numbers],
            )


def erase(connection: sqlite3.Connection, ids: Sequence[str]) -> list[str]:
    """Take documents out of all kept snapshots; returns those of `ids` that were in one."""
    erased = []
    for name in ids:
        numbers = connection.execute("SELECT number FROM old_documents WHERE id = ?", (name,)).fetchall()
        if numbers:
            erased.append(name)
        for table, owner in _present(connection):
            connection.executemany(f"DELETE FROM old_{table} WHERE {owner} = ?", numbers)  # noqa: S608 - constants
    return erased


def held(connection: sqlite3.Connection, ids: Sequence[str]) -> set[str]:
    """Those of `ids` that a kept snapshot has, though the newest may not."""
    query = "SELECT 1 FROM old_documents WHERE id = ? LIMIT 1"
    return {name for name in ids if connection.execute(query, (name,)).fetchone()}


def oldest(connection: sqlite3.Connection) -> int:
    """The oldest snapshot that can be read."""
    return int(connection.execute("SELECT oldest FROM history").fetchone()[0])


def collect(connection: sqlite3.Connection, first: int) -> int:
    """Let go of every snapshot before `first`; returns how many documents left the tables by that."""
    connection.execute("UPDATE history SET oldest = max(oldest, ?)", (first,))
    documents = connection.execute("SELECT count(*) FROM old_documents WHERE gone <= ?", (first,)).fetchone()[0]
    if documents:
        for table, _ in _present(connection):
            connection.execute(f"DELETE FROM old_{table} WHERE gone <= ?", (first,))  # noqa: S608 - constants
    return int(documents)


def check_kept(connection: sqlite3.Connection, snapshot: int) -> None:
    """Raises NotFound for a snapshot that never was, and Conflict for one that was collected."""
    newest = connection.execute("SELECT max(number) FROM snapshots").fetchone()[0]
    first = oldest(connection)
    kept = f"kept are {first} to {newest}" if first < newest else f"only {newest} is kept"
    details = {"snapshot": snapshot, "oldest": first, "newest": newest}
    if isinstance(snapshot, bool) or not isinstance(snapshot, int) or not 0 <= snapshot <= newest:
        raise NotFound(f"There is no snapshot {snapshot!r} of this index; {kept}.", code="unknown_snapshot", **details)
    if snapshot < first:
        raise Conflict(
            f"Snapshot {snapshot} of this index was collected; {kept} (`retrieval.keep_snapshots` says how many).",
            code="collected_snapshot",
            **details,
        )


def look_back(connection: sqlite3.Connection, snapshot: int) -> None:
    """Let this transaction see `snapshot` instead of the newest; its end takes the views away again."""
    check_kept(connection, snapshot)
    for table in MIRRORED:
        columns = _columns(connection, table)
        names = ", ".join(columns)
        if names:
            # What has no `snapshot` of its own is reached by its document's number, which is never used twice.
            live = f"WHERE snapshot <= {snapshot}" if "snapshot" in columns else ""
            old = f"WHERE gone > {snapshot}" + (f" AND snapshot <= {snapshot}" if live else "")
            connection.execute(
                f"CREATE TEMP VIEW {table} AS SELECT {names} FROM main.{table} {live}"  # noqa: S608 - no text of others
                f" UNION ALL SELECT {names} FROM main.old_{table} {old}"
            )
    connection.execute(
        f"CREATE TEMP VIEW snapshots AS SELECT * FROM main.snapshots WHERE number <= {snapshot}"  # noqa: S608
    )


def _present(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return [(table, owner) for table, owner in MIRRORED.items() if _columns(connection, f"old_{table}")]


def _columns(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """Name → type; empty where there is no such table."""
    return dict(connection.execute("SELECT name, type FROM pragma_table_info(?, 'main')", (table,)).fetchall())
