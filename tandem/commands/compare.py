"""`tandem compare`: one question, all variants side by side."""

from typing import Annotated, Any

import typer

from tandem.client import post
from tandem.commands.ask import answer_text, search_fields
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


def compare(
    domain: ServedDomainArgument,
    question: Annotated[str, typer.Argument(metavar="QUESTION")],
    variants: Annotated[
        str | None,
        typer.Option(
            "--variants", metavar="A,B,...", help="Such as base,rag,hybrid@VERSION; all that answer if not given."
        ),
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
    json: JsonOption = False,
) -> None:
    """Ask the variants of a running server the same question at once; prints their answers side by side."""
    body: dict[str, Any] = {"domain": domain, "question": question}
    if variants is not None:
        body["variants"] = [name.strip() for name in variants.split(",")]
    body |= search_fields(k, filter, snapshot, min_similarity, collapse, neighbours, language)
    compared = post(url, "/v1/compare", body, api_key, timeout)
    if json:
        print_json(compared)
        return
    for answer in compared.get("answers", []):
        print(f"{answer.get('variant')}:")
        said = f"not answered: {answer['error'].get('message')}" if "error" in answer else answer_text(answer)
        print("\n".join(f"  {line}" for line in said.splitlines()))
