"""One question, several variants at once: each is a flow of its own, and their events are put in one row."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from serving.answers import Answer, Asked
from serving.engine import Json
from serving.flow import Services, answer
from serving.problems import our_mistake
from serving.targets import Target, check_one_task
from tandem.errors import TandemError

logger = logging.getLogger(__name__)

Event = tuple[int, Json | Answer | TandemError]
"""Position of the variant, and a chunk, its end, or why it has none."""


async def compare(services: Services, asked: Asked, targets: Sequence[Target]) -> AsyncGenerator[Event, None]:
    """Ask all `targets` the question of `asked`: events as they come, one `Answer` or error at each one's end.

    Every variant has its own row in the database, `<id>-<variant>`. Closing the iterator aborts them all.
    """
    events: asyncio.Queue[Event] = asyncio.Queue()

    async def follow(position: int, target: Target) -> None:
        name = target.name.partition("/")[2]
        own = replace(asked, target=target, id=f"{asked.id}-{name}")
        try:
            async with aclosing(answer(services, own)) as flow:
                async for event in flow:
                    events.put_nowait((position, event))
        except TandemError as error:
            events.put_nowait((position, error))
        except Exception:
            logger.exception("A bug while answering %s", own.id)
            events.put_nowait((position, our_mistake()))

    tasks = [asyncio.create_task(follow(position, target)) for position, target in enumerate(targets)]
    try:
        unfinished = len(tasks)
        while unfinished:
            event = await events.get()
            unfinished -= isinstance(event[1], Answer | TandemError)
            yield event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def comparable(services: Services, domain: str) -> list[Target]:
    """The variants of a domain that answer now."""
    check_one_task(domain, services.config)
    tuned = await services.adapters.pointers(domain)
    reads = services.config.domains[domain].task == "answers"
    return [
        Target(domain, variant)
        for variant in (("base", "finetuned", "rag", "hybrid") if reads else ("base", "finetuned"))
        if variant in ("base", "rag") or variant in tuned
    ]
