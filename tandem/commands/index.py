"""`tandem index`: documents in, a searchable index out."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tandem.commands.options import (
    DEFAULT_CONFIG,
    DEFAULT_HOME,
    ConfigOption,
    DomainArgument,
    HomeOption,
    JsonOption,
    open_project,
)
from tandem.commands.output import print_json, progress_bar
from tandem.errors import ConfigError


def index(
    domain: DomainArgument,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Files and folders instead of the domain's `documents`."),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> int:
    """Bring a domain's index up to date with its documents; only what changed is touched."""
    settings, workspace = open_project(config, home)
    sources = paths or settings.domain(domain).documents
    if not sources:
        raise ConfigError(f"The domain {domain} has no `documents` in {settings.path}; add them, or name paths.")
    from retrieval.embedder import load_embedder
    from retrieval.index import Index

    embedder = load_embedder(settings.embedder)
    with (
        Index.open(workspace.index_folder(domain), embedder, settings.retrieval) as opened,
        progress_bar(f"Indexing {domain}", quiet=json) as progress,
    ):
        commit = opened.sync([path.absolute() for path in sources], progress=progress)
        total = len(opened.documents())
    if json:
        print_json({"domain": domain, "documents": total, **asdict(commit)})
    else:
        changes = [f"{len(getattr(commit, kind))} {kind}" for kind in ("added", "replaced", "removed", "unchanged")]
        print(f"{domain}: snapshot {commit.snapshot}, {total} documents ({', '.join(changes)})")
        for failure in commit.failed:
            print(f"not indexed: {failure.id}: {failure.reason}", file=sys.stderr)
    return 2 if commit.failed else 0
