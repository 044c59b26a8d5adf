"""PDF, through pypdf: text pages in reading order, hard-wrapped lines joined to paragraphs."""

import io
import logging
import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Final

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from retrieval.documents import UnreadableDocument, clean_text, count_invisible
from retrieval.parsers.parsed import Parsed
from retrieval.structure import front_heading, unwrap

# It logs every slip of a file that it can read; what it cannot read becomes an error of ours.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)

MAX_PAGES: Final = 5_000
MAX_CHARACTERS: Final = 10_000_000
HEADING_SIZE: Final = 1.15
"""Lines set this much larger than most of the text are headings."""
_PAGE_BREAK: Final = "\n\n"


def parse_pdf(data: bytes) -> Parsed:
    """Text of all pages; title from the metadata or a short first line.

    Raises UnreadableDocument for encrypted, damaged and too long files.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pypdf warns of every slip in a file that it can read
        reader = _open(data)
        written = _pages(reader)
        pages = [clean_text(page) for page in written]
        title, about = _title(reader), _about(reader)
    text = _PAGE_BREAK.join(pages)
    begins = tuple(accumulate((len(page) + len(_PAGE_BREAK) for page in pages[:-1]), initial=0))
    return Parsed(
        text,
        front_heading(text) or title or _first_line(text),
        {"pages": len(pages), **about},
        begins,
        sum(map(count_invisible, written)),
    )


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
    sizes: Counter[float] = Counter()
    larger: dict[str, float] = {}
    pages: list[str] = []
    for page in reader.pages:
        pages.append(page.extract_text(visitor_text=_size_visitor(sizes, larger)))
        if sizes.total() > MAX_CHARACTERS:
            raise UnreadableDocument(f"The PDF holds more than {MAX_CHARACTERS:,} characters.")
    marks = _heading_marks(sizes, larger)
    return [_paragraphs(page, marks) for page in pages]


def _size_visitor(sizes: Counter[float], larger: dict[str, float]) -> Callable[..., None]:
    """Counts characters by their size in points, and notes the size of each piece of text."""

    def visit(text: str, _: Any, matrix: Sequence[float], __: Any, size: float) -> None:
        line = " ".join(text.split())
        if line:
            points = round(abs(size * (matrix[3] or matrix[1])), 1)
            sizes[points] += len(line)
            larger[line] = points

    return visit


def _heading_marks(sizes: Counter[float], lines: dict[str, float]) -> dict[str, str]:
    """Line → `#`, `##` or `###`, for lines clearly larger than most of the text: PDF has no headings."""
    body = sizes.most_common(1)[0][0] if sizes else 0.0
    found = {line: size for line, size in lines.items() if size >= HEADING_SIZE * body and len(line) <= 120}
    levels = sorted(set(found.values()), reverse=True)
    return {line: "#" * min(levels.index(size) + 1, 3) for line, size in found.items()}


def _paragraphs(page: str, marks: dict[str, str]) -> str:
    """Headings marked, words divided at line ends put together, lines of one paragraph joined."""
    lines = [" ".join(line.split()) for line in page.splitlines()]
    page = "\n".join(f"\n{marks[line]} {line}\n" if line in marks else line for line in lines)
    page = re.sub(r"(?<=[a-z])-\n(?=[a-z])", "", page)
    return unwrap(re.sub(r"\n{3,}", "\n\n", page).strip())


def _title(reader: PdfReader) -> str | None:
    try:
        title: Any = reader.metadata.title if reader.metadata else None
    except (PyPdfError, ValueError, KeyError):
        return None
    title = " ".join(title.split()) if isinstance(title, str) else ""
    meaningless = not title or "untitled" in title.lower() or re.search(r"\.\w{2,4}$", title)
    return None if meaningless else title


def _about(reader: PdfReader) -> dict[str, str]:
    """`source` and `licence` (dc:source, dc:rights) from the XMP metadata, where there are any."""
    try:
        found = reader.xmp_metadata
        rights, source = (dict(found.dc_rights or {}), found.dc_source) if found else ({}, None)
    # Damaged metadata is no reason to refuse the text.
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    values = {"source": source, "licence": rights.get("x-default") or next(iter(rights.values()), None)}
    return {key: " ".join(value.split()) for key, value in values.items() if isinstance(value, str) and value.strip()}


def _first_line(text: str) -> str | None:
    first = text.strip().partition("\n")[0].strip()
    return first if first and len(first) <= 100 and not first.endswith((".", ",", ";", ":")) else None
