"""Bytes of a file → document: one small module for each kind of file, imported when first met."""

import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final

from retrieval.documents import Document, UnreadableDocument, checked
from retrieval.parsers.parsed import Parsed

PARSER_VERSION: Final = 1
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
}


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


def parse(data: bytes, document_id: str) -> Document:
    """The document in `data`, whose kind follows from the suffix of `document_id`.

    Metadata gets `format` beside what the file itself says. Raises UnreadableDocument.
    """
    kind = format_of(document_id)
    if not data.strip():
        raise UnreadableDocument("The file is empty.")
    parsed = _guarded(_parser(kind), data, kind)
    if not parsed.text.strip():
        raise UnreadableDocument("The file holds no text." + (" (Scanned pages?)" if kind == "pdf" else ""))
    title = parsed.title or _title_of_name(document_id)
    return checked(Document(document_id, title, parsed.text, {**parsed.metadata, "format": kind}))


def format_of(name: str) -> str:
    """`text`, `markdown`, `html`, `pdf` or `docx`, by suffix; raises UnreadableDocument."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in FORMATS:
        raise UnreadableDocument(f"Files of kind {suffix} are not read; text, Markdown, HTML, PDF and DOCX are.")
    return FORMATS[suffix]


def _parser(kind: str) -> Callable[[bytes], Parsed]:
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


def _guarded(parser: Callable[[bytes], Parsed], data: bytes, kind: str) -> Parsed:
    """Run one parser; whatever a library raises on a broken file is that file's failure alone."""
    try:
        return parser(data)
    except UnreadableDocument:
        raise
    except (Exception, RecursionError) as error:
        logging.getLogger(__name__).debug("parser of %s failed", kind, exc_info=error)
        raise UnreadableDocument(
            f"The file cannot be read as {kind.upper()}: it is damaged or not what it seems."
        ) from error


def _title_of_name(document_id: str) -> str:
    words = PurePosixPath(document_id).stem.replace("-", " ").replace("_", " ").strip()
    return words[:1].upper() + words[1:]
