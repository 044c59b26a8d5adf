"""`tandem ask`: one question to a running server."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tandem.client import post
from tandem.commands.options import (
    DEFAULT_URL,
    CollapseOption,
    FilterOption,
    JsonOption,
    LanguageOption,
    MinSimilarityOption,
    NeighboursOption,
    PassagesOption,
    ServedDomainArgument,
    SnapshotOption,
    TimeoutOption,
    UrlOption,
    UserKeyOption,
)
from tandem.commands.output import print_json
from tandem.commands.search import read_filter
from tandem.errors import UserError
from tandem.variants import VARIANTS


def ask(
    domain: ServedDomainArgument,
    question: Annotated[str, typer.Argument(metavar="QUESTION")],
    variant: Annotated[str, typer.Option("--variant", help=f"Way of answering: {', '.join(VARIANTS)}.")] = "rag",
    version: Annotated[
        str | None, typer.Option("--version", help="Version of the adapter, instead of the live one.")
    ] = None,
    k: PassagesOption = None,
    filter: FilterOption = None,
    snapshot: SnapshotOption = None,
    min_similarity: MinSimilarityOption = None,
    collapse: CollapseOption = None,
    neighbours: NeighboursOption = None,
    language: LanguageOption = None,
    url: UrlOption = DEFAULT_URL,
    api_key: UserKeyOption = None,
    timeout: TimeoutOption = 120,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="Check DOMAIN against this configuration first."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Ask a running server (`tandem serve`) a question; prints the answer and what it cites."""
    if variant not in VARIANTS:
        raise UserError(f"{variant!r} is no variant; there is {', '.join(VARIANTS)}.", code="unknown_variant")
    if config is not None:
        from tandem.config import load_config

        load_config(config).domain(domain)
    how = search_fields(k, filter, snapshot, min_similarity, collapse, neighbours, language)
    body = {
        "domain": domain,
        "question": question,
        "variant": variant,
        **({"version": version} if version is not None else {}),
    }
    answer = post(url, "/v1/ask", body | how, api_key, timeout)
    if json:
        print_json(answer)
    else:
        print(answer_text(answer))


def search_fields(
    k: int | None,
    filter: Sequence[str] | None,
    snapshot: int | None,
    min_similarity: float | None,
    collapse: float | None,
    neighbours: int | None,
    language: str | None,
) -> dict[str, Any]:
    """The fields of a request that say how passages are searched, those that were given."""
    fields = {
        "k": k,
        "filter": read_filter(filter) if filter else None,
        "snapshot": snapshot,
        "min_similarity": min_similarity,
        "collapse": collapse,
        "neighbours": neighbours,
        "language": language,
    }
    return {name: value for name, value in fields.items() if value is not None}


def answer_text(answer: dict[str, Any]) -> str:
    """An answer of `POST /v1/ask` for a terminal: text, citations, warnings, then where it came from."""
    lines = [str(answer.get("answer", "")).strip()]
    for citation in answer.get("citations") or ():
        quote = " ".join(str(citation.get("quote", "")).split())
        page = f", page {citation['page']}" if citation.get("page") else ""
        about = ", ".join(str(citation[key]) for key in ("source", "licence") if citation.get(key))
        place = f"{citation.get('document')}{page}" + (f" ({about})" if about else "")
        lines.append(f"  [{citation.get('marker')}] {place}: “{quote}”")
    lines += [f"  warning: {warning}" for warning in answer.get("warnings") or ()]
    versions = answer.get("versions") or {}
    milliseconds = (answer.get("timings_ms") or {}).get("total")
    origin = [str(answer.get("variant", "")), *(f"{key} {value}" for key, value in versions.items() if value)]
    if milliseconds is not None:
        origin.append(f"{milliseconds:.0f} ms")
    return "\n".join([*lines, f"  ({', '.join(origin)})"])
