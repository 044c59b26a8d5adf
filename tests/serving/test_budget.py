"""Prompt and answer share the context."""

import asyncio
from collections.abc import Sequence

import pytest

from serving.budget import Prompt, fit_prompt
from tandem.errors import ContextTooLong
from tandem.prompt import Message


def fit(passages: int, context: int) -> Prompt:
    async def count(messages: Sequence[Message]) -> int:
        return len(messages[0]["content"])

    def build(shown: int) -> list[Message]:
        return [{"role": "user", "content": "q" * 10 + "p" * 20 * shown}]

    return asyncio.run(fit_prompt(build, passages, count, context, answer_tokens=5))


@pytest.mark.parametrize(("context", "shown"), [(95, 4), (94, 3), (75, 3), (35, 1), (34, 0), (15, 0)])
def test_as_many_passages_are_shown_as_fit_to_the_token(context: int, shown: int) -> None:
    prompt = fit(4, context)
    assert (prompt.shown, prompt.dropped, prompt.tokens) == (shown, 4 - shown, 10 + 20 * shown)


def test_a_question_that_does_not_fit_is_refused_with_the_numbers() -> None:
    with pytest.raises(ContextTooLong, match="10 tokens") as caught:
        fit(4, 14)
    assert caught.value.details == {"prompt_tokens": 10, "answer_tokens": 5, "context_tokens": 14}
