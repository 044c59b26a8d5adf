"""What tests of retrieval are given: an index of their own, and its embedder, which remembers what it embedded."""

from pathlib import Path

import pytest

from tests.retrieval.helpers import CountingEmbedder, open_index


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def index(tmp_path: Path, embedder: CountingEmbedder):
    with open_index(tmp_path / "index", embedder) as opened:
        yield opened
