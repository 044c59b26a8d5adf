"""What a dataset is made of: lengths, first words, languages, groups, documents, and where it is thin or lopsided."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from training.cleaning import first_word
from training.examples import Example
from training.languages import UNDETERMINED
from training.strata import labels

LARGEST: Final = 10
"""Values of each kind that a report shows."""
BINS: Final = 12
THIN: Final = 0.1
"""A language or label is thin below this share of the largest one."""
FEW: Final = 0.01
"""Languages below this share of the examples are taken for slips of the detector when dominance is judged."""

NOUNS: Final = {
    "language": "in the language",
    "group": "of the group",
    "document": "on the document",
    "label": "of the label",
}


def balance(examples: Sequence[Example], languages: Mapping[str, str], dominance: float) -> dict[str, Any]:
    """Examples by language, group, document and label, largest first, and a warning for each that dominates."""
    counts = {
        "language": Counter(languages[example.id] for example in examples if example.id in languages),
        "group": Counter(example.group for example in examples if example.group is not None),
        "document": Counter(document for example in examples for document in example.documents),
        "label": Counter(label for label in labels(examples) if label is not None),
    }
    warnings = [w for kind, values in counts.items() for w in _dominant(kind, values, len(examples), dominance)]
    return {"warnings": warnings, **{kind: largest_first(values) for kind, values in counts.items()}}


def diversity(examples: Sequence[Example], indexed: Sequence[str] | None) -> dict[str, Any]:
    """Lengths in words, first words of questions, and which of the indexed documents (None: no index) have examples."""
    first = Counter(word for example in examples if (word := first_word(example.question)))
    named = Counter(document for example in examples for document in example.documents)
    return {
        "lengths": {
            "question": lengths([len(example.question.split()) for example in examples]),
            "answer": lengths([len(example.answer.split()) for example in examples]),
        },
        "first_words": {"different": len(first), "most": dict(list(largest_first(first).items())[:LARGEST])},
        "coverage": None
        if indexed is None
        else {
            "indexed": len(indexed),
            "covered": sum(document in named for document in indexed),
            "without_example": sorted(document for document in indexed if document not in named),
            "with_one_example": sorted(document for document in indexed if named[document] == 1),
        },
    }


def thin(kept: int, abstentions: int | None, balanced: Mapping[str, Any], varied: Mapping[str, Any]) -> list[str]:
    """What there is too little of, one sentence each; `abstentions` is None where none is wanted."""
    found = []
    if abstentions == 0:
        found.append("no example abstains, so nothing teaches the model to say that it does not know")
    for kind in ("language", "label"):
        counts = {value: count for value, count in balanced[kind].items() if value != UNDETERMINED}
        least = max(counts.values(), default=0) * THIN
        rare = [f"{value} ({count})" for value, count in counts.items() if count < least]
        if rare:
            found.append(f"{_plural(kind, len(rare))} with less than a tenth of the largest one: {shown(rare)}")
    coverage = varied["coverage"]
    if coverage:
        for key, words in (("without_example", "without an example"), ("with_one_example", "with one example only")):
            if coverage[key]:
                names = coverage[key]
                found.append(f"{len(names)} of {coverage['indexed']} indexed documents {words}: {shown(names)}")
    most = next(iter(varied["first_words"]["most"].items()), None)
    if most and most[1] > kept / 2 and kept > 1:
        found.append(f"{100 * most[1] / kept:.0f} % of the questions begin with “{most[0]}”")
    return found


def lengths(counts: Sequence[int]) -> dict[str, Any]:
    """Least, median, 95th percentile and most, and a histogram of `BINS` steps at most; `counts` is not empty."""
    ordered = sorted(counts)
    low, high = ordered[0], ordered[-1]
    width = max(1, -(-(high - low + 1) // BINS))
    bins = Counter((count - low) // width for count in counts)
    return {
        "least": low,
        "median": ordered[(len(ordered) - 1) // 2],
        "p95": ordered[(len(ordered) - 1) * 95 // 100],
        "most": high,
        "histogram": [
            {"from": low + number * width, "to": low + (number + 1) * width - 1, "examples": bins[number]}
            for number in range((high - low) // width + 1)
        ],
    }


def largest_first(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts by size, equal ones by name."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def shown(names: Iterable[str], most: int = LARGEST) -> str:
    """The first names of a list, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def _dominant(kind: str, counts: Mapping[str, int], examples: int, dominance: float) -> list[str]:
    """A warning where one of several values has more than its share of all examples."""
    real = {v: n for v, n in counts.items() if kind != "language" or (v != UNDETERMINED and n >= FEW * examples)}
    if len(real) < 2:
        return []
    value, count = next(iter(largest_first(real).items()))
    share = count / examples
    return [f"{100 * share:.0f} % of the examples are {NOUNS[kind]} {value}"] if share > dominance else []


def _plural(noun: str, count: int) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
