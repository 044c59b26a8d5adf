"""Examples: what a person wrote down as good answers, read and checked row by row."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, Field, StrictStr, TypeAdapter, ValidationError, with_config

from tandem.prompt import ABSTENTION, find_markers, is_abstention
from tandem.settings import Task
from tandem.yaml_source import nearest
from training.lines import Line, Problem, problems_error, read_lines
from training.shapes import CHAT, LABELLED, NOT_CLASSIFICATION, QUESTION, Turned, allowed_keys, shapes_of, turn
from training.sources import open_source

Row = TypeVar("Row")
Text = Annotated[StrictStr, Field(pattern=r"\S")]


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names)) if len(names) > 1 else names


@dataclass(frozen=True, slots=True)
class Example:
    """One training example, which `EXAMPLE` makes of a row's columns.

    An abstention has the answer `tandem.prompt.ABSTENTION` and no value.
    """

    id: Text
    question: Text
    answer: Text
    """In the house style, without citation markers."""
    documents: Annotated[tuple[Text, ...], AfterValidator(_each_once)] = ()
    """Ids of the documents that hold the answer, each once."""
    value: Text | None = None
    """The bare fact, as one of the documents says it."""
    licence: Text | None = None
    """The licence of the example, where it has one of its own."""
    source: Text | None = None
    """Where the example comes from, in the words of who keeps the ledger."""
    basis: Text | None = None
    """Why it may be trained on, such as consent, contract or own work."""
    group: Text | None = None
    """What it belongs to besides its documents: a split keeps a group together."""
    synthetic: bool = False
    """Whether a program drafted it; a person has accepted it then."""
    evidence: Text | None = None
    """What a synthetic example rests on, verbatim from one of its documents."""
    reviewed_by: Text | None = None
    """Who accepted it."""
    reviewed_at: Text | None = None
    """When, in ISO 8601."""

    @property
    def abstains(self) -> bool:
        """Whether the right answer is that it is not known."""
        return is_abstention(self.answer)


Check = Callable[[Example], list[str]]

NO_PLACES: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Question:
    """A question of the evaluation, as far as preparing needs it; evaluation checks the other keys."""

    id: Text
    question: Text


EXAMPLE: Final = TypeAdapter(with_config(extra="forbid")(Example))
QUESTION_LINE: Final = TypeAdapter(with_config(extra="ignore")(Question))


@dataclass(frozen=True)
class Read:
    """The examples of a source, and what a person should know of how they were read."""

    examples: list[Example]
    shape: str
    unused_system_turns: int
    """Rows of chat whose system turn, the same in all of them, is not trained on."""
    left: int = 0
    """Rows that were read and left before they were examples; the caller has listed each."""

    @property
    def count(self) -> int:
        """Everything that was read."""
        return len(self.examples) + self.left

    def with_further(self, examples: Sequence[Example], count: int) -> "Read":
        """This and examples from elsewhere, of `count` that were read there."""
        return replace(self, examples=[*self.examples, *examples], left=self.left + count - len(examples))


def read_examples(source: Path | str) -> list[Example]:
    """The examples of a file or of a dataset's name. Raises UserError with one line for each problem."""
    return read_source(source).examples


def read_source(source: Path | str, task: Task = "answers", check: Check = lambda _: []) -> Read:
    """The examples of a file or of a dataset's name, and their shape; `text`/`label` rows are for classification.
    `check` says what else is wrong with an example, one clause each.

    Raises UserError with one line for each problem: `FILE:LINE: what`, or `FILE: row ROW: what`.
    """
    opened = open_source(source)
    reader = _Reader(opened.unit, task, check)
    for item in opened.rows():
        reader.take(item)
    if reader.problems:
        raise problems_error(opened.name, reader.problems, opened.unit)
    if not reader.examples:
        raise problems_error(opened.name, [Problem(1, "there is no example in this file")], opened.unit)
    return Read(reader.examples, reader.shape or reader.usual, reader.system_turns)


