"""Makes `.venv` from nothing: `make setup`. A second run finds the stamp and returns at once.

Only the standard library, and syntax that an old Python still parses, so that it can say so.

`--engine cpu` or `gpu` takes that build of vLLM without looking for a GPU (an image is built where there is none),
`--runtime` leaves out what only development needs.

Environment: TANDEM_TORCH_INDEX replaces the address of PyTorch's CPU wheels (for a mirror);
pip's own configuration (index, extra indexes, find-links, certificates) is passed on to uv.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pip_settings

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "tandem-setup.json"
STARTED = VENV / "tandem-setup-started"
LOG = ROOT / ".venv-setup.log"
INPUTS = ("pyproject.toml", "requirements", "scripts/setup.py", "scripts/pip_settings.py")
OLDEST, TOO_NEW = (3, 11), (3, 15)
TORCH = "torch==2.13.0"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
UNREACHABLE = ("error sending request", "client error", "dns error", "timed out", "Connection", "Could not connect")


class SetupError(Exception):
    """What cannot be had, in one sentence."""


def main(arguments: list[str]) -> int:
    """Make or mend the environment; 0 when it is ready."""
    parser = argparse.ArgumentParser(description="Make .venv.")
    parser.add_argument("--engine", choices=("cpu", "gpu"))
    parser.add_argument("--runtime", action="store_true")
    wanted = parser.parse_args(arguments)
    try:
        python = find_python()
        with only_one():
            if STAMP.exists() and is_current(python, wanted.engine, wanted.runtime):
                return 0
            make_environment(python, wanted.engine, wanted.runtime)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; the next run starts over.", file=sys.stderr)
        return 130
    return 0


def make_environment(python: str, engine: str | None, runtime: bool) -> None:
    """The flow whole: a bare environment, uv in it, the choice of torch, everything else."""
    LOG.unlink(missing_ok=True)
    remove_if_unusable(python)
    if not VENV.exists():
        say(f"making .venv with {python}")
        run([python, "-m", "venv", str(VENV)], "venv failed (on Debian and Ubuntu: apt install python3-venv)")
    STARTED.touch()
    STAMP.unlink(missing_ok=True)
    venv_python = str(VENV / "bin" / "python")
    say("installing uv")
    command = [venv_python, "-m", "pip", "install", "-q", "--retries", "1", "-r", "requirements/setup.txt"]
    run(command, "pip could not install uv")
    options, environment = pip_settings.for_uv(venv_python, say)
    extra, choice = choose_engine(options, environment, engine)
    require_disk(12 if extra == "gpu" or "--overrides" in choice else 4)
    say("installing about 200 packages (a minute or two; longer where nothing is cached)")
    target = ["--constraints", f"requirements/lock-{extra}.txt", "--compile-bytecode", "-e"]
    target += [f".[{extra},milvus]" if runtime else f".[{extra},milvus,dev]"]
    uv([*choice, *options, *target], environment, "the packages could not be installed")
    STAMP.write_text(json.dumps(stamp_of(python) | {"extra": extra, "runtime": runtime}, indent=1))
    STARTED.unlink()
    LOG.unlink(missing_ok=True)
    say(f"ready: .venv ({extra})")


def choose_engine(options: list[str], environment: dict[str, str], engine: str | None = None) -> tuple[str, list[str]]:
    """The extra to install and uv's options for its torch, from the first source that has one."""
    if engine is None and has_gpu():
        say("an NVIDIA GPU answers: installing vLLM with CUDA")
        engine = "gpu"
    if engine == "gpu":
        return "gpu", []
    excludes = ["--excludes", "requirements/cpu-excludes.txt"]
    cpu = f"{TORCH}+cpu"
    if has_package(cpu, options, environment):
        return "cpu", excludes
    wheels = os.environ.get("TANDEM_TORCH_INDEX", TORCH_CPU_INDEX).rstrip("/") + "/torch/"
    if has_package(cpu, [*options, "--find-links", wheels], environment):
        say(f"torch for the CPU comes from {wheels}")
        return "cpu", [*excludes, "--find-links", wheels]
    if has_package(TORCH, options, environment):
        say(
            f"{cpu} is neither in pip's configuration nor reachable at {wheels}: taking the ordinary build with CUDA "
            "from the package index, which is large (several gigabytes)"
        )
        return "cpu", [*excludes, "--overrides", "requirements/torch-override.txt"]
    raise SetupError(
        f"{TORCH} can be had neither from pip's configuration, nor from {wheels}, nor from the package index; "
        f"connect to one of them or set TANDEM_TORCH_INDEX to a mirror (details in {LOG.name})."
    )


