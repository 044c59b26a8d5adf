"""Which collections of a Milvus cluster hold vectors of an index, so that none is forgotten there.

`meta` names the one that is searched and those that are left over: begun by a process that was killed, or of an index
that this one replaced. Milvus Lite needs no such list, since its folder is removed as a whole.
"""

import json
import logging
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, NamedTuple

KEY: Final = "milvus"
"""Where in `meta` it is written what the searched collection holds."""
LEFTOVER: Final = "milvus_leftover"

_logger = logging.getLogger(__name__)


class Collection(NamedTuple):
    """One collection of the cluster at `address`."""

    address: str
    name: str


@dataclass(frozen=True, slots=True)
class Moved:
    """What a collection holds: the vectors of the live passages with numbers up to `through`, in `snapshot`.

    Passages that were removed after `cleaned` may still be in it. `address` is empty for Milvus Lite.
    """

    address: str
    collection: str
    snapshot: int
    token: str
    embedder_digest: str
    through: int
    cleaned: int
    spotless: bool
    """No vector that was removed was ever in it."""


def read_moved(connection: sqlite3.Connection) -> Moved | None:
    """None where nothing was moved to Milvus yet."""
    value = _value(connection, KEY)
    return None if value is None else Moved(**json.loads(value))


def write_moved(connection: sqlite3.Connection, moved: Moved) -> None:
    """Take note of what is searched from now on; another collection that was before is left over."""
    present = Collection(moved.address, moved.collection)
    others = [collection for collection in held(connection) if collection != present]
    _put(connection, KEY, json.dumps(asdict(moved)))
    _put(connection, LEFTOVER, json.dumps(others))


def leftover(connection: sqlite3.Connection) -> list[Collection]:
    """Collections that are to be dropped."""
    return [Collection(*entry) for entry in json.loads(_value(connection, LEFTOVER) or "[]")]


def held(connection: sqlite3.Connection) -> list[Collection]:
    """Every collection of a cluster that may hold vectors of this index."""
    moved = read_moved(connection)
    searched = [Collection(moved.address, moved.collection)] if moved and moved.address else []
    return [*leftover(connection), *searched]


def begin(connection: sqlite3.Connection, collection: Collection) -> None:
    """Take note of a collection that is about to be made; it is left over until `write_moved` names it."""
    _put(connection, LEFTOVER, json.dumps([*leftover(connection), collection]))


def dropped(connection: sqlite3.Connection, collection: Collection) -> None:
    """Take note that there is no such collection any more."""
    _put(connection, LEFTOVER, json.dumps([each for each in leftover(connection) if each != collection]))


def take_over(connection: sqlite3.Connection, collections: Iterable[Collection]) -> None:
    """Begin without any of its own, in the place of an index that held `collections`."""
    connection.execute("DELETE FROM meta WHERE key = ?", (KEY,))
    _put(connection, LEFTOVER, json.dumps(list(collections)))


def warn_of_others(connection: sqlite3.Connection, folder: Path, address: str) -> None:
    """Say what another setting of the index in `folder` left in a cluster, where nobody removes it."""
    for collection in held(connection):
        if collection.address != address:
            _logger.warning(
                "vectors of %s are still in the collection %s of Milvus at %s, which is not in use any more: drop it",
                folder,
                collection.name,
                collection.address,
            )


def _value(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _put(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))
