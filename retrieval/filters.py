"""Filters: which passages a search may find, decided before it searches."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

import numpy as np

from retrieval import rows
from retrieval.documents import clean_text
from retrieval.totals import check_total
from retrieval.vectors import Numbers
from tandem.errors import UserError

DOCUMENT: Final = "document"
DOCUMENT_PREFIX: Final = "document_prefix"
MAX_VALUES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that all have to hold; each is a key and the values of which any will do."""

    conditions: tuple[tuple[str, tuple[Any, ...]], ...]

    @classmethod
    def checked(cls, values: Mapping[str, Any] | None) -> "Filter | None":
        """The filter in a request: `{"product": "kestrel", "language": ["en", "es"]}`.

        The keys `document` (an id) and `document_prefix` (how ids begin) are about the id, all
        others about metadata; a list means any of its values. Raises UserError.
        """
        if not values:
            return None
        return cls(tuple((clean_text(str(key)), _checked_values(key, value)) for key, value in values.items()))

    def documents(self, connection: sqlite3.Connection) -> Numbers:
        """Numbers of the documents that it allows in the state that `connection` sees, ascending.

        Raises IndexCorrupt where the newest state is read and rows of it are lost.
        """
        found = [_documents(connection, key, values) for key, values in self.conditions]
        return reduce(np.intersect1d, found)

    def matches(self, document_id: str, metadata: Mapping[str, Any], language: str) -> bool:
        """Whether it allows a document of which these are known; the slow twin of `documents`."""
        return all(
            document_id in values
            if key == DOCUMENT
            else document_id.startswith(values)
            if key == DOCUMENT_PREFIX
            else not {attribute(value) for value in values}.isdisjoint(
                text for name, text in attributes(metadata, language) if name == key
            )
            for key, values in self.conditions
        )


def attributes(metadata: Mapping[str, Any], language: str) -> set[tuple[str, str]]:
    """The pairs of key and stored value by which a document is found."""
    pairs = {
        (key, attribute(item))
        for key, value in metadata.items()
        for item in (value if isinstance(value, list) else [value])
    }
    return pairs | {("language", attribute(language))} if language else pairs


def attribute(value: Any) -> str:
    """A metadata value as it is stored and compared: JSON, with 2.0 the same as 2."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


def _checked_values(key: object, value: Any) -> tuple[Any, ...]:
    values = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
    if len(values) > MAX_VALUES:
        raise UserError(f"The filter on {key!r} lists {len(values):,} values; the limit is {MAX_VALUES:,}.")
    about_id = key in {DOCUMENT, DOCUMENT_PREFIX}
    for item in values:
        if not isinstance(item, str if about_id else str | int | float | bool):
            expected = "a string" if about_id else "a string, a number or a boolean"
            raise UserError(
                f"The filter on {key!r} has the value {item!r}; it has to be {expected} or a list of these.",
                code="invalid_filter",
            )
    # Metadata is stored cleaned, ids as they were given.
    return tuple(clean_text(item) if isinstance(item, str) and not about_id else item for item in values)


def _documents(connection: sqlite3.Connection, key: str, values: tuple[Any, ...]) -> Numbers:
    if key == DOCUMENT:
        return np.unique(np.fromiter(rows.document_numbers(connection, values).values(), np.int64))
    if key == DOCUMENT_PREFIX:
        found = (number for name, number in rows.names(connection) if name.startswith(values))
        return np.unique(np.fromiter(found, np.int64))
    stored = sorted({attribute(value) for value in values})
    query = "SELECT document FROM attributes WHERE key = ? AND value IN (SELECT value FROM json_each(?))"
    numbers = rows.numbers(connection, query, key, json.dumps(stored))
    if not rows.looks_back(connection):
        check_total(connection, "attribute", numbers, key=[key], value=stored)
    return np.unique(numbers)
