"""Examples made even: one form of Unicode and blank space, and nothing twice."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from retrieval.documents import clean_text
from training.examples import Example

NEAR: Final = 0.9
"""Share of common words (Jaccard) from which two questions with one answer count as the same."""

_WORD: Final = re.compile(r"[^\W_]+")
_BLANKS: Final = re.compile(r"[^\S\n]+")
_LINE_ENDS: Final = re.compile(r" ?\n ?")


@dataclass(frozen=True)
class Cleaned:
    """What is left, in its order, and the ids of what was taken out."""

    examples: list[Example]
    exact_duplicates: list[str]
    """The same question with the same answer."""
    near_duplicates: list[str]
    """Nearly the same words, the same numbers and the same answer."""
    contradictions: list[str]
    """The same question with another answer than an earlier example."""


def clean(examples: Sequence[Example]) -> Cleaned:
    """Examples in one form (Unicode NFC, single blanks), without duplicates; of these the first one stays."""
    kept: dict[str, Example] = {}
    exact: list[str] = []
    contradictions: list[str] = []
    for example in map(tidy, examples):
        question = normalise(example.question)
        earlier = kept.setdefault(question, example)
        if earlier is not example:
            same = normalise(earlier.answer) == normalise(example.answer)
            (exact if same else contradictions).append(example.id)
    near = near_duplicates(list(kept.values()))
    left = [example for example in kept.values() if example.id not in near]
    return Cleaned(left, exact, [example.id for example in kept.values() if example.id in near], contradictions)


def tidy(example: Example) -> Example:
    """The example with its texts in one form."""
    value = None if example.value is None else tidy_text(example.value)
    return replace(example, question=tidy_text(example.question), answer=tidy_text(example.answer), value=value)


def tidy_text(text: str) -> str:
    """NFC, no control characters, single blanks, no blank space around lines; line ends stay."""
    return _LINE_ENDS.sub("\n", _BLANKS.sub(" ", clean_text(text))).strip()


def normalise(text: str) -> str:
    """The words of a text, case folded, single blanks between: equal for what differs in case and marks only.

    A text without any word (another alphabet's marks, say) is itself.
    """
    text = clean_text(text).casefold()
    return " ".join(_WORD.findall(text)) or text.strip()


def near_duplicates(examples: Iterable[Example]) -> set[str]:
    """Ids of examples that an earlier one, which stays, nearly repeats.

    Both have the same answer, documents and words with digits, and their words overlap by `NEAR`.
    """
    groups: defaultdict[tuple[object, ...], list[tuple[str, frozenset[str]]]] = defaultdict(list)
    for example in examples:
        words = frozenset(normalise(example.question).split())
        numbers = frozenset(word for word in words if any(letter.isdigit() for letter in word))
        groups[normalise(example.answer), frozenset(example.documents), numbers].append((example.id, words))
    found: set[str] = set()
    for group in groups.values():
        found |= _repeated(group)
    return found


def _repeated(group: Sequence[tuple[str, frozenset[str]]]) -> set[str]:
    """Ids whose words overlap by `NEAR` with those of an earlier one that stays.

    Sets that overlap so much share one of the few rarest words of each (the prefix filter of Chaudhuri et al. 2006,
    "A Primitive Operator for Similarity Joins"), so only those are compared.
    """
    counts = Counter(word for _, words in group for word in words)
    by_rare_word: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
    repeated = set()
    for name, words in group:
        rarest = sorted(words, key=lambda word: (counts[word], word))[: len(words) - math.ceil(NEAR * len(words)) + 1]
        earlier = {other for word in rarest for other in by_rare_word[word]}
        if any(overlap(words, other) >= NEAR for other in earlier):
            repeated.add(name)
        else:
            for word in rarest:
                by_rare_word[word].append(words)
    return repeated


def overlap(left: frozenset[str], right: frozenset[str]) -> float:
    """Jaccard's index of two sets of words, 0 to 1; two empty ones are equal."""
    return len(left & right) / len(left | right) if left | right else 1.0
