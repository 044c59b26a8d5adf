"""`tandem search`, also `tandem index search`: the passages a question finds, without a model."""

import json as json_library
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tandem.commands.options import (
    DEFAULT_CONFIG,
    DEFAULT_HOME,
    CollapseOption,
    ConfigOption,
    DomainArgument,
    FilterOption,
    HomeOption,
    JsonOption,
    LanguageOption,
    MinSimilarityOption,
    NeighboursOption,
    SnapshotOption,
    open_project,
)
from tandem.commands.output import print_json
from tandem.errors import NotFound, UserError

if TYPE_CHECKING:
    from retrieval.results import Hit, SearchResult

WIDTH = 200


def search(
    domain: DomainArgument,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for.")],
    k: Annotated[int | None, typer.Option("-k", "--k", min=1, help="How many passages.")] = None,
    filter: FilterOption = None,
    as_names: Annotated[
        list[str] | None,
        typer.Option("--as", metavar="NAME", help="Search as this user or group sees it; more than one may be given."),
    ] = None,
    snapshot: SnapshotOption = None,
    min_similarity: MinSimilarityOption = None,
    collapse: CollapseOption = None,
    neighbours: NeighboursOption = None,
    language: LanguageOption = None,
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
    conditions = read_filter(filter or ())
    from retrieval.embedder import load_embedder
    from retrieval.index import Index
    from retrieval.requests import Options

    with Index.open(folder, load_embedder(settings.embedder), settings.retrieval) as opened:
        result = opened.search(
            query,
            k,
            conditions,
            principals=frozenset(as_names) if as_names else None,
            snapshot=snapshot,
            options=Options(min_similarity, collapse, neighbours, language),
        )
    if json:
        print_json(asdict(result))
    else:
        print_result(result)


def read_filter(pairs: Sequence[str]) -> dict[str, Any]:
    """The filter in `KEY=VALUE` words; a value that is JSON (`3`, `true`, `"3"`) is that, another one text.

    A key that is given more than once takes any of its values. Raises UserError for a word without `=`.
    """
    values: dict[str, list[Any]] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise UserError(f"The filter {pair!r} is not of the form KEY=VALUE.", code="invalid_filter")
        values.setdefault(key, []).append(_value(text))
    return dict(values)


def _value(text: str) -> Any:
    try:
        value = json_library.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str | int | float | bool) else text


def print_result(result: "SearchResult") -> None:
    """The hits for a person; warnings were logged by the search itself."""
    for number, hit in enumerate(result.hits, start=1):
        print(f"[{number}] {hit.title}  ({_facts(hit)})")
        for mark, text in (("↑", hit.before[-WIDTH:]), (" ", hit.text), ("↓", hit.after)):
            line = " ".join(text.split())
            if line:
                print(f"  {mark} {line[:WIDTH]}{'…' if len(line) > WIDTH else ''}")
        if hit.collapsed:
            print(f"    says the same: {', '.join(hit.collapsed)}")
    if not result.hits:
        print("Nothing was found.")


def _facts(hit: "Hit") -> str:
    page = f", page {hit.page}" if hit.page else ""
    origin = "".join(f", {key} {hit.metadata[key]}" for key in ("source", "licence") if hit.metadata.get(key))
    facts = f"{hit.document} {hit.start}-{hit.end}{page}{origin}, score {hit.score:.4f}"
    return facts if hit.rerank_score is None else f"{facts}, reranked {hit.rerank_score:.4f}"
