"""A deterministic embedder without a model: the fake with the real interface, for tests."""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from retrieval.embedder import Vectors


class HashEmbedder:
    """Texts that share words get near vectors; each word has a fixed random direction."""

    def __init__(self, dimension: int = 64, max_tokens: int = 256) -> None:
        self.name = f"hash-{dimension}"
        self.dimension = dimension
        self.digest = hashlib.blake2b(f"hash embedder 1, {dimension}".encode(), digest_size=20).hexdigest()
        self.max_tokens = max_tokens
        self.tokenizer = None

    def count_tokens(self, text: str) -> int:
        """Words and single marks."""
        return len(re.findall(r"\w+|[^\w\s]", text))

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors: float32, shape (len(texts), dimension), each of length 1."""
        vectors = np.stack([self._vector(text) for text in texts]) if texts else np.zeros((0, self.dimension))
        return vectors.astype(np.float32)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """The same as `encode`."""
        return self.encode(texts)

    def _vector(self, text: str) -> Vectors:
        words = re.findall(r"\w+", text.lower()) or [text]
        total = np.sum([_direction(word, self.dimension) for word in words], axis=0)
        length = float(np.linalg.norm(total))
        result: Vectors = total / length if length > 1e-6 else _direction("", self.dimension)
        return result


@lru_cache(maxsize=50_000)
def _direction(word: str, dimension: int) -> Vectors:
    seed = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "big")
    vector = np.random.default_rng(seed).standard_normal(dimension)
    unit: Vectors = (vector / np.linalg.norm(vector)).astype(np.float32)
    return unit
