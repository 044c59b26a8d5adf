"""Examples in, a prepared dataset out."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tandem.adapters import file_digest
from tandem.errors import ConfigError, NotFound, UserError
from tandem.settings import Config, DomainConfig
from tandem.training_settings import CleaningConfig
from tandem.workspace import Workspace
from training.anonymising import account, account_lines, at_odds, without_personal_data
from training.checks import TextOf, stale
from training.choosing import choose, discipline, nothing_left, private_leaving
from training.cleaning import Tidied, tidy
from training.dataset import Dataset, publish_dataset
from training.drafts.accepted import AcceptedDrafts, accepted_drafts, synthetic_account, synthetic_lines
from training.drafts.store import read_drafts
from training.examples import Example, Read, read_questions, read_source
from training.leaving import EMPTY, STEPS, Leaving, leaving
from training.report import discipline_lines, discipline_sections, render_report
from training.shapes import QUESTION
from training.splitting import Split
from training.tasks import TaskRules, task_account, task_lines, task_rules

if TYPE_CHECKING:
    from retrieval.index import Index

DRAFTS_ALONE: Final = "the accepted drafts"
"""What a report names as the source where there is no file of examples."""


def prepare(config: Config, workspace: Workspace, domain: str) -> Dataset:
    """Read, clean, check and split a domain's examples, and publish the dataset.

    Raises ConfigError where no examples are configured, and UserError for what is wrong with them, by file and line.
    """
    rules = task_rules(config.domain(domain))
    with indexed_documents(config, workspace, domain) as indexed, _collector_at_rest():
        return _prepare(config, workspace, domain, rules, indexed)


def _prepare(config: Config, workspace: Workspace, domain: str, rules: TaskRules, indexed: "Indexed | None") -> Dataset:
    settings = config.domain(domain)
    text_of = indexed.text_of if indexed else None
    source, read, drafted = gather(config, workspace, domain, rules, text_of)
    tidied = tidy([rules.written(example) for example in read.examples], config.training.cleaning)
    questions = read_questions(settings.questions) if settings.questions else None
    private, questions = without_personal_data(tidied.examples, questions, config.training.anonymise)
    chosen = choose(private.examples if private else tidied.examples, questions, config, domain)
    kept = chosen.kept
    left = [*drafted.left, *leaving(EMPTY, tidied.empty), *(private_leaving(private) if private else ()), *chosen.left]
    if not kept:
        raise nothing_left(source, left)
    parts = rules.split(kept, config.training, chosen.languages)
    report = describe(source, read, config.training.cleaning, tidied, kept, left, parts)
    synthetic = synthetic_account(kept, parts, drafted)
    if synthetic:
        report["synthetic"] = synthetic
    if settings.task != "answers":
        report["task"] = task_account(rules, parts)
    report["stale"] = None if text_of is None else [asdict(item) for item in stale(kept, text_of)]
    if private:
        odds = None if text_of is None else at_odds(private, kept, text_of)
        report["anonymised"] = account(private, odds)
    report |= discipline(kept, left, chosen, config, domain, indexed.ids() if indexed else None)
    return publish_dataset(
        workspace,
        domain,
        parts,
        config.training.seed,
        report,
        report_markdown(domain, report),
        render_report,
        chosen.languages,
    )


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Examples form no cycles, and the collector would go through all that there are so far again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def gather(
    config: Config, workspace: Workspace, domain: str, rules: TaskRules, text_of: TextOf | None
) -> tuple[Path | str, Read, AcceptedDrafts]:
    """Where the examples come from, all of them as they were read, and the accepted drafts that are among them.

    Those that people wrote come first: of two that say the same theirs stays. Raises ConfigError where there is
    neither a source nor an accepted draft.
    """
    settings = config.domain(domain)
    drafted = AcceptedDrafts()
    if config.training.drafts and settings.task == "answers":
        drafted = accepted_drafts(read_drafts(workspace, domain), text_of)
    if settings.examples is None and drafted.accepted:
        return DRAFTS_ALONE, Read([], QUESTION, 0).with_further(drafted.examples, drafted.accepted), drafted
    source = examples_source(settings, config, domain)
    read = read_source(source, settings.task, rules.problems)
    drafted.refuse_names_of(read.examples, source)
    return source, read.with_further(drafted.examples, drafted.accepted), drafted


def examples_source(settings: DomainConfig, config: Config, domain: str) -> Path | str:
    """The file or the name of the examples; ConfigError that names the key where there is none."""
    if settings.multi_task:
        commands = ", ".join(f"`tandem prepare {task}`" for task in settings.multi_task.tasks)
        raise UserError(f"{domain} has no examples of its own, its tasks have: run {commands}.", code="several_tasks")
    if settings.examples is None:
        raise ConfigError(
            f"The domain {domain} has no examples: set `domains.{domain}.examples` in {config.path} to a file of "
            "JSON lines, CSV or Parquet, or to the name of a dataset; rows are such as "
            '{"id": "1", "question": "…", "answer": "…", "documents": ["…"]}.',
            code="no_examples",
        )
    return settings.examples


@dataclass(frozen=True)
class Indexed:
    """The indexed documents: their texts, and all ids."""

    text_of: TextOf
    ids: Callable[[], list[str]]


@contextmanager
def indexed_documents(config: Config, workspace: Workspace, domain: str) -> Iterator[Indexed | None]:
    """What the domain's index holds; None where nothing is indexed."""
    with open_index(config, workspace, domain) as index:
        if index is None or not index.snapshot:
            yield None
            return

        @cache
        def read(document: str) -> str | None:
            try:
                return index.document(document).text
            except NotFound:
                return None

        yield Indexed(read, lambda: [document.id for document in index.documents()])


