"""The client of vLLM: its errors as ours, its streams cut anywhere."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from serving.canned import CannedEngine
from serving.engine import CHAT, EngineClient, Json, engine_error, engine_is_healthy
from serving.sse import read_events, write_event
from tandem.errors import ContextTooLong, TandemError, Unavailable, UserError

# As vLLM 0.32 answered.
TOO_LONG = {
    "error": {
        "message": "This model's maximum context length is 2048 tokens. However, your prompt contains at least 2049 "
        "input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input "
        "prompt. (parameter=input_tokens, value=2049)",
        "type": "BadRequestError",
        "param": "input_tokens",
        "code": 400,
    }
}
NEGATIVE = {
    "error": {
        "message": "temperature must be non-negative, got -3.0. (parameter=temperature, value=-3.0)",
        "type": "BadRequestError",
        "param": "temperature",
        "code": 400,
    }
}


def test_a_prompt_that_is_too_long_keeps_the_numbers() -> None:
    error = engine_error(400, TOO_LONG)
    assert isinstance(error, ContextTooLong)
    assert "2048" in error.message
    assert "(parameter" not in error.message


def test_a_refused_parameter_is_the_users_mistake() -> None:
    error = engine_error(400, NEGATIVE)
    assert type(error) is UserError
    assert (error.message, error.details["param"]) == ("temperature must be non-negative, got -3.0.", "temperature")


@pytest.mark.parametrize(
    ("status", "body", "seen"),
    [(503, {}, 503), (429, {"detail": "slow"}, 503), (500, {"error": "x"}, 502), (404, {"error": {}}, 502)],
)
def test_the_engines_own_failures_are_not_the_users(status: int, body: Json, seen: int) -> None:
    error = engine_error(status, body)
    assert error.status == seen
    assert not isinstance(error, UserError)


def test_a_queue_says_when_to_come_back() -> None:
    error = engine_error(503, {}, {"Retry-After": "7"})
    assert isinstance(error, Unavailable)
    assert error.retry_after_seconds == 7.0


def test_an_engine_that_is_not_there_is_unavailable() -> None:
    async def main() -> None:
        async with EngineClient(lambda: "http://127.0.0.1:9", 5) as client:
            assert not await client.is_healthy()
            with pytest.raises(Unavailable, match="cannot be reached"):
                await client.model()

    asyncio.run(main())


def test_an_engine_that_dies_while_streaming_is_unavailable() -> None:
    async def main() -> None:
        engine = CannedEngine(reply=lambda _: "one two three four", token_seconds=0.05)
        async with engine.serve() as address, EngineClient(lambda: address, 5) as client:
            body: Json = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9, "stream": True}
            chunks = client.generate(CHAT, body)
            assert (await anext(chunks))["choices"]
            engine.breaks_after = 2
            with pytest.raises(TandemError, match="EngineCore encountered an issue"):
                [chunk async for chunk in chunks]

    asyncio.run(main())


def test_health_follows_the_engine() -> None:
    async def main() -> tuple[bool, bool]:
        async with CannedEngine().serve() as address:
            up = await engine_is_healthy(address)
        return up, await engine_is_healthy(address)

    assert asyncio.run(main()) == (True, False)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_read_however_the_bytes_are_cut(size: int) -> None:
    sent = (
        write_event({"a": "é"}) + b": a comment\n\ndata: two\r\ndata: lines\r\n\r\n" + b"data: [DONE]\n\ndata: cut off"
    )

    async def blocks() -> AsyncIterator[bytes]:
        for start in range(0, len(sent), size):
            yield sent[start : start + size]

    async def read() -> list[bytes]:
        return [event async for event in read_events(blocks())]

    assert asyncio.run(read()) == ['{"a":"é"}'.encode(), b"two\nlines", b"[DONE]"]
