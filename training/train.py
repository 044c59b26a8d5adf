"""A dataset in, a published adapter out."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Final

from tandem.adapters import Adapter, AdapterCard, Kind
from tandem.errors import NotFound, UserError
from tandem.prompt import PROMPT_HASH
from tandem.settings import Config, TrainingConfig
from tandem.workspace import Workspace
from training import processes
from training.balancing import balance_examples
from training.base import Base, find_base
from training.continuing import Mixed, Parent, find_parent, mix
from training.dataset import Dataset, read_dataset
from training.documents import (
    UNSEEN_DOCUMENTS,
    DocumentSet,
    block_size,
    describe_blocks,
    find_documents,
    packed,
    prompted,
)
from training.kinds import KINDS, check_fits, check_kind, of_other_kinds
from training.mixing import count_modes, mixed_rows, with_modes
from training.multitask import (
    TaskRows,
    TaskSet,
    described_tasks,
    find_tasks,
    in_shares,
    repeated,
    score_tasks,
    task_rows,
    watched_tasks,
)
from training.overfitting import overfit_alarm
from training.preflight import estimate_memory, free_memory, require_memory
from training.prepare import examples_source, open_index
from training.quantising import require_quantisable
from training.references import choose
from training.reporter import Evaluated
from training.rows import Progress, Row, RowMaker, Rows, require_rows
from training.run_report import write_run_report
from training.runs import Run, open_run, run_key
from training.searching import Found, heaviest, search, search_path, without_searched
from training.servable import check_servable, check_targets
from training.tasks import task_rules
from training.tokens import ChatTokens
from training.watching import watch

OVERRIDES: Final = {kind.replace("-", "_") for kind in KINDS}
"""Settings of one kind alone, which are applied before anything else is done."""

WITHOUT_EFFECT: Final = {"preset", "checkpoint_seconds", "search"}
"""Settings that change nothing about the outcome."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Material:
    """All that a run is made of."""

    dataset: Dataset
    base: Base
    tokenizer: Any
    train: list[Row]
    watched: dict[str, list[Row]]
    """The first decides when to stop."""
    snapshot: int | None
    """The index's snapshot that reading rows were made from."""
    parent: Parent | None = None
    """What training goes on from."""
    mixed: Mixed | None = None
    """What is new to the parent, and what of its own is seen again."""
    remembered: dict[str, list[Row]] = field(default_factory=dict)
    """The parent's own validation rows, for the forgetting check."""
    prompts: list[Row] = field(default_factory=list)
    """Rows to ask for reference answers, where those that are trained on are no chats."""
    tasks: dict[str, TaskRows] = field(default_factory=dict)
    """Domain → its part, of a multi-task adapter."""
    further: dict[str, Any] = field(default_factory=dict)
    """What else the card says of how the rows were made."""

    @property
    def decisive(self) -> list[Row]:
        """The watched rows whose loss decides; those of modes and tasks apart are among them."""
        return next(iter(self.watched.values()))

    @property
    def distinct(self) -> list[Row]:
        """The training rows, those that are repeated once."""
        return list({id(row): row for row in self.train}.values())


