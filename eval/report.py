"""The verdict as one HTML file that needs nothing from elsewhere, for readers without code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from eval.plots import Mark, interval_plot
from eval.recommendation import Comparison, show_p, show_points
from eval.verdict import Verdict
from tandem.files import write_atomic
from tandem.pages import render_page
from tandem.statistics import Estimate
from tandem.worth import NAMES

REPORT: Final = "verdict.html"
TEMPLATE: Final = "report.html.jinja"
BASELINE: Final = "base"

PART_NAMES: Final = {
    "success": "success",
    "correct": "correct",
    "style": "in style",
    "citation": "rightly cited",
    "citation_precision": "citation precision",
    "citation_recall": "citation recall",
    "abstains_rightly": "abstains when it should",
    "abstains_wrongly": "abstains when it should not",
}
"""Part → the head of its column."""

VARIANT_NOTES: Final = {
    "base": "the base model alone",
    "rag": "the base model reads retrieved passages",
    "finetuned": "an adapter answers from memory",
    "hybrid": "an adapter that was taught to read gets retrieved passages",
    "naive": "the adapter of finetuned gets retrieved passages, which it was never taught to read",
}

GROUNDS: Final = {
    "clear": "A clear result",
    "cheaper": "The cheaper of what cannot be told apart",
    "cannot tell": "Too few questions to tell",
    "only one": "Nothing to compare with",
}


def write_report(verdict: Verdict, folder: Path) -> Path:
    """Write verdict.html into `folder`, whole or not at all; return its path."""
    path = folder / REPORT
    write_atomic(path, render(verdict).encode("utf-8", "replace"))
    return path


def render(verdict: Verdict) -> str:
    """The page. Texts of questions, answers and documents are escaped; the page may run no script and load nothing."""
    filters: dict[str, Callable[..., str]] = {"points": show_points, "interval": show_interval, "p": show_p}
    return render_page(Path(__file__).parent / TEMPLATE, _context(verdict), filters)


def show_interval(estimate: Estimate) -> str:
    """`51.3 to 71.2`, in points."""
    return f"{show_points(estimate.low)} to {show_points(estimate.high)}"


def shown_comparisons(verdict: Verdict) -> list[Comparison]:
    """The pairs with the best variant, best first, and then those with the base model that are left."""
    best = verdict.recommendation.best
    with_best = [pair.seen_from(best) for pair in verdict.comparisons if best in (pair.first, pair.second)]
    with_base = [
        pair.seen_from(pair.second if pair.first == BASELINE else pair.first)
        for pair in verdict.comparisons
        if BASELINE in (pair.first, pair.second) and best not in (pair.first, pair.second)
    ]
    return [*sorted(with_best, key=lambda pair: pair.difference), *with_base]


def _context(verdict: Verdict) -> dict[str, Any]:
    success = {result.name: result.parts["success"] for result in verdict.variants}
    recommended = verdict.recommendation.variant
    marks = [
        Mark(name, value.mean, value.low, value.high, name == recommended)
        for name, value in success.items()
        if value is not None
    ]
    pairs = shown_comparisons(verdict)
    differences = [Mark(f"{pair.first} − {pair.second}", pair.difference, pair.low, pair.high) for pair in pairs]
    return {
        "verdict": verdict,
        "names": [result.name for result in verdict.variants],
        "success_plot": interval_plot(marks, (0.0, 1.0)),
        "difference_plot": interval_plot(differences) if differences else None,
        "comparisons": pairs,
        "part_names": _shown_parts(verdict),
        "variant_notes": VARIANT_NOTES,
        "grounds": GROUNDS[verdict.recommendation.grounds],
        "dimensions": list(dict.fromkeys(group.dimension for group in verdict.groups)),
    }


def _shown_parts(verdict: Verdict) -> dict[str, str]:
    """Without style where the domain has no rules for it."""
    names = {**PART_NAMES, "correct": NAMES[verdict.task]}
    return {part: name for part, name in names.items() if part != "style" or verdict.success.style_rules}
