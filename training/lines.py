"""Files of JSON lines: one object a line, and every problem with its place."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tandem.errors import UserError

SHOWN: Final = 20
"""Problems that an error lists before it only counts."""


@dataclass(frozen=True)
class Line:
    """The object in one line, counted from 1."""

    number: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """Something wrong in a line, counted from 1."""

    line: int
    message: str


def read_lines(path: Path) -> tuple[list[Line], list[Problem]]:
    """The objects of a file, and the lines that hold none; blank lines are passed over.

    Raises UserError when the file cannot be read at all.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}).", code="invalid_examples") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).", code="invalid_examples") from error
    lines: list[Line] = []
    problems: list[Problem] = []
    # Not splitlines: U+2028 and its like may stand inside a JSON string.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            value = _parse(line)
            if isinstance(value, dict):
                lines.append(Line(number, value))
            else:
                problems.append(Problem(number, value))
    return lines, problems


def problems_error(path: Path, problems: Sequence[Problem]) -> UserError:
    """One error that lists the problems of a file by line; all of them are in `details["problems"]`."""
    ordered = sorted(problems, key=lambda problem: problem.line)
    shown = [f"{path}:{problem.line}: {problem.message}" for problem in ordered[:SHOWN]]
    if len(ordered) > SHOWN:
        shown.append(f"… and {len(ordered) - SHOWN} more in {path}.")
    return UserError(
        "\n".join(shown),
        code="invalid_examples",
        problems=[{"line": problem.line, "message": problem.message} for problem in ordered],
    )


def _parse(line: str) -> dict[str, Any] | str:
    """The line's object, or what is wrong with it."""
    try:
        value = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        return f"this is not valid JSON: {reason}"
    return value if isinstance(value, dict) else f"expected one object in braces, and found {type(value).__name__}"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")
