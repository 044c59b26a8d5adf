"""`tandem demo`: the main job on the sample domain."""

from pathlib import Path
from typing import Annotated

import typer

from tandem.commands.options import JsonOption


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server running at the end.")] = False,
    home: Annotated[
        Path | None,
        typer.Option("--home", metavar="DIR", help="The workspace folder; a temporary one by default."),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Index the sample domain, serve it, and ask it questions; ends with the command to ask your own."""
    from tandem.demo import run

    return run(keep=keep, home=home, json=json)
