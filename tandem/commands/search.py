"""`tandem search`: the passages a question finds, without a model."""

from dataclasses import asdict
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
from tandem.commands.output import print_json
from tandem.errors import NotFound

WIDTH = 200


def search(
    domain: DomainArgument,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for.")],
    k: Annotated[int | None, typer.Option("-k", "--k", min=1, help="How many passages.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Print the passages of a domain's index that fit QUERY, best first."""
    settings, workspace = open_project(config, home)
    settings.domain(domain)
    folder = workspace.index_folder(domain)
    if not folder.is_dir():
        raise NotFound(f"The domain {domain} is not indexed yet: run `tandem index {domain}`.", code="no_index")
    from retrieval.embedder import load_embedder
    from retrieval.index import Index

    with Index.open(folder, load_embedder(settings.embedder), settings.retrieval) as opened:
        result = opened.search(query, k)
    if json:
        print_json(asdict(result))
        return
    for number, hit in enumerate(result.hits, start=1):
        print(f"[{number}] {hit.title}  ({hit.document} {hit.start}-{hit.end}, score {hit.score:.4f})")
        text = " ".join(hit.text.split())
        print(f"    {text[:WIDTH]}{'…' if len(text) > WIDTH else ''}")
    if not result.hits:
        print("Nothing was found.")
