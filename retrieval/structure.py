"""Where the headings of a text are, and which line ends are only there to keep lines short."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_ATX: Final = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
_SETEXT: Final = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_FENCE: Final = re.compile(r" {0,3}(```+|~~~+)")
# Lines that begin something of their own: list items, quotes, tables, rules, indented code, headings.
_OPENING: Final = re.compile(r"\s*(?:[-*+•>|#]|\d{1,3}[.)]\s)|\s{4}|\t|\s*$|.*\|\s*$|[A-Z]\w{0,20}:\s")
_WRAP_COLUMN: Final = 50


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of `level` 1 to 6 whose lines are `text[start:end]`."""

    level: int
    title: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Section:
    """`text[start:end]`; its heading lines, if any, are `text[start:body]`; `path` leads to it."""

    start: int
    body: int
    end: int
    path: tuple[str, ...]


def _lines(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for line in text.split("\n"):
        yield start, line
        start += len(line) + 1


def headings(text: str) -> list[Heading]:
    """Markdown headings (`#` and underlined ones) outside code fences, in order."""
    found: list[Heading] = []
    fence = ""
    previous: tuple[int, str] | None = None
    for start, line in _lines(text):
        opened = _FENCE.match(line)
        if fence or opened:
            if opened and not fence:
                fence = opened[1]
            elif opened and opened[1].startswith(fence) and line.strip() == opened[1]:
                fence = ""
            previous = None
            continue
        heading = _atx(start, line) or _setext(previous, start, line)
        if heading:
            found.append(heading)
        previous = None if heading or not line.strip() else (start, line)
    return found


def _atx(start: int, line: str) -> Heading | None:
    match = _ATX.match(line)
    if match is None or not match[2]:
        return None
    return Heading(len(match[1]), _plain_title(match[2]), start, start + len(line))


def _setext(previous: tuple[int, str] | None, start: int, line: str) -> Heading | None:
    if previous is None or not _SETEXT.match(line) or _OPENING.match(previous[1]) or len(previous[1]) > 120:
        return None
    return Heading(1 if "=" in line else 2, _plain_title(previous[1].strip()), previous[0], start + len(line))


def _plain_title(title: str) -> str:
    """Without Markdown's marks: emphasis, code, links."""
    title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
    return " ".join(re.sub(r"[*`]|(?<!\w)_|_(?!\w)", "", title).split())


def front_heading(text: str) -> str | None:
    """The heading with which the text begins."""
    found = headings(text)
    return found[0].title or None if found and not text[: found[0].start].strip() else None


def sections(text: str) -> list[Section]:
    """The text cut before its headings; headings with nothing between them stay together.

    The sections follow each other without a gap and cover the whole text.
    """
    found = headings(text)
    groups: list[list[Heading]] = []
    for heading in found:
        if groups and not text[groups[-1][-1].end : heading.start].strip():
            groups[-1].append(heading)
        else:
            groups.append([heading])
    cut: list[Section] = []
    first = groups[0][0].start if groups else len(text)
    if text[:first].strip() or not groups:
        cut.append(Section(0, 0, first, ()))
    path: list[Heading] = []
    for number, group in enumerate(groups):
        end = groups[number + 1][0].start if number + 1 < len(groups) else len(text)
        for heading in group:
            path = [above for above in path if above.level < heading.level] + [heading]
        cut.append(Section(group[0].start, group[-1].end, end, tuple(heading.title for heading in path)))
    return cut


def unwrap(text: str) -> str:
    """`text` with the line ends inside hard-wrapped paragraphs as spaces: same length, same offsets.

    Used to look for sentence ends only; what is kept and quoted has its own line ends.
    """
    lines = text.split("\n")
    joined = [lines[0]]
    fenced = bool(_FENCE.match(lines[0]))
    for before, line in itertools.pairwise(lines):
        if _FENCE.match(line):
            fenced = not fenced
        joined.append(" " if not fenced and _is_wrapped(before, line) else "\n")
        joined.append(line)
    return "".join(joined)


def _is_wrapped(before: str, line: str) -> bool:
    if len(before) < _WRAP_COLUMN or _OPENING.match(line) or _SETEXT.match(line):
        return False
    # After the end of a sentence nothing is gained, and the next line may be a heading.
    return not (_ATX.match(before) or before.rstrip("\"')”’ ").endswith((".", "!", "?", ":", "|")))


def tight_lists(text: str) -> str:
    """Markdown without blank lines between the items of a list."""
    return re.sub(r"^(\s*- .*)\n\n(?=\s*- )", r"\1\n", text, flags=re.MULTILINE)


def common_path(path: Sequence[str], title: str) -> tuple[str, ...]:
    """`path` without a first heading that only repeats the document's title."""
    same = bool(path) and path[0].casefold() == title.casefold()
    return tuple(path[1:] if same else path)
