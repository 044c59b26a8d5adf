"""The sample domain as the tests read it."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from retrieval.parsers import parse, read_bytes

HELPDESK: Final = Path(__file__).parents[2] / "examples" / "helpdesk"
VERSIONS: Final = ("documents", "documents-v2")


def names(version: str) -> set[str]:
    folder = HELPDESK / version
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def written(version: str, name: str) -> str:
    """The text as a person wrote it: of a PDF or DOCX, its Markdown source."""
    built = name.endswith((".pdf", ".docx"))
    path = HELPDESK / "source" / version / f"{name}.md" if built else HELPDESK / version / name
    return path.read_text(encoding="utf-8")


@cache
def parsed(version: str, name: str) -> str:
    """The text as the index reads it, on one line."""
    return " ".join(parse(read_bytes(HELPDESK / version / name), name).text.split())


def says(version: str, name: str, value: str) -> bool:
    """Whether a document holds `value` verbatim and as whole words."""
    return bool(re.search(rf"(?<!\w){re.escape(value)}(?!\w)", parsed(version, name)))


def changes() -> list[tuple[str, str, str, str]]:
    """Document, fact with `___` for the value, value in v1, value in v2."""
    rows = []
    for line in (HELPDESK / "CHANGES.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 4 and "___" in cells[1]:
            rows.append((cells[0], cells[1], cells[2], cells[3]))
    return rows


def _lines(file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HELPDESK / file).read_text(encoding="utf-8").splitlines()]


def examples() -> list[dict[str, Any]]:
    return _lines("train.jsonl")


def questions(*kinds: str) -> list[dict[str, Any]]:
    """The questions of some groups, or all of them."""
    return [row for row in _lines("questions.jsonl") if not kinds or row["group"]["kind"] in kinds]
