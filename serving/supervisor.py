"""Keeps one engine running: starts it, waits until it answers, starts it again when it ends, and takes it down.

The child is the leader of its own process group, so that Ctrl-C reaches it only through us and everything it started
ends with it. A gateway that is killed outright leaves nothing behind (`serving.engine_main.die_with_parent`); that is
why the supervisor has to run in a thread that lives as long as the process.
"""

import asyncio
import contextlib
import logging
import os
import re
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Literal

from serving.launch import LOOPBACK, SHUTDOWN_SECONDS, Launch
from tandem.errors import TandemError, Unavailable

POLL_SECONDS: Final = 0.1
STOP_SECONDS: Final = SHUTDOWN_SECONDS + 10.0
GROUP_SECONDS: Final = 3.0
HEALTHY_RUN_SECONDS: Final = 60.0
FIRST_DELAY_SECONDS: Final = 0.5
LONGEST_DELAY_SECONDS: Final = 30.0
TAIL_BYTES: Final = 64_000
ERROR_LINE: Final = re.compile(r"(?:\b\w*(?:Error|Exception)|\berror): (.+)")
SECONDARY: Final = "Engine core initialization failed"

State = Literal["stopped", "starting", "ready", "restarting"]

logger = logging.getLogger(__name__)


class EngineFailed(TandemError):
    """The engine ended, or stayed silent, before it answered for the first time."""

    code = "engine_failed"


class EngineSupervisor:
    """One engine process and the task that watches it; `launch(port)` says what to run."""

    def __init__(
        self,
        launch: Callable[[int], Launch],
        is_healthy: Callable[[str], Awaitable[bool]],
        log_path: Path,
        startup_timeout_seconds: float,
    ) -> None:
        self._launch = launch
        self._is_healthy = is_healthy
        self._log_path = log_path
        self._startup_timeout_seconds = startup_timeout_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._url = ""
        self.state: State = "stopped"
        self.restarts = 0

    @property
    def url(self) -> str:
        """Address of the engine that is running now; raises Unavailable while none is."""
        if self.state != "ready":
            raise Unavailable(f"The engine is {self.state}; try again in a moment.", retry_after_seconds=5.0)
        return self._url

    @property
    def process_id(self) -> int | None:
        """The engine's process (and process group) id while there is one."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start the engine, wait until it answers, and watch it from then on; raises EngineFailed."""
        self.state = "starting"
        try:
            await self._start_once()
        except BaseException:
            self.state = "stopped"
            raise
        self._watcher = asyncio.create_task(self._watch(), name="engine-supervisor")

    async def stop(self) -> None:
        """End the engine and everything it started; safe to call twice and before `start`."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
            self._watcher = None
        self.state = "stopped"
        await self._end_process()

    async def _start_once(self) -> None:
        port = free_port()
        launch = self._launch(port)
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        if self._log_path.exists():
            self._log_path.replace(self._log_path.with_suffix(".previous.log"))
        with self._log_path.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *launch.command,
                env=dict(launch.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            await self._wait_until_healthy(self._process, f"http://{LOOPBACK}:{port}")
        except BaseException:
            await self._end_process()
            raise
        self._url, self.state = f"http://{LOOPBACK}:{port}", "ready"

    async def _wait_until_healthy(self, process: asyncio.subprocess.Process, url: str) -> None:
        deadline = time.monotonic() + self._startup_timeout_seconds
        while not await self._is_healthy(url):
            if process.returncode is not None:
                raise self._failure(f"ended with exit status {process.returncode} before it answered")
            if time.monotonic() > deadline:
                raise self._failure(
                    f"did not answer within {self._startup_timeout_seconds:g} s (engine.startup_timeout_seconds)"
                )
            await asyncio.sleep(POLL_SECONDS)

    def _failure(self, what: str) -> EngineFailed:
        reason = explain(read_tail(self._log_path))
        return EngineFailed(f"The engine {what}: {reason} (its log: {self._log_path})")

    async def _watch(self) -> None:
        delay = FIRST_DELAY_SECONDS
        while True:
            assert self._process is not None
            started = time.monotonic()
            status = await self._process.wait()
            self.state = "restarting"
            logger.error("The engine ended with exit status %s; starting it again.", status)
            await self._end_process()
            if time.monotonic() - started > HEALTHY_RUN_SECONDS:
                delay = FIRST_DELAY_SECONDS
            delay = await self._restart(delay)

    async def _restart(self, delay: float) -> float:
        """Try until the engine answers; return how long to wait before the next restart."""
        while True:
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY_SECONDS)
            self.restarts += 1
            try:
                await self._start_once()
            except (EngineFailed, OSError) as error:
                logger.error("%s Trying again in %g s.", error, delay)
            else:
                logger.warning("The engine is back.")
                return delay

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
        if process.returncode is None:
            process.kill()
            await process.wait()
        await _end_group(process.pid)


async def _end_group(group: int) -> None:
    """See that what the leader started is gone. It gets a moment by itself: killed at once, it leaks shared memory."""
    deadline = time.monotonic() + GROUP_SECONDS
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            await asyncio.sleep(POLL_SECONDS)
        os.killpg(group, signal.SIGKILL)


def free_port() -> int:
    """A TCP port on loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def read_tail(path: Path) -> str:
    """The last `TAIL_BYTES` of a log."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return log.read().decode(errors="replace")
    except OSError:
        return ""


def explain(log: str) -> str:
    """The sentence of a log that says best why the engine ended: the last error that is not a mere consequence."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    for position in range(len(lines) - 1, -1, -1):
        found = ERROR_LINE.search(lines[position])
        if found is None or SECONDARY in found[1]:
            continue
        follows = lines[position + 1 : position + 2] if "validation error" in found[1] else []
        return "; ".join([found[1], *follows])
    return lines[-1] if lines else "it wrote nothing"
