"""`tandem serve`: the gateway and its engine as one program."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from serving.auth import Keys, check_address
from serving.launch import LOOPBACK, Machine, engine_launch, this_machine
from tandem.config import Config
from tandem.errors import ConfigError
from tandem.workspace import Workspace

if TYPE_CHECKING:
    import uvicorn

    from serving.engine import EngineClient
    from serving.supervisor import EngineSupervisor

DRAIN_SECONDS: Final = 30
BACKLOG: Final = 2048


def serve(
    config: Config,
    home: Path,
    host: str = LOOPBACK,
    port: int = 8321,
    *,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Serve `config` at `host`:`port` (0: any free port) until SIGTERM or SIGINT, then finish what is in flight.

    Starts and supervises an engine unless `engine.url` names one. Must run in the main thread. Raises ConfigError
    (keys, address, port, workspace) before anything is started, and EngineFailed when the engine does not come up.
    """
    environment = os.environ if environment is None else environment
    keys = Keys.from_environment(environment)
    check_address(host, keys)
    workspace = Workspace.open(home)
    with _listen(host, port) as listener:
        machine = this_machine()
        _leave_cores_to_the_engine(machine)
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(config, workspace, keys, machine, listener, environment))


async def _serve(
    config: Config,
    workspace: Workspace,
    keys: Keys,
    machine: Machine,
    listener: socket.socket,
    environment: Mapping[str, str],
) -> None:
    from serving.app import create_app
    from serving.engine import EngineClient

    supervisor = None if config.engine.url else _supervisor(config, workspace, machine, environment)
    locate = (lambda: supervisor.url) if supervisor else (lambda: str(config.engine.url))
    engine = EngineClient(locate, config.engine.request_timeout_seconds, config.engine.served_model_name)
    restarts = (lambda: supervisor.restarts) if supervisor else (lambda: 0)
    app = create_app(config, workspace, engine=engine, keys=keys, engine_restarts=restarts)
    server = _make_server(app)
    with _signals(server):
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await _start(supervisor, serving, engine)
            if not server.should_exit:
                _say_ready(listener, config, keys)
            await serving
        finally:
            server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)
            if supervisor:
                await supervisor.stop()


async def _start(supervisor: "EngineSupervisor | None", serving: "asyncio.Task[None]", engine: "EngineClient") -> None:
    """Start the engine while the gateway already answers probes; return early when the gateway ends."""
    if supervisor is None:
        return
    _say("Starting the engine …")
    starting = asyncio.create_task(supervisor.start())
    await asyncio.wait({starting, serving}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()
        await engine.model()
    else:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)


def _supervisor(
    config: Config, workspace: Workspace, machine: Machine, environment: Mapping[str, str]
) -> "EngineSupervisor":
    from serving.engine import engine_is_healthy
    from serving.supervisor import EngineSupervisor

    return EngineSupervisor(
        launch=lambda port: engine_launch(config, port, machine, environment),
        is_healthy=engine_is_healthy,
        log_path=workspace.logs_folder / "engine.log",
        startup_timeout_seconds=config.engine.startup_timeout_seconds,
    )


def _make_server(app: object) -> "uvicorn.Server":
    import uvicorn

    class Server(uvicorn.Server):
        """uvicorn, but signals are ours: its own handling ends the process before the engine is taken down."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(
        uvicorn.Config(
            app,  # type: ignore[arg-type]
            loop="none",
            http="httptools",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            backlog=BACKLOG,
        )
    )


@contextlib.contextmanager
def _signals(server: "uvicorn.Server") -> Iterator[None]:
    """SIGTERM and SIGINT drain; a second one does not wait."""
    loop = asyncio.get_running_loop()

    def drain() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, drain)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"Cannot listen on {host}:{port} ({error.strerror or error}); name another with --host and --port."
        ) from error
    listener.set_inheritable(False)
    return listener


def _leave_cores_to_the_engine(machine: Machine) -> None:
    """Before torch is imported: embedding must not take the engine's cores."""
    os.environ.setdefault("OMP_NUM_THREADS", str(machine.gateway_threads))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def _say_ready(listener: socket.socket, config: Config, keys: Keys) -> None:
    host, port = listener.getsockname()[:2]
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    _say(f"Tandem listens at {address}" + ("" if keys.required else " (no keys set: this machine only)"))
    _say(f'Try:  tandem ask {next(iter(config.domains))} "YOUR QUESTION" --url {address}')


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
