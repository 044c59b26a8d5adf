"""The open indexes: which there are, what is wrong with the others, and opening anew what was replaced on disk."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from tandem.config import Config
from tandem.errors import TandemError, Unavailable
from tandem.workspace import Workspace

if TYPE_CHECKING:
    from retrieval.embedder import Embedder
    from retrieval.index import Index

PAUSE_SECONDS: Final = 0.1
"""Between attempts while another process still puts the new index in its place."""
RETRY_SECONDS: Final = 2.0
"""How soon an index that could not be opened is tried again, when somebody asks for it."""

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Openings:
    """One index for each domain, or why there is none. Everything but the opening itself is on the event loop."""

    def __init__(self, config: Config, workspace: Workspace, load_embedder: "Callable[[], Embedder]") -> None:
        self._config = config
        self._workspace = workspace
        self._load_embedder = load_embedder
        self._embedder: Embedder | None = None
        self._open: dict[str, Index] = {}
        self._problems: dict[str, TandemError] = {}
        self._failed_at: dict[str, float] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._one_at_a_time = asyncio.Lock()
        self.closing = False

    async def open_all(self) -> None:
        """Load the embedder and open all indexes; a broken one is reported and leaves the others usable."""
        try:
            self._embedder = await in_daemon_thread(self._load_embedder)
        except Exception as error:
            logger.exception("The embedder cannot be loaded.")
            self._problems.update(dict.fromkeys(self._config.domains, _as_problem(error)))
            return
        await asyncio.gather(*(self._begin(domain) for domain in self._config.domains))

    def close(self) -> None:
        """Close the indexes that are open; one that is being opened is closed by its thread."""
        self.closing = True
        for index in list(self._open.values()):
            index.close()
        self._open.clear()

    def states(self) -> dict[str, str]:
        """Domain → `open`, `opening`, or what is wrong with it."""
        return {name: self._state(name) for name in self._config.domains}

    def require(self, domain: str) -> "Index":
        """The open index of a domain; raises Unavailable with the code of what is wrong with it."""
        if domain in self._open:
            return self._open[domain]
        if domain in self._problems:
            problem = self._problems[domain]
            raise Unavailable(
                f"The index of {domain!r} cannot be used: {problem.message}",
                code="unavailable" if problem.code == "internal_error" else problem.code,
            )
        raise Unavailable(f"The index of {domain!r} is being opened; try again in a moment.", code="index_opening")

    async def get(self, domain: str, patience_seconds: float) -> "Index":
        """`require`, after waiting so long at most for an opening that runs; what could not be opened is tried again
        now and then."""
        failed_at = self._failed_at.get(domain)
        if failed_at is not None and time.monotonic() - failed_at >= RETRY_SECONDS:
            self._begin(domain)
        if domain in self._opening:
            await asyncio.wait({self._opening[domain]}, timeout=patience_seconds)
        return self.require(domain)

    def renew(self, domain: str, replaced: "Index") -> None:
        """Close `replaced` and open what took its place; nothing where somebody else has begun that already."""
        if self._open.get(domain) is replaced and not self.closing:
            del self._open[domain]
            self._begin(domain, replaced)

    def _state(self, domain: str) -> str:
        if domain in self._problems:
            return self._problems[domain].message
        return "open" if domain in self._open else "opening"

    def _begin(self, domain: str, replaced: "Index | None" = None) -> asyncio.Task[None]:
        if domain not in self._opening:
            self._opening[domain] = asyncio.create_task(self._follow(domain, replaced))
        return self._opening[domain]

    async def _follow(self, domain: str, replaced: "Index | None") -> None:
        """Open the index of a domain, however long another process still takes to put it there."""
        try:
            if replaced is not None:
                await in_daemon_thread(replaced.close)
            while not self.closing:
                try:
                    async with self._one_at_a_time:
                        self._open[domain] = await in_daemon_thread(lambda: self._open_one(domain))
                    self._problems.pop(domain, None)
                    self._failed_at.pop(domain, None)
                    return
                except Unavailable:
                    await asyncio.sleep(PAUSE_SECONDS)
        except Exception as error:
            ours = None if isinstance(error, TandemError | OSError) else error
            logger.error("The index of %r cannot be opened: %s", domain, error, exc_info=ours)
            self._problems[domain] = _as_problem(error)
            self._failed_at[domain] = time.monotonic()
        finally:
            del self._opening[domain]

    def _open_one(self, domain: str) -> "Index":
        from retrieval.index import Index

        assert self._embedder is not None
        index = Index.open(self._workspace.index_folder(domain), self._embedder, self._config.retrieval)
        if self.closing:
            index.close()
        return index


async def in_daemon_thread(function: Callable[[], T]) -> T:
    """What `function` returns; its thread does not keep the process alive, since loading takes seconds and cannot be
    interrupted."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]  # None where the function returns None
        else:
            done.set_exception(error)

    def work() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = function()
        except BaseException as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(finish, result, failure)

    threading.Thread(target=work, name="index-open", daemon=True).start()
    return await done


def _as_problem(error: Exception) -> TandemError:
    if not isinstance(error, TandemError):
        return TandemError(str(error))
    if error.code == "embedder_mismatch":
        return TandemError(f"{error.message} A server takes another embedder when it is started anew.", code=error.code)
    return error
