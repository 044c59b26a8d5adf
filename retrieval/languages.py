"""The language of a question, and what follows from it: who may be asked, and with which weight."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from retrieval.embedder import Embedder
from tandem.settings import LanguageWeights, RetrievalConfig

SURE: Final = 0.7
"""The detector's confidence from which its word is taken. Measured on 3,000 English and 816 Spanish questions: none of
them is then taken for another language; 9 and 16 % are left undecided."""
LIKELY: Final = 0.5
"""The same for a language that documents are known to have: 4 and 5 % are then left undecided."""
SAMPLE_DOCUMENTS: Final = 32
SAMPLE_CHARACTERS: Final = 600
DEFAULT_EMBEDDER_LANGUAGES: Final = ("en",)
"""What the built-in MiniLM was trained on."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the two searches, and a sentence where the embedder is not asked for a reason to be told."""

    dense: float
    lexical: float
    warning: str = ""


class LanguageRules:
    """What the settings and the embedder say of languages."""

    def __init__(self, embedder: Embedder, settings: RetrievalConfig) -> None:
        self._settings = settings
        self._embedder = embedder.name
        self.readable = readable_languages(embedder, settings)
        self.matter = bool(settings.languages or self.readable is not None or settings.lexical_language == "auto")
        """Whether anything depends on a question's language."""

    def language_of(self, query: str, documents: frozenset[str]) -> str:
        """The language of a question: as detected, or, where it is too short to tell, that of all documents.

        `documents` has their languages. "" where nothing decides.
        """
        from tandem.languages import detect

        language, confidence = detect(query)
        if confidence >= (LIKELY if language in documents else SURE):
            return language
        return next(iter(documents)) if len(documents) == 1 else ""

    def weights(self, language: str) -> Weights:
        """The weights for a question in `language` ("": not known, which is never held against the embedder)."""
        settings = self._settings
        given = settings.languages.get(language) or settings.languages.get("*") or LanguageWeights()
        dense = settings.dense_weight if given.dense_weight is None else given.dense_weight
        lexical = settings.lexical_weight if given.lexical_weight is None else given.lexical_weight
        # A weight written for this very language is the operator's word; and something has to be searched.
        chosen = language in settings.languages and settings.languages[language].dense_weight is not None
        if dense and lexical and not chosen and not self.reads(language):
            return Weights(0.0, lexical, self.warning([language]))
        return Weights(dense, lexical)

    def reads(self, language: str) -> bool:
        """Whether the embedder reads `language`; true where it is not known."""
        return not language or self.readable is None or language in self.readable

    def warning(self, languages: Sequence[str]) -> str:
        """One sentence for what the embedder does not read."""
        named = ", ".join(languages)
        return (
            f"The embedder {self._embedder!r} does not read the language {named}, which is searched by words only;"
            " name a multilingual model as `embedder` and its languages as `retrieval.embedder_languages`."
        )


def readable_languages(embedder: Embedder, settings: RetrievalConfig) -> frozenset[str] | None:
    """The languages that the embedder reads; None: all."""
    if settings.embedder_languages is not None:
        return frozenset(settings.embedder_languages)
    return frozenset(DEFAULT_EMBEDDER_LANGUAGES) if embedder.name == "default" else None


class DocumentLanguages:
    """The languages of an index's documents, found out once for each snapshot."""

    def __init__(self) -> None:
        self._known: tuple[int, frozenset[str]] = (-1, frozenset())

    def get(self, connection: sqlite3.Connection, snapshot: int) -> frozenset[str]:
        """Those of `snapshot`, which `connection` sees; empty where none can be told."""
        found_for, languages = self._known
        if found_for != snapshot:
            languages = document_languages(connection)
            self._known = (snapshot, languages)
        return languages


def document_languages(connection: sqlite3.Connection) -> frozenset[str]:
    """The languages that documents are said to have, and those detected in a sample of the documents without one."""
    from tandem.languages import detect

    said = {row[0] for row in connection.execute("SELECT DISTINCT language FROM documents")}
    query = "SELECT substr(text, 1, ?) FROM documents WHERE language = '' ORDER BY number LIMIT ?"
    sample = connection.execute(query, (SAMPLE_CHARACTERS, SAMPLE_DOCUMENTS)).fetchall() if "" in said else []
    detected = {language for language, confidence in (detect(text) for (text,) in sample) if confidence >= SURE}
    return frozenset(said - {""} | detected)
