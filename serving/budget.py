"""Prompt and answer share the model's context: passages are dropped from the last until both fit."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tandem.errors import ContextTooLong
from tandem.prompt import Message


@dataclass(frozen=True)
class Prompt:
    """What is sent: `shown` of the passages, the best ones, in `tokens` tokens."""

    messages: list[Message]
    tokens: int
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

    Raises ContextTooLong, with the numbers and the way out, when it does not fit without any.
    """
    for shown in range(passages, -1, -1):
        messages = build(shown)
        tokens = await count_tokens(messages)
        if tokens + answer_tokens <= context_tokens:
            return Prompt(messages, tokens, shown, passages - shown)
    raise ContextTooLong(
        f"The question and the conversation take {tokens:,} tokens and the answer may take {answer_tokens:,}, together "
        f"more than the model's {context_tokens:,}; shorten them, or ask for a shorter answer with `max_tokens`.",
        prompt_tokens=tokens,
        answer_tokens=answer_tokens,
        context_tokens=context_tokens,
    )
