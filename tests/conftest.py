"""One real server for the whole run: `tandem serve` as a process, real vLLM, real MiniLM, `models/tiny`."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, settings

from serving.supervisor import free_port

# A busy machine is not a defect of the code: no property has a time limit.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

PROJECT = Path(__file__).parent.parent
TINY = PROJECT / "models" / "tiny"
START_SECONDS = 290
LIVE_DOCUMENTS = {
    "kettle.md": "# Brisa kettle\n\nThe Brisa kettle holds 1.7 litres of water. Its warranty lasts 24 months.",
    "toaster.md": "# Arlo toaster\n\nThe Arlo toaster has 6 levels. The cord of the toaster measures 90 cm.",
    "lamp.md": "# Vela lamp\n\nThe Vela lamp gives warm light. Its bulb is of type E14. It costs 39 euros.",
    "fan.md": "# Orio fan\n\nThe Orio fan turns 900 times a minute. It weighs 2.4 kg and is made in Tolvenna.",
}

LIVE_LABELS = ["card arrival", "lost card", "exchange rate: “now”"]
LIVE_SCHEMA = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "green"]}, "broken": {"type": "boolean"}},
    "required": ["colour", "broken"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class LiveServer:
    """A running server; `process` is the gateway.

    The domain `shop` holds `LIVE_DOCUMENTS`, `intents` classifies, `places` extracts.
    """

    url: str
    process: psutil.Process
    home: Path
    log: Path

    @property
    def engine(self) -> psutil.Process:
        """The engine's process as it is now."""
        return next(child for child in self.process.children() if "serving.engine_main" in child.cmdline())

    @property
    def engine_url(self) -> str:
        """Address of the engine as it is now."""
        arguments = self.engine.cmdline()
        return f"http://127.0.0.1:{arguments[arguments.index('--port') + 1]}"

    def is_ready(self) -> bool:
        """Whether everything is up."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=10, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Fail, with the server's own words, when it does not come up."""
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            assert self.process.is_running(), self.log.read_text()
            assert self.process.status() != psutil.STATUS_ZOMBIE, self.log.read_text()
            assert time.monotonic() < deadline, f"not ready after {seconds} s: {self.log.read_text()}"
            time.sleep(0.2)


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """The one real server; tests that disturb its engine carry the marker `disturbs_engine` and run last."""
    if not (TINY / "model.safetensors").exists():
        pytest.skip("models/tiny has no weights: run `python -m training.pretrain`")
    folder = tmp_path_factory.mktemp("live")
    config, log, port = folder / "tandem.yaml", folder / "serve.log", free_port()
    schema = folder / "schema.json"
    schema.write_text(json.dumps(LIVE_SCHEMA))
    domains: dict[str, Any] = {
        "shop": {},
        "intents": {"task": "classification", "labels": LIVE_LABELS},
        "places": {"task": "extraction", "json_schema": str(schema)},
    }
    config.write_text(json.dumps({"base_model": str(TINY), "domains": domains}))
    command = [sys.executable, "-m", "tandem.cli", "serve", "--config", str(config), "--home", str(folder / "home")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, "--port", str(port)], stdout=output, stderr=output, cwd=PROJECT, env=environment
        ) as process,
    ):
        server = LiveServer(f"http://127.0.0.1:{port}", psutil.Process(process.pid), folder / "home", log)
        try:
            server.wait_until_ready()
            documents = [{"id": name, "text": text} for name, text in LIVE_DOCUMENTS.items()]
            route = f"{server.url}/v1/domains/shop/documents"
            httpx.post(route, json={"documents": documents}, timeout=120, trust_env=False).raise_for_status()
            yield server
        finally:
            process.terminate()
            status = process.wait(60)
    assert status == 0, log.read_text()


def pytest_configure(config: pytest.Config) -> None:
    """Name our marker."""
    config.addinivalue_line("markers", "disturbs_engine: kills the live server's engine; runs after all others")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that kill the engine last."""
    items.sort(key=lambda item: item.get_closest_marker("disturbs_engine") is not None)
