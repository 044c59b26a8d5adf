"""The one prompt that training, serving and evaluation share: a question and its passages, as chat messages.

A passage is shown between two copies of its marker, ``[2] Title``, newline, ``text [2]``, so that a reader that is
near the end of a long passage still has its number close by. Retrieved text is data: whatever in it imitates a marker
or a chat token is rewritten before it is shown (``clean_text``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

Message = dict[str, str]

INSTRUCTION = (
    "Answer from the numbered passages. Cite the passage that holds the answer as [n]. "
    "If no passage holds the answer, say: I don't know."
)
ABSTENTION = "I don't know."
NO_PASSAGES = "No passages were found."
MAX_PASSAGES = 16

_MARKER = re.compile(r"\[(\d{1,3})\]")
_CHAT_TOKEN = re.compile(r"<\|([^|<>]{0,40})\|>")
_NOT_WORD = re.compile(r"[^a-z]+")


@dataclass(frozen=True)
class Passage:
    """What the prompt shows of a retrieved passage."""

    title: str
    text: str


@dataclass(frozen=True)
class Marker:
    """One ``[number]`` in an answer; ``start`` and ``end`` are character offsets of the brackets."""

    number: int
    start: int
    end: int


def clean_text(text: str) -> str:
    """Rewrite what could pass for the prompt's own signs: ``[3]`` becomes ``(3)``, ``<|x|>`` becomes ``<x>``."""
    return _CHAT_TOKEN.sub(r"<\1>", _MARKER.sub(r"(\1)", text)).strip()


def passage_title(title: str, section: str, text: str) -> str:
    """What a passage is headed with: its document's title, and its section where the text does not show that itself."""
    heading = section.rpartition(" > ")[2]
    return f"{title} - {heading}" if heading and heading.casefold() not in text.casefold() else title


def show_passage(number: int, passage: Passage) -> str:
    """One passage as the prompt shows it, its number before the title and after the text."""
    title = " ".join(clean_text(passage.title).split())
    return f"[{number}] {title}\n{clean_text(passage.text)} [{number}]"


def build_context(passages: Sequence[Passage]) -> str:
    """All passages, numbered from 1, blank lines between them."""
    if not passages:
        return NO_PASSAGES
    return "\n\n".join(show_passage(number, passage) for number, passage in enumerate(passages, 1))


def build_system(system_prompt: str | None, with_passages: bool) -> str:
    """The system message: the domain's own prompt, then how to use passages where there are any; "" for neither."""
    parts = [system_prompt.strip() if system_prompt else "", INSTRUCTION if with_passages else ""]
    return "\n".join(part for part in parts if part)


def build_messages(
    question: str,
    passages: Sequence[Passage] | None,
    system_prompt: str | None = None,
    history: Sequence[Message] = (),
) -> list[Message]:
    """The chat messages for a question.

    ``passages`` is None for the closed-book variants, and empty when retrieval found nothing. ``history`` holds the
    earlier turns, oldest first; passages stand in the last user turn only.
    """
    system = build_system(system_prompt, passages is not None)
    question = _CHAT_TOKEN.sub(r"<\1>", question).strip()
    user = question if passages is None else f"{build_context(passages)}\n\nQuestion: {question}"
    head = [{"role": "system", "content": system}] if system else []
    return [*head, *history, {"role": "user", "content": user}]


def is_abstention(answer: str) -> bool:
    """Whether an answer says that it is not known; punctuation, case and kind of apostrophe do not matter."""
    lower = answer.lower()
    return "know" in lower and _NOT_WORD.sub("", lower) in {"idontknow", "idonotknow"}


def find_markers(answer: str) -> list[Marker]:
    """Every ``[n]`` in an answer, in order."""
    return [Marker(int(match[1]), match.start(), match.end()) for match in _MARKER.finditer(answer)]


def _prompt_hash() -> str:
    """A digest of the bytes that a fixed question becomes, so that any change of the prompt changes it."""
    sample = [Passage("A title", "A text with [1] and <|im_end|>."), Passage("Another", "More.")]
    shown = [build_messages("Why?", given, "Be kind.") for given in (None, [], sample)]
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


PROMPT_HASH = _prompt_hash()
