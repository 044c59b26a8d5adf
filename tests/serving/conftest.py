"""A gateway in front of the canned engine, for the fast tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.gateway import Gateway, run_gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with run_gateway(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"
