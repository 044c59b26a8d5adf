"""A search as it was asked for, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from retrieval.documents import clean_text
from retrieval.filters import Filter
from retrieval.visible import Principals
from tandem.errors import TooLarge, UserError
from tandem.settings import RetrievalConfig

MAX_K: Final = 1_000
MAX_QUERY_CHARACTERS: Final = 100_000
MAX_NEIGHBOURS: Final = 10


@dataclass(frozen=True, slots=True)
class Options:
    """How one search differs from the settings; None takes theirs."""

    min_similarity: float | None = None
    """Least cosine to the question, −1 to 1."""
    collapse: float | None = None
    """Cosine, above 0 and up to 1, from which a passage is only named beside a better one."""
    neighbours: int | None = None
    """Passages before and after each hit whose text is given, 0 to 10."""
    language: str | None = None
    """Of the question, ISO 639-1; None has it detected."""

    def over(self, settings: RetrievalConfig) -> "Options":
        """These, with the settings where there is None; raises UserError for a value out of its range."""
        merged = Options(
            settings.min_similarity if self.min_similarity is None else self.min_similarity,
            settings.collapse if self.collapse is None else self.collapse,
            settings.neighbours if self.neighbours is None else self.neighbours,
            self.language,
        )
        _require(merged.min_similarity, "min_similarity", -1, 1)
        _require(merged.collapse, "collapse", 0, 1)
        _require(merged.neighbours, "neighbours", 0, MAX_NEIGHBOURS)
        language = merged.language
        if language is not None and not (
            isinstance(language, str) and len(language) == 2 and language.isascii() and language.islower()
        ):
            raise UserError(f"language is {language!r}; it has to be a code such as `en`.", code="invalid_option")
        return merged


@dataclass(frozen=True, slots=True)
class Request:
    """A checked search."""

    query: str
    k: int
    filter: Filter | None
    principals: Principals | None = None
    snapshot: int | None = None
    options: Options = Options()

    @classmethod
    def checked(
        cls,
        query: str,
        k: int | None,
        filter: Mapping[str, Any] | None,
        settings: RetrievalConfig,
        *,
        principals: Principals | None = None,
        snapshot: int | None = None,
        options: Options | None = None,
    ) -> Self:
        """Raises UserError for an empty or too long query, a `k` that is no count, a bad filter or option."""
        k = settings.k if k is None else k
        cleaned = clean_text(query).strip() if isinstance(query, str) else ""
        if not cleaned:
            raise UserError("The query is empty.", code="empty_query")
        if len(cleaned) > MAX_QUERY_CHARACTERS:
            raise TooLarge(f"The query has {len(cleaned):,} characters; the limit is {MAX_QUERY_CHARACTERS:,}.")
        if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= MAX_K:
            raise UserError(f"k is {k!r}; it has to be a whole number from 1 to {MAX_K:,}.", code="invalid_k")
        chosen = (options or Options()).over(settings)
        return cls(cleaned, k, Filter.checked(filter), principals, snapshot, chosen)


def _require(value: float | None, name: str, least: float, most: float) -> None:
    if value is not None and not (isinstance(value, int | float) and least <= value <= most):
        raise UserError(f"{name} is {value!r}; it has to be from {least} to {most}.", code="invalid_option")
