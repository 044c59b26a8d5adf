"""Adapters of `models/tiny` that were taught to say one sentence each, word for word; made and measured by PEFT."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tandem.adapters import REFERENCES, Adapter, AdapterCard, publish
from tandem.prompt import PROMPT_HASH, build_messages
from tandem.workspace import Workspace
from tests.conftest import TINY
from training.base import find_base
from training.references import log_probabilities
from training.tokens import ChatTokens, TokenRow

STEPS = 80
"""At most; teaching ends as soon as the mean loss is `LOSS`."""
LOSS = 0.003
CERTAIN = -0.1
"""No token of a sentence may be less likely than this (natural logarithm) once it is taught: 90 %, so that no rounding
and no neighbour in a batch makes another token the likeliest."""


def teach(answers: Mapping[str, str], workspace: Workspace, staging: Path, seed: int) -> Adapter:
    """Publish an adapter of the domain `shop` that answers each question with its sentence; fails unless `CERTAIN`."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    base = find_base(str(TINY))
    tokenizer = base.load_tokenizer()
    chat = ChatTokens(tokenizer, base.end_tokens(tokenizer))
    rows = [chat.row(build_messages(question, None), answer) for question, answer in answers.items()]
    options = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    model: Any = get_peft_model(base.load_model(), options)
    _fit(model, rows)
    references = [_reference(model, row) for row in rows]
    least = min(min(reference["logprobs"]) for reference in references)
    assert least > CERTAIN, f"one token of a taught sentence has the log-probability {least:.3f}"
    model.save_pretrained(staging)
    # One is enough to compare the engine with, and keeps a swap short.
    (staging / REFERENCES).write_text(json.dumps({"prompts": references[:1]}))
    card = AdapterCard("shop", "closed-book", base.name, base.digest, "1" * 64, PROMPT_HASH, (), seed=seed)
    (staging / "card.json").write_bytes(card.to_json())
    return publish(staging, workspace, "shop")


def _fit(model: Any, rows: list[TokenRow]) -> None:
    """All rows in one batch, padded on the right, with the loss on the answers."""
    import torch

    longest = max(map(len, rows))
    ids, labels = torch.zeros(len(rows), longest, dtype=torch.long), torch.full((len(rows), longest), -100)  # (B, T)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row.prompt_ids + row.completion_ids)
        labels[place, len(row.prompt_ids) : len(row)] = torch.tensor(row.completion_ids)
        mask[place, : len(row)] = 1
    optimiser = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=5e-3)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        if loss.item() < LOSS:
            break
        loss.backward()
        optimiser.step()
    model.eval()


def _reference(model: Any, row: TokenRow) -> dict[str, Any]:
    logprobs = log_probabilities(model, row.prompt_ids, row.completion_ids)
    ids = {"prompt_ids": row.prompt_ids, "completion_ids": row.completion_ids}
    return {"messages": [], **ids, "logprobs": logprobs}
