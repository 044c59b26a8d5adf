"""Which rows tell when to stop.

A reading adapter learns a skill, so documents that training never saw show whether it got better. A closed-book adapter
learns facts, and those of unseen documents it cannot know: their loss rises while it learns. There the facts it is
taught, asked in words it was not taught with, show how far it is.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from training.cleaning import normalise
from training.examples import Example
from training.splitting import Split

UNSEEN_DOCUMENTS = "unseen_documents"
OTHER_WORDINGS = "other_wordings"
TRAINING_ROWS = "training_rows"


@dataclass(frozen=True)
class Watched:
    """What is trained on, and what is watched, by name; the loss on the first of them decides."""

    train: list[Example]
    watched: dict[str, list[Example]]

    @property
    def decisive(self) -> str:
        """The name of the examples whose loss decides."""
        return next(iter(self.watched))


def watch(kind: str, parts: Split, share: float, seed: int) -> Watched:
    """What is trained on and watched of a dataset, for a kind of adapter."""
    if kind == "reading":
        return watch_reading(parts.train, parts.validation)
    return watch_closed_book(parts.train, parts.validation, share, seed)


def watch_reading(train: Sequence[Example], validation: Sequence[Example]) -> Watched:
    """For a reading adapter: documents that training never sees."""
    return Watched(list(train), {UNSEEN_DOCUMENTS: list(validation)})


def watch_closed_book(train: Sequence[Example], validation: Sequence[Example], share: float, seed: int) -> Watched:
    """For a closed-book adapter: up to `share` of the rows, each another wording of a fact that stays in training.

    Where no fact is asked in two ways, as many of the training rows themselves, which then show only what was learned
    by heart.
    """
    chance = random.Random(seed)
    count = max(1, round(share * len(train)))
    facts = list(wordings(train))
    chance.shuffle(facts)
    held = {chance.choice(fact).id for fact in facts[:count]}
    if held:
        kept = [example for example in train if example.id not in held]
        watched = {OTHER_WORDINGS: [example for example in train if example.id in held]}
    else:
        kept = list(train)
        watched = {TRAINING_ROWS: chance.sample(kept, min(count, len(kept)))}
    return Watched(kept, {**watched, UNSEEN_DOCUMENTS: list(validation)})


def wordings(examples: Sequence[Example]) -> list[list[Example]]:
    """Examples that ask for the same fact in other words, two or more of each; abstentions state no fact."""
    facts: defaultdict[tuple[object, ...], list[Example]] = defaultdict(list)
    for example in examples:
        if not example.abstains:
            facts[frozenset(example.documents), normalise(example.answer)].append(example)
    return [fact for fact in facts.values() if len(fact) > 1]
