"""What a domain's task asks of its examples: labels that are listed, JSON that keeps the schema, a fitting split."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tandem.errors import UserError
from tandem.json_schema import as_answer, read_schema, violations
from tandem.settings import DomainConfig, Task
from tandem.training_settings import TrainingConfig
from training.cleaning import tidy_text
from training.examples import Example
from training.splitting import Split, connected, split
from training.strata import strata
from training.stratified import stratified

FEW: Final = 5
"""A label with fewer examples than this is named in the report."""


@dataclass(frozen=True)
class TaskRules:
    """The rules of one domain; `labels` is empty where the examples decide."""

    task: Task
    labels: tuple[str, ...] = ()
    json_schema: Mapping[str, Any] | None = None

    def problems(self, example: Example) -> list[str]:
        """What is wrong with an example's answer, one clause each."""
        if self.task == "extraction":
            return self._wrong_json(example.answer)
        if self.labels and tidy_text(example.answer) not in self.labels:
            return [f"the label {example.answer!r} is none of those that `labels` lists: {_few(self.labels)}"]
        return []

    def written(self, example: Example) -> Example:
        """The example with its answer as the engine will write it; only extraction has a form of its own."""
        if self.json_schema is None:
            return example
        return replace(example, answer=as_answer(dict(self.json_schema), json.loads(example.answer)))

    def split(self, examples: Sequence[Example], settings: TrainingConfig, languages: Mapping[str, str]) -> Split:
        """Training, validation and, where the settings want one, a test part; `languages` are of examples by id."""

        def divide(rest: Sequence[Example], share: float) -> Split:
            if self.task == "classification":
                return stratified(rest, share, settings.seed)
            return split(rest, share, settings.seed, strata(rest, languages) if settings.stratify else None)

        if self.task == "answers" or not settings.test_share:
            return divide(examples, settings.validation_share)
        written, with_synthetic = without_synthetic(examples)
        if not written:
            raise UserError(
                "The test part takes no example that a program drafted, or that hangs together with one, and there is "
                "no other: add examples that people wrote, or set `training.test_share` to 0.",
                code="cannot_split",
            )
        first = divide(written, settings.test_share)
        order = {example.id: place for place, example in enumerate(examples)}
        others = sorted([*first.train, *with_synthetic], key=lambda example: order[example.id])
        rest = divide(others, settings.validation_share / (1 - settings.test_share))
        return replace(rest, test=first.validation)

    def labels_of(self, examples: Sequence[Example]) -> tuple[str, ...]:
        """The labels that an adapter on these examples may answer: those listed, or those that are there.

        Raises UserError (`unknown_label`) for examples that were prepared before `labels` was changed.
        """
        if self.task != "classification":
            return ()
        found = sorted({example.answer for example in examples})
        unknown = [label for label in found if self.labels and label not in self.labels]
        if unknown:
            raise UserError(
                f"The dataset has labels that `labels` does not list ({_few(unknown)}): prepare it again.",
                code="unknown_label",
            )
        return self.labels or tuple(found)

    def _wrong_json(self, answer: str) -> list[str]:
        assert self.json_schema is not None, "extraction has a schema"
        try:
            value = json.loads(answer)
        except (ValueError, RecursionError) as error:
            return [f"the answer is to be a JSON object, and is not JSON: {error}"]
        return [f"the answer does not keep the schema: {what}" for what in violations(dict(self.json_schema), value)]


def task_rules(settings: DomainConfig) -> TaskRules:
    """The rules of a domain; ConfigError where its schema cannot be used."""
    schema = read_schema(settings.json_schema) if settings.json_schema else None
    return TaskRules(settings.task, tuple(tidy_text(label) for label in settings.labels), schema)


def without_synthetic(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """The examples that a test part may be made of, and the others: drafts, and what hangs together with one."""
    groups = [[examples[position] for position in group] for group in connected(examples)]
    drafted = {e.id for group in groups if any(member.synthetic for member in group) for e in group}
    return [e for e in examples if e.id not in drafted], [e for e in examples if e.id in drafted]


def task_account(rules: TaskRules, parts: Split) -> dict[str, Any]:
    """What the report says of a task: its name, test examples, and each label's examples by part."""
    account: dict[str, Any] = {"task": rules.task, "test": len(parts.test)}
    if rules.task == "classification":
        counts = {name: Counter(e.answer for e in getattr(parts, name)) for name in ("train", "validation", "test")}
        names = sorted(set(rules.labels).union(*counts.values()))
        account["labels"] = {label: {part: found[label] for part, found in counts.items()} for label in names}
    return account


def task_lines(account: Mapping[str, Any]) -> list[str]:
    """The account for people."""
    lines = [f"task: {account['task']}, {account['test']} examples for the test"]
    if "labels" in account:
        sizes = {label: sum(parts.values()) for label, parts in account["labels"].items()}
        few = [label for label, size in sizes.items() if size < FEW]
        spread = f"the rarest has {min(sizes.values())} examples, the commonest {max(sizes.values())}"
        lines.append(f"labels: {len(sizes)}; {spread}")
        if few:
            lines.append(f"labels with fewer than {FEW} examples: {_few(few)}")
    return lines


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
