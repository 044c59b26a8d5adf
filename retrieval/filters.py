"""Filters: which passages a search may find, decided before it searches."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from retrieval.documents import clean_text
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

    def clause(self) -> tuple[str, list[Any]]:
        """A condition on `documents` in SQL, made of constants only, and the values that it is given."""
        parameters: list[Any] = []
        for key, values in self.conditions:
            parameters += _parameters(key, values)
        return " AND ".join(_clause(key) for key, _ in self.conditions), parameters


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


def _clause(key: str) -> str:
    if key == DOCUMENT:
        return "id IN (SELECT value FROM json_each(?))"
    if key == DOCUMENT_PREFIX:
        return "EXISTS (SELECT 1 FROM json_each(?) WHERE substr(documents.id, 1, length(value)) = value)"
    return """number IN (SELECT attributes.document FROM attributes
                         WHERE key = ? AND attributes.value IN (SELECT value FROM json_each(?)))"""


def _parameters(key: str, values: tuple[Any, ...]) -> list[str]:
    if key in {DOCUMENT, DOCUMENT_PREFIX}:
        return [json.dumps(values)]
    return [key, json.dumps([attribute(value) for value in values])]
