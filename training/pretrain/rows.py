"""Lessons as rows of tokens: each context once, all its questions behind it, none of which sees another.

Legend: T tokens of a row, B questions of a lesson, L tokens of its longest, A answer tokens whose source is known.
A question stands at the positions it would have if it were the only one, so a row teaches exactly what a single
question asks at serving, and the context is paid for once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from tokenizers import Tokenizer

from tandem.prompt import Message, Passage, build_messages
from training.pretrain.lessons import Exercise, Lesson
from training.pretrain.renaming import Renaming
from training.pretrain.tokenizer import TURN_END, TURN_START

ANSWER_WEIGHT, MARKER_WEIGHT, REPEATED_WEIGHT, CONTEXT_WEIGHT = 1.0, 0.5, 0.2, 0.03
"""Of a token as target. In contexts and questions, which are mostly chance, what can be known counts most: the marker
behind a passage, and what follows a token as it did before (names that recur teach copying)."""


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
class Layout:
    """Where one lesson stands in its row: its context, and ``branches`` (B, L), the places of its questions' tokens.

    A shorter question's last place is repeated; ``real`` (B, L) is False there.
    """

    start: int
    context_end: int
    branches: torch.Tensor
    real: torch.Tensor


@dataclass(frozen=True)
class Batch:
    """A row as tensors: tokens, positions and weights (1, T); weights belong to a token as target.

    ``source_at`` (A) says where an answer token is predicted, ``source_places`` (A, T) where it is copied from, and
    ``source_seen`` (A, T) what can be looked at there.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    weights: torch.Tensor
    layouts: tuple[Layout, ...]
    source_at: torch.Tensor
    source_places: torch.Tensor
    source_seen: torch.Tensor


class RowBuilder:
    """Turns lessons into rows of at most ``length`` tokens; a row longer than ``enough`` takes no further lesson.

    Attention costs the square of a row's length, and lessons do not see each other: short rows are cheaper.
    """

    def __init__(self, tokenizer: Tokenizer, length: int, enough: int = 0, renaming: Renaming | None = None) -> None:
        self.tokenizer, self.length, self.enough = tokenizer, length, enough
        self.renaming = renaming or Renaming(tokenizer, 0.0, 0)
        self.marker = {number: tokenizer.token_to_id(f"[{number}]") for number in range(1, 17)}

    def rows(self, lessons: Iterable[Lesson]) -> Iterator[Row]:
        """Fill rows with lessons; questions that do not fit any more are left out, and lessons whose context does not."""
        row, number = Row(), 0
        for lesson in lessons:
            needed = self._needed(lesson)
            if len(row.tokens) > self.enough or (row.tokens and len(row.tokens) + needed > self.length):
                yield row
                row, number = Row(), 0
            number += self._add(row, lesson, number)
        if row.tokens:
            yield row

    def _weights(self, before: list[int], tokens: list[int], other: float) -> list[float]:
        """The weight of each of ``tokens`` as target, when ``before`` stands before them."""
        pairs, markers = set(pairwise(before)), set(self.marker.values())
        weights = []
        for pair in pairwise([*(before[-1:] or [-1]), *tokens]):
            weights.append(MARKER_WEIGHT if pair[1] in markers else REPEATED_WEIGHT if pair in pairs else other)
            pairs.add(pair)
        return weights

    def _needed(self, lesson: Lesson) -> int:
        characters = sum(len(passage.text) for passage in lesson.passages or ())
        questions = sum(len(item.question) + len(item.answer) + 30 for item in lesson.exercises)
        return int((characters + questions) / 3.4) + 60

    def _prefix(self, lesson: Lesson) -> tuple[str, list[int]]:
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
            begins.append(at)
        return text.rstrip(" "), begins

    def _add(self, row: Row, lesson: Lesson, number: int) -> bool:
        """Add a lesson behind the others; False where its context does not fit."""
        prefix, begins = self._prefix(lesson)
        encoding = self.tokenizer.encode(prefix)
        base, context = len(row.tokens), encoding.ids
        if base + len(context) >= self.length:
            return False
        row.extend(context, 0, number, 0, self._weights([], context, CONTEXT_WEIGHT))
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
            weights = self._weights(context, question, 0.0) + [ANSWER_WEIGHT] * len(answer)
            row.extend(question + answer, len(context), number, branch, weights)
            row.exercises.append((at, at + len(answer), item))
            if item.number is not None:
                self._add_sources(row, item, at, answer, starts, begins[item.number - 1], base, context)
        names = self.renaming.draw(row.tokens[base:], self.tokenizer.encode(lesson.system_prompt).ids)
        if names:
            row.tokens[base:] = [names.get(token, token) for token in row.tokens[base:]]
            row.weights[base:] = [0.0 if weight == CONTEXT_WEIGHT else weight for weight in row.weights[base:]]
        return True

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
                aligned = [context[place - base] for place in places] == value
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


def to_batch(row: Row) -> Batch:
    """The tensors of a row."""
    lesson, branch = torch.tensor(row.lesson), torch.tensor(row.branch)
    source_at = torch.tensor([at for at, _ in row.sources], dtype=torch.long)
    source_places = torch.zeros(len(row.sources), len(row.tokens), dtype=torch.bool)
    for index, (_, places) in enumerate(row.sources):
        source_places[index, places] = True
    behind = torch.arange(len(row.tokens)) <= source_at[:, None]
    own = (branch == 0) | (branch == branch[source_at][:, None])
    return Batch(
        tokens=torch.tensor([row.tokens]),
        positions=torch.tensor([row.positions]),
        weights=torch.tensor([row.weights]),
        layouts=tuple(_layout(lesson, branch, number) for number in range(row.lesson[-1] + 1)),
        source_at=source_at,
        source_places=source_places,
        source_seen=behind & own & (lesson == lesson[source_at][:, None]),
    )


def _layout(lesson: torch.Tensor, branch: torch.Tensor, number: int) -> Layout:
    places = (lesson == number).nonzero()[:, 0]
    own = branch[places]
    start, context = int(places[0]), int((own == 0).sum())
    lengths = torch.bincount(own)[1:]
    ends = start + context + lengths.cumsum(0)
    steps = torch.arange(int(lengths.max()) if len(lengths) else 0)
    branches = torch.minimum((ends - lengths)[:, None] + steps, ends[:, None] - 1)
    return Layout(start, start + context, branches, steps < lengths[:, None])
