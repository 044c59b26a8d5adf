"""Prompt and answer share the model's context: passages are dropped from the last until both fit."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tandem.errors import ContextTooLong
from tandem.prompt import Message

TEMPLATE_TOKENS: Final = 256
"""More than chat templates add on their own, a default system prompt included."""
MESSAGE_TOKENS: Final = 16
"""More than they add for each message."""


@dataclass(frozen=True)
class Prompt:
    """What is sent: `shown` of the passages, the best ones."""

    messages: list[Message]
    shown: int
    dropped: int


async def fit_prompt(
    build: Callable[[int], list[Message]],
    passages: int,
    count_tokens: Callable[[Sequence[Message]], Awaitable[int]],
    context_tokens: int,
    answer_tokens: int,
) -> Prompt:
    """The longest prompt that leaves room for the answer; `build(n)` makes the one with the first n passages.

    `count_tokens` asks the engine, so it is asked only where the text is long enough for the answer to matter.
    Raises ContextTooLong, with the numbers and the way out, when it does not fit without any.
    """
    for shown in range(passages, -1, -1):
        messages = build(shown)
        if most_tokens(messages) + answer_tokens <= context_tokens:
            return Prompt(messages, shown, passages - shown)
        tokens = await count_tokens(messages)
        if tokens + answer_tokens <= context_tokens:
            return Prompt(messages, shown, passages - shown)
    raise ContextTooLong(
        f"The question and the conversation take {tokens:,} tokens and the answer may take {answer_tokens:,}, together "
        f"more than the model's {context_tokens:,}; shorten them, or ask for a shorter answer with `max_tokens`.",
        prompt_tokens=tokens,
        answer_tokens=answer_tokens,
        context_tokens=context_tokens,
    )


def most_tokens(messages: Sequence[Message]) -> int:
    """A bound on the tokens of a prompt: no tokenizer in use makes more than one of a byte."""
    return TEMPLATE_TOKENS + sum(len(message["content"].encode()) + MESSAGE_TOKENS for message in messages)
