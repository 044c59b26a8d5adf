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


def _path(text: str) -> Path:
    """A path, but not the current folder for the empty string that an unset variable leaves."""
    if not text:
        raise typer.BadParameter("a path is empty")
    return Path(text)


def index(
    domain: DomainArgument,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...", parser=_path, help="Files and folders instead of the domain's `documents`."
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Remove every document that is not among these, those added over HTTP too."),
    ] = False,
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
        commit = opened.sync([path.absolute() for path in sources], progress=progress, replace=replace)
        ids = {document.id for document in opened.documents()}
    if json:
        print_json({"domain": domain, "documents": len(ids), **asdict(commit)})
    else:
        others = ids.difference(commit.added, commit.replaced, commit.unchanged, (one.id for one in commit.failed))
        changes = [f"{len(getattr(commit, kind))} {kind}" for kind in ("added", "replaced", "removed", "unchanged")]
        print(f"{domain}: snapshot {commit.snapshot}, {len(ids)} documents ({', '.join(changes)})")
        if others:
            print(f"  {len(others)} of them came from elsewhere (`--replace` removes such)")
        for failure in commit.failed:
            print(f"not indexed: {failure.id}: {failure.reason}", file=sys.stderr)
    return 2 if commit.failed else 0