def has_gpu() -> bool:
    """Whether `nvidia-smi -L` lists a GPU."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    answer = subprocess.run([tool, "-L"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return answer.returncode == 0 and "GPU" in answer.stdout


def has_package(requirement: str, options: list[str], environment: dict[str, str]) -> bool:
    """Whether uv finds `requirement` with `options`; nothing is installed."""
    with contextlib.suppress(SetupError):
        uv([*options, "--dry-run", "--no-deps", "--reinstall", requirement], environment, "not found")
        return True
    return False


def uv(arguments: list[str], environment: dict[str, str], failure: str) -> None:
    """`uv pip install` into the environment."""
    command = [str(VENV / "bin" / "uv"), "pip", "install", "--python", str(VENV), *arguments]
    run(command, failure, environment)


def run(command: list[str], failure: str, environment: dict[str, str] | None = None) -> None:
    """Run `command` in the checkout; its output goes to the log, a failure becomes SetupError."""
    finished = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with LOG.open("a") as log:
        log.write(f"$ {' '.join(command)}\n{finished.stdout}\n")
    if finished.returncode == 0:
        return
    lines = [line.strip() for line in finished.stdout.splitlines() if line.strip()]
    if any(sign in finished.stdout for sign in UNREACHABLE):
        raise SetupError(f"{failure}: a package index cannot be reached (details in {LOG.name}).")
    reason = next((line for line in lines if line.lower().startswith("error")), lines[-1] if lines else "no output")
    if finished.returncode < 0:
        reason = f"{Path(command[0]).name} was killed by signal {-finished.returncode}"
    raise SetupError(f"{failure}: {reason} (details in {LOG.name}).")


def find_python() -> str:
    """The interpreter to build on: the one running this, or the newest fitting one on PATH."""
    if sys.platform != "linux":
        raise SetupError("Tandem's engine needs Linux; on other systems run it in a container.")
    if OLDEST <= sys.version_info[:2] < TOO_NEW:
        return os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    for minor in range(TOO_NEW[1] - 1, OLDEST[1] - 1, -1):
        candidate = shutil.which(f"python3.{minor}")
        if candidate and version_of(candidate) == f"3.{minor}":
            return candidate
    raise SetupError(
        f"Python 3.{OLDEST[1]} to 3.{TOO_NEW[1] - 1} is needed, and this is {sys.version.split()[0]}; "
        "name another with `make PYTHON=python3.12 setup`."
    )


def version_of(python: str) -> str | None:
    """`major.minor` of an interpreter, or None when it does not run."""
    command = [python, "-I", "-S", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def stamp_of(python: str) -> dict[str, str]:
    """What the environment depends on: a changed value means that it has to be made again."""
    digest = hashlib.sha256()
    for name in INPUTS:
        path = ROOT / name
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return {"inputs": digest.hexdigest(), "python": version_of(python) or "", "venv": str(VENV)}


def is_current(python: str, engine: str | None = None, runtime: bool = False) -> bool:
    """Whether the stamp fits what is wanted (None: any engine) and the environment's own interpreter still runs."""
    try:
        stamp = json.loads(STAMP.read_text())
    except ValueError:
        return False
    wanted = stamp_of(python)
    fits = all(stamp.get(key) == value for key, value in wanted.items())
    fits = fits and engine in (None, stamp.get("extra")) and (runtime or not stamp.get("runtime"))
    return fits and version_of(str(VENV / "bin" / "python")) == wanted["python"]


def remove_if_unusable(python: str) -> None:
    """Delete an environment of another Python or place, or one whose making was cut short."""
    if not VENV.exists():
        return
    mine = version_of(str(VENV / "bin" / "python"))
    reason = None
    if STARTED.exists():
        reason = "the last run was cut short"
    elif mine != version_of(python):
        reason = f"it was made by another Python ({mine or 'broken'})"
    elif not (VENV / "bin" / "pip").exists() or str(VENV) not in (VENV / "bin" / "pip").read_text():
        reason = "it is incomplete or was moved"
    if reason:
        say(f"removing .venv: {reason}")
        shutil.rmtree(VENV)


def require_disk(gigabytes: int) -> None:
    """Fail before the long work when the disk is too full."""
    free = shutil.disk_usage(ROOT).free
    if free < gigabytes * 1e9:
        raise SetupError(f"{gigabytes} GB of free disk are needed in {ROOT}, and there are {free / 1e9:.1f}.")


@contextlib.contextmanager
def only_one():
    """Wait for another run of this script in the same checkout; a killed one holds nothing."""
    with (ROOT / ".venv.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another setup in this checkout")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    """One line of progress."""
    print(f"setup: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
