"""An adapter's card as a page to read: `README.md`, in the form that model hubs show."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tandem.adapters import AdapterCard
from tandem.files import write_atomic

README: Final = "README.md"
KNOWN_AS: Final = {
    "closed-book": "answers from memory",
    "reading": "answers from the passages in its prompt",
    "mixed": "answers from memory and, where its prompt shows passages, from these",
    "documents": "has read the domain's documents and was taught no answers: it answers as the base model would that "
    "had seen them",
    "multi-task": "does the tasks of several domains, each under that domain's name and prompt",
}
VARIANTS: Final = {
    "closed-book": ("finetuned",),
    "reading": ("hybrid",),
    "mixed": ("finetuned", "hybrid"),
    "documents": ("finetuned",),
    "multi-task": ("finetuned",),
}
"""Kind → the variants that such an adapter answers for."""
MANY: Final = 50
"""Documents that are named one by one; the card's file names them all."""


def write_model_card(folder: Path, card: AdapterCard, version: str) -> None:
    """Write `README.md` into an adapter's folder, durably; the version's digest does not cover it."""
    write_atomic(folder / README, model_card(card, version).encode())


def model_card(card: AdapterCard, version: str) -> str:
    """Markdown: what an adapter is, where it comes from, what is known of it, and how to serve it."""
    parts = [
        _head(card),
        f"# {card.domain} {version}",
        f"A LoRA adapter for `{card.base_model}` that {KNOWN_AS[card.kind]}. {_tasks_named(card)}",
        _section("Origin", _origin(card)),
        _section("Warnings", [f"- {_line(warning)}" for warning in card.warnings]),
        _section("Unknown", [f"- {_line(what)}" for what in card.unknown]),
        _section("Losses", _table("Rows", "Loss for each token", card.losses)),
        _section("Forgetting", _table("The parent's rows", "Parent and this version", card.forgetting)),
        *_task_sections(card),
        _section("Labels", [f"- {_line(label)}" for label in card.labels]),
        _section("JSON schema", _schema(card)),
        _section("Settings", _table("Setting", "Value", card.hyperparameters)),
        _section("Documents", _documents(card)),
        _section("Serving", _serving(card, version)),
        _section("Packages", _table("Package", "Version", card.packages)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(card: AdapterCard) -> str:
    """The lines between dashes from which hubs take their labels; JSON's strings are YAML's too."""
    base = [f"base_model: {json.dumps(card.base_model)}"]
    return "\n".join(["---", "library_name: peft", *base, "tags: [lora, tandem]", "---"])


def _origin(card: AdapterCard) -> list[str]:
    known = {
        "Kind": card.kind,
        "Method": card.method,
        "Base model": f"{card.base_model}, digest {card.base_digest}",
        "Dataset": card.dataset_digest or "unknown",
        "Licences of the examples": ", ".join(card.licences) or "none stated",
        "Goes on from": card.parent,
        "Imported": card.imported,
        "Prompt": card.prompt_hash,
        "Seed": None if card.imported else card.seed,
        "Made": card.created or None,
    }
    return _table("", "", {name: value for name, value in known.items() if value is not None and value != {}})


def _documents(card: AdapterCard) -> list[str]:
    if not card.documents:
        return []
    named = [f"- {_line(document)}" for document in card.documents[:MANY]]
    rest = len(card.documents) - MANY
    what = "Shown in its reference prompts:" if card.imported else "Its rows came from these, or showed them:"
    return [what, "", *named, *([f"- and {rest} more, in `card.json`"] if rest > 0 else [])]


def _schema(card: AdapterCard) -> list[str]:
    if card.json_schema is None:
        return []
    # Indented, so that nothing inside can end the block.
    return [f"    {line}" for line in json.dumps(card.json_schema, ensure_ascii=False, indent=2).splitlines()]


def _serving(card: AdapterCard, version: str) -> list[str]:
    swaps = [
        f"    tandem adapters swap {domain} {version} --variant {variant}"
        for domain in card.tasks or (card.domain,)
        for variant in VARIANTS[card.kind]
    ]
    peft = "Elsewhere: PEFT and vLLM load this folder over the base model above."
    return ["    tandem serve", *swaps, "", peft]


def _tasks_named(card: AdapterCard) -> str:
    return f"Its tasks: {', '.join(card.tasks)}." if card.tasks else f"Its task: {card.task}."


def _task_sections(card: AdapterCard) -> list[str]:
    """What is known of each task of a multi-task adapter."""
    return [
        _section(f"Task of {name}", _table("", "", {key: value for key, value in sorted(task.items()) if value}))
        for name, task in sorted(card.tasks.items())
    ]


def _section(title: str, lines: list[str]) -> str:
    return "\n".join([f"## {title}", "", *lines]) if lines else ""


def _table(first: str, second: str, values: Mapping[str, Any]) -> list[str]:
    # In the order of `card.json`, so that the page is the same when it is made from the file.
    order = sorted(values) if first else list(values)
    rows = [f"| {_cell(name.replace('_', ' '))} | {_cell(values[name])} |" for name in order]
    return [f"| {first} | {second} |", "| --- | --- |", *rows] if rows else []


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_cell(name)} {_cell(one)}" for name, one in sorted(value.items()))
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    return _line(f"{value:.4g}" if isinstance(value, float) else str(value)).replace("|", "\\|")


def _line(text: str) -> str:
    """Text of others on one line, without what Markdown or HTML would act on."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace("[", "\\[")
