"""`tandem doctor`: what is installed, and what will work here."""

from collections.abc import Iterator
from pathlib import Path

from tandem.doctor import machine, packages, project
from tandem.doctor.check import Check

__all__ = ["Check", "examine"]


def examine(config_path: Path, home: Path, port: int) -> Iterator[Check]:
    """All checks in the order they are shown; a slow one (the engine's import) is yielded when done."""
    yield machine.check_python()
    yield machine.check_processor()
    yield machine.check_memory()
    yield machine.check_disk(home)
    gpu = machine.check_gpu()
    yield gpu
    yield from packages.check_pins()
    yield packages.check_excluded(has_gpu=gpu.found)
    yield packages.check_engine()
    yield from project.check_project(config_path)
    yield project.check_workspace(home)
    yield project.check_port(port)