def train(
    config: Config,
    workspace: Workspace,
    domain: str,
    kind: str,
    dataset_name: str | None,
    say: Say,
    progress: Progress,
    *,
    resume: bool = False,
    parent_version: str | None = None,
    search_first: bool = False,
) -> Adapter | None:
    """Train one adapter of a domain on a prepared dataset (the newest without a name) and publish it.

    Of several processes (see `training.processes`) the first one publishes, the others give None.

    With `parent_version` it begins with that adapter's weights, sees a share of its data again (`training.replay`), and
    is held against it on the parent's own validation rows.

    With `search_first` the settings of `training.search.space` are looked for, and the best trial is what is published.

    Goes on where the same training was killed; `resume` refuses to begin anew. Raises UserError for what is missing,
    cannot be served or does not fit into memory, before anything long begins.
    """
    kind = check_kind(kind)
    config = config.model_copy(update={"training": config.training.for_kind(kind)})
    check_fits(config, domain, kind, dataset_name, parent_version)
    if search_first:
        check_searchable(config.training, parent_version)
    dataset = find_source(config, workspace, domain, kind, dataset_name)
    rules = task_rules(config.domain(domain))
    own_labels = rules.labels_of([*dataset.split.train, *dataset.split.validation, *dataset.split.test])
    from training.forgetting import check_forgetting, forgetting_lines, forgetting_values
    from training.lora import fit, lora_config
    from training.publishing import package_versions, publish_run

    lora = lora_config(config.training)
    check_servable(lora)
    require_quantisable(config.training)
    parent = find_parent(config, workspace, domain, kind, parent_version, dataset, lora) if parent_version else None
    labels = rules.labels or tuple(sorted({*own_labels, *(parent.adapter.card.labels if parent else ())}))
    settings = config.training
    check_targets(settings, parent.base if parent else find_base(config.base_model))
    material = collect(config, workspace, domain, kind, dataset, say, progress, parent)
    say(f"training on {len(material.train)} rows of {_longest(material.train)} tokens at most")
    together = processes.count()
    most = heaviest(settings) if search_first else settings
    each = most.model_copy(update={"batch_size": processes.share_of_batch(most.batch_size)})
    estimate = estimate_memory(material.base.folder, [*material.train, *_all(material.watched)], each)
    require_memory(estimate, free_memory(together), each)
    say(f"about {estimate.total / 2**30:.1f} GiB of memory{f' in each of {together} processes' * (together > 1)}")
    if search_first:
        found = search_settings(config, workspace, domain, kind, material, say, progress)
        settings, lora = found.settings, lora_config(found.settings)
        config = config.model_copy(update={"training": settings})
        material = replace(material, further={**material.further, "trials": found.trials})
    with open_run(workspace, domain, kind, run_key(describe(config, kind, material))) as run:
        with processes.first_goes_first():
            nothing, logs = not run.checkpoints(), run.log_folder(workspace)
        if resume and nothing:
            raise NotFound(
                f"No {kind} run of {domain} on this dataset with these settings was interrupted: leave out --resume to "
                "begin one, or restore the settings it was begun with.",
                code="nothing_to_resume",
            )
        fitted = fit(
            material.base,
            material.tokenizer,
            material.train,
            material.watched,
            lora,
            settings,
            run,
            say,
            progress,
            logs,
            parent.adapter.folder if parent else None,
        )
        if not processes.is_first():
            return None
        alarm = overfit_alarm(fitted.history, next(iter(material.watched)))
        forgotten = {}
        if parent:
            say(f"asking {parent.adapter.name} and the new adapter what the parent was validated on")
            before, after = parent.adapter.folder, fitted.folder
            forgotten = check_forgetting(
                material.base, material.tokenizer, before, after, material.remembered, settings.seed
            )
            for line in forgetting_lines(forgotten):
                say(line)
        scores = score_tasks(material.base, material.tokenizer, fitted.folder, material.tasks, settings.seed, say)
        references = material.prompts or choose(material.decisive, material.distinct, settings.seed)
        card = AdapterCard(
            domain=domain,
            kind=kind,
            base_model=material.base.name,
            base_digest=material.base.digest,
            dataset_digest=dataset.digest,
            prompt_hash=PROMPT_HASH,
            documents=shown_documents([*material.train, *references], parent),
            parent=parent.adapter.version if parent else None,
            licences=licences(dataset, parent),
            hyperparameters=hyperparameters(config, kind, material, fitted.steps),
            seed=settings.seed,
            packages=package_versions(),
            losses=fitted.losses,
            forgetting=forgetting_values(forgotten),
            created=run.when("fitted"),
            run=str(logs.relative_to(workspace.home)),
            warnings=(alarm,) if alarm else (),
            task="several" if material.tasks else rules.task,
            tasks=described_tasks(material.tasks, scores),
            labels=labels,
            json_schema=rules.json_schema,
        )
        say("asking the adapter for its reference answers")
        adapter = publish_run(workspace, run, fitted, card, material.base, material.tokenizer, references)
        write_run_report(adapter, logs, estimate)
        run.remove()
    return adapter


