"""What examples are held against: the documents as they are now."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from training.examples import Example

_BLANKS: Final = re.compile(r"\s+")


@dataclass(frozen=True)
class Stale:
    """An example that the documents no longer bear out; `reason` is a clause for a person."""

    id: str
    reason: str


def holds(text: str, value: str) -> bool:
    """Whether `value` stands in `text` as whole words and numbers; case and kind of blank space do not matter."""
    return _pattern(value).search(_BLANKS.sub(" ", text).casefold()) is not None


@lru_cache(maxsize=4096)
def _pattern(value: str) -> re.Pattern[str]:
    words = re.escape(_BLANKS.sub(" ", value).strip().casefold())
    # "2 litres" is not in "1.2 litres" or "12 litres", "24" is not in "24.5" or "24,000".
    before = r"(?<![^\W_])(?<!\d[.,])" if re.match(r"[^\W_]", value.strip()) else ""
    after = r"(?![^\W_])(?![.,]\d)" if re.search(r"[^\W_]$", value.strip()) else ""
    return re.compile(f"{before}{words}{after}")


def stale(examples: Iterable[Example], read_document: Callable[[str], str | None]) -> list[Stale]:
    """The examples with a missing document, or whose value none of its documents holds any more.

    `read_document` gives the text of an id, or None where there is no such document.
    """
    found = []
    for example in examples:
        texts = {document: read_document(document) for document in example.documents}
        missing = [document for document, text in texts.items() if text is None]
        if missing:
            found.append(Stale(example.id, f"there is no document {', '.join(missing)}"))
        elif example.value and texts and not any(holds(text or "", example.value) for text in texts.values()):
            found.append(Stale(example.id, f"{', '.join(texts)} no longer says {example.value!r}"))
    return found
