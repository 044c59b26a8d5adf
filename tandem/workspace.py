"""The workspace: one folder (`TANDEM_HOME`) that holds everything Tandem keeps."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tandem.errors import ConfigError
from tandem.files import locked, write_atomic
from tandem.names import validate_name

SCHEMA_VERSION: Final = 1

MIGRATIONS: Final[Mapping[int, Callable[[Path], None]]] = {}
"""Version → the function that turns a workspace of that version into the next one."""


@dataclass(frozen=True)
class Workspace:
    """Where things lie. Open one with `Workspace.open`, which makes what is missing."""

    home: Path

    @classmethod
    def open(cls, home: Path) -> "Workspace":
        """Open the workspace at `home`, making or migrating it; safe from several processes.

        Raises ConfigError when `home` cannot be a folder or a newer Tandem made it.
        """
        workspace = cls(home.expanduser().absolute())
        try:
            workspace.home.mkdir(parents=True, exist_ok=True)
            with locked(workspace.home / ".lock"):
                workspace._prepare()
        except OSError as error:
            raise ConfigError(
                f"The workspace {workspace.home} cannot be used ({error.strerror or error}); "
                "name a writable folder with --home or TANDEM_HOME."
            ) from error
        return workspace

    @property
    def version_path(self) -> Path:
        """The small JSON file that carries the schema version."""
        return self.home / "workspace.json"

    @property
    def database_path(self) -> Path:
        """The SQLite file of requests, feedback and pointers."""
        return self.home / "tandem.db"

    @property
    def datasets_folder(self) -> Path:
        """Prepared datasets, one folder each."""
        return self.home / "datasets"

    @property
    def adapters_folder(self) -> Path:
        """Adapter versions, one folder each, never overwritten."""
        return self.home / "adapters"

    @property
    def verdicts_folder(self) -> Path:
        """Results of evaluations, one folder each."""
        return self.home / "verdicts"

    @property
    def drafts_folder(self) -> Path:
        """Drafted examples and what people decided on them, one file for each domain."""
        return self.home / "drafts"

    @property
    def logs_folder(self) -> Path:
        """Logs of the engine and of commands that failed."""
        return self.home / "logs"

    def index_folder(self, domain: str) -> Path:
        """The folder of a domain's index (not made here); UserError on an invalid name."""
        return self.home / "indexes" / validate_name(domain, "domain")

    def database_url(self, setting: str = "sqlite") -> str:
        """SQLAlchemy URL for the configuration's `database`: `sqlite` means the file in here."""
        return f"sqlite:///{self.database_path}" if setting == "sqlite" else setting

    def _prepare(self) -> None:
        for folder in (
            self.datasets_folder,
            self.adapters_folder,
            self.verdicts_folder,
            self.drafts_folder,
            self.logs_folder,
            self.home / "indexes",
        ):
            folder.mkdir(exist_ok=True)
        migrate(self.version_path, SCHEMA_VERSION, MIGRATIONS)


def migrate(version_path: Path, target: int, migrations: Mapping[int, Callable[[Path], None]]) -> None:
    """Bring the workspace around `version_path` to schema `target`, one step at a time.

    The version is written after each step, so a kill in between repeats at most one step: a
    migration has to bear being run twice. No file yet means a new workspace.
    """
    if not version_path.exists():
        _write_version(version_path, target)
    version = _read_version(version_path)
    if version > target:
        raise ConfigError(
            f"The workspace {version_path.parent} has schema version {version}, and this Tandem "
            f"knows {target}: update Tandem, or name another folder with --home or TANDEM_HOME.",
            code="workspace_too_new",
        )
    while version < target:
        migrations[version](version_path.parent)
        version += 1
        _write_version(version_path, version)


def _read_version(version_path: Path) -> int:
    try:
        version = json.loads(version_path.read_bytes())["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(version_path) from error
    if not isinstance(version, int) or version < 1:
        raise _damaged(version_path)
    return version


def _damaged(version_path: Path) -> ConfigError:
    return ConfigError(
        f'{version_path} does not hold a schema version such as {{"schema_version": '
        f"{SCHEMA_VERSION}}}; restore it, or name another folder with --home or TANDEM_HOME.",
        code="workspace_damaged",
    )


def _write_version(version_path: Path, version: int) -> None:
    write_atomic(version_path, json.dumps({"schema_version": version}).encode() + b"\n")
