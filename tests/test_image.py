"""Dockerfile, .dockerignore and compose.yaml, held against the product; the steps are run without Docker.

Not shown here, because it takes Docker: the base image, the system's packages, the user, limits and volumes.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.launch import SECRETS
from serving.run import DRAIN_SECONDS
from serving.supervisor import free_port
from tandem.quiet import TELEMETRY_OFF
from tandem.settings import EngineConfig
from tests.conftest import START_SECONDS

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
READ_BY_TANDEM = {"TANDEM_HOME", "TANDEM_CACHE", "TANDEM_CONFIG", *SECRETS}
OF_OTHERS = {"PATH", "PYTHONUNBUFFERED", "NVIDIA_DRIVER_CAPABILITIES"}


def steps() -> list[tuple[str, str]]:
    """Instruction and arguments of each step of the Dockerfile; continued lines are joined."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in joined]


def all_of(instruction: str) -> list[str]:
    """The arguments of all steps of one kind."""
    return [arguments for name, arguments in steps() if name == instruction]


def environment() -> dict[str, str]:
    """What the image's ENV steps set."""
    return dict(word.split("=", 1) for arguments in all_of("ENV") for word in shlex.split(arguments))


def sent(path: str) -> bool:
    """Whether .dockerignore lets a file of the checkout through: the last line that names it or a folder above wins."""
    parts = path.split("/")
    above = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    taken = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!")
            names = [Path(name).name for name in above] if pattern.startswith("**/") else above
            if any(fnmatch(name, pattern.removeprefix("**/")) for name in names):
                taken = line.startswith("!")
    return taken


