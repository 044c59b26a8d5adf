"""Lessons as rows of tokens: each context once, all its questions behind it, none of which sees another.

Legend: R rows, T tokens of a row, A answer tokens whose source is known.
A question stands at the positions it would have if it were the only one, so a row teaches exactly what a single
question asks at serving, and the context is paid for once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from tokenizers import Tokenizer

from tandem.prompt import Message, Passage, build_messages
from training.pretrain.lessons import Exercise, Lesson
from training.pretrain.tokenizer import TURN_END, TURN_START

CONTEXT_WEIGHT, QUESTION_WEIGHT, ANSWER_WEIGHT = 0.1, 0.1, 1.0
IGNORED_LABEL = -100


@dataclass
class Row:
    """One row under construction; lists are T long, ``exercises`` holds (start, end, exercise) of answers."""

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    lesson: list[int] = field(default_factory=list)
    branch: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    exercises: list[tuple[int, int, Exercise]] = field(default_factory=list)
    sources: list[tuple[int, list[int]]] = field(default_factory=list)

    def extend(self, tokens: list[int], first_position: int, lesson: int, branch: int, weights: list[float]) -> None:
        self.tokens += tokens
        self.positions += range(first_position, first_position + len(tokens))
        self.lesson += [lesson] * len(tokens)
        self.branch += [branch] * len(tokens)
        self.weights += weights


@dataclass(frozen=True)
class Batch:
    """Tensors of R rows; ``visible`` is (R, 1, T, T), True where a token may look; weights belong to a token as target.

    ``source_row``/``source_at`` (A) say where an answer token is predicted, ``source_places`` (A, T) where it is copied
    from.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    visible: torch.Tensor
    weights: torch.Tensor
    source_row: torch.Tensor
    source_at: torch.Tensor
    source_places: torch.Tensor
    exercises: tuple[tuple[int, int, int, Exercise], ...]


class RowBuilder:
    """Turns lessons into rows of at most ``length`` tokens; a row longer than ``enough`` takes no further lesson.

    Attention costs the square of a row's length, and lessons do not see each other: short rows are cheaper.
    """

    def __init__(self, tokenizer: Tokenizer, length: int, enough: int = 0) -> None:
        self.tokenizer, self.length, self.enough = tokenizer, length, enough
        self.marker = {number: tokenizer.token_to_id(f"[{number}]") for number in range(1, 17)}

    def rows(self, lessons: Iterable[Lesson]) -> Iterator[Row]:
        """Fill rows with whole lessons; questions that do not fit any more are left out."""
        row, number = Row(), 0
        for lesson in lessons:
            needed = self._needed(lesson)
            if len(row.tokens) > self.enough or (row.tokens and len(row.tokens) + needed > self.length):
                yield row
                row, number = Row(), 0
            self._add(row, lesson, number)
            number += 1
        if row.tokens:
            yield row

    def _needed(self, lesson: Lesson) -> int:
        characters = sum(len(passage.text) for passage in lesson.passages or ())
        questions = sum(len(item.question) + len(item.answer) + 30 for item in lesson.exercises)
        return int((characters + questions) / 3.4) + 60

    def _prefix(self, lesson: Lesson) -> tuple[str, list[tuple[str, int]]]:
        """The text before the question, and where each passage's text begins in it."""
        shown = (
            None if lesson.passages is None else [Passage(passage.title, passage.text) for passage in lesson.passages]
        )
        text = chat_text(build_messages("\0", shown, lesson.system_prompt), generate=False).split("\0")[0]
        begins, at = [], 0
        for number, passage in enumerate(lesson.passages or (), 1):
            at = text.index(f"[{number}] {passage.title}\n{passage.text} [{number}]", at) + len(
                f"[{number}] {passage.title}\n"
            )
            begins.append(("", at))
        return text.rstrip(" "), begins

    def _add(self, row: Row, lesson: Lesson, number: int) -> None:
        prefix, begins = self._prefix(lesson)
        encoding = self.tokenizer.encode(prefix)
        base, context = len(row.tokens), encoding.ids
        if base + len(context) >= self.length:
            return
        row.extend(context, 0, number, 0, [CONTEXT_WEIGHT] * len(context))
        row.weights[base] = 0.0
        starts = np.array([offset[0] for offset in encoding.offsets])
        closing = f"{TURN_END}\n{TURN_START}assistant\n"
        space = " " if prefix.endswith("Question:") else ""
        for branch, item in enumerate(lesson.exercises, 1):
            question = self.tokenizer.encode(space + item.question + closing).ids
            answer = self.tokenizer.encode(" " + item.answer + TURN_END).ids
            at = len(row.tokens) + len(question)
            if at + len(answer) > self.length:
                break
            weights = [QUESTION_WEIGHT] * len(question) + [ANSWER_WEIGHT] * len(answer)
            row.extend(question + answer, len(context), number, branch, weights)
            row.exercises.append((at, at + len(answer), item))
            if item.number is not None:
                self._add_sources(row, item, at, answer, starts, begins[item.number - 1][1], base, context)

    def _add_sources(
        self,
        row: Row,
        item: Exercise,
        at: int,
        answer: list[int],
        starts: np.ndarray,
        begin: int,
        base: int,
        context: list[int],
    ) -> None:
        """Note where the tokens of the value and of the marker are copied from."""
        first, last = begin + item.start, begin + item.start + len(item.value)
        places = [base + int(place) for place in np.nonzero((starts >= first - 1) & (starts < last))[0]]
        places = [place for place in places if starts[place - base] >= first or context[place - base] in answer]
        marker = self.marker[item.number or 0]
        own = [base + place for place, token in enumerate(context) if token == marker]
        value = self.tokenizer.encode(" " + item.value).ids
        for begin_at in range(len(answer) - len(value) + 1):
            if answer[begin_at : begin_at + len(value)] == value:
                aligned = [row.tokens[place] for place in places] == value
                for step in range(len(value)):
                    row.sources.append((at + begin_at + step - 1, [places[step]] if aligned else places))
                break
        if marker in answer:
            row.sources.append((at + answer.index(marker) - 1, own[-2:] + places))


