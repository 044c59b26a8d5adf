"""DOCX, through python-docx: headings, lists and tables as Markdown, in their order."""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any, Final

import docx
from docx.table import Table
from docx.text.paragraph import Paragraph

from retrieval.documents import UnreadableDocument, clean_text, count_invisible
from retrieval.parsers.parsed import Parsed
from retrieval.structure import front_heading, tight_lists

MAX_UNPACKED_BYTES: Final = 200_000_000


def parse_docx(data: bytes) -> Parsed:
    """The body's text; title from the first heading or the properties.

    Raises UnreadableDocument for encrypted files, other ZIP files and ones that unpack to too much.
    """
    _check_archive(data)
    source = docx.Document(io.BytesIO(data))
    words = "\n\n".join(_blocks(source))
    text = tight_lists(clean_text(words))
    properties = " ".join((source.core_properties.title or "").split())
    return Parsed(text, front_heading(text) or properties or None, hidden=count_invisible(words))


def _check_archive(data: bytes) -> None:
    if data.startswith(b"\xd0\xcf\x11\xe0"):  # the OLE container, in which Office encrypts
        raise UnreadableDocument("The file is encrypted or in the old Word format; save it as DOCX without a password.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile:
        raise UnreadableDocument("The file is damaged or is no DOCX file.") from None
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
        raise UnreadableDocument(f"The DOCX file unpacks to more than {MAX_UNPACKED_BYTES:,} bytes.")
    if "word/document.xml" not in {entry.filename for entry in entries}:
        raise UnreadableDocument("The file is an archive, but no DOCX file.")


def _blocks(source: Any) -> Iterator[str]:
    for block in source.iter_inner_content():
        text = _table(block) if isinstance(block, Table) else _paragraph(block)
        if text:
            yield text


def _paragraph(paragraph: Paragraph) -> str:
    text = paragraph.text.strip()
    style = (paragraph.style.name if paragraph.style is not None else None) or ""
    if not text:
        return ""
    if style == "Title":
        return f"# {text}"
    if match := re.fullmatch(r"Heading (\d)", style):
        return f"{'#' * min(int(match[1]) + 1, 6)} {text}"  # the first level is the style Title's
    return f"- {text}" if style.startswith("List") else text


def _table(table: Table) -> str:
    """Rows as `| a | b |`; a merged cell, which python-docx repeats, is shown once."""
    rows = []
    for row in table.rows:
        cells: list[Any] = []
        for cell in row.cells:
            if not any(cell._tc is seen._tc for seen in cells):
                cells.append(cell)
        rows.append("| " + " | ".join(" ".join(cell.text.split()) for cell in cells) + " |")
    if len(rows) > 1:
        rows.insert(1, "|" + "---|" * (rows[0].count("|") - 1))
    return "\n".join(rows)
