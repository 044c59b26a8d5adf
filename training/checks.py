"""What examples are held against: the documents as they are now."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from training.examples import Example

TextOf = Callable[[str], str | None]
"""The text of an indexed document by its id; None for one that is not there."""

_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+|\n")
_BLANKS: Final = re.compile(r"\s+")


@dataclass(frozen=True)
class Stale:
    """An example that the documents no longer bear out; `reason` is a clause for a person."""

    id: str
    reason: str


def holds(text: str, value: str) -> bool:
    """Whether `value` stands in `text` as whole words and numbers; case and kind of blank space do not matter."""
    return _pattern(value).search(_BLANKS.sub(" ", text).casefold()) is not None


def sentence_with(text: str, value: str) -> str | None:
    """The first sentence or line of a text in which a value stands whole, verbatim; None where there is none."""
    pieces = (piece.strip() for piece in _SENTENCE_END.split(text))
    return next((piece for piece in pieces if holds(piece, value)), None)


@lru_cache(maxsize=4096)
def _pattern(value: str) -> re.Pattern[str]:
    words = re.escape(_BLANKS.sub(" ", value).strip().casefold())
    # "2 litres" is not in "1.2 litres" or "12 litres", "24" is not in "24.5" or "24,000".
    before = r"(?<![^\W_])(?<!\d[.,])" if re.match(r"[^\W_]", value.strip()) else ""
    after = r"(?![^\W_])(?![.,]\d)" if re.search(r"[^\W_]$", value.strip()) else ""
    return re.compile(f"{before}{words}{after}")


def stale(examples: Iterable[Example], text_of: TextOf) -> list[Stale]:
    """The examples with a missing document, or whose value none of its documents holds any more."""
    found = []
    for example in examples:
        texts = {document: text_of(document) for document in example.documents}
        missing = [document for document, text in texts.items() if text is None]
        if missing:
            found.append(Stale(example.id, f"there is no document {', '.join(missing)}"))
        elif example.value and texts and not any(holds(text or "", example.value) for text in texts.values()):
            found.append(Stale(example.id, f"{', '.join(texts)} no longer says {example.value!r}"))
    return found
