"""What a run was like, for people: `report.md`, and `report.html` that needs nothing from elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tandem.adapters import Adapter
from tandem.files import write_atomic
from tandem.pages import render_page
from training.curves import CurvePlot, Points, curve_plot
from training.metrics import METRICS, read_metrics
from training.preflight import MemoryEstimate
from training.reporter import show_seconds

MARKDOWN: Final = "report.md"
PAGE: Final = "report.html"
TEMPLATE: Final = "run_report.html.jinja"


def task_facts(adapter: Adapter) -> dict[str, str]:
    """A line for each task of a multi-task adapter: its rows, and how it scores."""
    lines = {}
    for name, task in adapter.card.tasks.items():
        score = task["score"]
        worth = score["worth"]
        lines[f"Task {name}"] = (
            f"{task['task']}: {score['measure']} {worth['mean']:.1%} [{worth['low']:.1%}, {worth['high']:.1%}] of "
            f"{score['rows']} {score['part']} rows; {task['rows']:,} rows, {task['rows_of_an_epoch']:,} of an epoch"
        )
    return lines


@dataclass(frozen=True)
class Summary:
    """The numbers of a run in a few lines."""

    facts: Mapping[str, str]
    epochs: Sequence[Mapping[str, str]]
    """One for each evaluation: `step`, `epoch`, and a loss for each set of rows."""
    trials: Sequence[Mapping[str, str]]
    """One for each trial of a search: `trial`, `state`, `loss`, `seconds`, and a value for each searched setting."""
    loss: CurvePlot | None
    speed: CurvePlot | None
    rate: CurvePlot | None


def write_run_report(adapter: Adapter, folder: Path, estimate: MemoryEstimate) -> None:
    """Write both reports beside the run's numbers, each whole or not at all."""
    summary = summarise(adapter, read_metrics(folder / METRICS), estimate)
    write_atomic(folder / MARKDOWN, render_markdown(adapter, summary).encode("utf-8", "replace"))
    write_atomic(folder / PAGE, render_html(adapter, summary).encode("utf-8", "replace"))


def summarise(adapter: Adapter, lines: Sequence[Mapping[str, Any]], estimate: MemoryEstimate) -> Summary:
    """The facts, the epochs and the curves of a run from its metrics."""
    steps = [line for line in lines if "loss" in line]
    scored = [line for line in lines if "evaluation" in line]
    seconds = sum(line["seconds"] for line in steps)
    tokens = sum(line["tokens"] for line in steps)
    values = adapter.card.hyperparameters
    facts = {
        "Adapter": adapter.name,
        "Base model": adapter.card.base_model,
        "Dataset": adapter.card.dataset_digest[:12],
        "Preset": str(values.get("preset") or "none"),
        "Rows": f"{values['rows']:,}; watched: {_show_watched(values['watched'])}",
        "Settings": ", ".join(
            f"{name} {values[name]:g}" for name in ("rank", "alpha", "dropout", "learning_rate", "batch_size", "epochs")
        ),
        "Steps": f"{len(steps):,}; the weights are those after step {values['steps']:,}",
        "Time in steps": show_seconds(seconds),
        "Tokens": f"{tokens:,} without padding, {tokens / max(seconds, 1e-9):,.0f} in a second",
        "Memory": f"{_gib(max((line['memory_bytes'] for line in steps), default=0))} at most; "
        f"{_gib(estimate.total)} were expected",
    } | task_facts(adapter)
    epochs = [
        {"step": f"{line['step']:,}", "epoch": f"{line['epoch']:g}"}
        | {name.replace("_", " "): f"{loss:.4f}" for name, loss in line["evaluation"].items()}
        for line in scored
    ]
    losses: dict[str, Points] = {"training rows": _points(steps, "loss")}
    for name in dict.fromkeys(name for line in scored for name in line["evaluation"] if name != "train"):
        losses[name.replace("_", " ")] = [
            (line["step"], line["evaluation"][name]) for line in scored if name in line["evaluation"]
        ]
    return Summary(
        facts,
        epochs,
        [_trial_row(trial) for trial in values.get("trials") or ()],
        curve_plot(losses),
        curve_plot({"tokens per second": _points(steps, "tokens_per_second")}),
        curve_plot({"learning rate": _points(steps, "learning_rate")}),
    )


def render_markdown(adapter: Adapter, summary: Summary) -> str:
    """The report as text."""
    lines = [f"# Training run of {adapter.name} ({adapter.card.kind})", ""]
    lines += [f"> **Warning.** {warning}\n" for warning in adapter.card.warnings]
    lines += [f"- {name}: {value}" for name, value in summary.facts.items()]
    if summary.epochs:
        columns = list(dict.fromkeys(name for epoch in summary.epochs for name in epoch))
        lines += ["", "## Mean loss for each token of the answers", ""]
        lines += [f"| {' | '.join(columns)} |", f"|{' ---: |' * len(columns)}"]
        lines += [f"| {' | '.join(epoch.get(name, '') for name in columns)} |" for epoch in summary.epochs]
    if summary.trials:
        columns = list(summary.trials[0])
        lines += ["", "## The search", "", f"| {' | '.join(columns)} |", f"|{' ---: |' * len(columns)}"]
        lines += [f"| {' | '.join(trial.values())} |" for trial in summary.trials]
    lines += [
        "",
        f"Every step is in `{METRICS}`; `report.html` has the curves, `tensorboard/` the same for TensorBoard.",
    ]
    return "\n".join(lines) + "\n"


def render_html(adapter: Adapter, summary: Summary) -> str:
    """The report as a page. It may run no script and load nothing."""
    columns = list(dict.fromkeys(name for epoch in summary.epochs for name in epoch))
    values = {"adapter": adapter, "summary": summary, "columns": columns}
    return render_page(Path(__file__).with_name(TEMPLATE), values, {})


def _points(steps: Sequence[Mapping[str, Any]], name: str) -> Points:
    return [(line["step"], line[name]) for line in steps]


def _trial_row(trial: Mapping[str, Any]) -> dict[str, str]:
    loss, seconds = trial["loss"], trial["seconds"]
    told = {
        "trial": str(trial["number"]),
        "state": str(trial["state"]),
        "loss": "" if loss is None else f"{loss:.4f}",
        "seconds": "" if seconds is None else f"{seconds:.0f}",
    }
    return told | {name: f"{v:.4g}" if isinstance(v, float) else str(v) for name, v in trial["values"].items()}


def _show_watched(watched: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in watched.items())


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"
