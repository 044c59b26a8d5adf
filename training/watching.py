"""Which rows tell when to stop.

A reading adapter learns a skill, so documents that training never saw show whether it got better. A closed-book adapter
learns facts, and those of unseen documents it could not know: a document kept from it is a document that it does not
answer for. So it is taught all, and asked for what it is taught in words it was not taught with. A mixed adapter is
taught facts too, and watched as a closed-book one.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tandem.adapters import Kind
from tandem.settings import Task
from tandem.training_settings import TrainingConfig
from training.cleaning import normalise
from training.examples import Example
from training.splitting import Split

UNSEEN_DOCUMENTS = "unseen_documents"
OTHER_WORDINGS = "other_wordings"
TRAINING_ROWS = "training_rows"
UNSEEN_TEXTS = "unseen_texts"


@dataclass(frozen=True)
class Watched:
    """What is trained on, and what is watched, by name; the loss on the first of them decides."""

    train: list[Example]
    watched: dict[str, list[Example]]

    @property
    def decisive(self) -> str:
        """The name of the examples whose loss decides."""
        return next(iter(self.watched))


def watch(kind: Kind, task: Task, parts: Split, settings: TrainingConfig) -> Watched:
    """What is trained on and watched of a dataset, for a kind of adapter and a domain's task."""
    train = at_most(parts.train, settings.wordings)
    if task != "answers":
        return watch_task(train, parts.validation)
    if kind == "reading":
        return watch_reading(train, parts.validation)
    return watch_closed_book(train, parts.validation, settings.validation_share, settings.seed)


def watch_reading(train: Sequence[Example], validation: Sequence[Example]) -> Watched:
    """For a reading adapter: documents that training never sees."""
    return Watched(list(train), {UNSEEN_DOCUMENTS: list(validation)})


def watch_task(train: Sequence[Example], validation: Sequence[Example]) -> Watched:
    """For an adapter of a task, which learns a skill too: texts that training never sees."""
    return Watched(list(train), {UNSEEN_TEXTS: list(validation)})


def watch_closed_book(train: Sequence[Example], validation: Sequence[Example], share: float, seed: int) -> Watched:
    """For a closed-book adapter, all documents: up to `share` of the rows, each another wording of a fact that stays.

    Where no fact is asked in two ways, as many of the training rows themselves, which then show only what was learned
    by heart.
    """
    examples = [*train, *validation]
    chance = random.Random(seed)
    count = max(1, round(share * len(examples)))
    facts = list(wordings(examples))
    chance.shuffle(facts)
    held = {chance.choice(fact).id for fact in facts[:count]}
    if held:
        kept = [example for example in examples if example.id not in held]
        return Watched(kept, {OTHER_WORDINGS: [example for example in examples if example.id in held]})
    return Watched(examples, {TRAINING_ROWS: chance.sample(examples, min(count, len(examples)))})


def at_most(examples: Sequence[Example], count: int | None) -> list[Example]:
    """The examples without those that ask for a fact which `count` earlier ones ask for; all where that is None."""
    surplus = {example.id for fact in wordings(examples) for example in fact[count:]} if count else set()
    return [example for example in examples if example.id not in surplus]


def wordings(examples: Sequence[Example]) -> list[list[Example]]:
    """Examples that ask for the same fact in other words, two or more of each; abstentions state no fact."""
    facts: defaultdict[tuple[object, ...], list[Example]] = defaultdict(list)
    for example in examples:
        if not example.abstains:
            facts[frozenset(example.documents), normalise(example.answer)].append(example)
    return [fact for fact in facts.values() if len(fact) > 1]
