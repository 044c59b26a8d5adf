"""Renews `requirements/lock-cpu.txt`: `make lock`. torch stays out; pyproject.toml pins it.

The lock names versions only (no host, no path), so it constrains every way of installing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pip_settings

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Resolve pyproject.toml for the CPU on every supported Python."""
    options, environment = pip_settings.for_uv(sys.executable, print)
    command = [str(ROOT / ".venv" / "bin" / "uv"), "pip", "compile", "--quiet", "--upgrade", "--universal"]
    command += ["--python-version", "3.11", "--extra", "cpu", "--extra", "dev", "--no-header", "--no-annotate"]
    command += ["--excludes", "requirements/cpu-excludes.txt", "--no-emit-package", "torch"]
    command += [*options, "-o", "requirements/lock-cpu.txt", "pyproject.toml"]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}).returncode


if __name__ == "__main__":
    sys.exit(main())
