"""What is wrong with an index, if anything: every row and every derived file is read and compared."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from retrieval import rows, saved
from retrieval.documents import Document, document_digest
from retrieval.passages import Passage
from retrieval.seals import name_mark, seal
from retrieval.store import DATABASE_NAME, Store
from retrieval.totals import wrong_totals
from retrieval.vectors import Stamp
from tandem.errors import TandemError

MAX_NAMED: Final = 20
_PASSAGE: Final = "number, position, start, stop, text, section, context, vector, checksum, pages"


@dataclass(slots=True)
class Verification:
    """What was compared, and one sentence for each thing that is wrong (the first 20 of a kind)."""

    documents: int = 0
    passages: int = 0
    files: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(folder: Path) -> Verification:
    """Compare every row of the index in `folder` with its checksum, the totals, and the derived files."""
    found = Verification()
    store = None
    try:
        store = Store(folder / DATABASE_NAME)
        with store.reading() as connection:
            _verify_database(connection, found)
            _verify_files(connection, folder, found)
    except TandemError as error:
        found.problems.append(error.message)
    finally:
        if store is not None:
            store.close()
    return found


def _verify_database(connection: sqlite3.Connection, found: Verification) -> None:
    for (line,) in connection.execute(f"PRAGMA integrity_check({MAX_NAMED})"):
        if line != "ok":
            found.problems.append(f"{DATABASE_NAME}: {line}.")
    for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchmany(MAX_NAMED):
        found.problems.append(f"{DATABASE_NAME}: a row of {table} belongs to none of {parent}.")
    for prefix in ("", "old_"):
        documents = _counted(_damaged_documents(connection, prefix), found)
        passages = _counted(_damaged_passages(connection, prefix), found)
        if not prefix:
            found.documents, found.passages = documents, passages
    found.problems += [
        f"{DATABASE_NAME}: the rows of kind {kind!r} are not those that were written."
        for kind in wrong_totals(connection)
    ]
    state = rows.current_state(connection)
    for what, recorded, there in (
        ("documents", state.documents, found.documents),
        ("passages", state.passages, found.passages),
    ):
        if recorded != there:
            found.problems.append(
                f"{DATABASE_NAME}: snapshot {state.snapshot} records {recorded} {what}, but there are {there}."
            )


def _counted(checked: Iterator[str | None], found: Verification) -> int:
    count = wrong = 0
    for problem in checked:
        count += 1
        wrong += problem is not None
        if problem and wrong <= MAX_NAMED:
            found.problems.append(problem)
    if wrong > MAX_NAMED:
        found.problems.append(f"{DATABASE_NAME}: {wrong - MAX_NAMED} more of these.")
    return count


def _damaged_documents(connection: sqlite3.Connection, prefix: str) -> Iterator[str | None]:
    query = f"""SELECT number, id, title, metadata, allow, language, value, name, text, digest, pages
                FROM {prefix}documents LEFT JOIN {prefix}seals ON document = number ORDER BY number"""  # noqa: S608
    for *row, value, mark, text, digest, pages in connection.execute(query):
        _, name, title, metadata, allow, language = row
        right = False
        with contextlib.suppress(ValueError):
            names = None if allow is None else tuple(json.loads(allow))
            begins = tuple(json.loads(pages)) if pages else ()
            document = Document(name, title, text, json.loads(metadata), names, language, begins)
            right = document_digest(document) == digest and seal(*row) == value and name_mark(name) == mark
        yield None if right else f"{DATABASE_NAME}: {prefix}document {name!r} does not match its checksum."


def _damaged_passages(connection: sqlite3.Connection, prefix: str) -> Iterator[str | None]:
    query = f"SELECT {_PASSAGE} FROM {prefix}passages ORDER BY number"  # noqa: S608 - only constants
    for number, position, start, stop, text, section, context, vector, expected, pages in connection.execute(query):
        right = False
        with contextlib.suppress(ValueError, TypeError):
            passage = Passage(start, stop, text, section, context, *rows.decoded_pages(pages))
            right = rows.checksum(position, passage, vector) == expected
        yield None if right else f"{DATABASE_NAME}: {prefix}passage {number} does not match its checksum."


def _verify_files(connection: sqlite3.Connection, folder: Path, found: Verification) -> None:
    def fits(stamp: Stamp) -> bool:
        return rows.has_state(connection, stamp.snapshot, stamp.token)

    for name, load in ((saved.VECTORS_NAME, saved.load_vectors), (saved.LEXICAL_NAME, saved.load_lexical)):
        if (folder / name).exists():
            found.files.append(name)
            if load(folder, fits) is None:
                found.problems.append(
                    f"{name}: not whole, or not of this database; it is made anew at the next opening, or by `rebuild`."
                )
