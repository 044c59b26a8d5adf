"""What the index answers: commits, hits, lists and numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first, all of one snapshot; milliseconds of embed, dense, lexical, fuse, read."""

    snapshot: int
    hits: list[Hit]
    timings_ms: dict[str, float]


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
    """Sizes of an index and what it was made with; `bytes` is what its folder takes on disk."""

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