def search_settings(
    config: Config, workspace: Workspace, domain: str, kind: Kind, material: Material, say: Say, progress: Progress
) -> Found:
    """The best settings of the declared space; the best trial's run is left, so that it is only to be published."""
    from training.lora import fit, lora_config

    def open_trial(settings: TrainingConfig) -> AbstractContextManager[Run]:
        tried = config.model_copy(update={"training": settings})
        return open_run(workspace, domain, kind, run_key(describe(tried, kind, material)))

    def run(settings: TrainingConfig, evaluated: Evaluated) -> float:
        with open_trial(settings) as opened:
            logs = opened.log_folder(workspace)
            parts = (material.base, material.tokenizer, material.train, material.watched)
            fitted = fit(*parts, lora_config(settings), settings, opened, say, progress, logs, evaluated=evaluated)
        return fitted.losses[next(iter(material.watched))]

    def forget(settings: TrainingConfig) -> None:
        with open_trial(settings) as opened:
            shutil.rmtree(opened.log_folder(workspace), ignore_errors=True)
            opened.remove()

    rest = config.model_copy(update={"training": TrainingConfig()})
    key = run_key({**describe(rest, kind, material), "searched": without_searched(config.training)})
    return search(search_path(workspace, domain, kind, key), config.training, run, forget, say)


def check_searchable(settings: TrainingConfig, parent_version: str | None) -> None:
    """Raise UserError (`cannot_search`) where there is nothing to search, or a search is not what can be done."""
    if not settings.search.space:
        raise UserError(
            "There is no space to search: name the settings to try under `training.search.space`, such as "
            "`learning_rate: {low: 0.0005, high: 0.005, log: true}`.",
            code="cannot_search",
        )
    if parent_version or processes.count() > 1:
        which = "goes on from a parent" if parent_version else "is shared by several processes"
        raise UserError(
            f"Settings are searched for an adapter that begins anew in one process, and this one {which}: search "
            "first, and write what was found into `training`.",
            code="cannot_search",
        )


def find_dataset(config: Config, workspace: Workspace, domain: str, name: str | None) -> Dataset:
    """The dataset to train on; says which key to set, or to prepare one, where there is none."""
    settings = config.domain(domain)
    try:
        return read_dataset(workspace, domain, name)
    except NotFound:
        examples_source(settings, config, domain)
        raise


def find_source(
    config: Config, workspace: Workspace, domain: str, kind: Kind, dataset_name: str | None = None
) -> Dataset:
    """What a kind of adapter is trained on, with all that it needs; NotFound or UserError where it is missing."""
    if kind == "documents":
        return find_documents(config, workspace, domain)
    if kind == "multi-task":
        return find_tasks(config, workspace, domain, find_dataset)
    dataset = find_dataset(config, workspace, domain, dataset_name)
    if kind in ("reading", "mixed"):
        require_index(workspace, domain)
    return dataset


def require_index(workspace: Workspace, domain: str) -> None:
    """Raise NotFound where a reading adapter has nothing to read."""
    if not workspace.index_folder(domain).is_dir():
        raise NotFound(
            f"An adapter that reads is trained on passages, and {domain} is not indexed yet: run "
            f"`tandem index {domain}`.",
            code="no_index",
        )


def collect(
    config: Config,
    workspace: Workspace,
    domain: str,
    kind: Kind,
    dataset: Dataset,
    say: Say,
    progress: Progress,
    parent: Parent | None = None,
) -> Material:
    """All rows of a run, whatever its kind."""
    if isinstance(dataset, DocumentSet):
        return gather_documents(config, domain, dataset, say)
    if isinstance(dataset, TaskSet):
        return gather_tasks(config, domain, dataset, say)
    material = gather(config, workspace, domain, kind, dataset, say, progress, parent)
    if kind == "mixed":
        modes = {"modes": count_modes(material.train)}
        return replace(material, watched=with_modes(material.watched), further=modes)
    return material


