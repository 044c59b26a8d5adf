"""An adapter as a folder for others: PEFT's files alone, or a model with the adapter merged into it."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from tandem.adapters import CARD, SETTINGS, WEIGHTS, Adapter, verify
from tandem.errors import Conflict, UserError
from tandem.files import sync_path, write_atomic
from training.base import Base, find_base
from training.model_card import write_model_card
from training.publishing import load_adapter


def export(adapter: Adapter, out: Path, merged: bool, base_model: str) -> Path:
    """Write an adapter into the folder `out`, which appears whole or not at all; `merged` into its base model.

    The reference answers stay here: they hold the domain's own texts. Raises UserError (`folder_not_empty`,
    `folder_unusable`), and Conflict where the adapter or the base model is not what it was.
    """
    out = out.expanduser().absolute()
    require_empty(out)
    verify(adapter)
    base = require_base(adapter, base_model) if merged else None
    staging = out.with_name(f".{out.name}.export")
    shutil.rmtree(staging, ignore_errors=True)  # what a kill left
    try:
        staging.mkdir(parents=True)
        if base is not None:
            _write_merged(adapter, base, staging)
        else:
            _write_adapter(adapter, staging)
        shutil.copyfile(adapter.folder / CARD, staging / CARD)
        write_model_card(staging, adapter.card, adapter.version)
        _move(staging, out)
    except OSError as error:
        raise UserError(
            f"{out} cannot be written ({error.strerror or error}): name another folder with --out.",
            code="folder_unusable",
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return out


def require_empty(out: Path) -> None:
    """Raise UserError unless a folder is new or empty."""
    if os.path.lexists(out) and (out.is_symlink() or not out.is_dir() or any(out.iterdir())):
        raise UserError(
            f"{out} is there already and is no empty folder: name a new one with --out.", code="folder_not_empty"
        )


def require_base(adapter: Adapter, base_model: str) -> Base:
    """The base model an adapter belongs to; Conflict where the configured one is another."""
    base = find_base(base_model)
    if base.digest != adapter.card.base_digest:
        raise Conflict(
            f"{adapter.name} belongs to {adapter.card.base_model} with the digest {adapter.card.base_digest[:12]}, and "
            f"{base.name} has {base.digest[:12]}: set `base_model` to the one it was trained on.",
            code="base_mismatch",
        )
    return base


def _write_adapter(adapter: Adapter, folder: Path) -> None:
    """PEFT's two files; the settings name the base model without this machine's path."""
    shutil.copyfile(adapter.folder / WEIGHTS, folder / WEIGHTS)
    settings = json.loads((adapter.folder / SETTINGS).read_bytes())
    settings["base_model_name_or_path"] = adapter.card.base_model
    write_atomic(folder / SETTINGS, json.dumps(settings, indent=2, sort_keys=True).encode() + b"\n")


def _write_merged(adapter: Adapter, base: Base, folder: Path) -> None:
    """The base model plus the adapter's products, added in float32 and stored in the base model's own type."""
    model: Any = load_adapter(base, adapter.folder).merge_and_unload(safe_merge=True)
    model.to(stored_type(base)).save_pretrained(folder)
    base.load_tokenizer().save_pretrained(folder)


def stored_type(base: Base) -> Any:
    """The `torch.dtype` that a base model's configuration names; float32 where it names none."""
    import torch

    values = json.loads((base.folder / "config.json").read_bytes())
    name = values.get("dtype") or values.get("torch_dtype") or "float32"
    return getattr(torch, str(name))


def _move(staging: Path, out: Path) -> None:
    """Give a finished folder its name, durably."""
    for path in staging.rglob("*"):
        if path.is_file():
            # The library that writes safetensors lets the owner alone read them.
            shutil.copymode(staging / CARD, path)
            sync_path(path)
    sync_path(staging)
    staging.rename(out)
    sync_path(out.parent)
