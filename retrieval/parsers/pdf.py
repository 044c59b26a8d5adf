"""PDF, through pypdf: text pages in reading order, hard-wrapped lines joined to paragraphs."""

import io
import re
import warnings
from typing import Any, Final

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from retrieval.documents import UnreadableDocument, clean_text
from retrieval.parsers.parsed import Parsed
from retrieval.structure import unwrap

MAX_PAGES: Final = 5_000
MAX_CHARACTERS: Final = 10_000_000


def parse_pdf(data: bytes) -> Parsed:
    """Text of all pages; title from the metadata or a short first line.

    Raises UnreadableDocument for encrypted, damaged and too long files.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pypdf warns of every slip in a file that it can read
        reader = _open(data)
        text = clean_text("\n\n".join(_pages(reader)))
        title = _title(reader)
    return Parsed(text, title or _first_line(text), {"pages": len(reader.pages)})


def _open(data: bytes) -> PdfReader:
    try:
        reader = PdfReader(io.BytesIO(data))
        # Many files are encrypted with an empty password, only to forbid printing.
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableDocument("The PDF is encrypted; save it without a password.")
        pages = len(reader.pages)
    except PyPdfError as error:
        raise UnreadableDocument(f"The file cannot be read as PDF: {str(error).rstrip('.')}.") from error
    if pages > MAX_PAGES:
        raise UnreadableDocument(f"The PDF has {pages:,} pages; the limit is {MAX_PAGES:,}.")
    return reader


def _pages(reader: PdfReader) -> list[str]:
    texts: list[str] = []
    characters = 0
    for page in reader.pages:
        texts.append(_paragraphs(page.extract_text()))
        characters += len(texts[-1])
        if characters > MAX_CHARACTERS:
            raise UnreadableDocument(f"The PDF holds more than {MAX_CHARACTERS:,} characters.")
    return texts


def _paragraphs(page: str) -> str:
    """Words divided at line ends put together again, and lines of one paragraph joined."""
    page = "\n".join(line.strip() for line in page.splitlines())
    page = re.sub(r"(?<=[a-z])-\n(?=[a-z])", "", page)
    return unwrap(page)


def _title(reader: PdfReader) -> str | None:
    try:
        title: Any = reader.metadata.title if reader.metadata else None
    except (PyPdfError, ValueError, KeyError):
        return None
    title = " ".join(title.split()) if isinstance(title, str) else ""
    meaningless = not title or "untitled" in title.lower() or re.search(r"\.\w{2,4}$", title)
    return None if meaningless else title


def _first_line(text: str) -> str | None:
    first = text.strip().partition("\n")[0].strip()
    return first if first and len(first) <= 100 and not first.endswith((".", ",", ";", ":")) else None
