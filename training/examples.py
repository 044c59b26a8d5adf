"""Examples: what a person wrote down as good answers, read and checked line by line."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError

from tandem.prompt import ABSTENTION, find_markers, is_abstention
from tandem.yaml_source import nearest
from training.lines import Line, Problem, problems_error, read_lines

Model = TypeVar("Model", bound=BaseModel)
Text = Annotated[StrictStr, Field(pattern=r"\S")]


@dataclass(frozen=True)
class Example:
    """One training example; an abstention has the answer `tandem.prompt.ABSTENTION` and no value."""

    id: str
    question: str
    answer: str
    """In the house style, without citation markers."""
    documents: tuple[str, ...] = ()
    """Ids of the documents that hold the answer."""
    value: str | None = None
    """The bare fact, as one of the documents says it."""
    licence: str | None = None
    """The licence of the example, where it has one of its own."""

    @property
    def abstains(self) -> bool:
        """Whether the right answer is that it is not known."""
        return is_abstention(self.answer)


@dataclass(frozen=True)
class Question:
    """A question of the evaluation, as far as preparing needs it."""

    id: str
    question: str


class ExampleLine(BaseModel):
    """The keys of one line of examples."""

    model_config = ConfigDict(extra="forbid")

    id: Text
    question: Text
    answer: Text
    documents: list[Text] = Field(default_factory=list)
    value: Text | None = None
    licence: Text | None = None


class QuestionLine(BaseModel):
    """The keys of one line of questions that preparing reads; evaluation checks the others."""

    model_config = ConfigDict(extra="ignore")

    id: Text
    question: Text


def read_examples(path: Path) -> list[Example]:
    """The examples of a file of JSON lines. Raises UserError with one line for each problem, `FILE:LINE: what`."""
    lines, problems = read_lines(path)
    examples: list[Example] = []
    first: dict[str, int] = {}
    for line in lines:
        found, wrong = _check(ExampleLine, line)
        problems += wrong
        if found:
            example = Example(**{**found.model_dump(), "documents": tuple(dict.fromkeys(found.documents))})
            examples.append(example)
            problems += [Problem(line.number, message) for message in _contradictions(example)]
            if example.id in first:
                problems.append(Problem(line.number, f"`id` {example.id!r} is already in line {first[example.id]}"))
            first.setdefault(example.id, line.number)
    if problems:
        raise problems_error(path, problems)
    if not examples:
        raise problems_error(path, [Problem(1, "there is no example in this file")])
    return examples


def read_questions(path: Path) -> list[Question]:
    """Ids and texts of the evaluation's questions. Raises UserError with one line for each problem."""
    lines, problems = read_lines(path)
    questions = []
    for line in lines:
        found, wrong = _check(QuestionLine, line)
        problems += wrong
        if found:
            questions.append(Question(found.id, found.question))
    if problems:
        raise problems_error(path, problems)
    return questions


def _contradictions(example: Example) -> list[str]:
    """What the keys of one example say against each other."""
    problems = []
    if find_markers(example.answer):
        problems.append("`answer` holds a citation marker such as [1]; leave it out, training adds the right one")
    if "<|" in example.answer:
        problems.append("`answer` holds `<|`, with which the signs of a chat template begin")
    if example.abstains and example.answer != ABSTENTION:
        problems.append(f"an answer that abstains has to read {ABSTENTION!r}, and this one is {example.answer!r}")
    if example.abstains and example.value is not None:
        problems.append(f"`answer` is {ABSTENTION!r}, and yet there is a `value`; leave out one of them")
    return problems


def _check(model: type[Model], line: Line) -> tuple[Model | None, list[Problem]]:
    """The line's values, or what is wrong with them."""
    try:
        return model.model_validate(line.values), []
    except ValidationError as error:
        return None, [Problem(line.number, _describe(model, dict(item))) for item in error.errors()]


def _describe(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    """One of pydantic's error objects as a person would say it."""
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key `{name}`; {nearest(name, list(model.model_fields))}"
    if error["type"] == "missing":
        return f"`{name}` is missing"
    if error["type"] == "string_pattern_mismatch":
        return f"`{name}` is empty"
    expectation = str(error["msg"]).replace("Input should be", "should be")
    shown = repr(error["input"])
    return f"`{name}` {expectation}, and is {shown if len(shown) <= 60 else shown[:60] + '…'}"