def open_index(config: Config, workspace: Workspace, domain: str) -> "AbstractContextManager[Index | None]":
    """The domain's live index as a context manager; it gives None where there is none yet."""
    folder = workspace.index_folder(domain)
    if not folder.is_dir():
        return nullcontext()
    from retrieval.embedder import load_embedder
    from retrieval.index import Index

    return Index.open(folder, load_embedder(config.embedder), config.retrieval)


def describe(
    source: Path | str,
    read: Read,
    steps: CleaningConfig,
    tidied: Tidied,
    kept: Sequence[Example],
    left: Sequence[Leaving],
    parts: Split,
) -> dict[str, Any]:
    """The report's values; lists hold ids of examples."""
    documents = [{name for example in part for name in example.documents} for part in (parts.train, parts.validation)]
    return {
        "prepared": datetime.now(UTC).isoformat(timespec="microseconds"),
        "source": str(source),
        "source_digest": file_digest(source) if isinstance(source, Path) else None,
        "shape": read.shape,
        "unused_system_turns": read.unused_system_turns,
        "counts": {
            "read": read.count,
            "kept": len(kept),
            "train": len(parts.train),
            "validation": len(parts.validation),
            "abstentions": sum(example.abstains for example in kept),
            "train_documents": len(documents[0]),
            "validation_documents": len(documents[1]),
        },
        "removed": {step: [item.id for item in left if item.step == step] for step in STEPS},
        "changed": tidied.changed,
        "switched_off": [step for step, on in steps.model_dump().items() if not on],
        "licences": dict(Counter(example.licence for example in kept if example.licence)),
    }


def summary(report: Mapping[str, Any]) -> list[str]:
    """The report in a few lines for people."""
    counts = report["counts"]
    kept = f"{counts['read']} examples read, {counts['kept']} kept"
    train = f"{counts['train']} to train on ({counts['train_documents']} documents)"
    validation = f"{counts['validation']} for validation ({counts['validation_documents']} other documents)"
    taken_out = ", ".join(f"{len(ids)} {kind.replace('_', ' ')}" for kind, ids in report["removed"].items())
    changed = ", ".join(f"{count} by {step}" for step, count in report["changed"].items())
    lines = [
        f"{kept}: {train}, {validation}; {counts['abstentions']} abstain",
        f"removed: {taken_out}",
        f"changed: {changed}; switched off: {', '.join(report['switched_off']) or 'nothing'}",
    ]
    if report["unused_system_turns"]:
        lines.append(
            f"system turns: {report['unused_system_turns']} not used, all the same; training and serving use the "
            "domain's `system_prompt`"
        )
    if report["stale"] is None:
        lines.append("stale: not checked, the domain is not indexed")
    else:
        lines.append(f"stale: {len(report['stale'])} examples that the indexed documents no longer bear out")
    if "synthetic" in report:
        lines += synthetic_lines(report["synthetic"])
    if "anonymised" in report:
        lines += account_lines(report["anonymised"])
    if "task" in report:
        lines += task_lines(report["task"])
    return [*lines, *discipline_lines(report)]


def report_markdown(domain: str, report: Mapping[str, Any]) -> str:
    """The whole report for people."""
    lines = [f"# Dataset of {domain}", "", f"From `{report['source']}`, {report['prepared']}.", ""]
    lines += [f"- {line}" for line in summary(report)]
    sections = discipline_sections(report)
    sections["Stale"] = [f"{item['id']}: {item['reason']}" for item in report["stale"] or ()]
    private = report.get("anonymised", {})
    sections["At odds with a document after anonymising"] = private.get("at_odds") or []
    sections["Personal data in ids of documents"] = private.get("document_ids", [])
    for title, items in sections.items():
        if items:
            lines += ["", f"## {title}", "", *(f"- {item}" for item in items)]
    return "\n".join(lines) + "\n"
