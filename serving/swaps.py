"""Moving a pointer: a new version answers from the next request on, or the old one stays and the error says why.

Check the files → load under the version's own name → compare with training → warm up → move the pointer, if nobody
else has → requests in flight finish on theirs → unload what nothing points to.
"""

import asyncio
from dataclasses import dataclass
from types import EllipsisType
from typing import Final

from serving.adapters import Adapters
from serving.engine import CHAT, Json
from serving.parity import Parity, measure, read_references
from serving.targets import Target, check_tuned, no_adapter
from tandem.adapters import Adapter, note
from tandem.database import Pointer, stale_pointer
from tandem.errors import Conflict

WARM_UP: Final[Json] = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1, "temperature": 0.0}


@dataclass(frozen=True)
class Swap:
    """A pointer after a swap; `parity` is None where it was not measured."""

    pointer: Pointer
    parity: Parity | None = None


async def swap(
    adapters: Adapters,
    domain: str,
    variant: str,
    version: str,
    expected: str | EllipsisType | None = ...,
    force: bool = False,
) -> Swap:
    """Let `version` answer for a tuned variant of a domain.

    `expected` is what has to be live (None: nothing); left out, it is what is live when the swap begins. `force` skips
    the comparison with training, and nothing else. Raises Conflict, NotFound or UserError, and then nothing has
    changed: `stale_pointer` (its detail `live` is the live version), `adapter_damaged`, `adapter_unfit`,
    `adapter_refused`, `adapter_parity`; Unavailable while the engine is down.
    """
    live = (await adapters.pointers(domain)).get(check_tuned(variant))
    live_version = live.version if live else None
    if expected is ...:
        expected = live_version
    if expected != live_version:
        raise stale_pointer(domain, variant, live_version, expected)
    adapter = await adapters.read(domain, version)
    try:
        async with adapters.held(adapter):
            parity = None if force else await check_parity(adapters, adapter)
            await warm_up(adapters, adapter)
            if live is not None and live.version == version:
                return Swap(live, parity)
            pointer = await adapters.move_pointer(domain, variant, adapter, expected)
    except BaseException:
        adapters.retire(adapter)
        raise
    if live is not None:
        adapters.retire(await adapters.read(domain, live.version))
    return Swap(pointer, parity)


async def rollback(adapters: Adapters, domain: str, variant: str, expected: str | EllipsisType | None = ...) -> Swap:
    """Let the version that answered before the last swap answer again; a second rollback takes the first one back.

    It has been live before, so it is not compared with training again. Raises as `swap` does, and Conflict
    (`no_adapter`, `no_previous`) where there is nothing to go back to.
    """
    live = (await adapters.pointers(domain)).get(check_tuned(variant))
    if live is None:
        raise no_adapter(Target(domain, variant))
    if live.previous is None:
        raise Conflict(f"{domain}/{variant} has pointed to {live.version} only; swap instead.", code="no_previous")
    expected = live.version if expected is ... else expected
    return await swap(adapters, domain, variant, live.previous, expected, force=True)


async def check_parity(adapters: Adapters, adapter: Adapter) -> Parity:
    """Compare a loaded adapter with what training recorded, and note the result beside it; Conflict when it differs."""
    references = await asyncio.to_thread(read_references, adapter)
    parity = await measure(lambda path, body: adapters.generate(path, body, adapter), references)
    await asyncio.to_thread(note, adapter, "parity", parity.to_json())
    if parity.holds:
        return parity
    raise Conflict(
        f"The engine does not compute what training did: with {adapter.name} the log-probabilities of {parity.tokens} "
        f"reference tokens differ by {parity.mean_difference:.3f} on average, and {parity.limit} is allowed. "
        "Train it again on this base model; `force` skips this comparison.",
        code="adapter_parity",
        **parity.to_json(),
    )


async def warm_up(adapters: Adapters, adapter: Adapter) -> None:
    """Have a loaded adapter answer once, before anyone waits for it."""
    async for _ in adapters.generate(CHAT, WARM_UP, adapter):
        pass
