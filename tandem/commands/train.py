"""`tandem train`: a dataset in, an adapter out."""

from dataclasses import asdict
from typing import Annotated

import typer

from tandem.commands.live_table import live_table
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


def train(
    domain: DomainArgument,
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            help="closed-book: to answer from memory; reading: from the passages in its prompt; mixed: both; "
            "documents: to go on with pretraining on the indexed documents; multi-task: the tasks of several domains.",
        ),
    ],
    dataset: Annotated[
        str | None, typer.Option("--dataset", metavar="DIGEST", help="A prepared dataset; the newest by default.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Only go on with a run that was interrupted; refuse to begin one.")
    ] = False,
    parent: Annotated[
        str | None,
        typer.Option("--parent", metavar="VERSION", help="Go on from this adapter's weights, on a dataset new to it."),
    ] = None,
    search: Annotated[
        bool, typer.Option("--search", help="Look for the best settings in `training.search.space` first.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Train an adapter on a prepared dataset; run again after an interruption, it goes on where it was."""
    settings, workspace = open_project(config, home)
    settings.domain(domain)
    from training.processes import is_first
    from training.train import train as train_adapter

    def say(line: str) -> None:
        if not quiet:
            print(f"  {line}", flush=True)

    # Of processes that train together the first one speaks.
    quiet = json or not is_first()
    if not quiet:
        print(f"{domain}: a {kind} adapter", flush=True)
    with live_table(f"Training {domain}", quiet) as (progress, on_line):
        adapter = train_adapter(
            settings,
            workspace,
            domain,
            kind,
            dataset,
            say,
            progress,
            resume=resume,
            parent_version=parent,
            search_first=search,
            on_line=on_line,
        )
    if adapter is None:
        return
    losses = ", ".join(f"{name.replace('_', ' ')} {loss:.4f}" for name, loss in adapter.card.losses.items())
    if json:
        print_json(
            {"name": adapter.name, "version": adapter.version, "folder": str(adapter.folder)} | asdict(adapter.card)
        )
    else:
        print(f"{domain}: adapter {adapter.version}, loss {losses}")
        for warning in adapter.card.warnings:
            print(f"  warning: {warning}")
        print(f"  {adapter.folder}")
        if adapter.card.run:
            print(f"  {workspace.home / adapter.card.run / 'report.html'}")
