"""What a run is made of: its base, its rows and what is watched, for every kind of adapter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tandem.adapters import Kind
from tandem.errors import NotFound
from tandem.settings import Config
from tandem.workspace import Workspace
from training.balancing import balance_examples
from training.base import Base
from training.continuing import Mixed, Parent, mix
from training.dataset import Dataset, read_dataset
from training.documents import DocumentSet, block_size, describe_blocks, find_documents, packed, prompted
from training.examples import Example
from training.mixing import count_modes, mixed_rows, with_modes
from training.multitask import TaskRows, TaskSet, find_tasks, in_shares, repeated, task_rows, watched_tasks
from training.prepare import examples_source, open_index
from training.reporter import Say
from training.rows import Progress, Row, RowMaker, Rows, require_rows
from training.tokens import ChatTokens
from training.watching import UNSEEN_DOCUMENTS, watch


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
    base: Base,
    say: Say,
    progress: Progress,
    parent: Parent | None = None,
) -> Material:
    """All rows of a run, whatever its kind; says what could not be used."""
    maker = MaterialMaker(config, domain, kind, base, say)
    if isinstance(dataset, DocumentSet):
        return maker.of_documents(dataset)
    if isinstance(dataset, TaskSet):
        return maker.of_tasks(dataset)
    return maker.of_examples(workspace, dataset, progress, parent)


class MaterialMaker:
    """Makes the rows of one run from what `find_source` found."""

    def __init__(self, config: Config, domain: str, kind: Kind, base: Base, say: Say) -> None:
        self._config = config
        self._domain = domain
        self._kind = kind
        self._base = base
        self._say = say
        self._tokenizer = base.load_tokenizer()
        self._chat = ChatTokens(self._tokenizer, base.end_tokens(self._tokenizer))

    def of_documents(self, documents: DocumentSet) -> Material:
        """Blocks of the documents' words."""
        tokenizer, size = self._tokenizer, block_size(self._config, self._base)
        train, unseen = (
            packed(part, tokenizer, tokenizer.eos_token_id, size) for part in (documents.train, documents.unseen)
        )
        shown = f"{len(documents.train)} documents to learn from, {len(documents.unseen)} to watch"
        self._say(f"{shown}; blocks of {size} tokens")
        system = self._config.domain(self._domain).system_prompt
        return Material(
            documents,
            self._base,
            tokenizer,
            train,
            {UNSEEN_DOCUMENTS: unseen},
            documents.snapshot,
            prompts=prompted([*documents.unseen, *documents.train], self._chat, system),
            further=describe_blocks(documents, train, unseen, size),
        )

    def of_tasks(self, tasks: TaskSet) -> Material:
        """The rows of all tasks, each with its own domain's prompt, in the shares that the settings ask for."""
        settings = self._config.domain(self._domain).multi_task
        assert settings is not None, "check_fits was asked"
        made = {}
        for name, one in tasks.members.items():
            made[name] = task_rows(self._config, name, one, self._row_maker(name), self._say_left_out)
            self._say_balanced(made[name].balanced, f"{name}: ")
        parts = in_shares(made, settings)
        total = sum(part.rows for part in parts.values())
        for name, part in parts.items():
            self._say(f"{name}: {len(part.train)} rows, {part.rows} of an epoch's {total} ({part.rows / total:.0%})")
        seed = self._config.training.seed
        return Material(
            tasks,
            self._base,
            self._tokenizer,
            [row for part in parts.values() for row in repeated(part.train, part.rows, seed)],
            watched_tasks(parts),
            None,
            tasks=parts,
            further={"weights": settings.weights, "temperature": settings.temperature},
        )

    def of_examples(
        self, workspace: Workspace, dataset: Dataset, progress: Progress, parent: Parent | None = None
    ) -> Material:
        """The rows of a dataset's parts, the parent's among them where there is one."""
        settings = self._config.training
        mixed = mix(parent, dataset, settings.replay, settings.seed) if parent else None
        task = self._config.domain(self._domain).task
        watched = watch(self._kind, task, mixed.new if mixed else dataset.split, settings)
        balanced = balance_examples(watched.train, settings.balance, settings.seed)
        self._say_balanced(balanced.line)
        parts = {"train": watched.train, **watched.watched}
        remembered = parent.watched.watched if parent else {}
        if mixed:
            self._say_mixed(mixed)
            parts |= {"replay": mixed.replayed, **{f"parent_{name}": part for name, part in remembered.items()}}
        made, snapshot = self._rows(workspace, parts, progress)
        for part, rows in made.items():
            self._say_left_out(part, rows)
        material = Material(
            dataset,
            self._base,
            self._tokenizer,
            balanced.repeat(require_rows(made["train"], "training", self._domain))
            + (made["replay"].rows if mixed else []),
            {name: require_rows(made[name], name.replace("_", " "), self._domain) for name in watched.watched},
            snapshot,
            parent,
            mixed,
            {
                name: require_rows(made[f"parent_{name}"], f"the parent's {name.replace('_', ' ')}", self._domain)
                for name in remembered
            },
        )
        if self._kind != "mixed":
            return material
        modes = {"modes": count_modes(material.train)}
        return replace(material, watched=with_modes(material.watched), further=modes)

    def _rows(
        self, workspace: Workspace, parts: Mapping[str, Sequence[Example]], progress: Progress
    ) -> tuple[dict[str, Rows], int | None]:
        """Part → its rows; and the snapshot of the index that they were made from, if they read."""
        maker, settings = self._row_maker(self._domain), self._config.training
        if self._kind == "closed-book":
            return {name: maker.closed_book(part) for name, part in parts.items()}, None
        share = settings.reading_share if self._kind == "mixed" else 1.0
        with open_index(self._config, workspace, self._domain) as index:
            assert index is not None, "require_index was asked"
            made = {
                name: mixed_rows(maker, part, share, settings.seed, index, progress) for name, part in parts.items()
            }
            return made, index.snapshot

    def _row_maker(self, domain: str) -> RowMaker:
        return RowMaker(self._config, domain, self._chat, self._base.context_tokens)

    def _say_balanced(self, line: str, prefix: str = "") -> None:
        by = self._config.training.balance.by
        if by:
            self._say(f"{prefix}balanced by {by}: {line or 'nothing to balance'}")

    def _say_mixed(self, mixed: Mixed) -> None:
        self._say(f"{len(mixed.replayed)} of the parent's training examples are seen again (`training.replay`)")
        if mixed.withheld:
            self._say(
                f"left out of training: {len(mixed.withheld)} that the parent is validated on{_few(mixed.withheld)}"
            )
        if mixed.known:
            self._say(f"left out of validation: {len(mixed.known)} that the parent was trained on{_few(mixed.known)}")

    def _say_left_out(self, part: str, rows: Rows) -> None:
        name = part.replace("_", " ")
        reasons = ((rows.unfound, "whose answer no indexed passage holds"), (rows.too_long, "that are too long"))
        for ids, reason in reasons:
            if ids:
                self._say(f"left out of {name}: {len(ids)} examples {reason}{_few(ids)}")


def _few(ids: Sequence[str]) -> str:
    return f" ({', '.join(ids[:3])}{', …' if len(ids) > 3 else ''})"
