"""What the index answers: commits, hits, lists and numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that was not indexed; `reason` is one sentence for a person."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Commit:
    """What one call changed. `snapshot` is the number of the state after it; `passages` counts new ones.

    The lists hold document ids. Without a change there is no new snapshot.
    """

    snapshot: int
    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    passages: int = 0
    warnings: list[str] = field(default_factory=list)
    """What is not wrong and yet limits what will be found, one sentence each."""
    hidden: dict[str, int] = field(default_factory=dict)
    """Document id → how many characters were left out of it because no reader sees them, of those written."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage: `text` is characters `start` to `end` of the document's text, verbatim.

    `score` is the fused reciprocal rank and `similarity` the cosine to the query; higher is nearer.
    """

    document: str
    passage: str
    title: str
    score: float
    start: int
    end: int
    text: str
    metadata: Mapping[str, Any]
    section: str = ""
    similarity: float = 0.0
    rerank_score: float | None = None
    """What the cross-encoder gave, higher is nearer; None where there is none, or it did not look so far down."""
    collapsed: list[str] = field(default_factory=list)
    """Passages that say nearly the same and were ranked lower, by their names."""
    before: str = ""
    """With a neighbour window: the document's text just before the passage, up to `start`."""
    after: str = ""
    """The same from `end` on."""
    page: int | None = None
    """The page it begins on, from 1; None for formats without pages."""
    page_breaks: tuple[int, ...] = ()
    """Characters of the document, inside the passage and the text shown around it, at which further pages begin."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first, all of one snapshot; milliseconds of embed, filter, dense, lexical, fuse, rerank, read."""

    snapshot: int
    hits: list[Hit]
    timings_ms: dict[str, float]
    language: str = ""
    """Of the question (ISO 639-1), where it was asked for, detected or decided by the documents."""
    warnings: list[str] = field(default_factory=list)
    """What limited this search, one sentence each."""


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document without its text."""

    id: str
    title: str
    characters: int
    passages: int
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class IndexStats:
    """Sizes of an index and what it was made with; `bytes` is what its folder takes on disk.

    `unpurged` counts documents that left the index but whose bytes may still be in its files, and
    `purged_at` is when such bytes were last removed, seconds since 1970. Snapshots from
    `oldest_snapshot` on can be searched.
    """

    snapshot: int
    documents: int
    passages: int
    characters: int
    bytes: int
    embedder: str
    embedder_digest: str
    dimension: int
    passage_tokens: int
    overlap_tokens: int
    unpurged: int = 0
    purged_at: float | None = None
    oldest_snapshot: int = 0


def with_warnings(commit: Commit, warnings: Sequence[str]) -> Commit:
    """`commit` with further warnings."""
    return replace(commit, warnings=[*commit.warnings, *warnings])
