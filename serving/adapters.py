"""Adapters behind the tuned variants: which one answers, and that the engine has it for as long as it is needed.

A version is immutable and has its own name in the engine, so requests in flight finish on the one that they started
with. What should be live is in the database; what the engine lacks after a restart it gets at its first use.
"""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

from serving.adapter_checks import BaseModel, check_adapter
from serving.engine import EngineClient, Json, ModelMissing
from serving.targets import Target, check_domain, no_adapter
from tandem.adapters import Adapter, find_adapter, list_answering
from tandem.config import Config
from tandem.database import Database, Pointer
from tandem.errors import Conflict, TandemError, Unavailable
from tandem.variants import TUNED
from tandem.workspace import Workspace

IDLE_SECONDS: Final = 60.0
"""How long the engine keeps an adapter that nothing points to and nobody asks for by its version."""

logger = logging.getLogger(__name__)


class Adapters:
    """The adapters of all domains in one engine; to be used from one event loop."""

    def __init__(
        self,
        config: Config,
        workspace: Workspace,
        database: Database,
        engine: EngineClient,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._engine = engine
        self._config = config
        self._workspace = workspace
        self._database = database
        self._idle_seconds = idle_seconds
        self._base = BaseModel(config.base_model)
        self._checked: set[str] = set()
        self._loaded: set[str] = set()
        self._unwanted: set[str] = set()
        self._watched: set[str] = set()
        self._in_use: Counter[str] = Counter()
        self._last_use: dict[str, float] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Stop watching for idle adapters."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def pointers(self, domain: str) -> dict[str, Pointer]:
        """Variant → pointer, for the variants that have one."""
        found = await asyncio.to_thread(self._database.pointers, check_domain(domain, self._config))
        return {pointer.variant: pointer for pointer in found}

    async def move_pointer(self, domain: str, variant: str, adapter: Adapter, expected: str | None) -> Pointer:
        """Point a variant to `adapter` if it still points to `expected`; Conflict (`stale_pointer`) where not."""
        self._unwanted.discard(adapter.name)
        return await asyncio.to_thread(self._database.move_pointer, domain, variant, adapter.version, expected)

    async def published(self, domain: str) -> list[Adapter]:
        """The adapters on disk that may answer for a domain, oldest first."""
        return await asyncio.to_thread(list_answering, self._workspace, check_domain(domain, self._config))

    async def read(self, domain: str, version: str) -> Adapter:
        """One adapter, a multi-task one among whose tasks the domain is too; NotFound, or UserError for no version."""
        return await asyncio.to_thread(find_adapter, self._workspace, domain, version)

    async def resolve(self, target: Target) -> Adapter | None:
        """The adapter that answers for `target`: its own version, or the pointer's; None where none is needed.

        Raises Conflict (`no_adapter`) without a pointer, NotFound and UserError for a version that there is not.
        """
        if target.variant not in TUNED:
            return None
        if target.version is not None:
            return await self.read(target.domain, target.version)
        pointer = await asyncio.to_thread(self._database.pointer, target.domain, target.variant)
        if pointer is None:
            raise no_adapter(target)
        return await self.read(target.domain, pointer.version)

    @asynccontextmanager
    async def hold(self, target: Target) -> AsyncIterator[Adapter | None]:
        """The adapter that answers for `target`, loaded, and not unloaded before the end of the block."""
        adapter = await self.resolve(target)
        if adapter is None:
            yield None
            return
        async with self.held(adapter):
            yield adapter

    @asynccontextmanager
    async def held(self, adapter: Adapter) -> AsyncIterator[None]:
        """Keep `adapter` loaded in the block. Raises Conflict when it does not fit or the engine refuses it."""
        self._in_use[adapter.name] += 1
        try:
            await self._load(adapter)
            yield
        finally:
            self._in_use[adapter.name] -= 1
            self._last_use[adapter.name] = time.monotonic()
            if adapter.name in self._unwanted:
                self._spawn(self._unload_if_idle(adapter))

    async def generate(self, path: str, body: Json, adapter: Adapter | None) -> AsyncGenerator[Json, None]:
        """`EngineClient.generate` with a held adapter, or without; an engine that has lost it gets it again, once."""
        name = adapter.name if adapter else None
        try:
            async with aclosing(self._engine.generate(path, body, name)) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        except ModelMissing:  # comes before the first chunk or not at all, so nothing is said twice
            if adapter is None:
                raise
        logger.warning("The engine has lost the adapter %s, and gets it again.", adapter.name)
        self._loaded.discard(adapter.name)
        await self._load(adapter)
        async with aclosing(self._engine.generate(path, body, name)) as chunks:
            async for chunk in chunks:
                yield chunk

    def retire(self, adapter: Adapter) -> None:
        """Unload an adapter as soon as no request needs it, unless something points to it."""
        self._unwanted.add(adapter.name)
        self._spawn(self._unload_if_idle(adapter))

    async def _load(self, adapter: Adapter) -> None:
        async with self._locks[adapter.name]:
            if adapter.name in self._loaded:
                return
            if adapter.name not in self._checked:
                await asyncio.to_thread(check_adapter, adapter, self._config, self._base)
                self._checked.add(adapter.name)
            try:
                await self._engine.load_adapter(adapter.name, adapter.folder)
            except Unavailable:
                raise
            except ModelMissing as error:
                if adapter.name in error.message:  # it knows the route, and does not see the folder
                    raise _refused(adapter, error) from error
                raise Conflict(
                    "The engine takes no adapters: let engine.max_adapters be above 0, or start the engine at "
                    "engine.url with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1.",
                    code="engine_without_adapters",
                ) from error
            except TandemError as error:
                raise _refused(adapter, error) from error
            self._loaded.add(adapter.name)
            if adapter.name not in self._watched:
                self._watched.add(adapter.name)
                self._spawn(self._watch(adapter))

    async def _watch(self, adapter: Adapter) -> None:
        """Unload an adapter that was asked for by its version once nobody does any more."""
        try:
            while adapter.name in self._loaded:
                await asyncio.sleep(self._idle_seconds)
                if time.monotonic() - self._last_use.get(adapter.name, 0.0) >= self._idle_seconds:
                    await self._unload_if_idle(adapter)
        finally:  # an engine that is away ends it too; the next load begins anew
            self._watched.discard(adapter.name)

    async def _unload_if_idle(self, adapter: Adapter) -> None:
        async with self._locks[adapter.name]:
            if adapter.name not in self._loaded or self._in_use[adapter.name]:
                return
            if not await self._is_pointed_to(adapter):
                await self._engine.unload_adapter(adapter.name)
                self._loaded.discard(adapter.name)
            self._unwanted.discard(adapter.name)

    async def _is_pointed_to(self, adapter: Adapter) -> bool:
        """Whether a variant of any domain that it answers for points to it."""
        domains = [domain for domain in adapter.card.duties if domain in self._config.domains]
        pointers = [pointer for domain in domains for pointer in (await self.pointers(domain)).values()]
        return any(pointer.version == adapter.version for pointer in pointers)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        async def logged() -> None:
            try:
                await work
            except Exception:
                logger.exception("An adapter could not be unloaded; it stays in the engine.")

        task = asyncio.create_task(logged())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _refused(adapter: Adapter, error: TandemError) -> Conflict:
    return Conflict(f"The engine refuses the adapter {adapter.name}: {error.message}", code="adapter_refused")
