"""Cuts a document into passages whose offsets are exact: `document.text[start:end]` is the passage.

A passage never crosses a heading, never exceeds the budget in the embedder's tokens, and together
the passages cover all of the text that is not blank. What is embedded and searched by words is
the passage under its title and section path, so that "How long?" is found under "Warranty".
"""

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from retrieval.documents import Document
from retrieval.embedder import Embedder
from retrieval.structure import Section, common_path, sections, unwrap
from tandem.errors import ConfigError
from tandem.settings import RetrievalConfig

SPLITTER_VERSION: Final = 1
"""Raised when the cuts change, so that documents are cut again at the next sync."""

MAX_CONTEXT_TOKENS: Final = 32
_SPECIAL_TOKENS: Final = 2


@dataclass(frozen=True, slots=True)
class Passage:
    """`text` is the document's own, from character `start` up to `end`; `section` is its heading path."""

    start: int
    end: int
    text: str
    section: str
    context: str
    """Title and section path, put above the text for the embedder and the lexical index only."""
    page: int | None = None
    """The page it begins on, from 1; None for documents without pages."""
    page_breaks: tuple[int, ...] = ()
    """Characters of the document, inside the passage, at which further pages begin."""

    @property
    def searchable(self) -> str:
        """What is embedded and indexed by words."""
        return f"{self.context}\n{self.text}" if self.context else self.text


class Splitter:
    """Cuts documents by the sizes in `settings`, counted in the tokens of `embedder`.

    Raises ConfigError when a passage of that size would not fit the embedder.
    """

    def __init__(self, embedder: Embedder, settings: RetrievalConfig) -> None:
        room = embedder.max_tokens - _SPECIAL_TOKENS - settings.passage_tokens
        if room < 0:
            raise ConfigError(
                f"retrieval.passage_tokens is {settings.passage_tokens}, but the embedder {embedder.name} reads at most"
                f" {embedder.max_tokens - _SPECIAL_TOKENS} tokens."
            )
        self._embedder = embedder
        self._budget = settings.passage_tokens
        self._overlap = settings.overlap_tokens
        self._context_tokens = min(MAX_CONTEXT_TOKENS, room)

    @property
    def key(self) -> str:
        """Names everything the cuts depend on but the text: another key means cut again."""
        return f"{SPLITTER_VERSION}/{self._budget}/{self._overlap}"

    def split(self, document: Document) -> list[Passage]:
        """The passages of `document`, in order; at least one if its text is not blank."""
        text = document.text
        # Sentences are looked for in the text without its hard line wraps: the offsets are the same.
        flowing = unwrap(text)
        passages = []
        for section in sections(text):
            path = common_path(section.path, document.title)
            for start, end in self._spans(flowing, section):
                context = self._context([document.title, *path], text[start:end])
                pages = pages_of(document.pages, start, end)
                passages.append(Passage(start, end, text[start:end], " > ".join(path), context, *pages))
        return passages

    def _spans(self, text: str, section: Section) -> list[tuple[int, int]]:
        """Offsets of the passages of one section; its heading stays with the text that follows it."""
        start, end = _stripped(text, section.start, section.end)
        if start == end:
            return []
        if self._fits(text[start:end], self._budget):
            return [(start, end)]
        heading = self._embedder.count_tokens(text[section.start : section.body])
        # Few different sizes, because a cutter for each has its own copy of the tokenizer.
        heading += -heading % max(1, self._budget // 12)
        if heading > self._budget // 2 or self._overlap >= self._budget - heading:
            return self._cut(text, start, end, self._budget)
        spans = self._cut(text, section.body, section.end, self._budget - heading)
        joined = (start, spans[0][1])
        if not self._fits(text[slice(*joined)], self._budget):
            return self._cut(text, start, end, self._budget)
        return [joined, *spans[1:]]

    def _fits(self, text: str, tokens: int) -> bool:
        return self._embedder.count_tokens(text) <= tokens

    def _cut(self, text: str, start: int, end: int, capacity: int) -> list[tuple[int, int]]:
        # mypy takes no instance of a protocol for hashable.
        cutter = _cutter(self._embedder, capacity, self._overlap)  # type: ignore[arg-type]
        return [(start + offset, start + offset + len(cut)) for offset, cut in cutter.chunk_indices(text[start:end])]

    def _context(self, parts: list[str], passage: str) -> str:
        """Title and section path, as far as the passage does not show them itself and they fit."""
        shown = passage[:400].casefold()
        parts = [part for part in parts if not re.search(rf"(?<!\w){re.escape(part.casefold())}(?!\w)", shown)]
        while parts and not self._fits(" > ".join(parts), self._context_tokens):
            # The innermost heading says most about the passage, then the title.
            parts.pop(1 if len(parts) > 2 else 0)
        return " > ".join(parts)


@lru_cache(maxsize=64)
def _cutter(embedder: Embedder, capacity: int, overlap: int) -> Any:
    from semantic_text_splitter import MarkdownSplitter

    # Kept, since the tokenizer is read anew for each, which takes 50 ms.
    # Plain text goes through the Markdown splitter too: its paragraphs are Markdown's.
    if embedder.tokenizer is not None:
        return MarkdownSplitter.from_huggingface_tokenizer(embedder.tokenizer, capacity, overlap=overlap)
    return MarkdownSplitter.from_callback(embedder.count_tokens, capacity, overlap=overlap)


def pages_of(begins: tuple[int, ...], start: int, end: int) -> tuple[int | None, tuple[int, ...]]:
    """The page that `start` is on, and where further ones begin before `end`."""
    page = bisect_right(begins, start)
    return page or None, begins[page : bisect_left(begins, end)]


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without blank characters at its ends; empty if there are no others."""
    inner = text[start:end]
    left = len(inner) - len(inner.lstrip())
    return (start + left, start + len(inner.rstrip())) if left < len(inner) else (start, start)