def tracked() -> list[str]:
    """Files of the checkout that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name]


def copies() -> list[tuple[list[str], str]]:
    """Sources and destination of each COPY."""
    return [(words[:-1], words[-1]) for words in map(shlex.split, all_of("COPY"))]


def test_compose_file_keeps_to_the_specifications_own_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_the_schema_refuses_what_compose_does_not_know(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((ROOT / "compose.yaml").read_text().replace("shm_size:", "shm_sise:"))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(wrong)]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 1
    assert "shm_sise" in finished.stdout


def test_every_source_is_there_and_sent() -> None:
    files = tracked()
    for sources, _ in copies():
        for source in sources:
            below = [name for name in files if name == source or name.startswith(f"{source}/")]
            assert [name for name in below if sent(name)], source


def test_all_of_the_product_and_nothing_else_is_in_the_image() -> None:
    copied = {source for sources, _ in copies() for source in sources}
    inside = {name for name in tracked() if sent(name) and any(f"{name}/".startswith(f"{one}/") for one in copied)}
    code = {name for name in tracked() if name.startswith(("tandem/", "training/", "retrieval/", "serving/", "eval/"))}
    assert {name for name in code - inside if not name.startswith("training/pretrain/")} == set()
    assert {"models/tiny/model.safetensors", "examples/helpdesk/tandem.yaml"} <= inside
    folders = {name.split("/")[0] for name in inside}
    assert not folders & {"tests", "docs", "benchmarks", ".ci", ".git"}


@pytest.mark.parametrize("name", [".env", ".git/config", ".tandem/tandem.db", ".venv/bin/python", "keys.txt"])
def test_nothing_of_the_host_is_sent(name: str) -> None:
    assert not sent(name)


@pytest.mark.parametrize("name", ["examples/helpdesk/.tandem/tandem.db", "tandem/__pycache__/cli.pyc", "eval/.env"])
def test_nothing_made_while_working_is_sent(name: str) -> None:
    assert not sent(name)


def test_every_variable_is_one_that_the_product_or_the_base_knows() -> None:
    named = environment()
    assert set(named) - OF_OTHERS - READ_BY_TANDEM == set(TELEMETRY_OFF)
    assert {name: named[name] for name in TELEMETRY_OFF} == TELEMETRY_OFF
    for service in SERVICES.values():
        assert set(service["environment"]) <= READ_BY_TANDEM


def test_keys_are_in_no_file_and_required() -> None:
    for service in SERVICES.values():
        for name in ("TANDEM_API_KEY", "TANDEM_ADMIN_KEY"):
            assert service["environment"][name].startswith(f"${{{name}:?")
    assert not set(environment()) & set(SECRETS)


def test_only_an_official_base_image_is_named() -> None:
    assert all_of("FROM") == ["python:3.11-slim-bookworm"]
    text = (ROOT / "Dockerfile").read_text() + (ROOT / "compose.yaml").read_text()
    assert "://" not in text


def test_the_image_does_not_run_as_root() -> None:
    order = [name for name, _ in steps()]
    assert all_of("USER") == ["tandem"]
    assert "RUN" not in order[order.index("USER") :]


def test_profiles_differ_in_the_engine_and_the_gpu_only() -> None:
    cpu, gpu = dict(SERVICES["tandem-cpu"]), dict(SERVICES["tandem-gpu"])
    for service, name in ((cpu, "cpu"), (gpu, "gpu")):
        assert service.pop("profiles") == [name]
        assert service.pop("image") == f"tandem:{name}"
        assert service.pop("build") == {"context": ".", "args": {"ENGINE": name}}
    [device] = gpu.pop("deploy")["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert cpu == gpu


def test_waiting_times_fit_those_of_the_server() -> None:
    [health] = all_of("HEALTHCHECK")
    assert f"--start-period={EngineConfig().startup_timeout_seconds:.0f}s" in health
    for service in SERVICES.values():
        assert int(service["stop_grace_period"].removesuffix("s")) >= DRAIN_SECONDS + 10


def test_volumes_lie_where_the_image_looks() -> None:
    for service in SERVICES.values():
        places = [volume.split("}")[-1].removesuffix(":ro").split(":")[-1] for volume in service["volumes"]]
        assert all_of("VOLUME") == [environment()["TANDEM_HOME"]] == [places[1]]
        config = Path(service["environment"]["TANDEM_CONFIG"])
        assert config.parent == Path(places[0])
        assert os.path.normpath(config.parent / "../../models/tiny") == "/app/models/tiny"
        assert {volume.split(":")[0] for volume in service["volumes"][1:]} == set(COMPOSE["volumes"])


OTHER_USER = [
    *("setpriv", "--reuid=10001", "--regid=10001", "--clear-groups", "--no-new-privs"),
    *("--inh-caps=-all", "--bounding-set=-all"),
]
CAN_BE_USED = "import ensurepip, os, sys; os.stat(sys.argv[1]); sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))"


def python_and_user() -> tuple[str, list[str]]:
    """The interpreter to build on, and the way to another user than root where we are root and that one can run it."""
    if os.geteuid() == 0 and shutil.which("setpriv"):
        for python in (sys._base_executable, "/usr/bin/python3"):  # type: ignore[attr-defined]
            if subprocess.run([*OTHER_USER, python, "-c", CAN_BE_USED, python], capture_output=True).returncode == 0:
                return python, OTHER_USER
    return sys._base_executable, []  # type: ignore[attr-defined]


class Scratch:
    """The image's folders below a temporary one; what a step says of /app and /workspace is said of those."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.app = folder / "app"
        self.home = folder / "home"
        for place in (self.app, folder / "workspace", self.home):
            place.mkdir(parents=True)
        self.port = free_port()
        self.python, self.user = python_and_user()

    def here(self, text: str) -> str:
        """`text` with the image's paths and port replaced."""
        text = re.sub(r"(?<![\w.])/(app|workspace)\b", rf"{self.folder}/\1", text)
        return text.replace("8321", str(self.port))

    def environment(self) -> dict[str, str]:
        """The container's: nothing of the host but the way to its packages."""
        variables = {name: self.here(value) for name, value in environment().items()}
        variables["PATH"] = variables["PATH"].replace("$PATH", "/usr/local/bin:/usr/bin:/bin")
        inherited = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}
        return inherited | variables | {"HOME": str(self.home), "TANDEM_API_KEY": "user", "TANDEM_ADMIN_KEY": "admin"}

    def copy(self, sources: list[str], destination: str) -> None:
        """One COPY, of what .dockerignore lets through."""
        for name in tracked():
            for source in sources:
                if sent(name) and f"{name}/".startswith(f"{source}/"):
                    inner = Path(name).relative_to(source)
                    target = self.app / destination / (inner if inner.name else Path(name).name)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(ROOT / name, target)

    def run(self, command: str) -> None:
        """One RUN, without its mounts."""
        text = re.sub(r"--mount=\S+\s+", "", command)
        text = re.sub(r"^python ", f"{self.python} ", text)
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"ENGINE": "cpu"}
        finished = subprocess.run(["sh", "-c", self.here(text)], cwd=self.app, env=variables, capture_output=True)
        log = self.app / ".venv-setup.log"
        told = finished.stdout + finished.stderr + (log.read_bytes() if log.exists() else b"")
        assert finished.returncode == 0, told.decode()

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command in the container."""
        return subprocess.run(
            [*self.user, *words], cwd=self.app, env=self.environment(), capture_output=True, text=True, timeout=300
        )


@pytest.fixture(scope="module")
def image() -> Iterator[Scratch]:
    """The steps of the Dockerfile, done in a scratch folder, less those that change the system."""
    # Not below pytest's own folder, which it closes to other users.
    with tempfile.TemporaryDirectory(prefix="tandem-image-") as folder:
        Path(folder).chmod(0o755)
        scratch = Scratch(Path(folder))
        build(scratch)
        yield scratch


def build(scratch: Scratch) -> None:
    """Do the steps."""
    left_out = []
    for name, arguments in steps():
        if name == "COPY":
            words = shlex.split(arguments)
            scratch.copy(words[:-1], words[-1])
        elif name == "RUN" and arguments.startswith(("apt-get", "useradd")):
            left_out.append(arguments.split()[0])
        elif name == "RUN":
            scratch.run(arguments)
    assert left_out == ["apt-get", "useradd"]
    if scratch.user:
        for place in (scratch.folder / "workspace", scratch.home):
            os.chown(place, 10001, 10001)


@pytest.mark.slow
def test_the_steps_make_a_server_that_becomes_healthy_and_answers(image: Scratch) -> None:
    command = json.loads(all_of("ENTRYPOINT")[0]) + json.loads(all_of("CMD")[0])
    health = json.loads(all_of("HEALTHCHECK")[0].partition("CMD ")[2])
    assert image.call("tandem", "index", "helpdesk").stdout.startswith("helpdesk: snapshot 1, 113 documents")
    log = image.folder / "serve.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*image.user, *command, "--port", str(image.port)],
            cwd=image.app,
            env=image.environment(),
            stdout=output,
            stderr=output,
        ) as server,
    ):
        try:
            deadline = time.monotonic() + START_SECONDS
            while image.call(*map(image.here, health)).returncode != 0:
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.5)
            question = "Where is the serial number of the Bresko C7 coffee machine?"
            answer = image.call("tandem", "ask", "helpdesk", question, "--url", f"http://127.0.0.1:{image.port}")
            assert "behind the water tank" in answer.stdout
        finally:
            server.terminate()
            assert server.wait(60) == 0, log.read_text()
