"""What the configuration says of documents by where their files lie: who may see them, language, licence, source.

Of several rules that match, a later one wins, key by key. What a document says of itself wins over every rule, but for
who may see it: where both say that, only names that stand in both may.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from retrieval.documents import Document, checked, clean_text
from tandem.settings import DocumentRule

EVERYBODY: Final = ["*"]
_GLOB: Final = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")
_PARTS: Final = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}


class Rules:
    """The rules of one domain."""

    def __init__(self, rules: Sequence[DocumentRule] = ()) -> None:
        self._rules = [(pattern_of(rule.path), rule) for rule in rules]

    def key(self, file: str) -> bytes:
        """Names all that the rules say of a file; empty where none matches."""
        said = self._said(file)
        return json.dumps(said, sort_keys=True).encode() if said else b""

    def apply(self, document: Document, file: str) -> Document:
        """`document`, which was read from `file`, with what the rules add to it; raises UnreadableDocument."""
        said = self._said(file)
        if not said:
            return document
        own: dict[str, Any] = {key: said[key] for key in ("licence", "source") if key in said}
        return checked(
            replace(
                document,
                language=document.language or said.get("language", ""),
                metadata={**said.get("metadata", {}), **own, **document.metadata},
                allow=_narrowed(document.allow, said.get("allow", EVERYBODY)),
            )
        )

    def unmatched(self, files: Iterable[str]) -> list[str]:
        """A sentence for each rule that matches none of `files`."""
        names = list(files)
        return [
            f"The rule {rule.path!r} of `document_rules` matches no file."
            for pattern, rule in self._rules
            if not any(pattern.fullmatch(name) for name in names)
        ]

    def _said(self, file: str) -> dict[str, Any]:
        said: dict[str, Any] = {}
        metadata: dict[str, Any] = {}
        for pattern, rule in self._rules:
            if pattern.fullmatch(file):
                values = rule.model_dump(exclude_unset=True, exclude_none=True, exclude={"path"})
                metadata |= values.pop("metadata", {})
                said |= values
        return said | ({"metadata": metadata} if metadata else {})


def pattern_of(glob: str) -> re.Pattern[str]:
    """`*` and `?` within a name, `**` across folders.

    Without a `/` it is a name at any depth, with one at its end everything in a folder.
    """
    glob = clean_text(glob)
    if glob.endswith("/"):
        glob += "**"
    elif "/" not in glob:
        glob = f"**/{glob}"
    return re.compile("".join(_PARTS.get(part, re.escape(part)) for part in _GLOB.findall(glob)), re.DOTALL)


def _narrowed(own: tuple[str, ...] | None, ruled: list[str]) -> tuple[str, ...] | None:
    """Who may see a document by its own word and by the rules': those whom both name; None is everybody."""
    if ruled == EVERYBODY:
        return own
    names = tuple(clean_text(name).strip() for name in ruled)
    return names if own is None else tuple(name for name in own if name in names)
