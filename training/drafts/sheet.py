"""Drafts as a file that a spreadsheet opens, and back: comma-separated values whose cells no program runs.

A cell that begins with one of the signs by which spreadsheets tell formulas gets an apostrophe before it, and so does
every place inside a cell where a program that takes another separator would begin a cell; reading takes just these
apostrophes away again.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tandem.errors import Conflict, UserError
from tandem.files import write_atomic
from training.checks import TextOf
from training.drafts.review import EDITABLE, Decision, decide
from training.drafts.store import Draft, State
from training.lines import Problem, problems_error, unreadable

FIXED: Final = ("document", "start", "end", "language", "made_by")
"""Columns that say what a draft is; a change in one is refused."""
COLUMNS: Final = ("id", "decision", *EDITABLE, *FIXED, "reviewed_by", "reviewed_at", "revision")
REQUIRED: Final = ("id", "decision", *EDITABLE, "revision")
WORDS: Final[Mapping[str, State]] = {
    "": "open",
    "open": "open",
    "accept": "accepted",
    "accepted": "accepted",
    "reject": "rejected",
    "rejected": "rejected",
}
"""What may stand under `decision`."""
SHOWN: Final[Mapping[State, str]] = {"open": "", "accepted": "accept", "rejected": "reject"}

BEGINS_FORMULA: Final = frozenset("=+-@＝＋－＠|%")
BEGINS_CELL: Final = frozenset(";\t\r\n")
"""After these a program with another separator than the comma would begin a cell."""
GUARD: Final = "'"
_MONTHS: Final = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_TYPED: Final = re.compile(
    rf"[\d.,:/()€$£ +%eE-]*\d[\d.,:/()€$£ +%eE-]*(?:[ap]m)?|\d{{1,2}}[ ./-](?:{_MONTHS})[a-z]*\.?(?:[ ./-]\d{{1,4}})?"
    rf"|(?:{_MONTHS})[a-z]*[ ./-]\d{{1,4}}|true|false",
    re.IGNORECASE,
)
"""Numbers (`12.50`, `0049 30`), times, dates (`1/2`, `5 May`) and truth values."""
LONGEST_CELL: Final = 10_000_000


@dataclass
class Imported:
    """What a spreadsheet changes: (before, after) pairs; and drafts that it does not have, which stay as they are."""

    changed: list[tuple[Draft, Draft]] = field(default_factory=list)
    unchanged: int = 0
    missing: list[str] = field(default_factory=list)


def guard(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula; `unguard` gives it back."""
    guarded = _walk(text, lambda sign, _: GUARD + sign if sign in BEGINS_FORMULA or sign == GUARD else sign)
    return GUARD + guarded if looks_typed(text) else guarded


def looks_typed(text: str) -> bool:
    """Whether a spreadsheet would take the text for a number, a date or a truth value, and write it otherwise."""
    return text[:1] not in BEGINS_FORMULA and bool(_TYPED.fullmatch(text))


def unguard(cell: str) -> str:
    """The text of a guarded cell; an apostrophe that stands before no such sign is the text's own."""
    if cell.startswith(GUARD) and looks_typed(cell[1:]):
        return cell[1:]

    def bare(sign: str, rest: str) -> str:
        return "" if sign == GUARD and rest[:1] and (rest[0] in BEGINS_FORMULA or rest[0] == GUARD) else sign

    return _walk(cell, bare)


