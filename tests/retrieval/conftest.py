"""What tests of retrieval are given: an index of their own, and its embedder, which remembers what it embedded."""

from pathlib import Path

import pytest

from retrieval import milvus_vectors
from tests.retrieval import helpers
from tests.retrieval.helpers import CountingEmbedder, open_index


@pytest.fixture(params=["faiss", "milvus"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a test once for each store; small indexes are moved to Milvus, and searched there, as large ones are."""
    monkeypatch.setattr(helpers, "STORE", request.param)
    for name, value in (("MOVE_AT", 4), ("READ", 1), ("LISTED", 3)):
        monkeypatch.setattr(milvus_vectors, name, value)
    return str(request.param)


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def index(tmp_path: Path, embedder: CountingEmbedder):
    with open_index(tmp_path / "index", embedder) as opened:
        yield opened
