"""Examples by rules: questions that a document's own form answers, with the words that answer them."""

import re
from collections.abc import Iterator
from typing import Final

from retrieval.structure import Section, headings, sections, unwrap
from training.checks import holds
from training.drafts.proposals import Proposal, Source
from training.drafts.wordings import WORDINGS, Wording

LONGEST_QUOTE: Final = 400
LONGEST_SENTENCE: Final = 240
MOST_WORDS: Final = 12
"""Of a subject; a longer one is seldom a name."""

_QUESTION_MARKS: Final = ("?", "？", "؟")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])[\"'”’)\]]*[^\S\n]+(?=[\"'“„«(]?[^\W_a-zß-öø-ÿ])")
_ABBREVIATED: Final = re.compile(
    r"(?:^|[\s(])(?:[^\W\d_]|[Nn]o|[Nn]r|Dr|Mr|Mrs|Ms|St|bzw|ca|etc|vs|usw|Abs|Art|Fig|p)\.$"
)
_ITEM: Final = re.compile(r"\s*(?:(?:[-*+•]|\d{1,3}[.)])\s+)?")
_FACT: Final = re.compile(
    r"(?:\*\*|__)?(?P<key>[^\W\d_][^*_:|.!?\n]{1,39}?)(?:\*\*|__)?:(?:\*\*|__)?[^\S\n]+(?P<value>[^|\n]{1,120})"
)
_RULER: Final = re.compile(r"\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*")
_FENCE: Final = re.compile(r" {0,3}(?:```+|~~~+)")
_PARAGRAPH_END: Final = re.compile(r"\n\s*\n")


def propose(source: Source) -> Iterator[Proposal]:
    """Headings that are questions, in any language; facts, tables and plain sentences where there are wordings."""
    yield from _asked_headings(source)
    wording = WORDINGS.get(source.language)
    if wording is None:
        return
    lines = _lines(source.text)
    yield from _table_cells(source, wording, lines)
    for start, line in lines:
        fact = _fact(source, wording, start, line)
        if fact:
            yield fact
        elif "|" not in line:
            yield from _sentences(source, wording, start, line)


def _asked_headings(source: Source) -> Iterator[Proposal]:
    """A heading that asks, and the paragraph below it."""
    last = {section.start: _last_heading(source, section) for section in sections(source.text)}
    for section in sections(source.text):
        title = last[section.start]
        if title is None or not title.endswith(_QUESTION_MARKS):
            continue
        body = source.text[section.body : section.end]
        start = section.body + len(body) - len(body.lstrip())
        paragraph = _PARAGRAPH_END.split(source.text[start : section.end], maxsplit=1)[0].rstrip()
        if _FENCE.match(paragraph) or paragraph.startswith("|"):
            continue
        quote = _cut(paragraph)
        if quote:
            yield Proposal(title, quote, start, "rules: question as heading")


def _last_heading(source: Source, section: Section) -> str | None:
    found = headings(source.text[section.start : section.body])
    return found[-1].title if found else None


def _cut(paragraph: str) -> str:
    """The paragraph, or as many of its first sentences as are not too long."""
    if len(paragraph) <= LONGEST_QUOTE:
        return paragraph
    ends = [end for _, end in _spans(paragraph) if end <= LONGEST_QUOTE]
    return paragraph[: ends[-1]] if ends else ""


def _lines(text: str) -> list[tuple[int, str]]:
    """The lines with their offsets, hard-wrapped ones joined; without headings and code."""
    found = []
    fenced, start = False, 0
    taken = {place for heading in headings(text) for place in range(heading.start, heading.end)}
    for line in unwrap(text).split("\n"):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and line.strip() and start not in taken:
            found.append((start, line))
        start += len(line) + 1
    return found


def _table_cells(source: Source, wording: Wording, lines: list[tuple[int, str]]) -> Iterator[Proposal]:
    """Each cell of a Markdown table but those of the first column, which name the rows."""
    header: list[str] | None = None
    for (_, before), (start, line) in zip([(0, ""), *lines], lines, strict=False):
        if _RULER.fullmatch(line) and "|" in before:
            header = _cells(before)
            continue
        if "|" not in line:
            header = None
            continue
        cells = _cells(line)
        if header is None or len(cells) != len(header) or len(cells) < 2 or not cells[0]:
            continue
        for column, cell in zip(header[1:], cells[1:], strict=True):
            if column and cell:
                question = _filled(wording.cell, title=source.title, column=column, row=cells[0])
                quote = source.text[start : start + len(line)].strip()
                yield Proposal(question, quote, start, "rules: table", cell)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def _fact(source: Source, wording: Wording, start: int, line: str) -> Proposal | None:
    """A line such as `Power: 1800 watts`."""
    begin = _ITEM.match(line)
    found = _FACT.fullmatch(line.rstrip(), begin.end() if begin else 0)
    if found is None or len(found["key"].split()) > 5 or found["key"].split()[0].casefold() in wording.not_keys:
        return None
    value = found["value"].strip().rstrip(".").strip()
    if not value or len(_spans(found["value"])) > 1:
        return None
    quote = source.text[start + found.start() : start + found.end()].rstrip()
    question = _filled(wording.fact, key=found["key"].strip(), title=source.title)
    return Proposal(question, quote, start + found.start(), "rules: key and value", value)


def _sentences(source: Source, wording: Wording, start: int, line: str) -> Iterator[Proposal]:
    begin = _ITEM.match(line)
    offset = begin.end() if begin else 0
    for first, last in _spans(line[offset:]):
        sentence = line[offset + first : offset + last]
        if len(sentence) > LONGEST_SENTENCE or not sentence.endswith((".", "!")):
            continue
        place = start + offset + first
        quote = source.text[place : place + len(sentence)]
        for pattern in wording.patterns:
            match = pattern.sentence.fullmatch(sentence)
            if match is None or not _names_something(match["subject"], wording):
                continue
            groups = {**match.groupdict(), "subject": _within(match["subject"], wording)}
            question = _filled(pattern.question, **groups)
            if not holds(question, match["value"]):
                yield Proposal(question, quote, place, f"rules: {source.language}: {pattern.name}", match["value"])
            break


def _names_something(subject: str, wording: Wording) -> bool:
    words = subject.split()
    return len(words) <= MOST_WORDS and words[0] not in wording.not_subjects


def _within(subject: str, wording: Wording) -> str:
    """The subject as it stands inside a question."""
    first, blank, rest = subject.partition(" ")
    return f"{first.lower()}{blank}{rest}" if first in wording.articles else subject


def _filled(template: str, **values: str) -> str:
    """In one pass, so that braces in a document's own words stay what they are."""
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], template)


def _spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence."""
    spans, start = [], 0
    for end in _SENTENCE_END.finditer(text):
        if not _ABBREVIATED.search(text[start : end.start()]):
            spans.append((start, end.start() + len(end[0].rstrip())))
            start = end.end()
    rest = text[start:].rstrip()
    return [*spans, (start, start + len(rest))] if rest else spans