def write_sheet(path: Path, drafts: Sequence[Draft]) -> None:
    """Write drafts as CSV, UTF-8 with a mark, which spreadsheets need to know it.

    Raises Conflict (`file_exists`) rather than write over a file, in which a person's work may be.
    """
    if path.exists():
        raise Conflict(f"{path} exists, and may hold someone's decisions: name another file.", code="file_exists")
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([guard(cell) for cell in _cells(draft).values()] for draft in drafts)
    try:
        write_atomic(path, text.getvalue().encode("utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}).", code="unwritable_file") from error


def read_sheet(path: Path, drafts: Sequence[Draft], reviewer: str, text_of: TextOf) -> Imported:
    """What a spreadsheet's rows make of the drafts; nothing is written.

    Raises UserError (`invalid_examples`) with one line for each problem, `FILE: row N: what`, row 1 below the header:
    unknown and duplicate ids, unknown decisions, changes to what cannot be changed, edits that the documents do not
    bear out, and drafts that were decided otherwise since the file was written.
    """
    rows, problems = _rows(path)
    known = {draft.id: draft for draft in drafts}
    repeated = Counter(row["id"] for _, row in rows)
    result = Imported(missing=[draft.id for draft in drafts if draft.id not in repeated])
    for number, row in rows:
        draft = known.get(row["id"])
        if draft is None:
            problems.append(Problem(number, f"there is no draft {row['id']!r} in this domain"))
            continue
        if repeated[draft.id] > 1:
            problems.append(Problem(number, f"`id` {draft.id!r} is in {repeated[draft.id]} rows; leave one of them"))
            continue
        after, wrong = _decided(draft, row, reviewer, text_of)
        problems += [Problem(number, message) for message in wrong]
        if after is draft:
            result.unchanged += 1
        else:
            result.changed.append((draft, after))
    if problems:
        raise problems_error(path, problems, "row")
    return result


def _decided(draft: Draft, row: Mapping[str, str], reviewer: str, text_of: TextOf) -> tuple[Draft, list[str]]:
    word = row["decision"].strip().casefold()
    if word not in WORDS:
        choices = "accept, reject, or nothing to leave it open"
        return draft, [f"`decision` is {row['decision']!r}, and should be {choices}"]
    decision = Decision(row["question"], row["answer"], row["value"] or None, row["quote"], WORDS[word])
    after, problems = decide(draft, decision, reviewer, text_of(draft.document))
    cells = _cells(draft)
    problems += [
        f"`{key}` was changed from {cells[key]!r} to {row[key]!r}, and says what the draft is"
        for key in FIXED
        if key in row and row[key].strip() != cells[key].strip()
    ]
    if after is not draft and row["revision"].strip() != cells["revision"]:
        problems.append(
            f"the draft was changed after this file was written (revision {cells['revision']}, here "
            f"{row['revision']!r}; it is {draft.state} now): export anew"
        )
    return after, problems


def _cells(draft: Draft) -> dict[str, str]:
    values = {name: getattr(draft, name) for name in COLUMNS if name != "decision"}
    values["decision"] = SHOWN[draft.state]
    return {name: "" if values[name] is None else str(values[name]) for name in COLUMNS}


def _rows(path: Path) -> tuple[list[tuple[int, dict[str, str]]], list[Problem]]:
    """The rows with their numbers, guarded cells as the texts they stand for; columns of other names are the
    reviewer's own and are passed over."""
    text = _text(path)
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    csv.field_size_limit(LONGEST_CELL)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise problems_error(path, [Problem(0, f"this is not valid CSV: {error}")]) from error
    header = [name.strip().casefold() for name in lines[0]] if lines else []
    wrong = [f"the column `{name}` is missing" for name in REQUIRED if name not in header]
    wrong += [f"the column `{name}` is there twice" for name in COLUMNS if header.count(name) > 1]
    if wrong:
        raise problems_error(path, [Problem(0, message) for message in wrong])
    rows: list[tuple[int, dict[str, str]]] = []
    problems: list[Problem] = []
    for number, cells in enumerate(lines[1:], 1):
        if not any(cell.strip() for cell in cells):
            continue
        # Spreadsheets leave out empty cells at the end of a row.
        if any(cell.strip() for cell in cells[len(header) :]):
            problems.append(Problem(number, f"this row has {len(cells)} cells, and the header has {len(header)}"))
            continue
        filled = [*cells, *[""] * (len(header) - len(cells))]
        row = {name: unguard(cell) for name, cell in zip(header, filled, strict=False) if name in COLUMNS}
        rows.append((number, {**row, "id": row["id"].strip()}))
    return rows, problems


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text (byte {error.start}): save it as 'CSV UTF-8' in the spreadsheet.",
            code="invalid_examples",
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _walk(text: str, turn: Callable[[str, str], str]) -> str:
    """The text with `turn(sign, what follows)` for each sign that a cell would begin with, blanks before it or not."""
    done: list[str] = []
    begins = True
    for place, sign in enumerate(text):
        if begins and not sign.isspace():
            done.append(turn(sign, text[place + 1 : place + 2]))
        else:
            done.append(sign)
        begins = sign in BEGINS_CELL or (begins and sign.isspace())
    return "".join(done)
