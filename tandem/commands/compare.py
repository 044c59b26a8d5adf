"""`tandem compare`: one question, all variants side by side."""

from typing import Annotated, Any

import typer

from tandem.client import post
from tandem.commands.ask import answer_text
from tandem.commands.options import (
    DEFAULT_URL,
    JsonOption,
    PassagesOption,
    ServedDomainArgument,
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
    url: UrlOption = DEFAULT_URL,
    api_key: UserKeyOption = None,
    timeout: TimeoutOption = 120,
    json: JsonOption = False,
) -> None:
    """Ask the variants of a running server the same question at once; prints their answers side by side."""
    body: dict[str, Any] = {"domain": domain, "question": question}
    if variants is not None:
        body["variants"] = [name.strip() for name in variants.split(",")]
    if k is not None:
        body["k"] = k
    compared = post(url, "/v1/compare", body, api_key, timeout)
    if json:
        print_json(compared)
        return
    for answer in compared.get("answers", []):
        print(f"{answer.get('variant')}:")
        said = f"not answered: {answer['error'].get('message')}" if "error" in answer else answer_text(answer)
        print("\n".join(f"  {line}" for line in said.splitlines()))
