"""Several domains' tasks in one adapter: how many rows each has in an epoch, what is watched, and how each scores."""

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tandem.prompt import is_abstention
from tandem.settings import Config, MultiTaskConfig
from tandem.statistics import Estimate, estimate
from tandem.workspace import Workspace
from tandem.worth import NAMES, WORTH
from training.balancing import balance_examples
from training.base import Base
from training.dataset import Dataset
from training.forgetting import MOST_ROWS
from training.references import BATCH, answer_greedily
from training.rows import Row, RowMaker, Rows, require_rows
from training.sampling import tempered, times_each
from training.splitting import Split
from training.tasks import TaskRules, task_rules
from training.watching import watch

ALL_TASKS: Final = "all_tasks"
"""Name of the validation rows of all tasks together, whose loss decides when training stops."""

FindDataset = Callable[[Config, Workspace, str, str | None], Dataset]


@dataclass(frozen=True)
class TaskSet(Dataset):
    """The newest dataset of each task; `digest` is over theirs."""

    members: Mapping[str, Dataset] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskRows:
    """One task of a multi-task run."""

    dataset: Dataset
    rules: TaskRules
    train: list[Row]
    """Each once, those of rare kinds more often where `training.balance` asks for it."""
    validation: list[Row]
    test: list[Row]
    balanced: str = ""
    """What was repeated, for people."""
    rows: int = 0
    """Training rows of an epoch, repetitions among them."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The answers of a classification."""
        split = self.dataset.split
        return self.rules.labels_of([*split.train, *split.validation, *split.test])

    @property
    def judged(self) -> tuple[str, list[Row]]:
        """What it is scored on: its test part, which nothing has seen; without one what was watched."""
        return ("test", self.test) if self.test else ("validation", self.validation)


@dataclass(frozen=True)
class TaskScore:
    """The mean worth of a task's answers, 0 to 1, with its 95 % interval."""

    measure: str
    part: str
    """`test` or `validation`."""
    rows: int
    worth: Estimate


def find_tasks(config: Config, workspace: Workspace, domain: str, find: FindDataset) -> TaskSet:
    """The newest dataset of each task of a multi-task domain; raises what `find` raises for one that has none."""
    settings = config.domain(domain).multi_task
    assert settings is not None, "the domain has several tasks"
    members = {name: find(config, workspace, name, None) for name in settings.tasks}
    content = json.dumps([domain, sorted((name, dataset.digest) for name, dataset in members.items())])
    licences = sorted({one for dataset in members.values() for one in dataset.report.get("licences") or ()})
    digest = hashlib.sha256(content.encode()).hexdigest()
    return TaskSet(domain, digest, workspace.datasets_folder, Split([], []), {"licences": licences}, members)


def task_rows(
    config: Config, name: str, dataset: Dataset, maker: RowMaker, left_out: Callable[[str, Rows], None]
) -> TaskRows:
    """The rows of one task, without passages; `left_out` is told of what no row could be made of, part by part."""
    task = config.domain(name).task
    part = watch("closed-book", task, dataset.split, config.training)
    made = {
        "training": maker.closed_book(part.train),
        "validation": maker.closed_book([one for examples in part.watched.values() for one in examples]),
        "test": maker.closed_book(dataset.split.test),
    }
    for what, rows in made.items():
        left_out(f"{name}'s {what}", rows)
    train, validation = (require_rows(made[what], what, name) for what in ("training", "validation"))
    balanced = balance_examples(part.train, config.training.balance, config.training.seed)
    return TaskRows(
        dataset, task_rules(config.domain(name)), balanced.repeat(train), validation, made["test"].rows, balanced.line
    )


def in_shares(tasks: Mapping[str, TaskRows], settings: MultiTaskConfig) -> dict[str, TaskRows]:
    """The tasks with how many rows of an epoch each has."""
    counts = row_counts({name: len(part.train) for name, part in tasks.items()}, settings.weights, settings.temperature)
    return {name: replace(part, rows=counts[name]) for name, part in tasks.items()}


def row_counts(sizes: Mapping[str, int], weights: Mapping[str, float] | None, temperature: float) -> dict[str, int]:
    """How many rows of an epoch each task has: in proportion to its weight, or else by `training.sampling.tempered`.

    The task that is the least repeated has each of its rows once, so that none of any task is left out.
    """
    if weights is None:
        return {name: round(rows) for name, rows in tempered(sizes, temperature).items()}
    scale = max(size / weights[name] for name, size in sizes.items())
    return {name: max(size, round(scale * weights[name])) for name, size in sizes.items()}


def repeated(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """`count` rows: all of them as often as they go into it, and some, drawn by the seed, once more."""
    times = times_each(len(rows), count, seed)
    return [row for row, number in zip(rows, times, strict=True) for _ in range(number)]


def watched_tasks(tasks: Mapping[str, TaskRows]) -> dict[str, list[Row]]:
    """The validation rows of all tasks together, and those of each."""
    everything = [row for part in tasks.values() for row in part.validation]
    return {ALL_TASKS: everything, **{f"task_{name}": part.validation for name, part in tasks.items()}}


def score_tasks(
    base: Base, tokenizer: Any, folder: Path, tasks: Mapping[str, TaskRows], seed: int, say: Callable[[str], None]
) -> dict[str, TaskScore]:
    """Have the adapter in a folder answer up to `MOST_ROWS` rows of each task greedily, and judge each answer.

    Nothing holds the answers to a form here as serving does, so labels and JSON score no higher than they will there.
    """
    if not tasks:
        return {}
    from training.publishing import load_adapter

    model, scores = load_adapter(base, folder), {}
    for name, task in tasks.items():
        part, rows = task.judged
        rows = rows if len(rows) <= MOST_ROWS else random.Random(seed).sample(rows, MOST_ROWS)
        said, worth = answers(model, tokenizer, base, rows), WORTH[task.rules.task]
        values = [worth(text, _references(row)) for text, row in zip(said, rows, strict=True)]
        score = TaskScore(NAMES[task.rules.task], part, len(rows), estimate(values))
        scores[name] = score
        say(f"{name}: {score.measure} {score.worth.mean:.1%} of {score.rows} {part} rows{_interval(score.worth)}")
    return scores


def answers(model: Any, tokenizer: Any, base: Base, rows: Sequence[Row]) -> list[str]:
    """The greedy answer to each row's prompt, no longer than the longest right one of its batch."""
    ends, found = base.end_tokens(tokenizer), []
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(ends)
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        longest = max(len(row.tokens.completion_ids) for row in batch)
        made = answer_greedily(model, [row.tokens.prompt_ids for row in batch], ends, pad, longest)
        found += [tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in made]
    return found


def described_tasks(tasks: Mapping[str, TaskRows], scores: Mapping[str, TaskScore]) -> dict[str, Any]:
    """Each task for the card: what serving holds its answers to, what it was trained on, and how it scores."""
    return {
        name: {
            "task": task.rules.task,
            "labels": list(task.labels),
            "json_schema": task.rules.json_schema,
            "dataset": task.dataset.digest,
            "rows": len(task.train),
            "rows_of_an_epoch": task.rows,
            "validation_rows": len(task.validation),
            "score": asdict(scores[name]),
        }
        for name, task in sorted(tasks.items())
    }


def _references(row: Row) -> list[str]:
    """No reference for a row whose right answer is that it is not known."""
    return [] if is_abstention(row.answer) else [row.answer]


def _interval(worth: Estimate) -> str:
    return f" [{worth.low:.1%}, {worth.high:.1%}]"