class _Reader:
    """Takes the rows of one source in their order."""

    def __init__(self, unit: str, task: Task, check: Check) -> None:
        self._check_further = check
        self.unit = unit
        self.usual = LABELLED if task == "classification" else QUESTION
        self.examples: list[Example] = []
        self.problems: list[Problem] = []
        self.shape: str | None = None
        self.system_turns = 0
        self._system: str | None = None
        self._shape_from = 0
        self._first: dict[str, int] = {}
        self._repeats: Counter[str] = Counter()

    def take(self, item: Line | Problem) -> None:
        """One row, or one problem that the source found."""
        if isinstance(item, Problem):
            self.problems.append(item)
            return
        shape = self._recognise(item)
        turned = turn(shape, item.values) if shape else None
        if isinstance(turned, str):
            self.problems.append(Problem(item.number, turned))
        elif shape and turned:
            self._look_at_system(turned.system, item.number)
            self._check(shape, turned, item.number)

    def _recognise(self, line: Line) -> str | None:
        """The row's shape; None where it is refused, with the reason among the problems."""
        shapes = shapes_of(tuple(line.values))
        if len(shapes) > 1:
            self._refuse(line, f"this row has the columns of {' and of '.join(shapes)}; leave one of them")
            return None
        shape = shapes[0] if shapes else self.shape or self.usual
        if self.shape is None and shapes:
            self.shape, self._shape_from = shape, line.number
            if shape == LABELLED != self.usual:
                self._refuse(line, NOT_CLASSIFICATION)
        elif shapes and shape != self.shape:
            began = f"{self.unit} {self._shape_from} has {self.shape}"
            self._refuse(line, f"this row has {shape}, and {began}; a file holds rows of one shape")
            return None
        refused = LABELLED in (shape, self.shape) and self.usual != LABELLED
        return None if refused else self._with_its_key(shape, line)

    def _with_its_key(self, shape: str, line: Line) -> str | None:
        if shape == CHAT and "messages" not in line.values:
            self._refuse(line, "`messages` is missing")
            return None
        return shape

    def _refuse(self, line: Line, message: str) -> None:
        self.problems.append(Problem(line.number, message))

    def _look_at_system(self, system: str | None, number: int) -> None:
        """One and the same system turn is not used; one that differs by row says something that would be lost."""
        if system is None:
            return
        self.system_turns += 1
        self._system = system if self._system is None else self._system
        if system != self._system:
            message = (
                "the system turn differs from the first one in this file; training and serving both use the domain's "
                "`system_prompt`, so put what belongs to this question into its user turn"
            )
            self.problems.append(Problem(number, message))

    def _check(self, shape: str, turned: Turned, number: int) -> None:
        values = turned.values if shape == QUESTION else {"id": self._name(turned.values), **turned.values}
        example = _validated(EXAMPLE, values, number, self.problems, allowed_keys(shape), turned.places)
        if example:
            self.examples.append(example)
            wrong_texts = [*contradictions(example, turned.places), *self._check_further(example)]
            self.problems += [Problem(number, message) for message in wrong_texts]
            if example.id in self._first:
                earlier = f"{self.unit} {self._first[example.id]}"
                self.problems.append(Problem(number, f"`id` {example.id!r} is already in {earlier}"))
            self._first.setdefault(example.id, number)

    def _name(self, values: dict[str, Any]) -> str:
        """An id for a row without one: of its content, so that neither the order nor the format of the file decides."""
        if "id" in values:
            return ""
        content = json.dumps([values.get("question"), values.get("answer")])
        name = f"row-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
        self._repeats[name] += 1
        return name if self._repeats[name] == 1 else f"{name}-{self._repeats[name]}"


def read_questions(path: Path) -> list[Question]:
    """Ids and texts of the evaluation's questions. Raises UserError with one line for each problem."""
    lines, problems = read_lines(path)
    questions = []
    for line in lines:
        question = _validated(QUESTION_LINE, line.values, line.number, problems, ("id", "question"))
        if question:
            questions.append(question)
    if problems:
        raise problems_error(path, problems)
    return questions


def contradictions(example: Example, places: Mapping[str, str] = NO_PLACES) -> list[str]:
    """What the keys of one example say against each other; `places` has the user's names of them."""
    problems = []
    answer = places.get("answer", "answer")
    if "[" in example.answer and find_markers(example.answer):
        problems.append(f"`{answer}` holds a citation marker such as [1]; leave it out, training adds the right one")
    if "<|" in example.answer:
        problems.append(f"`{answer}` holds `<|`, with which the signs of a chat template begin")
    abstains = example.abstains
    if abstains and example.answer != ABSTENTION:
        problems.append(f"an answer that abstains has to read {ABSTENTION!r}, and this one is {example.answer!r}")
    if abstains and example.value is not None:
        problems.append(f"`{answer}` is {ABSTENTION!r}, and yet there is a `value`; leave out one of them")
    if example.synthetic and not example.reviewed_by:
        problems.append("`synthetic` is true, and `reviewed_by` is missing: a person has to have accepted it")
    return problems


def _validated(
    adapter: TypeAdapter[Row],
    values: Mapping[str, Any],
    number: int,
    problems: list[Problem],
    keys: Sequence[str],
    places: Mapping[str, str] = NO_PLACES,
) -> Row | None:
    """What a row holds, or None with what is wrong with it among the problems.

    `keys` are proposed for unknown ones, and `places` has the user's names of keys.
    """
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        problems += [Problem(number, _describe(dict(item), keys, places)) for item in error.errors()]
        return None


def _describe(error: Mapping[str, Any], keys: Sequence[str], places: Mapping[str, str]) -> str:
    """One of pydantic's error objects as a person would say it."""
    first, *rest = error["loc"]
    name = ".".join(str(part) for part in (places.get(first, first), *rest))
    if error["type"] == "unexpected_keyword_argument":
        return f"unknown key `{name}`; {nearest(name, keys)}"
    if error["type"] == "missing":
        return f"`{name}` is missing"
    if error["type"] == "string_pattern_mismatch":
        return f"`{name}` is empty"
    expectation = str(error["msg"]).replace("Input should be", "should be").replace("valid tuple", "valid list")
    shown = repr(error["input"])
    return f"`{name}` {expectation}, and is {shown if len(shown) <= 60 else shown[:60] + '…'}"
