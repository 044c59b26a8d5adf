"""The domains' indexes inside the gateway: opened once, used from threads so that the event loop never waits."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from serving.targets import check_domain
from tandem.config import Config
from tandem.errors import TandemError, Unavailable
from tandem.workspace import Workspace

if TYPE_CHECKING:
    from retrieval.documents import Document
    from retrieval.embedder import Embedder
    from retrieval.index import Index
    from retrieval.requests import Options
    from retrieval.results import Commit, DocumentInfo, Failure, IndexStats, SearchResult

SEARCH_THREADS: Final = 4

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Indexes:
    """Every domain's index. Searches share a few threads; changes go through one of their own, one at a time."""

    def __init__(self, config: Config, workspace: Workspace, load_embedder: Callable[[], "Embedder"]) -> None:
        self._config = config
        self._workspace = workspace
        self._load_embedder = load_embedder
        self._open: dict[str, Index] = {}
        self._problems: dict[str, str] = {}
        self._closing = False
        self._searching = ThreadPoolExecutor(SEARCH_THREADS, thread_name_prefix="search")
        self._changing = ThreadPoolExecutor(1, thread_name_prefix="index-change")

    async def open(self) -> None:
        """Load the embedder and open all indexes; a broken one is reported and leaves the others usable.

        Loading takes seconds and cannot be interrupted, so it has a thread that does not keep the process alive.
        """
        opened = asyncio.Event()
        loop = asyncio.get_running_loop()

        def work() -> None:
            try:
                self._open_all()
            except Exception as error:
                logger.exception("The indexes cannot be opened.")
                self._problems.update(dict.fromkeys(self._config.domains, str(error)))
            finally:
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(opened.set)

        threading.Thread(target=work, name="index-open", daemon=True).start()
        await opened.wait()

    def close(self) -> None:
        """Finish what runs and close the indexes that are open."""
        self._closing = True
        self._changing.shutdown()
        self._searching.shutdown()
        for index in list(self._open.values()):
            index.close()
        self._open.clear()

    def states(self) -> dict[str, str]:
        """Domain → `open`, `opening`, or what is wrong with it."""
        return {name: self._problems.get(name, "open" if name in self._open else "opening") for name in self._domains()}

    async def snapshots(self) -> dict[str, int]:
        """Domain → number of its snapshot, for the open ones."""
        return await self._run(self._searching, lambda: {name: i.snapshot for name, i in list(self._open.items())})

    async def search(
        self,
        domain: str,
        query: str,
        k: int | None,
        filter: Mapping[str, Any] | None,
        *,
        principals: frozenset[str] | None,
        snapshot: int | None = None,
        options: "Options | None" = None,
    ) -> "SearchResult":
        """The passages nearest to `query` among those that one of `principals` may see (None: all), best first."""
        search = partial(self._index(domain).search, principals=principals, snapshot=snapshot, options=options)
        return await self._run(self._searching, search, query, k, filter)

    async def documents(self, domain: str, *, principals: frozenset[str] | None) -> "list[DocumentInfo]":
        """What is indexed and may be seen."""
        return await self._run(self._searching, partial(self._index(domain).documents, principals=principals))

    async def document(self, domain: str, name: str, *, principals: frozenset[str] | None) -> "Document":
        """One document with its text; NotFound, also where it may not be seen."""
        return await self._run(self._searching, partial(self._index(domain).document, name, principals=principals))

    async def stats(self, domain: str) -> "IndexStats":
        """Sizes of the index."""
        return await self._run(self._searching, self._index(domain).stats)

    async def add(self, domain: str, documents: "Sequence[Document]") -> "Commit":
        """Add or replace documents in one commit."""
        return await self._run(self._changing, self._index(domain).add, documents)

    async def delete(self, domain: str, names: Sequence[str]) -> "Commit":
        """Take documents out; NotFound when one is not there."""
        return await self._run(self._changing, self._index(domain).delete, names)

    async def parse(self, name: str, data: bytes) -> "tuple[list[Document], list[Failure]]":
        """The documents in an uploaded file, and the rows of it that are none; UnreadableDocument."""
        from retrieval.parsers import parse_all

        return await self._run(self._changing, parse_all, data, name)

    def _domains(self) -> list[str]:
        return list(self._config.domains)

    def _index(self, domain: str) -> "Index":
        check_domain(domain, self._config)
        if domain in self._problems:
            raise Unavailable(f"The index of {domain!r} cannot be used: {self._problems[domain]}")
        if domain not in self._open:
            raise Unavailable(f"The index of {domain!r} is being opened; try again in a moment.")
        return self._open[domain]

    def _open_all(self) -> None:
        from retrieval.index import Index

        embedder = self._load_embedder()
        for domain in self._domains():
            if self._closing:
                return
            try:
                folder = self._workspace.index_folder(domain)
                self._open[domain] = Index.open(folder, embedder, self._config.retrieval)
            except (TandemError, OSError) as error:
                logger.error("The index of %r cannot be opened: %s", domain, error)
                self._problems[domain] = str(error)

    async def _run(self, pool: ThreadPoolExecutor, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)
