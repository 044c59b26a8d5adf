"""Small adapters, whole on disk, for the tests with the canned engine."""

import json
from pathlib import Path
from typing import Any

import numpy
from safetensors.numpy import save_file

from serving.canned import logprob
from tandem.adapters import CARD, REFERENCES, SETTINGS, WEIGHTS, Adapter, AdapterCard, base_digest, publish
from tandem.prompt import PROMPT_HASH
from tandem.workspace import Workspace

MODULE = "model.layers.0.self_attn.q_proj"
OUTPUTS, INPUTS, RANK = 12, 6, 8


def make_base(folder: Path) -> Path:
    """A base model's folder with one weight."""
    folder.mkdir(parents=True)
    save_file({f"{MODULE}.weight": numpy.zeros((OUTPUTS, INPUTS), numpy.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    return folder


def make_adapter(
    workspace: Workspace,
    base: Path,
    seed: int = 0,
    *,
    shapes: dict[str, tuple[int, ...]] | None = None,
    settings: dict[str, Any] | None = None,
    card: dict[str, Any] | None = None,
    logprob_error: float = 0.0,
) -> Adapter:
    """Publish an adapter of `shop`; `seed` makes versions differ, the other arguments spoil one part each."""
    staging = workspace.home / f"staging-{seed}"
    staging.mkdir()
    prefix = f"base_model.model.{MODULE}"
    shapes = shapes or {f"{prefix}.lora_A.weight": (RANK, INPUTS), f"{prefix}.lora_B.weight": (OUTPUTS, RANK)}
    values = numpy.random.default_rng(seed)
    save_file({name: values.random(shape, numpy.float32) for name, shape in shapes.items()}, staging / WEIGHTS)
    options = {"peft_type": "LORA", "r": RANK, "lora_alpha": 16, "bias": "none", **(settings or {})}
    (staging / SETTINGS).write_text(json.dumps(options))
    described: dict[str, Any] = {
        "domain": "shop",
        "kind": "reading",
        "base_model": base.name,
        "base_digest": base_digest(base),
        "dataset_digest": "1" * 64,
        "prompt_hash": PROMPT_HASH,
        "documents": ("kettle.md",),
        "created": f"2026-01-01T00:00:{seed:02d}Z",
        **(card or {}),
    }
    (staging / CARD).write_bytes(AdapterCard(**described).to_json())
    completion = [11, 12, 13]
    found = [logprob(token) + logprob_error for token in completion]
    prompts = [{"messages": [], "prompt_ids": [5, 6, 7], "completion_ids": completion, "logprobs": found}]
    (staging / REFERENCES).write_text(json.dumps({"prompts": prompts}))
    return publish(staging, workspace, described["domain"])
