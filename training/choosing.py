"""Which of the clean examples go into a dataset, and an account of each that does not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tandem.errors import UserError
from tandem.settings import Config
from training.anonymising import Anonymised
from training.cleaning import distinct
from training.contamination import Contamination, contamination, contamination_report, without_leaks
from training.diversity import balance, diversity, thin
from training.examples import Example, Question
from training.languages import in_languages, languages_if_on
from training.leaving import CONTRADICTION, EXACT, NEAR, PERSONAL, Leaving, leaving
from training.permissions import ledger, permitted

NAMED_REASONS: Final = 3
"""Reasons that the error for an empty dataset names."""


@dataclass(frozen=True)
class Chosen:
    """What goes into the dataset, and what was found on the way."""

    kept: list[Example]
    left: list[Leaving]
    languages: Mapping[str, str]
    """Example → language; empty where they were not looked at."""
    contamination: list[Contamination] | None
    """None where the domain has no questions."""
    questions: int


def choose(examples: Sequence[Example], questions: Sequence[Question] | None, config: Config, domain: str) -> Chosen:
    """Refuse what lacks a permission or is in another language, then duplicates, then what the evaluation asks.

    In this order, so that of two equal examples the one that may be trained on stays.
    """
    settings = config.training
    named, refused = permitted(examples, config.domain(domain).permissions, domain)
    languages = languages_if_on(named, settings.languages)
    understood, others = in_languages(named, languages, settings.languages.allowed)
    single = distinct(understood, settings.cleaning)
    found = None if questions is None else contamination(single.examples, questions)
    clean, leaked = without_leaks(single.examples, found or (), settings.remove_leaks)
    left = [
        *refused,
        *others,
        *leaving(EXACT, single.exact_duplicates),
        *leaving(CONTRADICTION, single.contradictions),
        *leaving(NEAR, single.near_duplicates),
        *leaked,
    ]
    return Chosen(clean, left, languages, found, len(questions or ()))


def discipline(
    kept: Sequence[Example],
    left: Sequence[Leaving],
    chosen: Chosen,
    config: Config,
    domain: str,
    indexed: Sequence[str] | None,
) -> dict[str, Any]:
    """The report's values on what left, permissions, contamination, balance and diversity."""
    settings = config.training
    balanced = balance(kept, chosen.languages, settings.dominance)
    varied = diversity(kept, indexed)
    abstentions = sum(example.abstains for example in kept)
    found = chosen.contamination
    wanted = abstentions if config.domain(domain).task == "answers" else None
    return {
        "left": [asdict(item) for item in left],
        "permissions": ledger(kept, config.domain(domain).permissions),
        "contamination": None
        if found is None
        else contamination_report(found, chosen.questions, settings.remove_leaks),
        "balance": balanced,
        "diversity": {**varied, "thin": thin(len(kept), wanted, balanced, varied)},
    }


def private_leaving(private: Anonymised) -> list[Leaving]:
    """The examples that anonymising left out."""
    return [Leaving(item.id, PERSONAL, item.reason) for item in private.left_out]


def nothing_left(source: Path | str, left: Sequence[Leaving]) -> UserError:
    """The error for a source of which no example may be trained on: how many left, and why."""
    reasons = Counter(item.reason for item in left).most_common(NAMED_REASONS)
    why = "; ".join(f"{count} as {reason}" for reason, count in reasons)
    return UserError(
        f"Preparing leaves nothing of the examples in {source}: {why}.",
        code="invalid_examples",
        left=[asdict(item) for item in left],
    )
