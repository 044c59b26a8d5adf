"""Adapter versions on disk: immutable folders that are named by what they hold.

`adapters/<domain>-<version>/` holds PEFT's own two files, `card.json` (where the adapter comes from)
and `references.json` (what it answers under PEFT). The version is the start of the digest over these
four; whatever is learned later lies beside them and changes nothing.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from tandem.errors import Conflict, NotFound, UserError
from tandem.files import sync_path, write_atomic
from tandem.names import is_name, validate_name
from tandem.workspace import Workspace

if TYPE_CHECKING:
    from tandem.settings import Task

WEIGHTS: Final = "adapter_model.safetensors"
SETTINGS: Final = "adapter_config.json"
CARD: Final = "card.json"
REFERENCES: Final = "references.json"
CONTENT: Final = (SETTINGS, WEIGHTS, CARD, REFERENCES)
"""The files that the version's digest covers."""

VERSION_PATTERN: Final = re.compile(r"[0-9a-f]{12}")

Kind = Literal["closed-book", "reading", "mixed", "documents", "multi-task"]
"""What an adapter was taught: to answer from memory, from the passages in its prompt, or both; the words of the
documents themselves; or the tasks of several domains."""


@dataclass(frozen=True)
class Duty:
    """What an adapter does for one domain: its task, and the form of its answers."""

    task: str
    labels: tuple[str, ...] = ()
    json_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class AdapterCard:
    """Where an adapter comes from. Digests are SHA-256 in hexadecimal."""

    domain: str
    kind: Kind
    base_model: str
    """Hub id, or the name of the folder."""
    base_digest: str
    dataset_digest: str
    prompt_hash: str
    """Seal of the shared prompt it was trained with."""
    documents: tuple[str, ...]
    """Ids of the documents that its training rows came from."""
    method: str = "lora"
    parent: str | None = None
    """The version that training went on from."""
    licences: tuple[str, ...] = ()
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    packages: Mapping[str, str] = field(default_factory=dict)
    losses: Mapping[str, float] = field(default_factory=dict)
    forgetting: Mapping[str, Any] = field(default_factory=dict)
    """The parent's own validation rows under the parent and under this version, by set of rows."""
    created: str = ""
    """ISO 8601, UTC."""
    run: str | None = None
    """Folder inside the workspace with the run's numbers (`metrics.jsonl`, `tensorboard/`) and its report."""
    warnings: tuple[str, ...] = ()
    """What the run was warned of, such as that it learned its rows by heart."""
    task: 'Task | Literal["several"]' = "answers"
    tasks: Mapping[str, Any] = field(default_factory=dict)
    """Of a multi-task adapter: domain → its task, labels, JSON schema, dataset, rows and scores."""
    labels: tuple[str, ...] = ()
    """The answers that it may give, of classification."""
    json_schema: Mapping[str, Any] | None = None
    """What its answers keep, of extraction."""
    imported: Mapping[str, str] = field(default_factory=dict)
    """Of an adapter that was not trained here: the SHA-256 of each file as it came. Empty for those trained here."""
    unknown: tuple[str, ...] = ()
    """What nobody here can tell of an imported adapter."""

    @property
    def duties(self) -> dict[str, Duty]:
        """Domain → what it does there: its own domain, or those of the tasks of a multi-task adapter."""
        if not self.tasks:
            return {self.domain: Duty(self.task, self.labels, self.json_schema)}
        return {
            name: Duty(task["task"], tuple(task["labels"]), task["json_schema"]) for name, task in self.tasks.items()
        }

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n"


@dataclass(frozen=True)
class Adapter:
    """A published adapter."""

    version: str
    folder: Path
    card: AdapterCard

    @property
    def name(self) -> str:
        """Its name inside the engine, `<domain>-<version>`, which is its folder's too."""
        return self.folder.name


def publish(staging: Path, workspace: Workspace, domain: str) -> Adapter:
    """Move a finished folder into the workspace under its version, durably; the same content twice is one version.

    Raises UserError when a file of `CONTENT` is missing.
    """
    for name in CONTENT:
        path = staging / name
        if not path.is_file():
            raise UserError(f"{staging} is no finished adapter: {name} is missing.", code="adapter_incomplete")
        sync_path(path)
    sync_path(staging)
    version = content_version(staging)
    folder = adapter_folder(workspace, domain, version)
    if folder.exists():
        shutil.rmtree(staging)
    else:
        staging.rename(folder)
        sync_path(folder.parent)
    return read_adapter(workspace, domain, version)


