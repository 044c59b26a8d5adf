"""A cross-encoder: reads question and passage together, and so orders a few candidates better than vectors do."""

import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.embedder import download
from tandem.errors import ConfigError

BATCH_SIZE: Final = 32


class Reranker(Protocol):
    """What the search needs of a cross-encoder; safe to call from several threads."""

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """One score for each text, shape (len(texts),); higher is nearer."""


@cache
def load_reranker(name: str) -> Reranker:
    """The cross-encoder in a folder or on the hub, one for all indexes; raises ConfigError for a folder without one.

    The model itself is loaded at the first question.
    """
    if Path(name).is_dir():
        _require_weights(Path(name))
    return CrossEncoderReranker(name)


class CrossEncoderReranker:
    """A sentence-transformers CrossEncoder, on the CPU unless there is a GPU; loaded when it is first asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._model: Any | None = None
        self._lock = threading.Lock()

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """One score for each text, shape (len(texts),); raises ConfigError where there is no such model."""
        # Its tokenizer keeps the settings of the call in itself: one call at a time.
        with self._lock:
            if self._model is None:
                self._model = _load(self.name)
            pairs = [(query, text) for text in texts]
            scored = self._model.predict(pairs, batch_size=BATCH_SIZE, show_progress_bar=False)
        scores: NDArray[np.float32] = np.asarray(scored, np.float32)
        if scores.shape != (len(texts),):
            raise ConfigError(
                f"The reranker {self.name!r} gives {scores.shape[-1]} scores for a passage; it has to give one."
            )
        return scores


def _load(name: str) -> Any:
    folder = Path(name) if Path(name).is_dir() else download(name, "reranker")
    _require_weights(folder)
    from sentence_transformers import CrossEncoder

    try:
        return CrossEncoder(
            str(folder), local_files_only=True, trust_remote_code=False, model_kwargs={"use_safetensors": True}
        )
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"The reranker in {folder} cannot be loaded: {error}.") from error


def _require_weights(folder: Path) -> None:
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(f"The reranker's folder {folder} holds no safetensors weights.")
