"""A whole gateway over real HTTP in a thread of this process, in front of the canned engine."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from retrieval.documents import Document
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from serving.app import create_app
from serving.auth import Keys
from serving.canned import CannedEngine
from serving.engine import EngineClient
from tandem.config import Config
from tandem.database import Database, RequestRecord
from tandem.workspace import Workspace

DOCUMENTS = [
    Document("kettle.md", "Kettle", "The Brisa kettle holds 1.7 litres of water. Its warranty lasts 24 months."),
    Document(
        "toaster.md", "Toaster", "The Arlo toaster has six levels.\nIts cord measures 90 cm.", {"kind": "kitchen"}
    ),
    Document("lamp.md", "Lamp", "The Vela lamp gives warm light. Its bulb is of type E14."),
]


@dataclass
class Gateway:
    """What a test talks to."""

    http: httpx.Client
    engine: CannedEngine
    workspace: Workspace
    url: str
    _stop: ExitStack

    def ask(self, question: str, **fields: Any) -> httpx.Response:
        """POST /v1/ask in the sample domain."""
        return self.http.post("/v1/ask", json={"domain": "shop", "question": question, **fields})

    def chat(self, question: str, model: str = "shop/rag", **fields: Any) -> httpx.Response:
        """POST /v1/chat/completions with one message."""
        messages = [{"role": "user", "content": question}]
        return self.http.post("/v1/chat/completions", json={"model": model, "messages": messages, **fields})

    def records(self) -> list[RequestRecord]:
        """Stop, so that everything is written, and read what was recorded, newest first."""
        self._stop.close()
        database = Database(self.workspace.database_url())
        try:
            return database.recent_requests()
        finally:
            database.close()


def sample_config(**sections: Any) -> Config:
    """Two domains: `shop` has documents, `empty` has none."""
    domains = {"shop": {"system_prompt": "Be brief."}, "empty": {}}
    return Config.model_validate({"base_model": "canned/model", "domains": domains, **sections})


@contextlib.contextmanager
def run_gateway(
    home: Path, canned: CannedEngine | None = None, keys: Keys | None = None, **sections: Any
) -> Iterator[Gateway]:
    """Start engine and gateway, wait until ready, and take both down."""
    canned, config, workspace = canned or CannedEngine(), sample_config(**sections), Workspace.open(home)
    with Index.open(workspace.index_folder("shop"), HashEmbedder(), config.retrieval) as index:
        index.add(DOCUMENTS)
    with ExitStack() as stack:
        url = stack.enter_context(_in_thread(canned, config, workspace, keys))
        http = stack.enter_context(httpx.Client(base_url=url, timeout=20, trust_env=False))
        yield Gateway(http, canned, workspace, url, stack)


@contextlib.contextmanager
def _in_thread(engine: CannedEngine, config: Config, workspace: Workspace, keys: Keys | None) -> Iterator[str]:
    started, state = threading.Event(), {}

    async def main() -> None:
        async with engine.serve() as address:
            client = EngineClient(lambda: address, config.engine.request_timeout_seconds)
            app = create_app(config, workspace, engine=client, keys=keys, load_embedder=HashEmbedder)
            server = uvicorn.Server(uvicorn.Config(app, port=0, http="httptools", log_level="error", lifespan="on"))
            state["server"] = server
            serving = asyncio.create_task(server.serve())
            while not (server.started and set(app.state.services.indexes.states().values()) == {"open"}):
                await asyncio.sleep(0.01)
                assert not serving.done()
            state["url"] = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
            started.set()
            await serving

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        assert started.wait(20)
        yield str(state["url"])
    finally:
        state["server"].should_exit = True
        thread.join(20)