def content_version(folder: Path) -> str:
    """The version of what lies in a folder."""
    digest = hashlib.sha256()
    for name in CONTENT:
        digest.update(f"{name}\0{file_digest(folder / name)}\n".encode())
    return digest.hexdigest()[:12]


def verify(adapter: Adapter) -> None:
    """Raise Conflict when the files are no longer what the version says."""
    if not all((adapter.folder / name).is_file() for name in CONTENT):
        raise Conflict(f"{adapter.folder} lacks files: train it again, or restore it.", code="adapter_damaged")
    if content_version(adapter.folder) != adapter.version:
        raise Conflict(
            f"The files in {adapter.folder} were changed after they were published: restore them, or train again.",
            code="adapter_damaged",
        )


def read_adapter(workspace: Workspace, domain: str, version: str) -> Adapter:
    """One version of a domain's adapters. Raises UserError for what is no version, NotFound where it is not."""
    folder = adapter_folder(workspace, domain, version)
    try:
        values = json.loads((folder / CARD).read_bytes())
        listed = {name: tuple(values.get(name, ())) for name in ("licences", "warnings", "labels", "unknown")}
        card = AdapterCard(**{**values, "documents": tuple(values["documents"]), **listed})
    except FileNotFoundError:
        raise NotFound(
            f"{domain} has no adapter {version}; `tandem adapters list {domain}` names those it has.",
            code="adapter_not_found",
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise Conflict(
            f"{folder / CARD} cannot be read: restore it, or train again.", code="adapter_damaged"
        ) from error
    return Adapter(version, folder, card)


def find_adapter(workspace: Workspace, domain: str, version: str) -> Adapter:
    """The adapter that may answer for a domain under a version: one of its own, or a multi-task adapter that has it
    among its tasks. Raises as `read_adapter`."""
    try:
        return read_adapter(workspace, domain, version)
    except NotFound:
        for folder in workspace.adapters_folder.glob(f"*-{version}"):
            owner = folder.name.removesuffix(f"-{version}")
            if owner != domain and is_name(owner):
                found = read_adapter(workspace, owner, version)
                if domain in found.card.duties:
                    return found
        raise


def list_adapters(workspace: Workspace, domain: str) -> list[Adapter]:
    """A domain's adapters, oldest first; damaged ones are left out."""
    found = []
    for folder in workspace.adapters_folder.glob(f"{validate_name(domain, 'domain')}-*"):
        version = folder.name.removeprefix(f"{domain}-")
        if VERSION_PATTERN.fullmatch(version):
            try:
                found.append(read_adapter(workspace, domain, version))
            except (NotFound, Conflict):
                continue
    return sorted(found, key=lambda adapter: (adapter.card.created, adapter.version))


def list_answering(workspace: Workspace, domain: str) -> list[Adapter]:
    """The adapters that may answer for a domain, oldest first: its own, and multi-task ones that have it among their
    tasks; damaged ones are left out."""
    owners = {folder.name[:-13] for folder in workspace.adapters_folder.glob("*-????????????")}
    others = [one for owner in sorted(owners - {domain}) if is_name(owner) for one in list_adapters(workspace, owner)]
    found = [*list_adapters(workspace, domain), *(one for one in others if domain in one.card.duties)]
    return sorted(found, key=lambda adapter: (adapter.card.created, adapter.version))


def adapter_folder(workspace: Workspace, domain: str, version: str) -> Path:
    """Where a version lies, whether it exists or not."""
    if not VERSION_PATTERN.fullmatch(version):
        raise UserError(f"{version!r} is no adapter version: 12 of the characters 0-9 and a-f.", code="invalid_version")
    return workspace.adapters_folder / f"{validate_name(domain, 'domain')}-{version}"


def note(adapter: Adapter, name: str, value: Mapping[str, Any]) -> None:
    """Write what was learned later about an adapter, beside its content: `<name>.json`."""
    assert f"{name}.json" not in CONTENT, name
    write_atomic(adapter.folder / f"{name}.json", json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def base_digest(folder: Path) -> str:
    """SHA-256 over a base model's weights, configuration and tokenizer, by file name."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix == ".safetensors" or path.name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            digest.update(f"{path.name}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()
