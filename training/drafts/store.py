"""Drafts on disk: one file of JSON lines for each domain in the workspace, replaced whole or not at all."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from tandem.errors import Conflict
from tandem.files import locked, write_atomic
from tandem.names import validate_name
from tandem.workspace import Workspace
from training.examples import Example

State = Literal["open", "accepted", "rejected"]


@dataclass(frozen=True)
class Draft:
    """A drafted example; `quote` is characters `start` to `end` of the document's text, as it was when last checked."""

    id: str
    """Of the document, the quote and the question as they were drafted: drafting again finds it again."""
    document: str
    start: int
    end: int
    quote: str
    question: str
    answer: str
    value: str | None
    """The bare fact, which stands in the quote; None where the quote as a whole is the answer."""
    language: str
    """ISO 639 code of the document's language; `und` where it cannot be told."""
    made_by: str
    """`rules: NAME`, or `model: NAME`."""
    drafted_at: str
    licence: str | None = None
    basis: str | None = None
    state: State = "open"
    reviewed_by: str | None = None
    reviewed_at: str | None = None
    edited: bool = False
    """Whether a person changed what was drafted."""
    revision: int = 0
    """Counts every change, so that one made from an older state is noticed."""

    def as_example(self) -> Example:
        """The draft as an example, with its evidence and who accepted it."""
        return Example(
            id=self.id,
            question=self.question,
            answer=self.answer,
            documents=(self.document,),
            value=self.value,
            licence=self.licence,
            source=f"drafted from {self.document}",
            basis=self.basis,
            synthetic=True,
            evidence=self.quote,
            reviewed_by=self.reviewed_by,
            reviewed_at=self.reviewed_at,
        )


def draft_id(document: str, quote: str, question: str) -> str:
    """The id of a draft: the same for the same words of the same document, wherever in it they stand."""
    content = json.dumps([document, quote, question], ensure_ascii=False)
    return f"draft-{hashlib.sha256(content.encode('utf-8', 'replace')).hexdigest()[:16]}"


def read_drafts(workspace: Workspace, domain: str) -> list[Draft]:
    """All drafts of a domain in the order in which they were made; Conflict (`drafts_damaged`) names a bad line."""
    path = drafts_path(workspace, domain)
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    return [_read(path, number, line) for number, line in enumerate(lines, 1) if line]


def change_drafts(
    workspace: Workspace, domain: str, change: Callable[[list[Draft]], Sequence[Draft]]
) -> Sequence[Draft]:
    """Replace a domain's drafts by what `change` makes of them, durably and against other processes."""
    path = drafts_path(workspace, domain)
    with locked(path.parent / f".{path.stem}.lock"):
        before = read_drafts(workspace, domain)
        after = change(list(before))
        if after != before:
            write_atomic(path, b"".join(_written(draft) for draft in after))
    return after


def drafts_path(workspace: Workspace, domain: str) -> Path:
    """Where a domain's drafts are, whether there are any or not."""
    return workspace.drafts_folder / f"{validate_name(domain, 'domain')}.jsonl"


def _written(draft: Draft) -> bytes:
    return json.dumps(dataclasses.asdict(draft), ensure_ascii=False).encode() + b"\n"


def _read(path: Path, number: int, line: bytes) -> Draft:
    try:
        found: Draft = _adapter().validate_json(line)
    except ValidationError as error:
        raise Conflict(
            f"{path}:{number} is no draft ({error.errors()[0]['msg']}): the file was changed by hand; restore it, or "
            "take that line out.",
            code="drafts_damaged",
        ) from error
    return found


@cache
def _adapter() -> Any:
    return TypeAdapter(Draft)
