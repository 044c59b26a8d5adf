"""What a run says of itself: the key that tells it from others, and its card."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from tandem.adapters import Kind
from tandem.settings import Config
from training import processes
from training.continuing import Parent
from training.dataset import Dataset
from training.kinds import KINDS, of_other_kinds
from training.material import Material
from training.rows import Row

OVERRIDES: Final = {kind.replace("-", "_") for kind in KINDS}
"""Settings of one kind alone, which are applied before anything else is done."""

WITHOUT_EFFECT: Final = {"preset", "checkpoint_seconds", "search"}
"""Settings that change nothing about the outcome."""


def describe(config: Config, kind: Kind, material: Material) -> dict[str, Any]:
    """What decides the outcome of a run; another value anywhere is another run."""
    found: dict[str, Any] = {
        "kind": kind,
        "dataset": material.dataset.digest,
        "base": [material.base.reference, material.base.digest],
        "training": config.training.model_dump(exclude=OVERRIDES | WITHOUT_EFFECT | of_other_kinds(kind)),
        "train": [asdict(row.tokens) for row in material.train],
        "watched": {name: [asdict(row.tokens) for row in rows] for name, rows in material.watched.items()},
    }
    if material.parent:
        found["parent"] = material.parent.adapter.version
    if processes.count() > 1:
        found["processes"] = processes.count()
    return found


def hyperparameters(config: Config, kind: Kind, material: Material, steps: int) -> dict[str, Any]:
    """What the card says about how it was trained."""
    found: dict[str, Any] = {
        **config.training.model_dump(exclude={"search"} | OVERRIDES | of_other_kinds(kind)),
        "steps": steps,
        "rows": len(material.train),
        "watched": {name: len(rows) for name, rows in material.watched.items()},
    }
    if processes.count() > 1:
        found["processes"] = processes.count()
    if material.mixed:
        found["parent_rows"] = material.mixed.described(config.training.replay)
    if kind in ("reading", "mixed"):
        found |= {"snapshot": material.snapshot, "retrieval": config.retrieval.model_dump()}
    if kind == "documents":
        found["snapshot"] = material.snapshot
    return found | material.further


def shown_documents(rows: Sequence[Row], parent: Parent | None = None) -> tuple[str, ...]:
    """Ids of all documents that rows name or show, and of those whose traces the parent's weights bring along."""
    before = parent.adapter.card.documents if parent else ()
    return tuple(sorted({document for row in rows for document in row.documents} | set(before)))


def licences(dataset: Dataset, parent: Parent | None) -> tuple[str, ...]:
    """Of the examples, the parent's among them."""
    before = parent.adapter.card.licences if parent else ()
    return tuple(sorted({*(dataset.report.get("licences") or ()), *before}))
