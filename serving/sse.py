"""Server-sent events as OpenAI's API uses them: `data: JSON`, a blank line, and `data: [DONE]` at the end."""

from collections.abc import AsyncIterator
from typing import Any, Final

import orjson

DONE: Final = b"data: [DONE]\n\n"


async def read_events(blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The data of each event, from bytes that arrive cut anywhere; an event that is cut off by the end is dropped."""
    pending = b""
    async for block in blocks:
        pending = (pending + block).replace(b"\r\n", b"\n")
        *events, pending = pending.split(b"\n\n")
        for event in events:
            lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
            if lines:
                yield b"\n".join(lines)


def write_event(value: Any) -> bytes:
    """One event whose data is `value` as JSON."""
    return b"data: " + orjson.dumps(value) + b"\n\n"
