"""A dataset in, a published adapter out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, get_args

from tandem.adapters import Adapter, AdapterCard, Kind
from tandem.errors import NotFound, UserError
from tandem.prompt import PROMPT_HASH
from tandem.settings import Config
from tandem.workspace import Workspace
from training.base import Base, find_base
from training.dataset import Dataset, read_dataset
from training.examples import Example
from training.overfitting import overfit_alarm
from training.preflight import estimate_memory, free_memory, require_memory
from training.prepare import examples_source, open_index
from training.references import choose
from training.rows import Progress, Row, RowMaker, Rows, require_rows
from training.run_report import write_run_report
from training.runs import open_run, run_key
from training.servable import check_servable
from training.tasks import task_rules
from training.tokens import ChatTokens
from training.watching import Watched, at_most, watch_closed_book, watch_reading, watch_task

KINDS: tuple[Kind, ...] = get_args(Kind)
OVERRIDES: Final = {kind.replace("-", "_") for kind in KINDS}
"""Settings of one kind alone, which are applied before anything else is done."""

WITHOUT_EFFECT: Final = {"preset", "checkpoint_seconds"}
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


def train(
    config: Config,
    workspace: Workspace,
    domain: str,
    kind: str,
    dataset_name: str | None,
    say: Say,
    progress: Progress,
    resume: bool = False,
) -> Adapter:
    """Train one adapter of a domain on a prepared dataset (the newest without a name) and publish it.

    Goes on where the same training was killed; `resume` refuses to begin anew. Raises UserError for what is missing,
    cannot be served or does not fit into memory, before anything long begins.
    """
    kind = check_kind(kind)
    config = config.model_copy(update={"training": config.training.for_kind(kind)})
    dataset = find_dataset(config, workspace, domain, dataset_name)
    rules = task_rules(config.domain(domain))
    labels = rules.labels_of([*dataset.split.train, *dataset.split.validation, *dataset.split.test])
    if kind == "reading":
        require_reader(config, domain)
        require_index(workspace, domain)
    from training.lora import fit, lora_config
    from training.publishing import package_versions, publish_run

    lora = lora_config(config.training)
    check_servable(lora)
    material = gather(config, workspace, domain, kind, dataset, say, progress)
    settings = config.training
    say(f"training on {len(material.train)} rows of {_longest(material.train)} tokens at most")
    estimate = estimate_memory(material.base.folder, [*material.train, *_all(material.watched)], settings)
    require_memory(estimate, free_memory(), settings)
    say(f"about {estimate.total / 2**30:.1f} GiB of memory")
    with open_run(workspace, domain, kind, run_key(describe(config, kind, material))) as run:
        if resume and not run.checkpoints():
            raise NotFound(
                f"No {kind} run of {domain} on this dataset with these settings was interrupted: leave out --resume to "
                "begin one, or restore the settings it was begun with.",
                code="nothing_to_resume",
            )
        logs = run.log_folder(workspace)
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
        )
        alarm = overfit_alarm(fitted.history, next(iter(material.watched)))
        references = choose(_all(material.watched), material.train, settings.seed)
        card = AdapterCard(
            domain=domain,
            kind=kind,
            base_model=material.base.name,
            base_digest=material.base.digest,
            dataset_digest=dataset.digest,
            prompt_hash=PROMPT_HASH,
            documents=shown_documents([*material.train, *references]),
            licences=tuple(sorted(dataset.report.get("licences") or ())),
            hyperparameters=hyperparameters(config, kind, material, fitted.steps),
            seed=settings.seed,
            packages=package_versions(),
            losses=fitted.losses,
            created=run.when("fitted"),
            run=str(logs.relative_to(workspace.home)),
            warnings=(alarm,) if alarm else (),
            task=rules.task,
            labels=labels,
            json_schema=rules.json_schema,
        )
        say("asking the adapter for its reference answers")
        adapter = publish_run(workspace, run, fitted, card, material.base, material.tokenizer, references)
        write_run_report(adapter, logs, estimate)
        run.remove()
    return adapter


def check_kind(kind: str) -> Kind:
    """The kind of adapter; UserError for another word."""
    for known in KINDS:
        if kind == known:
            return known
    raise UserError(f"{kind!r} is no kind of adapter; there is {' and '.join(KINDS)}.", code="unknown_kind")


def find_dataset(config: Config, workspace: Workspace, domain: str, name: str | None) -> Dataset:
    """The dataset to train on; says which key to set, or to prepare one, where there is none."""
    settings = config.domain(domain)
    try:
        return read_dataset(workspace, domain, name)
    except NotFound:
        examples_source(settings, config, domain)
        raise


def require_reader(config: Config, domain: str) -> None:
    """Raise UserError where a domain's task reads no documents."""
    task = config.domain(domain).task
    if task != "answers":
        raise UserError(
            f"{domain} has the task {task}, which works on the text it is given and reads no passages: train it with "
            "`--kind closed-book`.",
            code="unsupported_kind",
        )


