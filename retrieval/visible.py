"""Which passages a search may find: decided before it searches, kept while the snapshot lasts."""

import json
import sqlite3
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np

from retrieval import rows
from retrieval.filters import Filter
from retrieval.lexical import LexicalIndex, View
from retrieval.rows import State
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
        order = np.argsort(numbers, kind="stable")
        return cls(numbers[order], documents[order])

    def of(self, documents: Numbers) -> Numbers:
        """The passages of these documents, ascending."""
        return self.passages[np.isin(self.documents, documents)]


def _numbers_in(text: str | None) -> Numbers:
    return np.fromstring(text or "", np.int64, sep=",")


def visible_documents(
    connection: sqlite3.Connection, filter: Filter | None, principals: Principals | None
) -> Numbers | None:
    """Numbers of the documents that `filter` allows and one of `principals` may see; None where those are all.

    `principals` is None for the operator, who sees everything.
    """
    hidden = np.zeros(0, np.int64) if principals is None else hidden_documents(connection, principals)
    if filter is None and not len(hidden):
        return None
    clause, parameters = ("TRUE", []) if filter is None else filter.clause()
    query = f"SELECT number FROM documents WHERE {clause}"  # noqa: S608 - only constants, values are bound
    wanted = np.fromiter((row[0] for row in connection.execute(query, parameters)), np.int64)
    return np.setdiff1d(wanted, hidden, assume_unique=True)


def hidden_documents(connection: sqlite3.Connection, principals: Principals) -> Numbers:
    """Numbers of the documents that none of `principals` may see; those closed to them since an older state, too."""
    query = """SELECT number FROM documents WHERE allow IS NOT NULL EXCEPT
               SELECT document FROM permissions WHERE principal IN (SELECT value FROM json_each(?1))"""
    if _looks_back(connection):
        query += """ UNION SELECT documents.number FROM documents JOIN main.documents AS present USING (id)
                     WHERE present.allow IS NOT NULL AND NOT EXISTS (SELECT 1 FROM main.permissions AS given
                         WHERE given.document = present.number AND principal IN (SELECT value FROM json_each(?1)))"""
    names = json.dumps(sorted(principals))
    return np.fromiter((row[0] for row in connection.execute(query, (names,))), np.int64)


def _looks_back(connection: sqlite3.Connection) -> bool:
    return rows.current_state(connection).snapshot < rows.newest_snapshot(connection)


def visible_ids(connection: sqlite3.Connection, principals: Principals) -> set[str]:
    """Ids of the documents that one of `principals` may see."""
    hidden = set(hidden_documents(connection, principals).tolist())
    return {name for number, name in connection.execute("SELECT number, id FROM documents") if number not in hidden}


def may_see(connection: sqlite3.Connection, document_id: str, principals: Principals) -> bool:
    """Whether one of `principals` may see the document, which is there."""
    number = rows.document_numbers(connection, [document_id])[document_id]
    return number not in hidden_documents(connection, principals)


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
        if _looks_back(connection):
            documents = visible_documents(connection, filter, principals)
            if documents is None and rows.last_erasure(connection) <= state.snapshot:
                return Visible(None)
            # The indexes of that state may hold what was deleted by name since; the rows do not.
            everything = Places.read(connection)
            return Visible(everything.passages if documents is None else everything.of(documents))
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
        documents = visible_documents(connection, filter, principals)
        if documents is None:
            visible = Visible(None)
        else:
            places = places or Places.read(connection)
            numbers = places.of(documents)
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