def gather_documents(config: Config, domain: str, documents: DocumentSet, say: Say) -> Material:
    """Blocks of the documents' words."""
    base = find_base(config.base_model)
    tokenizer = base.load_tokenizer()
    end, size = tokenizer.eos_token_id, block_size(config, base)
    train, unseen = (packed(part, tokenizer, end, size) for part in (documents.train, documents.unseen))
    say(f"{len(documents.train)} documents to learn from, {len(documents.unseen)} to watch; blocks of {size} tokens")
    chat = ChatTokens(tokenizer, base.end_tokens(tokenizer))
    prompts = prompted([*documents.unseen, *documents.train], chat, config.domain(domain).system_prompt)
    further = describe_blocks(documents, train, unseen, size)
    watched = {UNSEEN_DOCUMENTS: unseen}
    return Material(documents, base, tokenizer, train, watched, documents.snapshot, prompts=prompts, further=further)


def gather_tasks(config: Config, domain: str, tasks: TaskSet, say: Say) -> Material:
    """The rows of all tasks, each with its own domain's prompt, in the shares that the settings ask for."""
    settings = config.domain(domain).multi_task
    assert settings is not None, "check_fits was asked"
    base = find_base(config.base_model)
    tokenizer = base.load_tokenizer()
    chat = ChatTokens(tokenizer, base.end_tokens(tokenizer))
    makers = {name: RowMaker(config, name, chat, base.context_tokens) for name in tasks.members}
    left_out = partial(_say_left_out, say)
    made = {name: task_rows(config, name, one, makers[name], left_out) for name, one in tasks.members.items()}
    parts = in_shares(made, settings)
    total = sum(part.rows for part in parts.values())
    for name, part in parts.items():
        say(f"{name}: {len(part.train)} rows, {part.rows} of an epoch's {total} ({part.rows / total:.0%})")
    further = {"weights": settings.weights, "temperature": settings.temperature}
    train = [row for part in parts.values() for row in repeated(part.train, part.rows, config.training.seed)]
    return Material(tasks, base, tokenizer, train, watched_tasks(parts), None, tasks=parts, further=further)


def gather(
    config: Config,
    workspace: Workspace,
    domain: str,
    kind: Kind,
    dataset: Dataset,
    say: Say,
    progress: Progress,
    parent: Parent | None = None,
) -> Material:
    """Make the rows of all parts, and say what could not be used."""
    base = parent.base if parent else find_base(config.base_model)
    tokenizer = base.load_tokenizer()
    maker = RowMaker(config, domain, ChatTokens(tokenizer, base.end_tokens(tokenizer)), base.context_tokens)
    settings = config.training
    mixed = mix(parent, dataset, settings.replay, settings.seed) if parent else None
    task = config.domain(domain).task
    watched = watch(kind, task, mixed.new if mixed else dataset.split, settings)
    balanced = balance_examples(watched.train, settings.balance, settings.seed)
    if settings.balance.by:
        say(f"balanced by {settings.balance.by}: {balanced.line or 'nothing to balance'}")
    parts = {"train": watched.train, **watched.watched}
    if parent and mixed:
        _say_mixed(mixed, say)
        parts |= {"replay": mixed.replayed, **{f"parent_{name}": part for name, part in parent.watched.watched.items()}}
    snapshot = None
    if kind == "closed-book":
        made = {name: maker.closed_book(part) for name, part in parts.items()}
    else:
        with open_index(config, workspace, domain) as index:
            assert index is not None, "require_index was asked"
            snapshot = index.snapshot
            share = settings.reading_share if kind == "mixed" else 1.0
            made = {
                name: mixed_rows(maker, part, share, settings.seed, index, progress) for name, part in parts.items()
            }
    for part, rows in made.items():
        _say_left_out(say, part, rows)
    return Material(
        dataset,
        base,
        tokenizer,
        balanced.repeat(require_rows(made["train"], "training", domain)) + (made["replay"].rows if mixed else []),
        {name: require_rows(made[name], name.replace("_", " "), domain) for name in watched.watched},
        snapshot,
        parent,
        mixed,
        {
            name: require_rows(made[f"parent_{name}"], f"the parent's {name.replace('_', ' ')}", domain)
            for name in (parent.watched.watched if parent else ())
        },
    )


