"""What every parser returns."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Parsed:
    """Text (Markdown where the file had structure), title if the file names one, and metadata."""

    text: str
    title: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    pages: tuple[int, ...] = ()
    """Character at which each page begins; empty for formats without pages."""
    hidden: int = 0
    """Characters left out because no reader sees them."""
