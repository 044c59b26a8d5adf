"""What a command prints: text for people, one JSON object for programs, errors in one sentence."""

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tandem.errors import TandemError, UserError

Progress = Callable[[str, int, int], None]
"""Called with the name of the current piece, how many are done, and how many there are."""


def print_json(value: object) -> None:
    """One JSON object on standard output."""
    print(json.dumps(value, ensure_ascii=False, default=str))


def print_error(error: TandemError, as_json: bool) -> int:
    """Say what went wrong; return the exit status: 2 for the user's mistake, 1 for ours."""
    if as_json:
        print_json({"error": {"code": error.code, "message": error.message, **_plain(error.details)}})
    else:
        print(f"error: {error.message}", file=sys.stderr)
    return 2 if isinstance(error, UserError) else 1


def print_bug(error: BaseException, as_json: bool) -> int:
    """Say that an unexpected error is Tandem's fault, and where its traceback lies; return 1."""
    log = _write_log(error)
    message = (
        f"this is a bug in Tandem, not a mistake of yours: {type(error).__name__}: {error}. "
        f"Please report it with the file {log}."
    )
    return print_error(TandemError(message, log=str(log)), as_json)


@contextmanager
def progress_bar(title: str, quiet: bool) -> Iterator[Progress]:
    """A bar on standard error while it is a terminal; silence for programs."""
    if quiet or not sys.stderr.isatty():
        yield lambda _name, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[name]}"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None, name="")

        def show(name: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, name=name)

        yield show


def _plain(details: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in details.items() if key not in ("code", "message")}


def _write_log(error: BaseException) -> Path:
    """The traceback goes beside the workspace's other logs, or where temporary files lie."""
    folder = Path(os.environ.get("TANDEM_HOME", ".tandem")) / "logs"
    if not folder.is_dir():
        folder = Path(tempfile.gettempdir())
    log = folder.absolute() / f"tandem-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    text = "".join(traceback.format_exception(error))
    try:
        log.write_text(f"{sys.argv}\n{sys.version}\n\n{text}", encoding="utf-8")
    except OSError:
        print(text, file=sys.stderr)
    return log
