"""Renews the locks in `requirements/`: `make lock`. torch stays out of them; pyproject.toml pins it.

A lock names versions only (no host, no path), so it constrains every way of installing. The CPU's and the GPU's
builds of vLLM pin some packages differently, so each has its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pip_settings

ROOT = Path(__file__).resolve().parent.parent
EXTRA_OPTIONS = {"cpu": ["--excludes", "requirements/cpu-excludes.txt"], "gpu": []}


def main() -> int:
    """Resolve pyproject.toml for both engines on every supported Python."""
    options, environment = pip_settings.for_uv(sys.executable, print)
    for extra, more in EXTRA_OPTIONS.items():
        command = [str(ROOT / ".venv" / "bin" / "uv"), "pip", "compile", "--quiet", "--upgrade", "--universal"]
        command += ["--python-version", "3.11", "--extra", extra, "--extra", "milvus", "--extra", "dev"]
        command += ["--no-header", "--no-annotate"]
        command += ["--no-emit-package", "torch", *more, *options]
        command += ["-o", f"requirements/lock-{extra}.txt", "pyproject.toml"]
        status = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
