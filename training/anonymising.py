"""Personal data in examples replaced before anything is written, and an account of it that repeats none of it."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final, Protocol

from tandem.training_settings import AnonymiseConfig
from training.checks import TextOf, holds
from training.examples import Example, Question
from training.personal_data import Span, finders, own_finder, without_overlaps
from training.pseudonyms import OURS, Masks, Pseudonyms

ROUNDS: Final = 8
"""Passes over a text at most; one pass is nearly always enough, a second one shows it."""
FIELDS: Final = (
    *("question", "answer", "value", "licence", "source", "basis", "group"),
    *("evidence", "reviewed_by"),
)

_TOKEN: Final = re.compile(r"\w+")
_SAME_LOOKING: Final = re.compile(r"\s+")


class Replacements(Protocol):
    """Gives each found value its replacement."""

    def replacement(self, kind: str, value: str) -> str: ...


@dataclass(frozen=True)
class LeftOut:
    """An example that would be untrue with its personal data replaced; `reason` is a clause for a person."""

    id: str
    kinds: list[str]
    reason: str


@dataclass
class Anonymised:
    """The examples that are left, and what was done; `originals` is for checks in memory and is never written."""

    examples: list[Example]
    mode: str
    random_key: bool = False
    found: Counter[str] = field(default_factory=Counter)
    """Kind → replaced places in the examples that are left."""
    allowed: int = 0
    """Places that the operator's `allow` let stand."""
    changed: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    renamed: int = 0
    """Examples whose id held personal data and is `example-<position>` now."""
    document_ids: list[str] = field(default_factory=list)
    """Examples that name a document whose id holds personal data, which stays: it has to name the document."""
    originals: dict[str, set[str]] = field(default_factory=dict)
    """Example → what was replaced in it."""


