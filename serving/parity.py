"""Does the engine compute what training computed? Log-probabilities of the same tokens, side by side."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from serving.engine import COMPLETIONS, Json
from tandem.adapters import REFERENCES, Adapter
from tandem.errors import Conflict, TandemError

LIMIT: Final = 0.05
"""Mean absolute difference of log-probabilities (natural logarithm) that arithmetic and batching may make."""
AT_ONCE: Final = 4

Generate = Callable[[str, Json], AsyncGenerator[Json, None]]


@dataclass(frozen=True)
class Reference:
    """What an adapter answered under PEFT in float32: tokens, and the log-probability of each of the answer's."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    logprobs: tuple[float, ...]


@dataclass(frozen=True)
class Parity:
    """The differences between the engine and the references over all `tokens`, in natural logarithms."""

    mean_difference: float
    largest_difference: float
    tokens: int
    limit: float = LIMIT

    @property
    def holds(self) -> bool:
        """Whether the engine serves what was trained; never when a number is missing."""
        return self.tokens > 0 and self.mean_difference <= self.limit

    def to_json(self) -> dict[str, Any]:
        """The numbers by name; None for one that is none."""
        numbers = {name: value if math.isfinite(value) else None for name, value in vars(self).items()}
        return {**numbers, "holds": self.holds}


def read_references(adapter: Adapter) -> list[Reference]:
    """The reference answers of an adapter; Conflict (`adapter_damaged`) when there are none to compare with."""
    path = adapter.folder / REFERENCES
    try:
        references = [_read(prompt) for prompt in json.loads(path.read_bytes())["prompts"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _damaged(path) from error
    if not references or any(len(one.completion_ids) != len(one.logprobs) or not one.prompt_ids for one in references):
        raise _damaged(path)
    return references


async def measure(generate: Generate, references: Sequence[Reference]) -> Parity:
    """Have the engine say how likely it finds the references' answers, a few at a time.

    `generate` takes a route and a body, and answers with the adapter in question.
    """
    places = asyncio.Semaphore(AT_ONCE)

    async def one(reference: Reference) -> list[float]:
        async with places:
            found = await token_logprobs(generate, reference)
        return [abs(ours - theirs) for ours, theirs in zip(found, reference.logprobs, strict=True)]

    differences = [value for values in await asyncio.gather(*map(one, references)) for value in values]
    if not differences or not all(map(math.isfinite, differences)):
        return Parity(math.inf, math.inf, len(differences))
    return Parity(sum(differences) / len(differences), max(differences), len(differences))


async def token_logprobs(generate: Generate, reference: Reference) -> list[float]:
    """The log-probability of each of the answer's tokens, given the prompt and the tokens before it."""
    body: Json = {
        "prompt": [*reference.prompt_ids, *reference.completion_ids],
        "max_tokens": 1,
        "temperature": 0.0,
        "prompt_logprobs": 0,
    }
    async for completion in generate(COMPLETIONS, body):
        places = completion["choices"][0].get("prompt_logprobs")
        if not places:
            break
        answer = places[len(reference.prompt_ids) :]
        return [
            float(place[str(token)]["logprob"]) for place, token in zip(answer, reference.completion_ids, strict=True)
        ]
    raise TandemError("The engine does not tell log-probabilities of a prompt; is it vLLM?", code="engine_error")


def _read(prompt: dict[str, Any]) -> Reference:
    return Reference(
        tuple(map(int, prompt["prompt_ids"])),
        tuple(map(int, prompt["completion_ids"])),
        tuple(map(float, prompt["logprobs"])),
    )


def _damaged(path: Path) -> Conflict:
    return Conflict(
        f"{path} has no reference answers to compare the engine with: train the adapter again.", code="adapter_damaged"
    )
