"""The table that `tandem train` shows in a terminal while it trains: a row for each epoch."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tandem.commands.output import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

OnLine = Callable[[Mapping[str, Any]], None]
"""Takes each line of a run's `metrics.jsonl` as it is written."""


class EpochTable:
    """Loss of training and of each set of watched rows, learning rate, speed and memory, epoch by epoch."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._losses: list[float] = []
        self._ended = True

    def add(self, line: Mapping[str, Any]) -> None:
        """One step's line, or that of the evaluation with which an epoch ends."""
        if "evaluation" in line:
            if self._rows:
                self._rows[-1] |= line["evaluation"]
            self._ended = True
            return
        if self._ended:
            self._rows.append({})
            self._losses, self._ended = [], False
        self._losses.append(line["loss"])
        self._rows[-1] |= {"train": sum(self._losses) / len(self._losses), "line": dict(line)}

    def __rich__(self) -> "Table":
        """The table as it is now; the row of an epoch that goes on has no watched losses yet."""
        from rich.table import Table

        watched = list(dict.fromkeys(name for row in self._rows for name in row if name not in ("train", "line")))
        table = Table()
        for name in ("epoch", "step", "train", *watched, "rate", "tokens/s", "GiB"):
            table.add_column(name.replace("_", " "), justify="right")
        for number, row in enumerate(self._rows, 1):
            line = row["line"]
            losses = [f"{row[name]:.4f}" if name in row else "" for name in ("train", *watched)]
            speed = (f"{line['learning_rate']:.1e}", f"{line['tokens_per_second']:,.0f}")
            table.add_row(str(number), str(line["step"]), *losses, *speed, f"{line['memory_bytes'] / 2**30:.1f}")
        return table


@contextmanager
def live_table(title: str, quiet: bool, console: "Console | None" = None) -> Iterator[tuple[Progress, OnLine]]:
    """A bar with the table under it, on standard error while it is a terminal; silence for programs.

    Both go when it ends: what was said line by line stays.
    """
    import sys

    if quiet or not (console or sys.stderr.isatty()):
        yield (lambda _name, _done, _total: None), (lambda _line: None)
        return
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    text = (TextColumn("{task.description}"), TextColumn("{task.fields[name]}"))
    bar = Bar(text[0], BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), text[1])
    task = bar.add_task(title, total=None, name="")
    table = EpochTable()
    with Live(Group(table, bar), console=console or Console(stderr=True), transient=True):
        yield (lambda name, done, total: bar.update(task, completed=done, total=total, name=name)), table.add
