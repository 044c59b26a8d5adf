"""A citation shown in its document: the span, what stands around it, and a page with the span marked."""

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

from tandem.errors import UserError

if TYPE_CHECKING:
    from retrieval.documents import Document

MAX_CONTEXT: Final = 10_000
"""Characters that are shown on either side of a span, at most."""

# Nothing in the page runs or is loaded, whatever a document says.
PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_PAGE: Final = """<!doctype html>
<html lang="{language}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}}
pre{{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}}mark{{background:#ffe58a}}small{{color:#666}}</style>
<h1>{title}</h1>
<p><small>{id}, characters {start} to {end} of {characters}</small></p>
<pre dir="auto">{before}<mark id="span">{text}</mark>{after}</pre>
</html>
"""


@dataclass(frozen=True)
class Excerpt:
    """`text` is characters `start` to `end` of the document's text, `before` and `after` stand right beside it."""

    id: str
    title: str
    language: str
    characters: int
    start: int
    end: int
    before: str
    text: str
    after: str


def excerpt(document: "Document", start: int | None, end: int | None, context: int) -> Excerpt:
    """The span with up to `context` characters on either side; raises UserError for one that is not in the document."""
    size = len(document.text)
    if start is None or end is None:
        raise UserError("A span needs both `start` and `end`.", code="invalid_span", param="start")
    if not 0 <= start < end <= size:
        raise UserError(
            f"The span {start} to {end} is not in the document, which has characters 0 to {size}.", code="invalid_span"
        )
    return Excerpt(
        id=document.id,
        title=document.title,
        language=document.language,
        characters=size,
        start=start,
        end=end,
        before=document.text[max(0, start - context) : start],
        text=document.text[start:end],
        after=document.text[end : end + context],
    )


def page_of(shown: Excerpt) -> str:
    """The excerpt as a page of its own, the span in `<mark id="span">`."""
    values = {name: escape(value) if isinstance(value, str) else value for name, value in vars(shown).items()}
    return _PAGE.format_map(values)
