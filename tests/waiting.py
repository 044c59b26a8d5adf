"""Waiting for what happens elsewhere: as long as a busy machine needs, no longer than it takes."""

import asyncio
import time
from collections.abc import Callable

PATIENCE_SECONDS = 120


def until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Return when it holds; fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.02)


async def until_holds(condition: Callable[[], bool]) -> None:
    """As `until`, while the event loop goes on."""
    await asyncio.to_thread(until, condition)
