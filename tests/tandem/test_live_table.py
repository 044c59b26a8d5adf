"""The table of a training in a terminal: what it shows of each epoch, and that it leaves nothing behind."""

import io
from typing import Any

from rich.console import Console

from tandem.commands.live_table import EpochTable, live_table


def step(number: int, loss: float) -> dict[str, Any]:
    rates = {"learning_rate": 5e-4, "tokens_per_second": 5310.2, "memory_bytes": 3 * 2**29}
    return {"step": number, "loss": loss, **rates}


def shown(table: EpochTable) -> list[list[str]]:
    """The cells of its lines."""
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    rows = [line for line in text.splitlines() if line[:1] in "│┃"]
    return [[cell.strip() for cell in row.replace("┃", "│").strip("│").split("│")] for row in rows]


def test_each_epoch_has_its_mean_loss_and_an_epoch_that_goes_on_no_watched_loss() -> None:
    table = EpochTable()
    for line in (step(1, 2.0), step(2, 1.0), {"step": 2, "evaluation": {"other_wordings": 1.25}}, step(3, 0.5)):
        table.add(line)
    assert shown(table) == [
        ["epoch", "step", "train", "other wordings", "rate", "tokens/s", "GiB"],
        ["1", "2", "1.5000", "1.2500", "5.0e-04", "5,310", "1.5"],
        ["2", "3", "0.5000", "", "5.0e-04", "5,310", "1.5"],
    ]


def test_in_a_terminal_the_table_is_drawn_and_taken_away_again() -> None:
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=100)
    with live_table("Training shop", False, console) as (progress, on_line):
        on_line(step(1, 0.75))
        progress("", 1, 4)
    drawn = terminal.getvalue()
    assert "0.7500" in drawn
    assert "1/4" in drawn
    assert drawn.endswith("\x1b[2K"), "the last thing is that its lines are cleared"


def test_for_programs_nothing_is_drawn(capsys: Any) -> None:
    with live_table("Training shop", True) as (progress, on_line):
        on_line(step(1, 0.75))
        progress("", 1, 4)
    assert capsys.readouterr() == ("", "")