def chat_text(messages: list[Message], generate: bool) -> str:
    """The text of messages under the chat template of ``models/tiny`` (a test holds the two together)."""
    turns = [
        f"{TURN_START}{message['role']}\n{' ' if message['role'] == 'assistant' else ''}{message['content']}{TURN_END}\n"
        for message in messages
    ]
    return "".join(turns) + (f"{TURN_START}assistant\n" if generate else "")


def collate(rows: list[Row], padding: int) -> Batch:
    """Stack rows into tensors padded to the longest."""
    width = max(len(row.tokens) for row in rows)

    def padded(values: list[list[int]] | list[list[float]], fill: float, kind: torch.dtype) -> torch.Tensor:
        return torch.tensor([list(value) + [fill] * (width - len(value)) for value in values], dtype=kind)

    tokens = padded([row.tokens for row in rows], padding, torch.long)
    lesson = padded([row.lesson for row in rows], -1, torch.long)
    branch = padded([row.branch for row in rows], 0, torch.long)
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    same = lesson[:, :, None] == lesson[:, None, :]
    own = (branch[:, None, :] == 0) | (branch[:, :, None] == branch[:, None, :])
    visible = (causal & same & own)[:, None]
    noted = [(index, at, places) for index, row in enumerate(rows) for at, places in row.sources]
    source_places = torch.zeros(len(noted), width, dtype=torch.bool)
    for place, (_, _, places) in enumerate(noted):
        source_places[place, places] = True
    return Batch(
        tokens=tokens,
        positions=padded([row.positions for row in rows], 0, torch.long),
        visible=visible,
        weights=padded([row.weights for row in rows], 0.0, torch.float32),
        source_row=torch.tensor([index for index, _, _ in noted]),
        source_at=torch.tensor([at for _, at, _ in noted]),
        source_places=source_places,
        exercises=tuple(
            (index, start, end, item) for index, row in enumerate(rows) for start, end, item in row.exercises
        ),
    )
