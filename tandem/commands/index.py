"""`tandem index`: documents in, a searchable index out."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.commands.index_print import print_commit
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
from tandem.errors import ConfigError, UserError

if TYPE_CHECKING:
    from tandem.settings import Config
    from tandem.workspace import Workspace


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
    reembed: Annotated[
        bool,
        typer.Option("--reembed", help="Build the index for another `embedder` beside the present one, and switch."),
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> int:
    """Bring a domain's index up to date with its documents; only what changed is touched."""
    settings, workspace = open_project(config, home)
    if reembed:
        if paths or replace:
            raise UserError("--reembed takes the documents that the index has: name no paths, and no --replace.")
        return _reembed(domain, settings, workspace, json)
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
        rules = settings.domain(domain).document_rules
        commit = opened.sync([path.absolute() for path in sources], progress, replace=replace, rules=rules)
        ids = {document.id for document in opened.documents()}
    return print_commit(domain, commit, json, ids)


def _reembed(domain: str, settings: "Config", workspace: "Workspace", json: bool) -> int:
    settings.domain(domain)
    from retrieval.embedder import load_embedder
    from retrieval.index import Index
    from retrieval.reembed import reembed

    folder, embedder = workspace.index_folder(domain), load_embedder(settings.embedder)
    with progress_bar(f"Embedding {domain}", quiet=json) as progress:
        done = reembed(folder, embedder, settings.retrieval, progress)
    # Makes and saves what is searched, so that the next opening is quick.
    Index.open(folder, embedder, settings.retrieval).close()
    if json:
        print_json({"domain": domain, **asdict(done)})
    elif done.changed:
        print(f"{domain}: {done.documents} documents were embedded by {done.embedder} instead of {done.previous}")
        print("  start a running `tandem serve` anew, so that it uses this index")
    else:
        print(f"{domain}: the index was made with {done.embedder} already")
    return 0
