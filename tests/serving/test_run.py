"""`serving.run.serve`: what is refused before anything starts, and how it ends."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.canned import CannedEngine
from serving.run import serve
from serving.supervisor import free_port
from tandem.errors import ConfigError
from tests.serving.gateway import sample_config

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def slow_engine() -> Iterator[str]:
    """The address of a canned engine that takes two seconds for ten words."""
    started, state = threading.Event(), {}

    async def main() -> None:
        state["loop"], state["stop"] = asyncio.get_running_loop(), asyncio.Event()
        async with CannedEngine(lambda _: "word " * 10, token_seconds=0.2).serve() as address:
            state["address"] = address
            started.set()
            await state["stop"].wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    started.wait(10)
    yield state["address"]
    state["loop"].call_soon_threadsafe(state["stop"].set)
    thread.join()


def test_another_address_than_loopback_needs_keys(home: Path) -> None:
    with pytest.raises(ConfigError, match="without keys"):
        serve(sample_config(), home, "0.0.0.0", 0, environment={})
    assert not home.exists()


def test_a_port_that_is_taken_is_told_before_anything_starts(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"Cannot listen on 127.0.0.1:{port}"):
            serve(sample_config(), home, "127.0.0.1", port, environment={})


def test_sigterm_lets_an_answer_finish_and_ends_well(tmp_path: Path, slow_engine: str) -> None:
    config, port = tmp_path / "tandem.yaml", free_port()
    settings = {"base_model": "canned/model", "domains": {"shop": {}}, "engine": {"url": slow_engine}}
    config.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "tandem.cli", "serve", "--config", str(config), "--home", str(tmp_path / "home")]
    body = {"model": "shop/base", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    with subprocess.Popen([*command, "--port", str(port)], stderr=subprocess.PIPE, text=True, cwd=PROJECT) as process:
        assert process.stderr is not None
        assert f"http://127.0.0.1:{port}" in process.stderr.readline()
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        with httpx.stream("POST", url, json=body, timeout=60, trust_env=False) as response:
            lines = response.iter_lines()
            next(lines)
            process.send_signal(signal.SIGTERM)
            assert "data: [DONE]" in list(lines)
        assert process.wait(60) == 0
