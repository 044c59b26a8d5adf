"""Where a training run keeps its checkpoints, so that one that was killed goes on.

`training/<domain>-<kind>-<key>/` in the workspace; the key says what is trained, so the same command finds its run and
another dataset or setting begins its own.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tandem.errors import Conflict
from tandem.files import sync_path, write_atomic
from tandem.workspace import Workspace
from training.processes import is_first

STATE: Final = "trainer_state.json"
NEEDED: Final = (
    STATE,
    "adapter_model.safetensors",
    "adapter_config.json",
    "optimizer.pt",
    "scheduler.pt",
)
"""Without these, and the random numbers of each process, nothing can go on from a checkpoint."""
RANDOM: Final = "rng_state*.pth"
WRITING: Final = "writing"
"""Folder inside the run's in which a checkpoint is put together; it gets its name when it is whole and on the disk."""
LOGS: Final = "runs"
"""Folder of the workspace with a folder of numbers and a report for each run."""
REMOVED: Final = ".removed"


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint: the weights after `step` steps, and the trainer's state."""

    folder: Path
    step: int
    state: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """The folder of one run."""

    folder: Path

    def checkpoints(self) -> list[Checkpoint]:
        """The whole checkpoints, oldest first; what a kill left half-written is removed."""
        found = []
        shutil.rmtree(self.folder / WRITING, ignore_errors=True)
        for folder in self.folder.glob("checkpoint-*"):
            state = _read_state(folder)
            if state is None:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                found.append(Checkpoint(folder, int(state["global_step"]), state))
        return sorted(found, key=lambda checkpoint: checkpoint.step)

    def remove(self) -> None:
        """Delete the checkpoints, once the adapter is published; a kill in between leaves nothing to go on from."""
        gone = self.folder.with_suffix(REMOVED)
        shutil.rmtree(gone, ignore_errors=True)
        self.folder.rename(gone)
        sync_path(gone.parent)
        shutil.rmtree(gone, ignore_errors=True)

    def when(self, event: str) -> str:
        """When something of the run first happened (`begun`, `fitted`), ISO 8601 in UTC: now, if it never did.

        The same after an interruption, so that what is published twice is one version.
        """
        path = self.folder / f"{event}.json"
        try:
            return str(json.loads(path.read_bytes())[event])
        except (OSError, ValueError, KeyError, TypeError):
            now = datetime.now(UTC).isoformat(timespec="seconds")
            write_atomic(path, json.dumps({event: now}).encode() + b"\n")
            return now

    def log_folder(self, workspace: Workspace) -> Path:
        """Where the numbers of the run and its report stay when the run's own folder is gone."""
        moment = "".join(character for character in self.when("begun")[:19] if character not in "-:").replace("T", "-")
        return workspace.home / LOGS / f"{self.folder.name}-{moment}"


def run_key(described: Mapping[str, Any]) -> str:
    """A short name for what is trained: equal descriptions give equal keys."""
    text = json.dumps(described, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@contextlib.contextmanager
def open_run(workspace: Workspace, domain: str, kind: str, key: str) -> Iterator[Run]:
    """The run's folder, held against other processes; Conflict while one of them trains the same.

    Of processes that train together the first one holds it for all.
    """
    folder = workspace.home / "training" / f"{domain}-{kind}-{key}"
    if not is_first():
        yield Run(folder)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder, which is removed while the lock is still held.
    descriptor = os.open(folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"Another process is training this {kind} adapter of {domain} already: wait for it, or end it.",
                code="already_training",
            ) from None
        shutil.rmtree(folder.with_suffix(REMOVED), ignore_errors=True)
        folder.mkdir(exist_ok=True)
        yield Run(folder)
    finally:
        os.close(descriptor)


def _read_state(folder: Path) -> Mapping[str, Any] | None:
    """The trainer's state in a checkpoint; None where the checkpoint is not whole."""
    try:
        state = json.loads((folder / STATE).read_bytes())
    except (OSError, ValueError):
        return None
    complete = all((folder / name).is_file() for name in NEEDED) and any(folder.glob(RANDOM))
    return state if complete and isinstance(state, dict) and "global_step" in state else None