def describe(config: Config, kind: Kind, material: Material) -> dict[str, Any]:
    """What decides the outcome of a run; another value anywhere is another run."""
    found: dict[str, Any] = {
        "kind": kind,
        "dataset": material.dataset.digest,
        "base": [material.base.reference, material.base.digest],
        "training": config.training.model_dump(exclude=OVERRIDES | WITHOUT_EFFECT | of_other_kinds(kind)),
        "train": [asdict(row.tokens) for row in material.train],
        "watched": {name: [asdict(row.tokens) for row in rows] for name, rows in material.watched.items()},
    }
    if material.parent:
        found["parent"] = material.parent.adapter.version
    if processes.count() > 1:
        found["processes"] = processes.count()
    return found


def hyperparameters(config: Config, kind: Kind, material: Material, steps: int) -> dict[str, Any]:
    """What the card says about how it was trained."""
    found: dict[str, Any] = {
        **config.training.model_dump(exclude={"search"} | OVERRIDES | of_other_kinds(kind)),
        "steps": steps,
        "rows": len(material.train),
        "watched": {name: len(rows) for name, rows in material.watched.items()},
    }
    if processes.count() > 1:
        found["processes"] = processes.count()
    if material.mixed:
        found["parent_rows"] = material.mixed.described(config.training.replay)
    if kind in ("reading", "mixed"):
        found |= {"snapshot": material.snapshot, "retrieval": config.retrieval.model_dump()}
    if kind == "documents":
        found["snapshot"] = material.snapshot
    return found | material.further


def shown_documents(rows: Sequence[Row], parent: Parent | None = None) -> tuple[str, ...]:
    """Ids of all documents that rows name or show, and of those whose traces the parent's weights bring along."""
    before = parent.adapter.card.documents if parent else ()
    return tuple(sorted({document for row in rows for document in row.documents} | set(before)))


def licences(dataset: Dataset, parent: Parent | None) -> tuple[str, ...]:
    """Of the examples, the parent's among them."""
    before = parent.adapter.card.licences if parent else ()
    return tuple(sorted({*(dataset.report.get("licences") or ()), *before}))


def _say_mixed(mixed: Mixed, say: Say) -> None:
    say(f"{len(mixed.replayed)} of the parent's training examples are seen again (`training.replay`)")
    if mixed.withheld:
        say(f"left out of training: {len(mixed.withheld)} that the parent is validated on{_few(mixed.withheld)}")
    if mixed.known:
        say(f"left out of validation: {len(mixed.known)} that the parent was trained on{_few(mixed.known)}")


def _say_left_out(say: Say, part: str, rows: Rows) -> None:
    name = part.replace("_", " ")
    for ids, reason in ((rows.unfound, "whose answer no indexed passage holds"), (rows.too_long, "that are too long")):
        if ids:
            say(f"left out of {name}: {len(ids)} examples {reason}{_few(ids)}")


def _few(ids: Sequence[str]) -> str:
    return f" ({', '.join(ids[:3])}{', …' if len(ids) > 3 else ''})"


def _longest(rows: Sequence[Row]) -> int:
    return max(len(row.tokens) for row in rows)


def _all(watched: Mapping[str, Sequence[Row]]) -> list[Row]:
    return [row for rows in watched.values() for row in rows]
