"""Incremental tuning: a new version that goes on from a parent's weights, on data that is new to it.

What is new is trained together with a share of what the parent was trained on. Nothing that the parent was validated
on is trained on, and nothing that it was trained on validates, so that both comparisons stay fair.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tandem.adapters import SETTINGS, Adapter, Kind, read_adapter, verify
from tandem.errors import Conflict, NotFound, UserError
from tandem.prompt import PROMPT_HASH
from tandem.settings import Config, Task
from tandem.training_settings import TrainingConfig
from tandem.workspace import Workspace
from training.base import Base, find_base
from training.cleaning import normalise
from training.dataset import Dataset, dataset_folder, read_dataset
from training.examples import Example
from training.splitting import Split
from training.watching import Watched, watch

SHAPE: Final = {"r": "rank", "lora_alpha": "alpha", "use_rslora": "rslora"}
"""What PEFT calls a value of the adapter that cannot change while it is trained → our setting."""


@dataclass(frozen=True)
class Parent:
    """The adapter that training goes on from."""

    adapter: Adapter
    dataset: Dataset
    base: Base
    parent: "Parent | None"
    """What it went on from itself."""

    @property
    def kind(self) -> Kind:
        """What it was taught."""
        return self.adapter.card.kind

    @property
    def watched(self) -> Watched:
        """Its own training and validation examples, as its own settings parted them."""
        parts = self.parent.new_of(self.dataset.split) if self.parent else self.dataset.split
        card = self.adapter.card
        settings = TrainingConfig(
            wordings=card.hyperparameters.get("wordings"),
            validation_share=card.hyperparameters["validation_share"],
            seed=card.seed,
        )
        assert card.task != "several", "such an adapter is no parent"
        return watch(self.kind, card.task, parts, settings)

    @property
    def trained(self) -> set[str]:
        """The questions that it and those before it were trained on, normalised."""
        return _questions(self.watched.train) | (self.parent.trained if self.parent else set())

    @property
    def validated(self) -> set[str]:
        """The questions that it and those before it were validated on and not trained on."""
        watched = _questions([example for part in self.watched.watched.values() for example in part])
        return (watched | (self.parent.validated if self.parent else set())) - self.trained

    def new_of(self, parts: Split) -> Split:
        """A dataset's parts without what would make a comparison with this parent unfair."""
        trained, validated = self.trained, self.validated
        return Split(
            [example for example in parts.train if normalise(example.question) not in validated],
            [example for example in parts.validation if normalise(example.question) not in trained],
        )


@dataclass(frozen=True)
class Mixed:
    """What is new to the parent, and what of its own is seen again."""

    new: Split
    replayed: list[Example]
    withheld: list[str]
    """Ids of new training examples that ask what the parent was validated on."""
    known: list[str]
    """Ids of new validation examples that ask what the parent was trained on."""

    def described(self, share: float) -> dict[str, Any]:
        """For the card."""
        return {
            "share": share,
            "rows": len(self.replayed),
            "withheld": len(self.withheld),
            "known": len(self.known),
        }


def find_parent(
    config: Config, workspace: Workspace, domain: str, kind: Kind, version: str, dataset: Dataset, lora: Any
) -> Parent:
    """The parent with its dataset; `lora` is the `peft.LoraConfig` that the settings give.

    Raises UserError (`parent_unfit`) with everything that does not fit, NotFound where it or its dataset is gone.
    """
    adapter = read_adapter(workspace, domain, version)
    verify(adapter)
    base = find_base(config.base_model)
    problems = wrong_origin(adapter, kind, config.domain(domain).task, base, dataset)
    problems += wrong_shape(json.loads((adapter.folder / SETTINGS).read_bytes()), lora, base)
    if problems:
        raise UserError(
            f"Training cannot go on from {adapter.name}: {'; '.join(problems)}.", code="parent_unfit", problems=problems
        )
    return _with_its_own(adapter, workspace, domain, base)


