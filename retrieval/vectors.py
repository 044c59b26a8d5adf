"""Exact nearest vectors by FAISS; the only file that imports it.

The index holds nothing that SQLite does not have. On disk it is FAISS's own format followed by a
footer that says which snapshot of which database it belongs to and carries a digest over all of
it, because FAISS trusts what it reads: a flipped length there is a crash, not an error.
"""

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval.embedder import Vectors

Numbers = NDArray[np.int64]

_MAGIC: Final = b"tandem.vectors.1"
_LENGTH: Final = struct.Struct("<Q")
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a saved index is the image of."""

    snapshot: int
    token: str
    embedder_digest: str
    count: int


class VectorIndex:
    """Passage number → unit vector; scores are inner products, so cosines: higher is nearer."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, numbers: Sequence[int], vectors: Vectors) -> None:
        """Add `vectors`, shape (len(numbers), dimension), under numbers that are not there yet."""
        if len(numbers):
            self._index.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), np.asarray(numbers, np.int64))

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove those of `numbers` that are there."""
        if len(numbers):
            self._index.remove_ids(faiss.IDSelectorBatch(np.asarray(numbers, dtype=np.int64)))

    def search(self, query: Vectors, limit: int, allowed: Numbers | None = None) -> list[tuple[int, float]]:
        """The nearest `limit` numbers (of `allowed`, if given) with their cosines, best first.

        `query` has shape (dimension,). Equal cosines come in the order of the numbers.
        """
        limit = min(limit, len(self) if allowed is None else len(allowed))
        if limit == 0:
            return []
        parameters = None
        if allowed is not None:
            # The parameters only point at the selector, which has to outlive the search.
            selector = faiss.IDSelectorBatch(allowed)
            parameters = faiss.SearchParameters()
            parameters.sel = selector
        scores, numbers = self._index.search(query[np.newaxis], limit, params=parameters)
        found = [
            (int(number), float(score)) for number, score in zip(numbers[0], scores[0], strict=True) if number >= 0
        ]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def to_bytes(self, stamp: Stamp) -> bytes:
        """The index with its footer."""
        body = faiss.serialize_index(self._index).tobytes()
        described = json.dumps(asdict(stamp)).encode()
        sealed = body + described + _LENGTH.pack(len(described)) + _MAGIC
        return sealed + hashlib.blake2b(sealed, digest_size=_DIGEST_BYTES).digest()

    @classmethod
    def from_bytes(cls, data: bytes) -> tuple["VectorIndex", Stamp]:
        """The index and its stamp; raises ValueError unless every byte is as it was written."""
        sealed, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
        if hashlib.blake2b(sealed, digest_size=_DIGEST_BYTES).digest() != digest or not sealed.endswith(_MAGIC):
            raise ValueError("not a complete vector index")
        end = len(sealed) - len(_MAGIC) - _LENGTH.size
        (length,) = _LENGTH.unpack_from(sealed, end)
        stamp = Stamp(**json.loads(sealed[end - length : end]))
        inner = faiss.deserialize_index(np.frombuffer(sealed, dtype=np.uint8, count=end - length))
        if not isinstance(inner, faiss.IndexIDMap2) or inner.ntotal != stamp.count:
            raise ValueError("not the vector index that its footer describes")
        index = cls(inner.d)
        index._index = inner
        return index, stamp
