"""What an adapter answers under PEFT in float32: the reference that the engine's own answers are held against."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tandem.adapters import REFERENCES
from tandem.files import write_atomic
from training.rows import Row

PROMPTS: Final = 32
MAX_TOKENS: Final = 24
BATCH: Final = 8


def choose(watched: Sequence[Row], trained: Sequence[Row], seed: int) -> list[Row]:
    """Rows whose prompts are asked: `PROMPTS` of them, up to half of them watched ones; fewer where there are fewer."""
    chance = random.Random(seed)
    first = chance.sample(list(watched), min(PROMPTS // 2, len(watched)))
    return first + chance.sample(list(trained), min(PROMPTS - len(first), len(trained)))


def make_references(
    model: Any, rows: Sequence[Row], end_tokens: frozenset[int], pad_token: int
) -> list[dict[str, Any]]:
    """For each row: its messages, the prompt's tokens, the greedy answer's tokens (at most `MAX_TOKENS`, the end of
    the turn among them), and the natural logarithm of the probability of each.

    `model` is a PEFT model in float32, ready to answer.
    """
    found: dict[int, list[int]] = {}
    # Prompts of similar length together: a batch is padded to its longest.
    order = sorted(range(len(rows)), key=lambda position: len(rows[position].tokens.prompt_ids))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        answers = answer_greedily(model, [rows[i].tokens.prompt_ids for i in batch], end_tokens, pad_token)
        found |= dict(zip(batch, answers, strict=True))
    return [
        {
            "messages": row.messages,
            "prompt_ids": row.tokens.prompt_ids,
            "completion_ids": found[position],
            "logprobs": log_probabilities(model, row.tokens.prompt_ids, found[position]),
        }
        for position, row in enumerate(rows)
    ]


def answer_greedily(
    model: Any,
    prompts: Sequence[list[int]],
    end_tokens: frozenset[int],
    pad_token: int,
    max_tokens: int = MAX_TOKENS,
) -> list[list[int]]:
    """The likeliest next tokens for each prompt, up to `max_tokens` or the end of the turn, which is included."""
    import torch
    from transformers import GenerationConfig

    longest = max(map(len, prompts))
    # ids, mask: (B, T), padded on the left so that every row goes on at the right.
    ids = torch.tensor([[pad_token] * (longest - len(prompt)) + prompt for prompt in prompts], device=model.device)
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=model.device)
    greedy = GenerationConfig(
        do_sample=False, max_new_tokens=max_tokens, eos_token_id=sorted(end_tokens), pad_token_id=pad_token
    )
    with torch.inference_mode():
        answers = model.generate(input_ids=ids, attention_mask=mask, generation_config=greedy)[:, longest:]
    return [_to_end(answer, end_tokens) for answer in answers.tolist()]


def log_probabilities(model: Any, prompt_ids: list[int], completion_ids: list[int]) -> list[float]:
    """Of each token of a completion after the prompt, one forward pass without padding or cache."""
    import torch

    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([prompt_ids + completion_ids], device=model.device)).logits  # (1, T, V)
        # The logits at a place are about the token after it.
        logs = logits[0, len(prompt_ids) - 1 : -1].float().log_softmax(-1)  # (C, V)
        chosen = logs.gather(1, torch.tensor(completion_ids, device=model.device)[:, None])[:, 0]
    return [float(value) for value in chosen]


def write_references(folder: Path, prompts: Sequence[dict[str, Any]]) -> None:
    """The file `references.json` of an adapter."""
    write_atomic(folder / REFERENCES, json.dumps({"prompts": prompts}, ensure_ascii=False).encode() + b"\n")


def _to_end(ids: list[int], end_tokens: frozenset[int]) -> list[int]:
    for position, token in enumerate(ids):
        if token in end_tokens:
            return ids[: position + 1]
    return ids
