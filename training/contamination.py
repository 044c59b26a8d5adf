"""Examples that would teach a question of the evaluation: the same, nearly the same, or eight words in a row of it.

Work and memory grow with the questions; examples are looked at one by one.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from training.cleaning import NEAR, normalise, overlap
from training.examples import Example, Question
from training.leaving import LEAKED, Leaving

RUN: Final = 8
"""Words in a row that both have: long enough that everyday phrases seldom fill it."""

Likeness = Literal["exact", "near", "overlap"]
LIKENESSES: Final[tuple[Likeness, ...]] = get_args(Likeness)

# Scripts without blanks between words: each sign counts as one.
_SIGN: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN: Final = re.compile(f"[{_SIGN}]|[^\\W_{_SIGN}]+")


@dataclass(frozen=True)
class Contamination:
    """One example that is like one question; the strongest likeness alone is named."""

    example: str
    question: str
    likeness: Likeness
    shown: str
    """What both have, for a person: the share of common words, or the words in a row."""


class Questions:
    """The evaluation's questions, arranged so that examples like them are found at once."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._exact: dict[str, str] = {}
        self._words: list[tuple[str, frozenset[str]]] = []
        self._runs: dict[tuple[str, ...], str] = {}
        for question in questions:
            text = normalise(question.question)
            self._exact.setdefault(text, question.id)
            self._words.append((question.id, frozenset(text.split())))
            for run in _runs(question.question):
                self._runs.setdefault(run, question.id)
        self._counts = Counter(word for _, words in self._words for word in words)
        self._by_rare_word: defaultdict[str, list[int]] = defaultdict(list)
        for position, (_, words) in enumerate(self._words):
            for word in self._rarest(words):
                self._by_rare_word[word].append(position)

    def like(self, example: Example) -> Contamination | None:
        """The question that an example is most like; None where it is like none."""
        text = normalise(example.question)
        if text in self._exact:
            return Contamination(example.id, self._exact[text], "exact", "the same question")
        near = self._nearest(frozenset(text.split()))
        if near:
            share, question = near
            return Contamination(example.id, question, "near", f"{100 * share:.0f} % of the words")
        for run in (*_runs(example.question), *_runs(example.answer)):
            if run in self._runs:
                return Contamination(example.id, self._runs[run], "overlap", " ".join(run))
        return None

    def _nearest(self, words: frozenset[str]) -> tuple[float, str] | None:
        """The highest overlap of `NEAR` or more with a question; of equals the first question."""
        # Two sets that overlap so much share one of the rarest words of each, as in training.cleaning.
        candidates = {position for word in self._rarest(words) for position in self._by_rare_word.get(word, ())}
        scored = [(overlap(words, self._words[position][1]), -position) for position in candidates]
        share, place = max(scored, default=(0.0, 0))
        return (share, self._words[-place][0]) if share >= NEAR else None

    def _rarest(self, words: frozenset[str]) -> list[str]:
        count = len(words) - math.ceil(NEAR * len(words) - 1e-9) + 1
        return sorted(words, key=lambda word: (self._counts[word], word))[:count]


def contamination(examples: Iterable[Example], questions: Sequence[Question]) -> list[Contamination]:
    """Every example that is like a question of the evaluation, in the order of the examples."""
    arranged = Questions(questions)
    return [found for example in examples if (found := arranged.like(example)) is not None]


def without_leaks(
    examples: Sequence[Example], found: Iterable[Contamination], taken_out: Sequence[str]
) -> tuple[list[Example], list[Leaving]]:
    """The examples without those whose likeness is among `taken_out`, and those that leave."""
    gone = {item.example: item for item in found if item.likeness in taken_out}
    left = [Leaving(item.example, LEAKED, reason(item)) for item in gone.values()]
    return [example for example in examples if example.id not in gone], left


def reason(item: Contamination) -> str:
    """Why an example is listed, as a clause."""
    match item.likeness:
        case "exact":
            return f"it asks question {item.question}"
        case "near":
            return f"it has {item.shown} in common with question {item.question}"
        case "overlap":
            return f"it has “{item.shown}” in common with question {item.question}"


def contamination_report(found: Sequence[Contamination], questions: int, taken_out: Sequence[str]) -> dict[str, Any]:
    """The report's values: how many questions, what was taken out, and the examples by likeness."""
    by_likeness: dict[str, list[dict[str, str]]] = {likeness: [] for likeness in LIKENESSES}
    for item in found:
        by_likeness[item.likeness].append({"example": item.example, "question": item.question, "reason": reason(item)})
    return {"questions": questions, "taken_out": [kind for kind in LIKENESSES if kind in taken_out], **by_likeness}


def _runs(text: str) -> list[tuple[str, ...]]:
    """Each run of `RUN` words of a text, in its order."""
    words = _TOKEN.findall(normalise(text))
    return [tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1)]
