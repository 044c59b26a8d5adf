"""A dataset in, a published adapter out."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from tandem.adapters import Adapter, AdapterCard, Kind
from tandem.errors import NotFound, UserError
from tandem.prompt import PROMPT_HASH
from tandem.settings import Config
from tandem.training_settings import TrainingConfig
from tandem.workspace import Workspace
from training import processes
from training.base import find_base
from training.continuing import find_parent
from training.describing import describe, hyperparameters, licences, shown_documents
from training.kinds import check_fits, check_kind
from training.material import Material, collect, find_source
from training.metrics import OnLine
from training.multitask import described_tasks, score_tasks
from training.overfitting import overfit_alarm
from training.preflight import estimate_memory, free_memory, require_memory
from training.quantising import require_quantisable
from training.references import choose
from training.reporter import Evaluated, Say
from training.rows import Progress, Row
from training.run_report import write_run_report
from training.runs import Run, open_run, run_key
from training.searching import Found, heaviest, search, search_path, without_searched
from training.servable import check_servable, check_targets
from training.tasks import task_rules


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
    on_line: OnLine = lambda _: None,
) -> Adapter | None:
    """Train one adapter of a domain on a prepared dataset (the newest without a name) and publish it.

    Of several processes (see `training.processes`) the first one publishes, the others give None.

    With `parent_version` it begins with that adapter's weights, sees a share of its data again (`training.replay`), and
    is held against it on the parent's own validation rows.

    `on_line` is told of each line of the run's metrics; of a search's trials those of the one that is published.

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
    base = parent.base if parent else find_base(config.base_model)
    check_targets(settings, base)
    material = collect(config, workspace, domain, kind, dataset, base, say, progress, parent)
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
            on_line=on_line,
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


def _longest(rows: Sequence[Row]) -> int:
    return max(len(row.tokens) for row in rows)


def _all(watched: Mapping[str, Sequence[Row]]) -> list[Row]:
    return [row for rows in watched.values() for row in rows]
