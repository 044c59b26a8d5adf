"""Reads a domain's questions and reports everything that is wrong with them at once, by line."""

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tandem.errors import UserError
from tandem.measures import normalise, value_words
from tandem.synthetic import is_synthetic

SPLITS: Final = ("validation", "test")
REQUIRED: Final = ("id", "question", "answers", "documents")
KEYS: Final = (*REQUIRED, "group", "split", "demo")
SHOWN_PROBLEMS: Final = 20


@dataclass(frozen=True)
class Question:
    """One question; `answers` and `documents` are empty where the documents do not say."""

    id: str
    question: str
    answers: tuple[str, ...]
    """Bare facts, the preferred one first."""
    documents: tuple[str, ...]
    """Ids of the documents that hold the answer."""
    group: Mapping[str, str] = field(default_factory=dict)
    """Dimension → value, such as kind → changed; verdicts are broken down by them."""
    split: str = "test"

    @property
    def is_answerable(self) -> bool:
        """Whether the documents say."""
        return bool(self.answers)


def read_questions(path: Path, *, with_documents: bool = False) -> list[Question]:
    """The questions of a file of JSON lines, in its order.

    With `with_documents` an answerable question has to name a document, for where citations count. Raises UserError
    (`invalid_questions`) with one line for each problem, `FILE:LINE: what is wrong`.
    """
    questions: list[Question] = []
    problems: list[str] = []
    lines_of: dict[str, int] = {}
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if not line.strip():
            continue
        row, wrong = _parse(line)
        wrong = wrong or [*_problems(row, with_documents), *_repetitions(row, number, lines_of)]
        problems += [f"{path}:{number}: {problem}" for problem in wrong]
        if not wrong:
            questions.append(_question(row))
    if not questions and not problems:
        problems.append(f"{path}: there is no question in it")
    if problems:
        raise _invalid(problems)
    return questions


def digest(questions: Sequence[Question]) -> str:
    """SHA-256, in hexadecimal, over everything that a verdict on these questions depends on."""
    rows = [(row.id, row.question, row.answers, row.documents, sorted(row.group.items())) for row in questions]
    return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}).", code="invalid_questions") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).", code="invalid_questions") from error


def _invalid(problems: Sequence[str]) -> UserError:
    shown = list(problems[:SHOWN_PROBLEMS])
    if len(problems) > SHOWN_PROBLEMS:
        shown.append(f"and {len(problems) - SHOWN_PROBLEMS} more")
    return UserError("\n".join(shown), code="invalid_questions", problems=list(problems))


def _parse(line: str) -> tuple[dict[str, Any], list[str]]:
    """The object in a line, or what is wrong with it."""
    try:
        row = json.loads(line)
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return {}, ["a text holds half a surrogate pair, which is no character"]
    except (ValueError, RecursionError) as error:
        return {}, [f"this is not JSON: {error}"]
    return (row, []) if isinstance(row, dict) else ({}, ['expected an object such as {"id": …, "question": …}'])


def _problems(row: dict[str, Any], with_documents: bool) -> Iterator[str]:
    """What is wrong with one row on its own."""
    if is_synthetic(row):
        yield "this is a drafted (synthetic) example, and a test is made of what people wrote: take it out"
        return
    shape = [*_misspelt(row), *_missing_or_mistyped(row)]
    yield from shape
    if shape:
        return
    for answer in row["answers"]:
        if not value_words(answer):
            yield f"the answer {answer!r} holds no word that could be found"
    if row["documents"] and not row["answers"]:
        yield "`documents` are named, but there are no `answers`: leave both empty where the documents do not say"
    if with_documents and row["answers"] and not row["documents"]:
        yield "`documents` is empty, but citations have a weight in `success`: name those that hold the answer"


def _misspelt(row: dict[str, Any]) -> Iterator[str]:
    """Keys that are near one of ours; others may stand there for the author's own use."""
    for key in row:
        close = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.75)
        if key not in KEYS and close and close[0] not in row:
            yield f"unknown key `{key}`; did you mean `{close[0]}`?"


def _missing_or_mistyped(row: dict[str, Any]) -> Iterator[str]:
    yield from (f"`{key}` is missing" for key in REQUIRED if key not in row)
    for key in ("id", "question"):
        if key in row and not (isinstance(row[key], str) and row[key].strip()):
            yield f"`{key}` should be a text, and is {row[key]!r}"
    for key in ("answers", "documents"):
        if key in row and not _is_list_of_texts(row[key]):
            yield f"`{key}` should be a list of texts, and is {row[key]!r}"
    group = row.get("group", {})
    if not (isinstance(group, dict) and all(isinstance(value, str) for value in group.values())):
        yield f'`group` should be an object such as {{"kind": "changed"}}, and is {group!r}'
    if row.get("split", "test") not in SPLITS:
        yield f"`split` should be {' or '.join(SPLITS)}, and is {row['split']!r}"


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item.strip() for item in value)


def _repetitions(row: dict[str, Any], number: int, lines_of: dict[str, int]) -> Iterator[str]:
    """Ids and questions that an earlier line has: they would count twice, and statistics take them for new ones."""
    for name, key in (("id", f"id {row.get('id')}"), ("question", f"question {normalise(str(row.get('question')))}")):
        first = lines_of.setdefault(key, number)
        if first != number and name in row:
            yield f"the {name} {row[name]!r} is already in line {first}"


def _question(row: dict[str, Any]) -> Question:
    return Question(
        id=row["id"],
        question=row["question"],
        answers=tuple(row["answers"]),
        documents=tuple(row["documents"]),
        group=dict(row.get("group", {})),
        split=row.get("split", "test"),
    )
