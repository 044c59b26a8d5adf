"""The kinds of examples that training and validation should both have in proportion."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from training.cleaning import normalise
from training.examples import Example

FEWEST: Final = 10
"""Examples from which on a repeated answer is a label."""


def labels(examples: Sequence[Example]) -> list[str | None]:
    """The label of each example: its answer, where `FEWEST` examples without documents have it; never an abstention.

    So classification that is written as questions and answers, or prompts and completions, shows its labels.
    """
    answers = [None if example.documents or example.abstains else normalise(example.answer) for example in examples]
    counts = Counter(answers)
    return [example.answer if counts[a] >= FEWEST and a else None for example, a in zip(examples, answers, strict=True)]


def strata(examples: Sequence[Example], languages: Mapping[str, str]) -> list[Hashable]:
    """The kind of each example: whether it abstains, its language (example → language) and its label."""
    return [
        (example.abstains, languages.get(example.id), label and normalise(label))
        for example, label in zip(examples, labels(examples), strict=True)
    ]
