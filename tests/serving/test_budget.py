"""Prompt and answer share the context."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from serving.budget import Prompt, fit_prompt, most_tokens
from tandem.errors import ContextTooLong
from tandem.prompt import Message

TOKENIZER = AutoTokenizer.from_pretrained(Path(__file__).parents[2] / "models" / "tiny")


def fit(passages: int, context: int) -> Prompt:
    async def count(messages: Sequence[Message]) -> int:
        return len(messages[0]["content"])

    def build(shown: int) -> list[Message]:
        return [{"role": "user", "content": "q" * 10 + "p" * 20 * shown}]

    return asyncio.run(fit_prompt(build, passages, count, context, answer_tokens=5))


@pytest.mark.parametrize(("context", "shown"), [(95, 4), (94, 3), (75, 3), (35, 1), (34, 0), (15, 0)])
def test_as_many_passages_are_shown_as_fit_to_the_token(context: int, shown: int) -> None:
    prompt = fit(4, context)
    assert (prompt.shown, prompt.dropped) == (shown, 4 - shown)
    assert len(prompt.messages[0]["content"]) == 10 + 20 * shown


def test_a_question_that_does_not_fit_is_refused_with_the_numbers() -> None:
    with pytest.raises(ContextTooLong, match="10 tokens") as caught:
        fit(4, 14)
    assert caught.value.details == {"prompt_tokens": 10, "answer_tokens": 5, "context_tokens": 14}


@given(st.lists(st.text(), min_size=1, max_size=4), st.booleans())
def test_a_prompt_has_at_most_the_tokens_of_the_bound(texts: list[str], generates: bool) -> None:
    messages = [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(texts)]
    counted = TOKENIZER.apply_chat_template(messages, add_generation_prompt=generates, return_dict=False)
    assert len(counted) <= most_tokens(messages)


def test_the_engine_is_asked_only_where_the_bound_does_not_fit() -> None:
    async def never(messages: Sequence[Message]) -> int:
        raise AssertionError(messages)

    messages: list[Message] = [{"role": "user", "content": "q" * 100}]
    room = most_tokens(messages)
    assert asyncio.run(fit_prompt(lambda _: messages, 1, never, room + 5, answer_tokens=5)).shown == 1
    with pytest.raises(AssertionError):
        asyncio.run(fit_prompt(lambda _: messages, 1, never, room + 4, answer_tokens=5))
