"""A training run in a process of its own that kills itself at a named place.

Places: `step`; `weights`, `optimizer`, `generator` (while a checkpoint is put together, each after some of its files);
`rename` (whole, but without its name); `forget` (an old one half deleted); `publish` (published, but its run still
there); `remove` (its run half deleted); `none`.
"""

import multiprocessing
import os
import secrets
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tandem.workspace import Workspace
from tests.training.helpers import kettle_config

SETTINGS = {"epochs": 2, "batch_size": 4, "rank": 8, "dropout": 0.1, "checkpoint_seconds": 0}


def die() -> None:
    """As a power cut ends a process."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(owner: Any, name: str, times: int, before: bool = False) -> None:
    """End the process at the call number `times` (from 1) of a function: after it, or before."""
    original: Callable[..., Any] = getattr(owner, name)
    passed = 0

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal passed
        passed += 1
        if before and passed == times:
            die()
        result = original(*arguments, **named)
        if passed == times:
            die()
        return result

    setattr(owner, name, counted)


def arrange(place: str, times: int) -> None:
    """Have the process end at a place."""
    import transformers

    import training.publishing
    import training.trainer
    from training.metrics import RunLog
    from training.runs import Run as Training

    trainer = transformers.Trainer
    match place:
        case "step":
            kill_at(RunLog, "end_step", times)
        case "weights":
            kill_at(trainer, "_save_optimizer_and_scheduler", times, before=True)
        case "optimizer":
            kill_at(trainer, "_save_rng_state", times, before=True)
        case "generator":
            kill_at(trainer, "_save_rng_state", times)
        case "rename":
            kill_at(training.trainer, "_make_durable", times)
        case "forget":
            kill_at(training.trainer.RunTrainer, "_forget_old", times, before=True)
        case "publish":
            kill_at(training.publishing, "publish", times)
        case "remove":
            kill_at(Training, "remove", times, before=True)
        case _:
            assert place == "none", place


def start_run(project: Path, home: Path, place: str = "none", times: int = 1) -> "Run":
    """Train in a new process, which ends at the call number `times` of a place.

    Processes are forked from one that has imported what training needs, so that many of them start at once.
    """
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["tests.training.imported_for_runs"])
    project.mkdir(parents=True, exist_ok=True)
    output = project / f"output-{secrets.token_hex(8)}"
    process = forks.Process(target=_run, args=(project, home, place, times, output))
    process.start()
    return Run(process, output)


@dataclass
class Run:
    """A started process, and the file that it writes to."""

    process: BaseProcess
    output: Path

    def finish(self, seconds: float = 900) -> int:
        """Wait for its end; the exit status, negative for a signal."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"still running after {seconds} s: {self.said}"
        return self.process.exitcode

    @property
    def said(self) -> str:
        """All that it wrote."""
        return self.output.read_text() if self.output.exists() else ""


def _run(project: Path, home: Path, place: str, times: int, output: Path) -> None:
    from training.prepare import prepare
    from training.train import train

    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    config = kettle_config(project, **SETTINGS)
    workspace = Workspace.open(home)
    if not any(workspace.datasets_folder.iterdir()):
        prepare(config, workspace, "shop")
    arrange(place, times)
    train(config, workspace, "shop", "closed-book", None, lambda line: print(line, flush=True), lambda *_: None)