def require_index(workspace: Workspace, domain: str) -> None:
    """Raise NotFound where a reading adapter has nothing to read."""
    if not workspace.index_folder(domain).is_dir():
        raise NotFound(
            f"A reading adapter is trained on passages, and {domain} is not indexed yet: run `tandem index {domain}`.",
            code="no_index",
        )


def gather(
    config: Config, workspace: Workspace, domain: str, kind: Kind, dataset: Dataset, say: Say, progress: Progress
) -> Material:
    """Make the rows of all parts, and say what could not be used."""
    base = find_base(config.base_model)
    tokenizer = base.load_tokenizer()
    maker = RowMaker(config, domain, ChatTokens(tokenizer, base.end_tokens(tokenizer)), base.context_tokens)
    settings = config.training
    train_part, validation_part = at_most(dataset.split.train, settings.wordings), dataset.split.validation
    snapshot = None
    if config.domain(domain).task != "answers":
        watch = watch_task(train_part, validation_part)
        made = _make(maker.closed_book, watch)
    elif kind == "closed-book":
        watch = watch_closed_book(train_part, validation_part, settings.validation_share, settings.seed)
        made = _make(maker.closed_book, watch)
    else:
        watch = watch_reading(train_part, validation_part)
        with open_index(config, workspace, domain) as index:
            assert index is not None, "require_index was asked"
            snapshot = index.snapshot
            made = _make(lambda examples: maker.reading(examples, index, progress), watch)
    for part, rows in made.items():
        _say_left_out(part, rows, say)
    return Material(
        dataset,
        base,
        tokenizer,
        require_rows(made["train"], "training", domain),
        {name: require_rows(made[name], name.replace("_", " "), domain) for name in watch.watched},
        snapshot,
    )


def describe(config: Config, kind: Kind, material: Material) -> dict[str, Any]:
    """What decides the outcome of a run; another value anywhere is another run."""
    return {
        "kind": kind,
        "dataset": material.dataset.digest,
        "base": [material.base.reference, material.base.digest],
        "training": config.training.model_dump(exclude=OVERRIDES | WITHOUT_EFFECT),
        "train": [asdict(row.tokens) for row in material.train],
        "watched": {name: [asdict(row.tokens) for row in rows] for name, rows in material.watched.items()},
    }


def hyperparameters(config: Config, kind: Kind, material: Material, steps: int) -> dict[str, Any]:
    """What the card says about how it was trained."""
    found: dict[str, Any] = {
        **config.training.model_dump(exclude=OVERRIDES),
        "steps": steps,
        "rows": len(material.train),
        "watched": {name: len(rows) for name, rows in material.watched.items()},
    }
    if kind == "reading":
        found |= {"snapshot": material.snapshot, "retrieval": config.retrieval.model_dump()}
    return found


def shown_documents(rows: Sequence[Row]) -> tuple[str, ...]:
    """Ids of all documents that rows name or show."""
    return tuple(sorted({document for row in rows for document in row.documents}))


def _make(make: Callable[[Sequence[Example]], Rows], watch: Watched) -> dict[str, Rows]:
    return {"train": make(watch.train), **{name: make(part) for name, part in watch.watched.items()}}


def _say_left_out(part: str, rows: Rows, say: Say) -> None:
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
