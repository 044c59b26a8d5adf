"""Checks of the machine: interpreter, processor, memory, disk, GPU."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tandem.doctor.check import Check

OLDEST_PYTHON: Final = (3, 11)
TOO_NEW_PYTHON: Final = (3, 15)
NEEDED_GIGABYTES: Final = 4.0
COMFORTABLE_GIGABYTES: Final = 7.0
NEEDED_DISK_GIGABYTES: Final = 1.0
SHOWN_FLAGS: Final = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Check:
    """Whether this Python is one that all packages exist for."""
    shown = f"{platform.python_version()} ({sys.executable})"
    if OLDEST_PYTHON <= version < TOO_NEW_PYTHON:
        return Check("python", "ok", shown)
    way_out = "Make the environment with Python 3.11 to 3.14: make PYTHON=python3.12 setup."
    return Check("python", "fail", shown, way_out)


def check_processor(cpuinfo: Path = Path("/proc/cpuinfo"), architecture: str = platform.machine()) -> Check:
    """The instruction sets that decide how fast the engine is, and in which arithmetic."""
    if architecture in ("aarch64", "arm64"):
        return Check("processor", "ok", f"{architecture}")
    flags = _cpu_flags(cpuinfo)
    present = [flag for flag in SHOWN_FLAGS if flag in flags]
    if "avx2" not in flags:
        return Check(
            "processor",
            "fail",
            f"{architecture} without AVX2",
            "The CPU engine needs AVX2: use another machine, or set engine.url to an engine elsewhere.",
        )
    has_bfloat16 = bool({"avx512_bf16", "amx_bf16"} & flags)
    arithmetic = "bfloat16" if has_bfloat16 else "float32, since bfloat16 is emulated here"
    return Check("processor", "ok", f"{architecture} with {', '.join(present)}; {arithmetic}")


def check_memory(available_bytes: int | None = None) -> Check:
    """Room for the engine (1.5 GB with the tiny model), the embedder and the gateway."""
    if available_bytes is None:
        import psutil

        available_bytes = psutil.virtual_memory().available
    gigabytes = available_bytes / 1e9
    message = f"{gigabytes:.1f} GB available"
    if gigabytes < NEEDED_GIGABYTES:
        return Check("memory", "fail", message, f"Free some: about {NEEDED_GIGABYTES:.0f} GB are needed.")
    if gigabytes < COMFORTABLE_GIGABYTES:
        return Check("memory", "warn", message, "Enough for the tiny model; a larger one needs its own size beside it.")
    return Check("memory", "ok", message)


def check_disk(home: Path) -> Check:
    """Room for the workspace."""
    existing = home.absolute()
    while not existing.exists():
        existing = existing.parent
    gigabytes = shutil.disk_usage(existing).free / 1e9
    message = f"{gigabytes:.1f} GB free in {existing}"
    if gigabytes < NEEDED_DISK_GIGABYTES:
        return Check("disk", "fail", message, "Free some, or name a folder on another disk with --home.")
    return Check("disk", "ok", message)


def check_gpu() -> Check:
    """What `nvidia-smi -L` lists; a machine without a GPU is fine."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Check("gpu", "ok", "none; the engine runs on the processor", found=False)
    try:
        answer = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("gpu", "warn", f"nvidia-smi does not answer ({error})", "Look at the driver.", found=False)
    lines = [line.split(" (UUID")[0] for line in answer.stdout.splitlines() if line.startswith("GPU")]
    if answer.returncode != 0 or not lines:
        return Check("gpu", "warn", "nvidia-smi lists none", "Look at the driver.", found=False)
    return Check("gpu", "ok", "; ".join(lines))


def _cpu_flags(cpuinfo: Path) -> set[str]:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())
