"""A dataset's report for people: lines for the terminal, lists for Markdown, and one page with plots."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tandem.pages import render_page
from training.bars import bar_plot, column_plot
from training.diversity import LARGEST, shown
from training.leaving import STEPS

TEMPLATE: Final = "report.html.jinja"
LISTED: Final = 50
"""Rows of a list on the page, of each step; report.json has all of them."""

STEP_NAMES: Final = {
    "outdated_drafts": "a draft whose document changed",
    "empty": "empty after cleaning",
    "personal_data": "untrue without its personal data",
    "without_permission": "without permission",
    "other_languages": "in another language",
    "exact_duplicates": "said twice",
    "contradictions": "contradicts an earlier one",
    "near_duplicates": "nearly said twice",
    "leaked": "in the evaluation",
}
BALANCE_NAMES: Final = {"language": "languages", "group": "groups", "document": "documents", "label": "labels"}


def discipline_lines(report: Mapping[str, Any]) -> list[str]:
    """Permissions, contamination, balance and what is thin, in a few lines."""
    lines = []
    permissions = report["permissions"]
    named = [f"{_counts(values)} by {key}" for key, values in permissions["named"].items() if values]
    if named or permissions["demanded"]:
        demanded = f"; demanded: {', '.join(permissions['demanded'])}" if permissions["demanded"] else ""
        lines.append(f"permissions: {'; '.join(named)}{demanded}")
    contamination = report["contamination"]
    if contamination is None:
        lines.append("leakage: not checked, the domain has no questions")
    else:
        counts = ", ".join(f"{len(contamination[kind])} {kind}" for kind in ("exact", "near", "overlap"))
        taken_out = f"; taken out: {', '.join(contamination['taken_out'])}" if contamination["taken_out"] else ""
        asked = f"like one of {contamination['questions']} questions of the evaluation"
        lines.append(f"leakage: {counts} {asked}{taken_out}")
    if report["balance"]["language"]:
        lines.append(f"languages: {_counts(report['balance']['language'])}")
    lines += [f"warning: {warning}" for warning in report["balance"]["warnings"]]
    return [*lines, *(f"thin: {sentence}" for sentence in report["diversity"]["thin"])]


def discipline_sections(report: Mapping[str, Any]) -> dict[str, list[str]]:
    """Title → items: every example that left with its reason, and every one that is like a question."""
    by_step: dict[str, list[str]] = {step: [] for step in STEPS}
    for item in report["left"]:
        by_step[item["step"]].append(f"{item['id']}: {item['reason']}")
    sections = {f"Removed: {STEP_NAMES[step]}": items for step, items in by_step.items()}
    found = report["contamination"] or {}
    for kind, name in (("exact", "the same"), ("near", "nearly the same"), ("overlap", "eight words in a row")):
        items = [f"{item['example']}: {item['reason']}" for item in found.get(kind, ())]
        sections[f"Like a question of the evaluation: {name}"] = items
    return sections


def render_report(report: Mapping[str, Any]) -> str:
    """The page; it runs no script and loads nothing, and texts of examples are escaped."""
    counts = report["counts"]
    balanced = report["balance"]
    varied = report["diversity"]
    lost = Counter(item["step"] for item in report["left"])
    contamination = report["contamination"]
    alike = [] if contamination is None else [i for k in ("exact", "near", "overlap") for i in contamination[k]]
    coverage = varied["coverage"]
    values = {
        "report": report,
        "counts": counts,
        "counts_leaked": lost["leaked"],
        "warnings": balanced["warnings"],
        "thin": varied["thin"],
        "left": left_by_step(report),
        "alike": alike[:LISTED],
        "alike_count": len(alike),
        "coverage": coverage,
        "uncovered": shown(coverage["without_example"], LISTED) if coverage else "",
        "flow_plot": bar_plot(_flow(counts, lost)),
        "balance_plots": [
            (BALANCE_NAMES[kind], bar_plot(largest), len(balanced[kind]))
            for kind in BALANCE_NAMES
            if (largest := _first(balanced[kind]))
        ],
        "length_plots": {
            name: (column_plot([(_range(bin_), bin_["examples"]) for bin_ in length["histogram"]]), length)
            for name, length in varied["lengths"].items()
        },
        "first_words_plot": bar_plot(varied["first_words"]["most"]) if varied["first_words"]["most"] else None,
        "permission_rows": [
            (key, value, count)
            for key, named in report["permissions"]["named"].items()
            for value, count in [*_first(named).items(), ("(not named)", report["permissions"]["unnamed"][key])]
            if count
        ],
        "listed": LISTED,
    }
    return render_page(Path(__file__).parent / TEMPLATE, values, {"plain": lambda text: text.replace("`", "")})


def left_by_step(report: Mapping[str, Any]) -> list[tuple[str, int, list[Mapping[str, str]]]]:
    """(step, how many left in it, the first `LISTED` of them), without the steps in which none did."""
    by_step = {step: [item for item in report["left"] if item["step"] == step] for step in STEPS}
    return [(STEP_NAMES[step], len(items), items[:LISTED]) for step, items in by_step.items() if items]


def _flow(counts: Mapping[str, int], lost: Mapping[str, int]) -> dict[str, int]:
    """Every row that was read, by where it ended."""
    ended = {"training": counts["train"], "validation": counts["validation"]}
    return ended | {STEP_NAMES[step]: lost[step] for step in STEPS if lost[step]}


def _first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(list(counts.items())[:LARGEST])


def _counts(counts: Mapping[str, int]) -> str:
    return shown([f"{count} {value}" for value, count in counts.items()])


def _range(step: Mapping[str, int]) -> str:
    return str(step["from"]) if step["from"] == step["to"] else f"{step['from']}–{step['to']}"
