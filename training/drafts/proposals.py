"""What a program proposes as an example, before anything of it is believed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A document to draft from."""

    document: str
    title: str
    text: str
    language: str


@dataclass(frozen=True)
class Proposal:
    """A question with the words that are to answer it; `near` is where in the document's text they are expected."""

    question: str
    quote: str
    near: int
    made_by: str
    value: str | None = None
    """The bare fact; None where the quote as a whole is the answer."""


def find_quote(text: str, quote: str, near: int) -> tuple[int, int] | None:
    """Start and end of the quote, character for character, in a document's text, nearest to `near`; None for none."""
    best: int | None = None
    place = text.find(quote) if quote else -1
    while place >= 0:
        if best is None or abs(place - near) < abs(best - near):
            best = place
        if place >= near:
            break
        place = text.find(quote, place + 1)
    return None if best is None else (best, best + len(quote))
