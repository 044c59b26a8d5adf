"""The gateway: everything wired together, once."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from serving import problems
from serving.adapters import Adapters
from serving.admission import Admission
from serving.auth import Keys
from serving.engine import EngineClient
from serving.flow import Services
from serving.gate import Gate
from serving.indexes import Indexes
from serving.metrics import Metrics
from serving.observation import Observer
from serving.recorder import Recorder
from serving.routes import adapters as adapter_routes
from serving.routes import ask, chat, compare, completions, documents, models, probes
from tandem import __version__
from tandem.config import Config
from tandem.database import Database
from tandem.workspace import Workspace

if TYPE_CHECKING:
    from retrieval.embedder import Embedder


def create_app(
    config: Config,
    workspace: Workspace,
    *,
    engine: EngineClient,
    keys: Keys | None = None,
    load_embedder: "Callable[[], Embedder] | None" = None,
    engine_restarts: Callable[[], int] = lambda: 0,
) -> FastAPI:
    """The ASGI app for `config`. It opens `engine`, the indexes and the database when it starts, and closes them.

    Without `keys` it answers only requests meant for localhost. Raises ConfigError when the database does not open.
    """
    keys = keys or Keys()
    database = Database(workspace.database_url(config.database))
    recorder, metrics = Recorder(database), Metrics()
    adapters = Adapters(config, workspace, database, engine)
    indexes = Indexes(config, workspace, load_embedder or _embedder_of(config))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with engine:
            # In the background: probes are answered while a model loads.
            opening = asyncio.create_task(indexes.open())
            try:
                yield
            finally:
                opening.cancel()
                await adapters.close()
                await asyncio.to_thread(indexes.close)
                await asyncio.to_thread(recorder.close)
                database.close()

    app = FastAPI(title="Tandem", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    observer = Observer(metrics, recorder, config.serving.store_texts)
    admission = Admission(config.serving.max_concurrent)
    app.state.services = Services(config, engine, adapters, indexes, observer, metrics, admission, keys)
    app.state.started = int(time.time())
    app.state.engine_restarts = engine_restarts
    app.add_middleware(Gate, keys=keys, max_body_bytes=config.serving.max_body_bytes)
    problems.install(app)
    for module in (adapter_routes, ask, chat, compare, completions, documents, models, probes):
        app.include_router(module.router)
    return app


def _embedder_of(config: Config) -> "Callable[[], Embedder]":
    def load() -> "Embedder":
        from retrieval.embedder import load_embedder

        return load_embedder(config.embedder)

    return load
