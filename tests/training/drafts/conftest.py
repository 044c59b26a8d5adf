"""The small project, indexed once."""

import shutil
from pathlib import Path

import pytest

from tests.training.drafts.project import make_project, tandem


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("drafts") / "project")
    assert tandem(folder, "index", "shop") == 0
    return folder


@pytest.fixture
def project(indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it of one's own."""
    for name in ("TANDEM_HOME", "TANDEM_CONFIG", "TANDEM_URL", "TANDEM_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return shutil.copytree(indexed, tmp_path / "project")
