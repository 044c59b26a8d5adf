"""Examples made even: one form of Unicode and blank space, and nothing twice."""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from retrieval.documents import clean_text
from tandem.training_settings import CleaningConfig
from training.examples import Example

NEAR: Final = 0.9
"""Share of common words (Jaccard) from which two questions with one answer count as the same."""

EVERY_DEFAULT: Final = CleaningConfig()

_WORD: Final = re.compile(r"[^\W_]+")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f]")
_ANY_LINE_END: Final = re.compile(r"\r\n|[\r\x0c\x85\u2028\u2029]")
_SURROGATES: Final = re.compile(r"[\ud800-\udfff]")
_ZERO_WIDTH: Final = re.compile(r"[\u200b\u2060\ufeff]")
_BLANKS: Final = re.compile(r"[^\S\n]+")
_LINE_ENDS: Final = re.compile(r" ?\n ?")


@dataclass(frozen=True)
class Tidied:
    """Examples with their texts in one form, in their order, and what came of it."""

    examples: list[Example]
    empty: list[str]
    """Ids of those of whose question or answer nothing was left."""
    changed: dict[str, int]
    """Step that changes texts → examples it changed."""


@dataclass(frozen=True)
class Distinct:
    """What is left without duplicates, in its order, and the ids of what was taken out."""

    examples: list[Example]
    exact_duplicates: list[str]
    """The same question with the same answer."""
    near_duplicates: list[str]
    """Nearly the same words, the same numbers and the same answer."""
    contradictions: list[str]
    """The same question with another answer than an earlier example."""


def tidy(examples: Sequence[Example], settings: CleaningConfig = EVERY_DEFAULT) -> Tidied:
    """Texts in one form; `settings` says which steps are taken."""
    steps = {step: apply for step, apply in TEXT_STEPS.items() if getattr(settings, step)}
    changed: Counter[str] = Counter(dict.fromkeys(TEXT_STEPS, 0))
    tidied = [_tidy_counted(example, steps, changed) for example in examples]
    kept = [example for example in tidied if example.question and example.answer]
    return Tidied(kept, [example.id for example in tidied if not (example.question and example.answer)], dict(changed))


def distinct(examples: Sequence[Example], settings: CleaningConfig = EVERY_DEFAULT) -> Distinct:
    """Examples without duplicates, of which the first one stays; `settings` says which kinds are taken out."""
    first: dict[str, Example] = {}
    kept: list[Example] = []
    exact: list[str] = []
    contradictions: list[str] = []
    for example in examples:
        earlier = first.setdefault(normalise(example.question), example)
        if earlier is example:
            kept.append(example)
            continue
        same = normalise(earlier.answer) == normalise(example.answer)
        if settings.exact_duplicates if same else settings.contradictions:
            (exact if same else contradictions).append(example.id)
        else:
            kept.append(example)
    # Of the first of each question only: what is exactly a duplicate is not for this step to take out.
    near = near_duplicates(first.values()) if settings.near_duplicates else set()
    return Distinct(
        [example for example in kept if example.id not in near],
        exact,
        [example.id for example in kept if example.id in near],
        contradictions,
    )


def _tidy_counted(example: Example, steps: Mapping[str, Callable[[str], str]], changed: Counter[str]) -> Example:
    """The example with its texts in one form; each step that changed one of them counts one up."""
    before = texts = [example.question, example.answer, example.value or ""]
    if all(map(_is_even, texts)):
        return example
    for step, apply in steps.items():
        after = [apply(text) for text in texts]
        changed[step] += after != texts
        texts = after
    # JSON may carry lone surrogates, UTF-8 and so the dataset cannot.
    texts = [text if text.isascii() else _SURROGATES.sub("\ufffd", text) for text in texts]
    if texts == before:
        return example
    question, answer, value = texts
    return replace(example, question=question, answer=answer, value=None if example.value is None else value)


def _is_even(text: str) -> bool:
    """Whether no step changes a text, as is true of most."""
    return text.isascii() and text.isprintable() and "  " not in text and text[:1] != " " != text[-1:]


def tidy_text(text: str) -> str:
    """A text after the steps that are taken by default; line ends stay."""
    for step, apply in TEXT_STEPS.items():
        if getattr(EVERY_DEFAULT, step):
            text = apply(text)
    return text


def remove_noise(text: str) -> str:
    """No control characters, `\n` line ends, single blanks, no blank space around lines."""
    if text.isprintable() and "  " not in text:  # so are most texts; the one blank that is printable is the space
        return text.strip()
    text = _CONTROLS.sub("", _ANY_LINE_END.sub("\n", text)).removeprefix("\ufeff")
    return _LINE_ENDS.sub("\n", _BLANKS.sub(" ", text)).strip()


def remove_zero_width(text: str) -> str:
    """No zero-width spaces, word joiners and byte-order marks; the joiners of Persian, Hindi and emoji stay."""
    return _ZERO_WIDTH.sub("", text).strip()


def repair_unicode(text: str) -> str:
    """NFC, and the replacement character for lone surrogates."""
    return text if text.isascii() else unicodedata.normalize("NFC", _SURROGATES.sub("\ufffd", text))


TEXT_STEPS: Final[dict[str, Callable[[str], str]]] = {
    "noise": remove_noise,
    "zero_width": remove_zero_width,
    "unicode": repair_unicode,
}
"""The switch of `training.cleaning` → what it does to a text, in the order in which they are taken."""


def normalise(text: str) -> str:
    """The words of a text, case folded, single blanks between: equal for what differs in case and marks only.

    A text without any word (another alphabet's marks, say) is itself.
    """
    text = clean_text(text).casefold()
    return " ".join(_WORD.findall(text)) or text.strip()


def first_word(text: str) -> str:
    """The first word of `normalise`; empty where the text has nothing but blanks."""
    text = clean_text(text).casefold()
    match = _WORD.search(text)
    return match[0] if match else next(iter(text.split(maxsplit=1)), "")


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
