"""`tandem eval`: which way of answering is best for a domain."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.commands.options import (
    DEFAULT_CONFIG,
    DEFAULT_HOME,
    DEFAULT_URL,
    ConfigOption,
    DomainArgument,
    HomeOption,
    JsonOption,
    TimeoutOption,
    UrlOption,
    UserKeyOption,
    open_project,
)
from tandem.commands.output import print_json, progress_bar
from tandem.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from eval.verdict import Verdict
    from tandem.workspace import Workspace

ALL_VARIANTS = "base,finetuned,rag,hybrid,naive"
OF_TASKS = "base,finetuned"
"""The variants that read no documents."""


def evaluate(
    domain: DomainArgument,
    variants: Annotated[
        str,
        typer.Option(
            "--variants",
            metavar="LIST",
            help="Which to compare; naive is retrieval glued onto the adapter that answers from memory.",
        ),
    ] = ALL_VARIANTS,
    split: Annotated[str, typer.Option("--split", help="Which questions: validation or test.")] = "test",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="So many questions, drawn by a seed.")] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=256, help="Questions asked at once.")] = 4,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="DIR",
            help="Go on with the run in this folder; its own variants, split, limit and concurrency hold.",
        ),
    ] = None,
    url: UrlOption = DEFAULT_URL,
    api_key: UserKeyOption = None,
    timeout: TimeoutOption = 120,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Ask a running server DOMAIN's questions in every way, and say which way to use, and how sure that is."""
    settings, workspace = open_project(config, home)
    chosen = settings.domain(domain)
    questions = chosen.questions or _test_part(workspace, domain)
    if questions is None:
        raise ConfigError(f"The domain {domain} has no `questions` in {settings.path}; add a file of JSON lines.")
    from eval import run
    from eval.gateway import Gateway
    from eval.plan import parse_variants
    from eval.tasks import Judging

    if variants == ALL_VARIANTS and chosen.task != "answers":
        variants = OF_TASKS

    job = run.Job(
        domain=domain,
        questions=questions,
        success=chosen.success,
        verdicts=workspace.verdicts_folder,
        variants=parse_variants(variants),
        split=split,
        limit=limit,
        concurrency=concurrency,
        judging=Judging(chosen.task, chosen.json_schema),
    )
    gateway = Gateway(url, api_key, timeout)
    with progress_bar(f"Asking {domain}", quiet=json) as progress:
        finished = asyncio.run(run.evaluate(job, gateway, resume, progress, _say_folder))
    if json:
        print_json({"folder": str(finished.folder), **finished.verdict.to_json()})
    else:
        print_verdict(finished.verdict, finished.folder)


def print_verdict(verdict: "Verdict", folder: Path) -> None:
    """The verdict for a terminal: tables, warnings, the recommendation, and where the rest lies."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    console.print(_by_variant(verdict))
    if verdict.task_scores:
        console.print(_by_task(verdict))
    for dimension in dict.fromkeys(group.dimension for group in verdict.groups):
        console.print(_by_group(verdict, dimension))
    for warning in verdict.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for name, reason in verdict.left_out.items():
        print(f"{name} was not asked. {reason}", file=sys.stderr)
    console.print(f"\n[bold]{escape(verdict.recommendation.sentence)}[/bold]\n", soft_wrap=True)
    print(f"The verdict is in {folder / 'verdict.html'}")


def _by_variant(verdict: "Verdict") -> "Table":
    from rich.table import Table

    from eval.recommendation import show_points
    from eval.report import show_interval
    from tandem.worth import NAMES

    parts = [part for part in ("correct", "style", "citation") if part != "style" or verdict.success.style_rules]
    if verdict.task != "answers":
        parts.remove("citation")  # nothing is read, so nothing is cited
    table = Table(title=f"{verdict.domain}: {verdict.questions} {verdict.split} questions", title_justify="left")
    table.add_column("variant")
    shown = [NAMES[verdict.task] if part == "correct" else part for part in parts]
    for name in ("success", "95 % interval", *shown, "seconds"):
        table.add_column(name, justify="right")
    for result in verdict.variants:
        success = result.parts["success"]
        assert success is not None
        means = [value for part in parts if (value := result.parts[part]) is not None]
        seconds = "–" if result.seconds is None else f"{result.seconds:.2f}"
        cells = [show_points(success.mean), show_interval(success), *(show_points(mean.mean) for mean in means)]
        style = "bold" if result.name == verdict.recommendation.variant else None
        table.add_row(result.name, *cells, seconds, style=style)
    return table


def _by_task(verdict: "Verdict") -> "Table":
    """The scores that a task has of its own, each with its interval."""
    from rich.table import Table

    from eval.recommendation import show_points
    from eval.report import show_interval

    table = Table(title=f"Scores of {verdict.task}, with intervals of 95 %", title_justify="left")
    table.add_column("variant")
    for name in next(iter(verdict.task_scores.values())).scores:
        table.add_column(name.replace("_", " "), justify="right")
    for variant, result in verdict.task_scores.items():
        cells = [f"{show_points(value.mean)} ({show_interval(value)})" for value in result.scores.values()]
        table.add_row(variant, *cells)
    return table


def _by_group(verdict: "Verdict", dimension: str) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    from eval.recommendation import show_points

    table = Table(title=escape(f"Success by {dimension}"), title_justify="left")
    table.add_column(escape(dimension))
    table.add_column("questions", justify="right")
    for result in verdict.variants:
        table.add_column(result.name, justify="right")
    for group in verdict.groups:
        if group.dimension == dimension:
            means = [show_points(group.parts[result.name]["success"].mean) for result in verdict.variants]
            table.add_row(escape(group.value), str(group.questions), *means)
    return table


def _test_part(workspace: "Workspace", domain: str) -> Path | None:
    """The test questions of the newest dataset of a task, where it has some."""
    from tandem.errors import NotFound
    from training.dataset import QUESTIONS, read_dataset

    try:
        path = read_dataset(workspace, domain).folder / QUESTIONS
    except NotFound:
        return None
    return path if path.is_file() else None


def _say_folder(folder: Path) -> None:
    """Where answers are kept, before the first is asked for: a run that is killed goes on from there."""
    print(f"Answers are kept in {folder}; after an interruption go on with --resume {folder}", file=sys.stderr)
