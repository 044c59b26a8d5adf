"""A finished run as an adapter version: PEFT's files, the card, the references."""

import json
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from tandem import __version__
from tandem.adapters import CARD, SETTINGS, WEIGHTS, Adapter, AdapterCard, content_version, publish
from tandem.files import write_atomic
from tandem.workspace import Workspace
from training.base import Base
from training.lora import Fitted
from training.model_card import write_model_card
from training.references import make_references, write_references
from training.rows import Row
from training.runs import Run

LOG: Final = "training.jsonl"
PACKAGES: Final = ("torch", "transformers", "peft", "trl", "accelerate", "datasets", "tokenizers")


def package_versions() -> dict[str, str]:
    """Versions of what trains."""
    return {"tandem": __version__, **{name: version(name) for name in PACKAGES}}


def publish_run(
    workspace: Workspace,
    run: Run,
    fitted: Fitted,
    card: AdapterCard,
    base: Base,
    tokenizer: Any,
    references: Sequence[Row],
) -> Adapter:
    """Put the adapter together in the run's folder, ask it for its references, and publish it."""
    staging = run.folder / "adapter"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    shutil.copyfile(fitted.folder / WEIGHTS, staging / WEIGHTS)
    write_atomic(staging / SETTINGS, adapter_settings(fitted.folder / SETTINGS, base))
    log = "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in fitted.history)
    write_atomic(staging / LOG, log.encode())
    return complete(workspace, staging, card, base, tokenizer, references)


def complete(
    workspace: Workspace, staging: Path, card: AdapterCard, base: Base, tokenizer: Any, references: Sequence[Row]
) -> Adapter:
    """Add to PEFT's two files the card, the reference answers and the page to read, and publish them."""
    write_atomic(staging / CARD, card.to_json())
    model = load_adapter(base, staging)
    ends = base.end_tokens(tokenizer)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(ends)
    write_references(staging, make_references(model, references, ends, pad))
    write_model_card(staging, card, content_version(staging))
    return publish(staging, workspace, card.domain)


def load_adapter(base: Base, folder: Path) -> Any:
    """The base model in float32 with the adapter of a folder, ready to answer: the oracle of what is served."""
    import torch
    from peft import PeftModel

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return PeftModel.from_pretrained(base.load_model(), str(folder)).to(device).eval()


def adapter_settings(path: Path, base: Base) -> bytes:
    """PEFT's `adapter_config.json` with the base model as the configuration names it, in a fixed order."""
    values = json.loads(path.read_bytes())
    values["base_model_name_or_path"] = base.reference
    values["inference_mode"] = True
    if isinstance(values.get("target_modules"), list):
        values["target_modules"] = sorted(values["target_modules"])
    return json.dumps(values, indent=2, sort_keys=True).encode() + b"\n"
