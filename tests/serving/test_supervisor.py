"""The supervisor, with the canned engine as the child process: real processes, started in a second."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from serving.engine import engine_is_healthy
from serving.launch import Launch
from serving.supervisor import EngineFailed, EngineSupervisor, explain
from tandem.errors import Unavailable
from tests.waiting import until, until_holds

PROJECT = Path(__file__).parents[2]
CANNED = ("-m", "serving.canned", "--port")
# A program that supervises a canned engine and says its process id, to be killed itself.
SUPERVISING = """
import asyncio, sys
from pathlib import Path
from tests.serving.test_supervisor import supervisor, CANNED
async def main():
    one = supervisor(Path(sys.argv[1]), lambda port: (*CANNED, str(port)))
    await one.start()
    print(one.process_id, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def supervisor(log: Path, arguments: Callable[[int], tuple[str, ...]], timeout: float = 30) -> EngineSupervisor:
    def launch(port: int) -> Launch:
        return Launch((sys.executable, *arguments(port)), {**os.environ, "PYTHONPATH": str(PROJECT)})

    return EngineSupervisor(launch, engine_is_healthy, log, timeout)


def canned(port: int) -> tuple[str, ...]:
    return (*CANNED, str(port))


def is_alive(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def run_with(one: EngineSupervisor, work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        try:
            await work()
        finally:
            await one.stop()

    asyncio.run(main())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_engine_that_ends_comes_back_at_another_address(tmp_path: Path, number: signal.Signals) -> None:
    one = supervisor(tmp_path / "engine.log", canned)

    async def work() -> None:
        await one.start()
        first, address = one.process_id, one.url
        assert first is not None
        os.kill(first, number)
        await until_holds(lambda: one.state == "restarting")
        with pytest.raises(Unavailable):
            _ = one.url
        await until_holds(lambda: one.state == "ready")
        assert one.process_id != first
        assert one.url != address
        assert await engine_is_healthy(one.url)
        assert one.restarts == 1

    run_with(one, work)


def test_stopping_leaves_no_process(tmp_path: Path) -> None:
    one = supervisor(tmp_path / "engine.log", canned)
    started = []

    async def work() -> None:
        await one.start()
        started.append(one.process_id)

    run_with(one, work)
    assert not is_alive(started[0])
    assert one.state == "stopped"


def test_an_engine_that_cannot_start_says_why_in_one_sentence(tmp_path: Path) -> None:
    program = "import sys; print('loading'); sys.exit('ValueError: the model is no model')"
    one = supervisor(tmp_path / "engine.log", lambda _: ("-c", program))
    with pytest.raises(EngineFailed, match=r"ended with exit status 1 .*: the model is no model .*engine\.log"):
        asyncio.run(one.start())


def test_an_engine_that_stays_silent_is_given_up(tmp_path: Path) -> None:
    one = supervisor(tmp_path / "engine.log", lambda _: ("-c", "import time; time.sleep(60)"), timeout=0.5)
    with pytest.raises(EngineFailed, match=r"did not answer within 0\.5 s"):
        asyncio.run(one.start())
    assert one.process_id is None


def test_a_killed_gateway_leaves_no_engine(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", SUPERVISING, str(tmp_path / "engine.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as gateway:
        assert gateway.stdout is not None
        engine = int(gateway.stdout.readline())
        assert is_alive(engine)
        gateway.kill()
    until(lambda: not is_alive(engine))


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("", "it wrote nothing"),
        ("INFO a\nINFO b\n", "INFO b"),
        ("x\nOSError: no such model\nRuntimeError: Engine core initialization failed. See root cause", "no such model"),
        ("ValidationError: 1 validation error for X\n  Value error, bad", "1 validation error for X; Value error, bad"),
        ("api_server.py: error: unrecognized arguments: --x", "unrecognized arguments: --x"),
    ],
)
def test_the_reason_is_the_last_error_that_is_no_consequence(log: str, reason: str) -> None:
    assert explain(log) == reason
