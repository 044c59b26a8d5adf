"""A training run in a process of its own that kills itself at a named place: `python -m tests.training.killed_run`.

Arguments: folder of the project, folder of the workspace, the place and how many times it is passed before. Places:
`step`; `weights`, `optimizer`, `generator` (while a checkpoint is put together, each after some of its files); `rename`
(whole, but without its name); `forget` (an old one half deleted); `publish` (published, but its run still there);
`remove` (its run half deleted); `none`.
"""

import os
import signal
import sys
from collections.abc import Callable
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
    from training.runs import Run

    trainer = transformers.Trainer
    match place:
        case "step":
            kill_at(RunLog, "end_step", times)
        case "weights":
            kill_at(trainer, "_save_optimizer_and_scheduler", times, before=True)
        case "optimizer":
            kill_at(trainer, "_save_rng_state", times, before=True)
        case "generator":
            kill_at(training.trainer, "save_file", times)
        case "rename":
            kill_at(training.trainer, "_make_durable", times)
        case "forget":
            kill_at(training.trainer.RunTrainer, "_forget_old", times, before=True)
        case "publish":
            kill_at(training.publishing, "publish", times)
        case "remove":
            kill_at(Run, "remove", times, before=True)
        case _:
            assert place == "none", place


def main(project: str, home: str, place: str, times: str) -> None:
    from training.prepare import prepare
    from training.train import train

    config = kettle_config(Path(project), **SETTINGS)
    workspace = Workspace.open(Path(home))
    if not any(workspace.datasets_folder.iterdir()):
        prepare(config, workspace, "shop")
    arrange(place, int(times))
    train(config, workspace, "shop", "closed-book", None, lambda line: print(line, flush=True), lambda *_: None)


if __name__ == "__main__":
    main(*sys.argv[1:])
