"""Rows of a source, each with its place, and every problem with its place; here those of JSON lines."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from tandem.errors import UserError

SHOWN: Final = 20
"""Problems that an error lists before it only counts."""


class Line(NamedTuple):
    """The object in one line or row, counted from 1."""

    number: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """Something wrong in a line or row, counted from 1; 0 is the source as a whole."""

    line: int
    message: str


def stream_lines(path: Path) -> Iterator[Line | Problem]:
    """The objects of a file of JSON lines one by one, and the lines that hold none; blank lines are passed over.

    Raises UserError when the file cannot be read at all.
    """
    try:
        # As bytes, which end lines at \n only: U+2028 and its like may stand inside a JSON string.
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                found = _read_line(raw, number)
                if found is not None:
                    yield found
    except OSError as error:
        raise unreadable(path, error) from error


def read_lines(path: Path) -> tuple[list[Line], list[Problem]]:
    """What `stream_lines` gives, sorted into objects and problems."""
    found = list(stream_lines(path))
    return [item for item in found if isinstance(item, Line)], [item for item in found if isinstance(item, Problem)]


def unreadable(path: Path, error: OSError) -> UserError:
    """The error for a file that the system does not give."""
    return UserError(f"{path} cannot be read ({error.strerror}).", code="invalid_examples")


def problems_error(source: object, problems: Sequence[Problem], unit: str = "line") -> UserError:
    """One error that lists the problems of a source by place; all of them are in `details["problems"]`.

    `unit` is what is counted: `line`, shown as `FILE:3: …`, or `row`, shown as `FILE: row 3: …`.
    """
    ordered = sorted(problems, key=lambda problem: problem.line)
    shown = [f"{source}{_place(problem.line, unit)}: {problem.message}" for problem in ordered[:SHOWN]]
    if len(ordered) > SHOWN:
        shown.append(f"… and {len(ordered) - SHOWN} more in {source}.")
    return UserError(
        "\n".join(shown),
        code="invalid_examples",
        problems=[{unit: problem.line, "message": problem.message} for problem in ordered],
    )


def _place(number: int, unit: str) -> str:
    if number == 0:
        return ""
    return f":{number}" if unit == "line" else f": {unit} {number}"


def _read_line(raw: bytes, number: int) -> Line | Problem | None:
    """The object of one line, what is wrong with it, or None where it is blank."""
    try:
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        return Problem(number, f"this is not UTF-8 text (byte {error.start} of the line)")
    if not text or text.isspace():
        return None
    value = parse_json(text)
    if isinstance(value, str):
        return Problem(number, value)
    return Line(number, value)


def parse_json(text: str) -> dict[str, Any] | str:
    """The object that a text holds, or what is wrong with it."""
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        return f"this is not valid JSON: {reason}"
    return value if isinstance(value, dict) else f"expected one object in braces, and found {type(value).__name__}"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