class Anonymiser:
    """Finds and replaces personal data in texts; knows what it found, so as to find it again without a hint."""

    def __init__(self, settings: AnonymiseConfig, replacements: Replacements) -> None:
        self._finders = list(finders(settings.kinds, settings.phone_regions).values())
        self._finders.append(own_finder(settings.words, settings.patterns))
        self._replacements = replacements
        # The same text is looked at when learning, when replacing and when counting.
        self._by_rules = lru_cache(maxsize=50_000)(self._find)
        patterns = [re.escape(_alike(text)).replace(r"\*", ".*") for text in settings.allow]
        self._allowed = re.compile("|".join(patterns) or r"(?!)", re.DOTALL)
        self._known: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)

    def learn(self, texts: Iterable[str]) -> None:
        """Remember what texts hold, so that `replace` finds it everywhere.

        Not so lone names that are also written small somewhere (Rose, Mark): those may be words.
        """
        small: set[str] = set()
        lone: set[str] = set()
        for text in texts:
            small.update(word for word in _TOKEN.findall(text) if word.islower())
            for span in self.spans(text):
                value = text[span.start : span.end]
                if span.kind != "name" or " " in value:
                    self._remember(self._known, span.kind, value)
                else:
                    lone.add(value)
        for name in lone:
            if name.casefold() not in small:
                self._remember(self._known, "name", name)

    def replace(self, texts: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
        """Texts that belong together without personal data, and the (kind, value) of each place that was replaced.

        A lone name that one of them announces (`Dear Anna`) is replaced in all of them.
        """
        local: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        replaced: list[tuple[str, str]] = []
        results = list(texts)
        for _ in range(ROUNDS):
            for text in results:
                for span in self.spans(text):
                    self._remember(local, span.kind, text[span.start : span.end])
            done = [self._pass(text, local) for text in results]
            results = [text for text, _ in done]
            new = [item for _, items in done for item in items]
            replaced += new
            if not new:
                break
        return results, replaced

    def spans(self, text: str) -> list[Span]:
        """Where a text holds personal data, by the rules; none over another, none over what is allowed or ours."""
        return self._sorted_out(text, self._by_rules(text))[0]

    def count_allowed(self, text: str) -> int:
        """Places that hold personal data which the operator allows."""
        return self._sorted_out(text, self._by_rules(text))[1]

    def _find(self, text: str) -> tuple[Span, ...]:
        return tuple(span for find in self._finders for span in find(text))

    def _sorted_out(self, text: str, spans: Iterable[Span]) -> tuple[list[Span], int]:
        found = set(spans)
        allowed = {span for span in found if self._allowed.fullmatch(_alike(text[span.start : span.end]))}
        ours = [Span(*match.span(), "ours") for match in OURS.finditer(text)]
        taken = [*ours, *allowed]
        return without_overlaps(found - allowed, taken), len(without_overlaps(allowed))

    def _pass(self, text: str, local: dict[str, set[tuple[str, str]]]) -> tuple[str, list[tuple[str, str]]]:
        spans, _ = self._sorted_out(text, [*self._by_rules(text), *_again(text, self._known), *_again(text, local)])
        pieces, replaced, place = [], [], 0
        for span in spans:
            value = text[span.start : span.end]
            pieces += [text[place : span.start], self._replacements.replacement(span.kind, value)]
            replaced.append((span.kind, value))
            place = span.end
        return "".join([*pieces, text[place:]]), replaced

    @staticmethod
    def _remember(known: defaultdict[str, set[tuple[str, str]]], kind: str, value: str) -> None:
        first = _TOKEN.search(value)
        if first:
            known[first[0]].add((value, kind))


def without_personal_data(
    examples: Sequence[Example], questions: list[Question] | None, settings: AnonymiseConfig
) -> tuple[Anonymised | None, list[Question] | None]:
    """The examples anonymised, None where that is switched off, and the evaluation's questions.

    The questions get the same replacements, in memory only, so that leakage is still seen.
    """
    if settings.mode == "off":
        return None, questions
    done, anonymiser = anonymise(examples, settings)
    if questions is None:
        return done, None
    texts = (anonymiser.replace([question.question])[0][0] for question in questions)
    return done, [replace(question, question=text) for question, text in zip(questions, texts, strict=True)]


def anonymise(examples: Sequence[Example], settings: AnonymiseConfig) -> tuple[Anonymised, Anonymiser]:
    """Tidied examples without the personal data that rules find, and what finds it again.

    What is found in one example is looked for in all. Left out is an example whose `value`, or whose answer from
    documents, would be another one after it: it would teach what no document says. Raises ConfigError for a bad key.
    """
    replacements = Pseudonyms.from_environment(os.environ) if settings.mode == "pseudonym" else Masks()
    anonymiser = Anonymiser(settings, replacements)
    anonymiser.learn(text for example in examples for text in _texts(example))
    done = Anonymised([], settings.mode, isinstance(replacements, Pseudonyms) and replacements.random)
    taken = {example.id for example in examples}
    for number, example in enumerate(examples, 1):
        _anonymise(example, _free_id(number, taken), anonymiser, done)
    return done, anonymiser


def at_odds(done: Anonymised, kept: Iterable[Example], text_of: TextOf) -> list[str]:
    """Ids of examples in which something was replaced that one of their documents says: they fit it less well now."""
    found = []
    for example in kept:
        values = done.originals.get(example.id, ())
        texts = [text_of(name) or "" for name in example.documents] if values else []
        if any(holds(text, value) for text in texts for value in values):
            found.append(example.id)
    return found


def account(done: Anonymised, odds: Sequence[str] | None) -> dict[str, Any]:
    """The report's values on anonymising: numbers and ids of examples, no value that was found."""
    return {
        "mode": done.mode,
        "random_key": done.random_key,
        "replaced": dict(sorted(done.found.items())),
        "changed": len(done.changed),
        "allowed": done.allowed,
        "left_out": [{"id": item.id, "kinds": item.kinds, "reason": item.reason} for item in done.left_out],
        "renamed": done.renamed,
        "document_ids": done.document_ids,
        "at_odds": None if odds is None else list(odds),
    }


def account_lines(values: dict[str, Any]) -> list[str]:
    """The account in a few lines for people."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in values["replaced"].items()) or "nothing found"
    lines = [f"personal data ({values['mode']}): {kinds}; {values['changed']} examples changed"]
    if values["allowed"]:
        lines.append(f"allowed: {values['allowed']} places that `training.anonymise.allow` lets stand")
    if values["left_out"]:
        lines.append(
            f"left out: {len(values['left_out'])} examples that would say what no document says; what is meant to be "
            "public belongs into `training.anonymise.allow`"
        )
    if values["at_odds"]:
        lines.append(f"at odds: {len(values['at_odds'])} examples lost what one of their documents says")
    if values["renamed"]:
        lines.append(f"renamed: {values['renamed']} examples whose id held personal data")
    if values["document_ids"]:
        lines.append(f"not replaced: personal data in the ids of documents of {len(values['document_ids'])} examples")
    if values["random_key"]:
        lines.append(
            "pseudonyms: under a key for this run only, so the next run gives others and another digest; "
            "set TANDEM_PSEUDONYM_KEY or TANDEM_PSEUDONYM_KEY_FILE to keep both"
        )
    return lines


def _anonymise(example: Example, new_id: str, anonymiser: Anonymiser, done: Anonymised) -> None:
    """Add one example to what is done, as one that is left or as one that is left out."""
    names = [name for name in FIELDS if getattr(example, name) is not None]
    texts, replaced = anonymiser.replace([getattr(example, name) for name in names])
    values = dict(zip(names, texts, strict=True))
    identifier, in_id = example.id, anonymiser.replace([example.id])[1]
    if in_id:
        identifier = new_id
        done.renamed += 1
    if any(anonymiser.replace([name])[1] for name in example.documents):
        done.document_ids.append(identifier)
    reason = _untrue(example, values, anonymiser)
    if reason:
        done.left_out.append(LeftOut(identifier, sorted({kind for kind, _ in replaced}), reason))
        return
    anonymous: dict[str, Any] = {"id": identifier, **values}
    done.examples.append(replace(example, **anonymous))
    done.allowed += sum(anonymiser.count_allowed(text) for text in _texts(example))
    done.found.update(kind for kind, _ in replaced)
    if replaced:
        done.changed.append(identifier)
        done.originals[identifier] = {value for _, value in replaced}


def _untrue(example: Example, values: dict[str, str], anonymiser: Anonymiser) -> str | None:
    """Why the example would not be true to its documents any more; None where it still is."""
    if example.value is not None and values["value"] != example.value:
        return "its value is personal data"
    if example.documents and values["answer"] != example.answer:
        kinds = {kind for kind, _ in anonymiser.replace([example.answer])[1]} - {"name"}
        if kinds:
            return f"its answer from documents holds personal data ({', '.join(sorted(kinds))})"
    return None


def _texts(example: Example) -> list[str]:
    return [text for name in FIELDS if (text := getattr(example, name)) is not None]


def _free_id(number: int, taken: set[str]) -> str:
    name = f"example-{number}"
    while name in taken:
        name += "-"
    return name


def _alike(text: str) -> str:
    """One form for values that differ in case and kind of blanks only."""
    return _SAME_LOOKING.sub(" ", text).strip().casefold()


def _again(text: str, known: dict[str, set[tuple[str, str]]]) -> Iterable[Span]:
    """Where values that are known from elsewhere stand in a text, as whole words."""
    for token in _TOKEN.finditer(text) if known else ():
        for value, kind in known.get(token[0], ()):
            start = token.start() - value.index(token[0])
            end = start + len(value)
            if start >= 0 and text[start:end] == value and not text[end : end + 1].isalnum():
                yield Span(start, end, kind)
