"""Which passages a search may find: decided before it searches, kept while the snapshot lasts."""

import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import orjson

from retrieval import rows
from retrieval.filters import Filter
from retrieval.lexical import LexicalIndex, View
from retrieval.rows import ShownDocument, State
from retrieval.schema import PAIR_MODULUS
from retrieval.store import WAY_OUT, IndexCorrupt
from retrieval.totals import check_total
from retrieval.vectors import Numbers

Principals = frozenset[str]
"""Names of a user and of the groups it is in."""

MAX_KEPT_NUMBERS: Final = 2_000_000
"""Passage numbers that are kept in all; each takes about 25 bytes, statistics and all."""


@dataclass(frozen=True, slots=True)
class Places:
    """All passages of a snapshot, ascending, and the document that each is of."""

    passages: Numbers
    documents: Numbers

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> "Places":
        """Those of the state that `connection` sees."""
        # From the index over (document, position), as the rows themselves hold texts and vectors; and in one row, which
        # takes a fifth of the time of as many rows as there are passages.
        query = """SELECT group_concat(number), group_concat(document)
                   FROM (SELECT number, document FROM passages ORDER BY document, position)"""
        numbers, documents = (_numbers_in(text) for text in connection.execute(query).fetchone())
        if not rows.looks_back(connection):
            pairs = int((numbers * documents % PAIR_MODULUS).sum()) if len(numbers) == len(documents) else -1
            check_total(connection, "passage", numbers, pairs=pairs)
        order = np.argsort(numbers, kind="stable")
        return cls(numbers[order], documents[order])

    def of(self, documents: Numbers | None, hidden: Numbers) -> Numbers:
        """The passages of these documents (None: all) that are not `hidden`, ascending."""
        wanted = ~np.isin(self.documents, hidden)
        if documents is not None:
            wanted &= np.isin(self.documents, documents)
        return self.passages[wanted]


def _numbers_in(text: str | None) -> Numbers:
    try:
        return np.asarray(orjson.loads(f"[{text or ''}]"), np.int64)
    except (ValueError, TypeError, OverflowError):
        raise rows.damaged("list of passages") from None


def hidden_documents(connection: sqlite3.Connection, principals: Principals | None) -> Numbers:
    """Numbers of the documents that none of `principals` may see; those closed to them since an older state, too.

    `principals` is None for the operator, who sees everything.
    """
    if principals is None:
        return np.zeros(0, np.int64)
    names = sorted(principals)
    closed, given = _closed(connection, names, "main.")
    check_total(connection, "restricted", closed)
    check_total(connection, "permission", given, key=names)
    hidden = np.setdiff1d(closed, given)
    if not rows.looks_back(connection):
        return hidden
    query = """SELECT documents.number FROM documents JOIN main.documents AS present USING (id)
               WHERE present.number IN (SELECT value FROM json_each(?))"""
    since = rows.numbers(connection, query, json.dumps(hidden.tolist()))
    return np.union1d(np.setdiff1d(*_closed(connection, names)), since)


def _closed(connection: sqlite3.Connection, names: Sequence[str], schema: str = "") -> tuple[Numbers, Numbers]:
    """Documents that not everybody may see, and those of which one of `names` may."""
    closed = f"SELECT number FROM {schema}documents WHERE allow IS NOT NULL"  # noqa: S608 - only constants
    given = f"SELECT document FROM {schema}permissions WHERE principal IN (SELECT value FROM json_each(?))"  # noqa: S608
    return rows.numbers(connection, closed), rows.numbers(connection, given, json.dumps(list(names)))


def may_see(connection: sqlite3.Connection, document_id: str, principals: Principals) -> bool:
    """Whether one of `principals` may see the document, which is there."""
    number = rows.document_numbers(connection, [document_id])[document_id]
    return number not in hidden_documents(connection, principals)


def check_shown(
    connection: sqlite3.Connection,
    documents: Iterable[ShownDocument],
    filter: Filter | None,
    principals: Principals | None,
) -> None:
    """Raise IndexCorrupt where a document that is about to be shown is not one that may be found.

    It was decided before the search, from rows made for it; this holds the documents' own, which are
    sealed, against that: no damaged row may widen what is seen.
    """
    shown = {document.id: document for document in documents}
    permissions = [document.allow for document in shown.values()]
    if principals is not None and rows.looks_back(connection):
        permissions += rows.permissions_of_now(connection, list(shown))
    may = principals is None or all(allow is None or not principals.isdisjoint(allow) for allow in permissions)
    fits = filter is None or all(filter.matches(name, d.metadata, d.language) for name, d in shown.items())
    if not may or not fits:
        raise IndexCorrupt(f"The index found a document that this search may not find; {WAY_OUT}")


@dataclass(slots=True)
class Visible:
    """Passages that one search may find, None for all, with their lexical statistics."""

    numbers: Numbers | None
    _view: View | None = None

    def __len__(self) -> int:
        return 0 if self.numbers is None else len(self.numbers)

    def view(self, lexical: LexicalIndex) -> View:
        """They as the lexical index sees them; the caller keeps that from changing."""
        view = self._view
        if view is None or not view.is_of(lexical):
            view = self._view = lexical.view(self.numbers)
        return view


class VisibleCache:
    """Keeps what was decided for the newest snapshot; safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshot = -1
        self._places: Places | None = None
        self._kept: OrderedDict[str, Visible] = OrderedDict()
        self._count = 0

    def get(
        self, connection: sqlite3.Connection, state: State, filter: Filter | None, principals: Principals | None
    ) -> Visible:
        """What may be found in `state`, the one that `connection` sees; of an older one nothing is kept."""
        if rows.looks_back(connection):
            hidden = hidden_documents(connection, principals)
            if filter is None and not len(hidden) and rows.last_erasure(connection) <= state.snapshot:
                return Visible(None)
            # The indexes of that state may hold what was deleted by name since; the rows do not.
            wanted = None if filter is None else filter.documents(connection)
            return Visible(Places.read(connection).of(wanted, hidden))
        # By what is written, not by equality: 1 and true are equal, and filters tell them apart.
        key = repr((filter, None if principals is None else sorted(principals)))
        with self._lock:
            if state.snapshot > self._snapshot:
                self._forget(state.snapshot)
            is_newest = state.snapshot == self._snapshot
            if is_newest and key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            places = self._places if is_newest else None
        hidden = hidden_documents(connection, principals)
        if filter is None and not len(hidden):
            visible = Visible(None)
        else:
            places = places or Places.read(connection)
            numbers = places.of(None if filter is None else filter.documents(connection), hidden)
            visible = Visible(None if len(numbers) == len(places.passages) else numbers)
        with self._lock:
            if state.snapshot == self._snapshot:
                self._places = places
                self._keep(key, visible)
        return visible

    def _forget(self, snapshot: int) -> None:
        self._snapshot, self._places, self._count = snapshot, None, 0
        self._kept.clear()

    def _keep(self, key: str, visible: Visible) -> None:
        replaced = self._kept.pop(key, None)
        self._kept[key] = visible
        self._count += len(visible) + 1 - (0 if replaced is None else len(replaced) + 1)
        while self._count > MAX_KEPT_NUMBERS and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._count -= len(oldest) + 1
