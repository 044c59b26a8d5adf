"""An embedder run by sentence-transformers: on a GPU, and where OpenVINO is not installed or cannot run the model."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from retrieval.embedder import BatchedEmbedder, Vectors, fast_bfloat16
from tandem.errors import ConfigError


class SentenceEmbedder(BatchedEmbedder):
    """A sentence-transformers model, on the CPU unless there is a GPU."""

    batch_size = 32

    def __init__(self, name: str, folder: Path, digest: str, *, exact: bool = False) -> None:
        """From the files in `folder`; in float32 on the CPU if `exact`. Raises ConfigError where there is no model."""
        self.model = _load_model(name, folder, exact)
        super().__init__(
            name,
            digest,
            _plain_tokenizer(self.model.tokenizer),
            self.model.get_embedding_dimension(),
            self.model.max_seq_length or 512,
            {kind: prompt for kind, prompt in self.model.prompts.items() if prompt},
        )
        # The model may run in several threads at once; its tokenizer, which keeps the settings of
        # the call in itself ("Already borrowed"), may not.
        self._tokenizing = threading.Lock()

    def encode_batches(self, batches: Iterable[list[str]], kind: str) -> Iterator[Vectors]:
        """Vectors of a few texts each, shape (len(texts), dimension)."""
        return (self._encode_batch(self.read_of(texts, kind)) for texts in batches)

    def _encode_batch(self, texts: list[str]) -> Vectors:
        import torch

        with self._tokenizing:
            features = self.model.preprocess(texts)
        with torch.inference_mode():
            features = {key: _to(value, self.model.device) for key, value in features.items()}
            # Shape: batch, dimension.
            embedding = self.model(features)["sentence_embedding"].float()
            embedding = torch.nn.functional.normalize(embedding, dim=1)
        vectors: Vectors = embedding.cpu().numpy()
        return vectors


def _load_model(name: str, folder: Path, exact: bool) -> Any:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    quiet: Callable[[], None] = logging.disable_progress_bar
    quiet()
    device = "cuda" if torch.cuda.is_available() and not exact else "cpu"
    fast = not exact and fast_bfloat16(device)
    options = {"use_safetensors": True, "dtype": torch.bfloat16 if fast else torch.float32}
    try:
        model = SentenceTransformer(
            str(folder), device=device, local_files_only=True, trust_remote_code=False, model_kwargs=options
        )
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"The embedder {name!r} cannot be loaded from {folder}: {error}") from error
    return model.eval()


def _plain_tokenizer(tokenizer: Any) -> Any:
    """A copy of the model's tokenizer that neither truncates nor pads; counting leaves the model's alone."""
    from tokenizers import Tokenizer

    copy = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def _to(value: Any, device: Any) -> Any:
    return value.to(device) if hasattr(value, "to") else value
