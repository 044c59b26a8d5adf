"""Bytes of a file → document: one small module for each kind of file, imported when first met."""

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from retrieval.documents import Document, UnreadableDocument, checked
from retrieval.parsers.parsed import Parsed
from retrieval.results import Failure

PARSER_VERSION: Final = 4
"""Raised when a parser's output changes, so that unchanged files are parsed again."""

MAX_FILE_BYTES: Final = 50_000_000

FORMATS: Final = {
    "": "text",
    ".txt": "text",
    ".text": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".htm": "html",
    ".html": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
}

APART: Final = frozenset({"html", "pdf", "docx"})
"""Formats whose parsers can be made to take too much, which is why a child process runs them, with limits."""


EVERYBODY: Final = "*"

TABLES: Final = frozenset({"csv", "tsv", "jsonl", "json"})
"""Formats of which a file may hold several documents."""


def read_bytes(path: Path) -> bytes:
    """The content of a regular file; raises UnreadableDocument with the reason in one sentence."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableDocument("This is not a regular file.")
        if status.st_size > MAX_FILE_BYTES:
            raise UnreadableDocument(f"The file has {status.st_size:,} bytes; the limit is {MAX_FILE_BYTES:,}.")
        return path.read_bytes()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UnreadableDocument(f"The file cannot be read: {reason}.", code="unreadable_file") from error


def parse_all(data: bytes, document_id: str, kind: str | None = None) -> tuple[list[Document], list[Failure]]:
    """The documents in `data`: one, but for tables, whose rows may be documents; and the rows that cannot be read.

    `kind` is one of FORMATS' values; None: by the suffix. Raises UnreadableDocument where the whole file cannot be
    read.
    """
    kind = kind or format_of(document_id)
    if kind not in TABLES:
        return [parse(data, document_id, kind)], []
    if not data.strip():
        raise UnreadableDocument("The file is empty.")
    from retrieval.parsers.tables import parse_table

    return parse_table(kind, data, document_id, _title_of_name(document_id))


def parse(data: bytes, document_id: str, kind: str | None = None) -> Document:
    """The document in `data`; its kind, one of FORMATS' values, follows from the suffix of `document_id` if None.

    Metadata gets `format` beside what the file itself says, of which `allow` (a list of names) decides who may see the
    document. Raises UnreadableDocument.
    """
    kind = kind or format_of(document_id)
    if not data.strip():
        raise UnreadableDocument("The file is empty.")
    parsed = _guarded(kind, data)
    if not parsed.text.strip():
        raise UnreadableDocument("The file holds no text." + (" (Scanned pages?)" if kind == "pdf" else ""))
    title = parsed.title or _title_of_name(document_id)
    metadata = {**one_licence(parsed.metadata), "format": kind}
    allow = allowed(metadata.pop("allow", None))
    language = language_code(metadata.get("language"))
    return checked(Document(document_id, title, parsed.text, metadata, allow, language, parsed.pages, parsed.hidden))


def allowed(value: object) -> tuple[str, ...] | None:
    """Names from a list or from text with commas; None, for everybody, where there is no such value or `*`."""
    if value is None or value == EVERYBODY:
        return None
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        raise UnreadableDocument(
            f"`allow` is {value!r}; it has to be a list of names of users and groups, or `{EVERYBODY}` for everybody."
        )
    return tuple(name.strip() for name in names)


def one_licence(metadata: Mapping[str, object]) -> dict[str, Any]:
    """`metadata` with what is called `license` under the one name `licence`, so that one filter finds all."""
    renamed = {"licence" if key == "license" else key: value for key, value in metadata.items()}
    return renamed | ({"licence": metadata["licence"]} if "licence" in metadata else {})


def language_code(value: object) -> str:
    """The two letters of ISO 639-1 with which `value` begins, as `en-GB` does; "" for anything else."""
    match = re.fullmatch(r"([a-z]{2})(?:[-_][a-z0-9_-]+)?", value.strip().lower()) if isinstance(value, str) else None
    return match[1] if match else ""


def format_of(name: str) -> str:
    """One of FORMATS' values, by suffix; raises UnreadableDocument."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in FORMATS:
        raise UnreadableDocument(
            f"Files of kind {suffix} are not read; text, Markdown, HTML, PDF, DOCX, CSV and JSON are."
        )
    return FORMATS[suffix]


def parser_of(kind: str) -> Callable[[bytes], Parsed]:
    """The parser of one of FORMATS, in this process."""
    if kind == "html":
        from retrieval.parsers.html import parse_html

        return parse_html
    if kind == "pdf":
        from retrieval.parsers.pdf import parse_pdf

        return parse_pdf
    if kind == "docx":
        from retrieval.parsers.docx import parse_docx

        return parse_docx
    from retrieval.parsers.text import parse_markdown, parse_text

    return parse_markdown if kind == "markdown" else parse_text


def _guarded(kind: str, data: bytes) -> Parsed:
    """Run one parser, in a process of its own where the format is a complicated one."""
    if kind in APART:
        from retrieval.parsers.apart import SHARED

        return SHARED.parse(data, kind)
    return parser_of(kind)(data)


def _title_of_name(document_id: str) -> str:
    words = PurePosixPath(document_id).stem.replace("-", " ").replace("_", " ").strip()
    return words[:1].upper() + words[1:]
