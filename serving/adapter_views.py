"""Adapters and pointers as JSON, for the route and the command that list them."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from serving.engine import Json
from tandem.adapters import Adapter
from tandem.database import Pointer
from tandem.variants import TUNED


def listing(adapters: Iterable[Adapter], pointers: Mapping[str, Pointer]) -> Json:
    """Every adapter of a domain, and what each tuned variant points to (None: nothing)."""
    return {
        "adapters": [summary(adapter, pointers) for adapter in adapters],
        "pointers": {variant: pointer_body(pointers.get(variant)) for variant in sorted(TUNED)},
    }


def summary(adapter: Adapter, pointers: Mapping[str, Pointer]) -> Json:
    """One adapter: what it is, which variants it answers for, and what was learned about it later."""
    card = adapter.card
    return {
        "version": adapter.version,
        "kind": card.kind,
        "created": card.created,
        "answers_for": sorted(variant for variant, pointer in pointers.items() if pointer.version == adapter.version),
        "base_model": card.base_model,
        "dataset_digest": card.dataset_digest,
        "parent": card.parent,
        "documents": len(card.documents),
        "losses": dict(card.losses),
        "parity": read_note(adapter, "parity"),
    }


def pointer_body(pointer: Pointer | None) -> Json | None:
    """A pointer; `changed` is ISO 8601, UTC."""
    if pointer is None:
        return None
    changed = datetime.fromtimestamp(pointer.changed, UTC).isoformat(timespec="seconds")
    return {"version": pointer.version, "previous": pointer.previous, "changed": changed}


def read_note(adapter: Adapter, name: str) -> Any:
    """What `tandem.adapters.note` wrote beside an adapter; None where there is nothing readable."""
    try:
        return json.loads((adapter.folder / f"{name}.json").read_bytes())
    except (OSError, ValueError):
        return None
