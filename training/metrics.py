"""The numbers of a run, step by step: a line of JSON each, and TensorBoard's event files."""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self

from tandem.files import sync_path, write_atomic

OnLine = Callable[[Mapping[str, Any]], None]

METRICS: Final = "metrics.jsonl"
EVENTS: Final = "tensorboard"


class RunLog:
    """Writes `metrics.jsonl` and `tensorboard/` into a folder; goes on after an interruption without gaps or repeats.

    Each line is one object with `step`. Lines of training hold `epoch` (a fraction of passes), `loss` (mean for each
    token of the answers, of this step's rows), `learning_rate`, `tokens` (without padding), `seconds` (of the step
    alone), `tokens_per_second` and `memory_bytes` (held by the process, or on a GPU the most that was held there);
    those of an evaluation hold `evaluation`: the loss of each set of watched rows.
    """

    def __init__(
        self, folder: Path, after_step: int, steps_of_epoch: int | None = None, on_line: OnLine = lambda _: None
    ) -> None:
        """`after_step`: the step of the checkpoint that training goes on from; later lines are dropped.

        `on_line` is told of each line, those from before an interruption first.
        """
        from tensorboardX import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / METRICS
        self.lines = [line for line in read_metrics(self.path) if line["step"] <= after_step]
        write_atomic(self.path, b"".join(_as_line(line) for line in self.lines))
        self._file = self.path.open("ab")
        purge = after_step + 1 if after_step else None
        # Without a queue's thread and without a flush at each step, which would cost more than a small step.
        self._events = SummaryWriter(str(folder / EVENTS), purge_step=purge, flush_secs=10)
        self._loss, self._tokens = 0.0, 0
        self._began = self._rate = 0.0
        self._on_line = on_line
        for line in self.lines:
            on_line(line)
        self.steps_of_epoch = steps_of_epoch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.make_durable()
        self._file.close()
        self._events.close()

    def begin_step(self, learning_rate: float) -> None:
        """A step begins."""
        self._began, self._rate = time.perf_counter(), learning_rate
        self._loss, self._tokens = 0.0, 0

    def saw(self, loss: float, tokens: int) -> None:
        """One batch of the step was done; several of one step add up, as their losses are shares of its loss."""
        self._loss += loss
        self._tokens += tokens

    def end_step(self, step: int, epoch: float) -> dict[str, Any]:
        """A step is done; gives its line."""
        seconds = time.perf_counter() - self._began
        line = {
            "step": step,
            "epoch": round(epoch, 4),
            "loss": self._loss,
            "learning_rate": self._rate,
            "tokens": self._tokens,
            "seconds": round(seconds, 6),
            "tokens_per_second": round(self._tokens / max(seconds, 1e-9), 1),
            "memory_bytes": held_bytes(),
        }
        self._write(line)
        for name in ("loss", "learning_rate", "tokens_per_second", "memory_bytes"):
            self._events.add_scalar(f"train/{name}", line[name], step)
        return line

    def evaluated(self, step: int, epoch: float, losses: Mapping[str, float]) -> None:
        """Watched rows were evaluated."""
        self._write({"step": step, "epoch": round(epoch, 4), "evaluation": dict(losses)})
        for name, loss in losses.items():
            self._events.add_scalar(f"validation/{name}", loss, step)

    def epoch_loss(self) -> float:
        """Mean loss of the steps of the epoch that ends now."""
        losses = [line["loss"] for line in self.lines if "loss" in line]
        last = losses[-self.steps_of_epoch :] if self.steps_of_epoch else losses
        return float(sum(last) / len(last))

    def make_durable(self) -> None:
        """Put what was written on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._events.flush()
        sync_path(self.path.parent)

    def _write(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        self._file.write(_as_line(line))
        self._file.flush()
        self._on_line(line)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a run, oldest first; none where there is no file. What a kill cut off is left out."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    return list(_parse(data.splitlines(keepends=True)))


def held_bytes() -> int:
    """Memory of this process; where it trains on a GPU, the most that was held there."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return int(psutil.Process().memory_info().rss)


def _parse(lines: Iterable[bytes]) -> Iterable[dict[str, Any]]:
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            return
        if not line.endswith(b"\n") or not isinstance(value, dict) or not isinstance(value.get("step"), int):
            return
        yield value


def _as_line(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line).encode() + b"\n"
