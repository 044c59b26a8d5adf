"""The domains' indexes inside the gateway: used from threads so that the event loop never waits."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from serving.openings import Openings
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
PARSING_THREADS: Final = 2
ATTEMPTS: Final = 3
"""On how many indexes, each replaced by the next, one request is tried."""

PATIENCE_SECONDS: Final = 10.0
"""How long a request waits for an index that is being opened, before it is told to come again."""

T = TypeVar("T")


@dataclass(frozen=True)
class Search:
    """How passages are searched; None is as in the settings."""

    k: int | None = None
    filter: Mapping[str, Any] | None = None
    snapshot: int | None = None
    """The state to search; None: the newest."""
    options: "Options | None" = None


class Indexes:
    """Every domain's index. Searches share a few threads, and parsing; changes go through one of their own."""

    def __init__(self, config: Config, workspace: Workspace, load_embedder: Callable[[], "Embedder"]) -> None:
        self._config = config
        self._openings = Openings(config, workspace, load_embedder)
        self._searching = ThreadPoolExecutor(SEARCH_THREADS, thread_name_prefix="search")
        self._changing = ThreadPoolExecutor(1, thread_name_prefix="index-change")
        # Its own: a hostile file takes its parser's whole time limit, and no change has to wait for that.
        self._parsing = ThreadPoolExecutor(PARSING_THREADS, thread_name_prefix="parse")

    async def open(self) -> None:
        """Load the embedder and open all indexes; a broken one is reported and leaves the others usable."""
        await self._openings.open_all()

    def close(self) -> None:
        """Finish what runs and close the indexes that are open."""
        self._openings.closing = True
        self._parsing.shutdown()
        self._changing.shutdown()
        self._searching.shutdown()
        self._openings.close()

    def states(self) -> dict[str, str]:
        """Domain → `open`, `opening`, or what is wrong with it."""
        return self._openings.states()

    async def require(self, domain: str) -> None:
        """Raise Unavailable unless the domain's index can be searched now."""
        await self._use(self._searching, domain, lambda index: index.snapshot, patient=False)

    async def snapshots(self) -> dict[str, int]:
        """Domain → number of its snapshot, for the open ones; one that was replaced is opened anew."""
        found = await asyncio.gather(*map(self._snapshot, self._config.domains))
        return {
            domain: number for domain, number in zip(self._config.domains, found, strict=True) if number is not None
        }

    async def search(
        self, domain: str, query: str, how: Search, *, principals: frozenset[str] | None
    ) -> "SearchResult":
        """The passages nearest to `query` among those that one of `principals` may see (None: all), best first."""

        def work(index: "Index") -> "SearchResult":
            return index.search(
                query, how.k, how.filter, principals=principals, snapshot=how.snapshot, options=how.options
            )

        return await self._use(self._searching, domain, work)

    async def documents(self, domain: str, *, principals: frozenset[str] | None) -> "list[DocumentInfo]":
        """What is indexed and may be seen."""
        return await self._use(self._searching, domain, lambda index: index.documents(principals=principals))

    async def document(self, domain: str, name: str, *, principals: frozenset[str] | None) -> "Document":
        """One document with its text; NotFound, also where it may not be seen."""
        return await self._use(self._searching, domain, lambda index: index.document(name, principals=principals))

    async def stats(self, domain: str) -> "IndexStats":
        """Sizes of the index."""
        return await self._use(self._searching, domain, lambda index: index.stats())

    async def add(self, domain: str, documents: "Sequence[Document]") -> "Commit":
        """Add or replace documents in one commit."""
        return await self._use(self._changing, domain, lambda index: index.add(documents))

    async def delete(self, domain: str, names: Sequence[str]) -> "Commit":
        """Take documents out; NotFound when one is not there."""
        return await self._use(self._changing, domain, lambda index: index.delete(names))

    async def parse(self, name: str, data: bytes) -> "tuple[list[Document], list[Failure]]":
        """The documents in an uploaded file, and the rows of it that are none; UnreadableDocument."""
        from retrieval.parsers import parse_all

        return await self._run(self._parsing, parse_all, data, name)

    async def _snapshot(self, domain: str) -> int | None:
        try:
            return await self._use(self._searching, domain, lambda index: index.snapshot, patient=False)
        except TandemError:
            return None

    async def _use(
        self,
        pool: ThreadPoolExecutor,
        domain: str,
        work: "Callable[[Index], T]",
        patient: bool = True,
    ) -> T:
        """What `work` returns of the domain's index, of the next one where that was replaced before it could.

        Such an error comes before anything is committed, so that trying again does nothing twice.
        """
        from retrieval.store import REPLACED

        check_domain(domain, self._config)
        for _ in range(ATTEMPTS):
            index = await self._openings.get(domain, PATIENCE_SECONDS if patient else 0)
            try:
                return await self._run(pool, work, index)
            except TandemError as error:
                if error.code not in REPLACED:
                    raise
                self._openings.renew(domain, index)
        raise Unavailable(f"The index of {domain!r} is being replaced; try again in a moment.", code="index_replaced")

    async def _run(self, pool: ThreadPoolExecutor, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)
