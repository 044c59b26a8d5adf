"""Personal data found by the rules of `tandem prepare`, by type: recall and precision on presidio-research's sentences.

`python -m benchmarks.personal_data`. The sentences (synthetic people, MIT licence) lie in `pii-presidio` under the
folder that `TANDEM_TEST_DATA` names. Each sentence is looked at alone, by the rules with their defaults: what preparing
remembers from other examples is not in these numbers. A marked place is found when no letter or digit of it would stay;
it is touched when some of it would go. A found place is right when most of it is marked as its type; one that lies in
a marked place of a type that is not looked for (a city alone, an organisation, a date, an age, a title) counts as wrong
and is named beside it. The intervals draw templates, not sentences: sentences of one template are alike.
"""

import argparse
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from tandem.training_settings import AnonymiseConfig, PersonalKind
from training.anonymising import Anonymiser
from training.personal_data import Span

ROOT: Final = Path(__file__).resolve().parent.parent
DATA: Final = Path(os.environ.get("TANDEM_TEST_DATA", ROOT.parent / "shared" / "data"))
SEED: Final = 20261122
RESAMPLES: Final = 2000
KIND_OF: Final[dict[str, PersonalKind]] = {
    "PERSON": "name",
    "STREET_ADDRESS": "address",
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
    "US_SSN": "id",
}
"""The set's types that preparing looks for."""


@dataclass(frozen=True)
class Sentence:
    """A text with its marked places; `template` is what sentences that are alike have in common."""

    text: str
    template: int
    marked: list[tuple[int, int, str]]
    """(start, end, the set's type)."""


@dataclass
class Counts:
    """One kind: (template, whether) for each marked place (found, touched) and for each found one (right)."""

    found: list[tuple[int, bool]] = field(default_factory=list)
    touched: list[tuple[int, bool]] = field(default_factory=list)
    right: list[tuple[int, bool]] = field(default_factory=list)
    instead: Counter[str] = field(default_factory=Counter)
    """The set's types in which wrong places lie; `nothing` outside of all."""


class Unused:
    """Nothing is replaced here."""

    def replacement(self, kind: str, value: str) -> str:
        raise AssertionError(kind, value)


def read_sentences(path: Path) -> list[Sentence]:
    """The sentences of a file of JSON lines."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [
        Sentence(row["text"], row["template_id"], [(s["start"], s["end"], s["type"]) for s in row["spans"]])
        for row in rows
    ]


def count(sentences: Iterable[Sentence], anonymiser: Anonymiser) -> dict[str, Counts]:
    """Kind → what was found of it, and what was right of what was found."""
    counts: defaultdict[str, Counts] = defaultdict(Counts)
    for sentence in sentences:
        spans = anonymiser.spans(sentence.text)
        gone = {place for span in spans for place in range(span.start, span.end)}
        for start, end, marked in sentence.marked:
            if marked in KIND_OF:
                of = counts[KIND_OF[marked]]
                signs = [place for place in range(start, end) if sentence.text[place].isalnum()]
                of.found.append((sentence.template, all(place in gone for place in signs)))
                of.touched.append((sentence.template, any(place in gone for place in signs)))
        for span in spans:
            here = _marked_as(span, sentence)
            right = KIND_OF.get(here) == span.kind
            counts[span.kind].right.append((sentence.template, right))
            if not right:
                counts[span.kind].instead[here] += 1
    return dict(counts)


def _marked_as(span: Span, sentence: Sentence) -> str:
    """The set's type that more than half of a found place is marked as; `nothing` where there is none."""
    length: Counter[str] = Counter()
    for start, end, marked in sentence.marked:
        length[marked] += max(0, min(end, span.end) - max(start, span.start))
    best, most = max(length.items(), key=lambda item: item[1], default=("nothing", 0))
    return best if 2 * most > span.end - span.start else "nothing"


def share(values: Sequence[tuple[int, bool]]) -> dict[str, Any] | None:
    """The share that is true, with its 95 % percentile interval over templates drawn again; None of nothing."""
    if not values:
        return None
    by_template: defaultdict[int, list[bool]] = defaultdict(list)
    for template, value in values:
        by_template[template].append(value)
    sums = np.array([sum(group) for group in by_template.values()])
    sizes = np.array([len(group) for group in by_template.values()])
    drawn = np.random.default_rng(SEED).integers(0, len(sums), (RESAMPLES, len(sums)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [0.025, 0.975])
    true = sum(value for _, value in values)
    return {"true": true, "of": len(values), "share": true / len(values), "low": float(low), "high": float(high)}


def to_json(counts: dict[str, Counts]) -> dict[str, Any]:
    """All numbers by kind."""
    return {
        kind: {
            "recall": share(of.found),
            "touched": share(of.touched),
            "precision": share(of.right),
            "instead": dict(of.instead.most_common()),
        }
        for kind, of in counts.items()
    }


def show(found: dict[str, Any]) -> str:
    """A line for each kind."""

    def told(value: dict[str, Any] | None) -> str:
        if value is None:
            return "none"
        interval = f"[{100 * value['low']:.0f}, {100 * value['high']:.0f}]"
        return f"{value['true']} of {value['of']} = {100 * value['share']:.1f} % {interval}"

    lines = []
    for kind, of in sorted(found.items()):
        lines.append(f"{kind}: recall {told(of['recall'])}, touched {told(of['touched'])}")
        wrong = ", ".join(f"{number} {name}" for name, number in of["instead"].items())
        lines.append(f"  precision {told(of['precision'])}{f'; wrong: {wrong}' if wrong else ''}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.personal_data", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    path = DATA / "pii-presidio" / "synth_v2.jsonl"
    if not path.is_file():
        print(f"{path} is not there: set TANDEM_TEST_DATA to a folder with pii-presidio. Nothing was measured.")
        return 0
    sentences = read_sentences(path)
    found = to_json(count(sentences, Anonymiser(AnonymiseConfig(mode="mask"), Unused())))
    if options.json:
        print(json.dumps({"benchmark": "personal_data", "sentences": len(sentences), "kinds": found}))
    else:
        print(f"{len(sentences)} sentences; intervals of 95 % over templates\n{show(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