def wrong_origin(adapter: Adapter, kind: Kind, task: Task, base: Base, dataset: Dataset) -> list[str]:
    """What does not fit in the parent's card."""
    card, problems = adapter.card, []
    if card.imported:
        problems.append("it was imported, and nobody can tell what it would forget: train one without --parent")
    if card.kind != kind:
        problems.append(f"it is a {card.kind} adapter: train with --kind {card.kind}")
    if card.task != task:
        problems.append(f"its task is {card.task}, and the domain's is {task}: train one without --parent")
    if card.base_digest != base.digest:
        problems.append(
            f"its base model ({card.base_model}) has the digest {card.base_digest[:12]}, and {base.name} has "
            f"{base.digest[:12]}: set `base_model` to the one it was trained on"
        )
    if card.prompt_hash != PROMPT_HASH:
        problems.append(f"it was trained with another prompt ({card.prompt_hash}) than today's ({PROMPT_HASH})")
    if card.dataset_digest == dataset.digest:
        problems.append(
            f"it was trained on this very dataset, {dataset.name}: prepare the new examples with "
            f"`tandem prepare {card.domain}`, or name another one with --dataset"
        )
    return problems


def wrong_shape(settings: dict[str, Any], lora: Any, base: Base) -> list[str]:
    """What of PEFT's settings is not as the adapter's matrices are."""
    problems = []
    for name, ours in SHAPE.items():
        was, now = settings.get(name, False), getattr(lora, name)
        if was != now:
            shown = [str(value).lower() for value in (was, now)]
            problems.append(f"its {ours} is {shown[0]}, and `training.{ours}` is {shown[1]}: set it to {shown[0]}")
    if not problems and set(settings["target_modules"]) != (targets := target_modules(base, lora)):
        named = [", ".join(sorted(modules)) for modules in (settings["target_modules"], targets)]
        problems.append(f"it adapts the layers {named[0]}, and training adapts {named[1]}: train one without --parent")
    return problems


def target_modules(base: Base, lora: Any) -> set[str]:
    """The names of the layers that an adapter with these settings adapts in this base model; loads no weights."""
    import copy

    import torch
    from peft import get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        values = AutoConfig.from_pretrained(base.folder, local_files_only=True, trust_remote_code=False)
        model = get_peft_model(
            AutoModelForCausalLM.from_config(values, trust_remote_code=False),
            copy.deepcopy(lora),
            low_cpu_mem_usage=True,
        )
    return set(model.peft_config["default"].target_modules)


def mix(parent: Parent, dataset: Dataset, share: float, seed: int) -> Mixed:
    """The new dataset without what would make a comparison unfair, and `share` of the parent's training examples.

    Examples that ask the same in the same words count as one. The same parent, dataset, share and seed give the same.
    Raises UserError (`nothing_new`) when nothing is left to train on or to validate with.
    """
    own, parts = parent.watched, dataset.split
    new = parent.new_of(parts)
    for name, examples in (("train on", new.train), ("validate with", new.validation)):
        if not examples:
            raise UserError(
                f"The dataset {dataset.name} has nothing to {name} that {parent.adapter.name} does not know already: "
                "prepare examples that are new to it.",
                code="nothing_new",
            )
    repeated = _questions(new.train)
    others = [example for example in own.train if normalise(example.question) not in repeated]
    count = min(len(others), round(share * len(own.train)))
    replayed = random.Random(seed).sample(sorted(others, key=lambda example: example.id), count)
    return Mixed(new, replayed, _left(parts.train, new.train), _left(parts.validation, new.validation))


def _with_its_own(adapter: Adapter, workspace: Workspace, domain: str, base: Base) -> Parent:
    """The adapter with its dataset and those that it comes from."""
    before = adapter.card.parent
    parent = _with_its_own(read_adapter(workspace, domain, before), workspace, domain, base) if before else None
    return Parent(adapter, _dataset_of(adapter, workspace, domain), base, parent)


def _dataset_of(adapter: Adapter, workspace: Workspace, domain: str) -> Dataset:
    name = adapter.card.dataset_digest[:12]
    try:
        return read_dataset(workspace, domain, name)
    except (NotFound, Conflict) as error:
        lost = "is gone" if isinstance(error, NotFound) else "was changed"
        raise type(error)(
            f"The dataset {name} that {adapter.name} was trained on {lost}, and without it nobody can tell what is "
            f"forgotten: restore {dataset_folder(workspace, domain, name)}, or prepare it anew from the same examples "
            "with the same settings.",
            code="parent_dataset_missing",
        ) from None


def _questions(examples: Sequence[Example]) -> set[str]:
    return {normalise(example.question) for example in examples}


def _left(before: Sequence[Example], after: Sequence[Example]) -> list[str]:
    kept = {example.id for example in after}
    return [example.id for example in before if example.id not in kept]
