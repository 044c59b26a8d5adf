"""Whether a query found all it had to: a damaged index of SQLite's loses rows without a word."""

import json
import sqlite3
from collections.abc import Sequence

from retrieval.store import WAY_OUT, IndexCorrupt
from retrieval.vectors import Numbers


def check_total(
    connection: sqlite3.Connection,
    kind: str,
    found: Numbers,
    *,
    key: Sequence[str] = ("",),
    value: Sequence[str] = ("",),
    pairs: int = 0,
) -> None:
    """Raise IndexCorrupt unless `found`, shape (rows,), is as many numbers of the same sum as were written.

    Those are the rows of the newest snapshot with one of the keys and one of the values.
    """
    expected = connection.execute(
        """SELECT coalesce(sum(count), 0), coalesce(sum(numbers), 0), coalesce(sum(pairs), 0) FROM main.totals
           WHERE kind = ? AND key IN (SELECT value FROM json_each(?)) AND value IN (SELECT value FROM json_each(?))""",
        (kind, json.dumps(list(key)), json.dumps(list(value))),
    ).fetchone()
    if (len(found), int(found.sum()), pairs) != tuple(expected):
        raise IndexCorrupt(f"The index has lost rows of kind {kind!r}, or gained some; {WAY_OUT}")


def wrong_totals(connection: sqlite3.Connection) -> list[str]:
    """The kinds of which what is written does not agree with the rows; reads them all."""
    grouped = {
        "attribute": "SELECT key, value, count(*), sum(document) FROM attributes GROUP BY key, value",
        "permission": "SELECT principal, '', count(*), sum(document) FROM permissions GROUP BY principal",
        "restricted": "SELECT '', '', count(*), sum(number) FROM documents WHERE allow IS NOT NULL HAVING count(*) > 0",
        "passage": "SELECT '', '', count(*), sum(number) FROM passages HAVING count(*) > 0",
    }
    written = "SELECT key, value, count, numbers FROM totals WHERE kind = ?"
    return [
        kind
        for kind, query in grouped.items()
        if set(connection.execute(query)) != set(connection.execute(written, (kind,)))
    ]
