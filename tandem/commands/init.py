"""`tandem init`: a folder to start from."""

import os
from json import dumps as to_json
from pathlib import Path
from typing import Annotated

import typer

from tandem.commands.options import JsonOption
from tandem.commands.output import print_json
from tandem.errors import Conflict, UserError
from tandem.files import write_atomic
from tandem.starter import CONFIGURATION, DOCUMENTS, DOMAIN

TINY_MODEL = Path(__file__).resolve().parent.parent.parent / "models" / "tiny"
HUB_MODEL = "Qwen/Qwen3-0.6B"


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder; made when missing.")],
    config: Annotated[
        str, typer.Option("--config", "-c", metavar="NAME", help="The name of the configuration in DIR.")
    ] = "tandem.yaml",
    json: JsonOption = False,
) -> None:
    """Write a commented configuration and a tiny example of documents; never overwrites."""
    if Path(config).name != config:
        raise UserError(f"{config!r} is not the name of a file in {folder}.")
    # The configuration comes last: with it there, the example is complete.
    contents = {folder / "documents" / name: text for name, text in DOCUMENTS.items()}
    contents[folder / config] = CONFIGURATION.format(base_model=to_json(_base_model()))
    existing = [str(path) for path in contents if os.path.lexists(path)]
    if existing:
        raise Conflict(f"{', '.join(existing)} already there; nothing was written.", code="already_exists")
    try:
        (folder / "documents").mkdir(parents=True, exist_ok=True)
        for path, text in contents.items():
            write_atomic(path, text.encode())
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror or error}).") from error
    if json:
        print_json({"config": str(folder / config), "files": [str(path) for path in contents]})
        return
    shown = "" if config == "tandem.yaml" else f" --config {config}"
    print(f"Wrote {folder / config} and {len(DOCUMENTS)} documents. Next:")
    print(f"  cd {folder}")
    print(f"  tandem index {DOMAIN}{shown}")
    print(f"  tandem serve{shown}")
    print(f'  tandem ask {DOMAIN} "When does the library open on Saturday?"')


def _base_model() -> str:
    """The tiny model of the checkout this runs from, or a small one of the hub."""
    return str(TINY_MODEL) if (TINY_MODEL / "config.json").is_file() else HUB_MODEL
