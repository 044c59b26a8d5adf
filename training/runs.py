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
from pathlib import Path
from typing import Any, Final

from tandem.errors import Conflict
from tandem.workspace import Workspace

STATE: Final = "trainer_state.json"
NEEDED: Final = (STATE, "adapter_model.safetensors", "adapter_config.json", "optimizer.pt", "scheduler.pt")
"""Without these nothing can go on from a checkpoint; the state is written last."""


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
        for folder in self.folder.glob("checkpoint-*"):
            state = _read_state(folder)
            if state is None:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                found.append(Checkpoint(folder, int(state["global_step"]), state))
        return sorted(found, key=lambda checkpoint: checkpoint.step)

    def remove(self) -> None:
        """Delete the checkpoints, once the adapter is published."""
        shutil.rmtree(self.folder, ignore_errors=True)


def run_key(described: Mapping[str, Any]) -> str:
    """A short name for what is trained: equal descriptions give equal keys."""
    text = json.dumps(described, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@contextlib.contextmanager
def open_run(workspace: Workspace, domain: str, kind: str, key: str) -> Iterator[Run]:
    """The run's folder, held against other processes; Conflict while one of them trains the same."""
    folder = workspace.home / "training" / f"{domain}-{kind}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
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
        yield Run(folder)
    finally:
        os.close(descriptor)


def _read_state(folder: Path) -> Mapping[str, Any] | None:
    """The trainer's state in a checkpoint; None where the checkpoint is not whole."""
    try:
        state = json.loads((folder / STATE).read_bytes())
    except (OSError, ValueError):
        return None
    whole = isinstance(state, dict) and "global_step" in state and all((folder / name).is_file() for name in NEEDED)
    return state if whole else None
