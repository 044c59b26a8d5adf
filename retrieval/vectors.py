"""Nearest vectors by FAISS; the only file that imports it.

The index holds nothing that SQLite does not have. On disk it is FAISS's own format followed by a
footer that says which snapshot of which database it belongs to and carries a digest over all of
it, because FAISS trusts what it reads: a flipped length there is a crash, not an error.

In memory it is a base that never changes, what was added since (exact, a matrix), and the numbers
that were removed since. So a commit costs what it changes and not the size of the index, and a
search goes on undisturbed on the object it holds.
"""

import hashlib
import json
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval.embedder import Vectors

Numbers = NDArray[np.int64]
Kind = Literal["flat", "ivf", "sq8"]
Exact = Callable[[Sequence[int]], Vectors]
"""The stored vectors of these numbers, shape (count, dimension): what candidates are ranked anew by."""

# Up to here an exact scan is quick enough; above it memory counts (a quarter of it with 8 bits a value).
FLAT_UP_TO: Final = 200_000
# Candidates per result that the kinds with 8 bits take, before these are ranked by exact vectors.
CANDIDATES: Final = 2
IVF_LISTS_AT_ONCE: Final = 64
_TRAINING_VECTORS: Final = 100_000

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
    kind: str = "flat"


def kind_for(wanted: str, count: int) -> Kind:
    """The kind for `count` vectors where the setting is `wanted`: `auto`, or a kind by name."""
    if wanted == "flat" or (wanted == "auto" and count <= FLAT_UP_TO):
        return "flat"
    # Trained kinds need something to be trained on.
    return "flat" if count < 1_000 else "ivf" if wanted == "ivf" else "sq8"


class VectorIndex:
    """Passage number → unit vector; scores are inner products, so cosines: higher is nearer."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.kind: Kind = "flat"
        self._base: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        self._numbers: Numbers = np.zeros(0, np.int64)
        self._vectors: Vectors = np.zeros((0, dimension), np.float32)
        self._removed: Numbers = np.zeros(0, np.int64)
        self._known: Numbers | None = None
        """The numbers of the base, once they were asked for."""

    def __len__(self) -> int:
        return int(self._base.ntotal) + len(self._numbers) - len(self._removed)

    @classmethod
    def built(cls, kind: Kind, numbers: Numbers, vectors: Vectors) -> "VectorIndex":
        """An index of `kind` over `vectors`, shape (len(numbers), dimension)."""
        index = cls(vectors.shape[1])
        index.kind = kind
        index._base = _trained(kind, vectors)
        index._base.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), numbers.astype(np.int64))
        return index

    def changed(self, removed: Sequence[int], numbers: Sequence[int], vectors: Vectors) -> "VectorIndex":
        """This index without `removed` and with `vectors` under new numbers; it shares what stays, and stays itself."""
        index = VectorIndex(self.dimension)
        index.kind, index._base, index._known = self.kind, self._base, self._known
        index._numbers = np.concatenate([self._numbers, np.asarray(numbers, np.int64)])
        index._vectors = np.concatenate([self._vectors, np.asarray(vectors, np.float32).reshape(-1, self.dimension)])
        index._removed = self._removed
        if len(removed):
            index._known = self._base_numbers()
            asked = np.asarray(removed, np.int64)
            there = np.isin(asked, index._known) | np.isin(asked, index._numbers)
            index._removed = np.union1d(self._removed, asked[there])
        return index

    def holding(self, numbers: Numbers, stored: Exact) -> "VectorIndex":
        """An index of exactly `numbers`; it shares what this one has, and asks `stored` for the vectors it lacks."""
        here = np.concatenate([self._base_numbers(), self._numbers])
        index = VectorIndex(self.dimension)
        index.kind, index._base, index._known = self.kind, self._base, self._known
        index._removed = np.setdiff1d(here, numbers)
        lacking = np.setdiff1d(numbers, here)
        index._numbers = np.concatenate([self._numbers, lacking])
        index._vectors = np.concatenate([self._vectors, stored(lacking.tolist())]) if len(lacking) else self._vectors
        return index

    def add(self, numbers: Sequence[int], vectors: Vectors) -> None:
        """Add `vectors`, shape (len(numbers), dimension), under numbers that are not there yet."""
        self._become(self.changed([], numbers, vectors))

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove those of `numbers` that are there."""
        self._become(self.changed(numbers, [], np.zeros((0, self.dimension), np.float32)))

    def _become(self, other: "VectorIndex") -> None:
        self._numbers, self._vectors, self._removed = other._numbers, other._vectors, other._removed

    def compacted(self, kind: Kind) -> "VectorIndex":
        """The same content in one base, without any byte of what was removed.

        From `flat` it can become another kind; the others stay what they are, since they no longer
        have the exact vectors.
        """
        if not len(self._numbers) and not len(self._removed) and kind in {self.kind, "flat"}:
            return self
        index = VectorIndex(self.dimension)
        base: Any = faiss.clone_index(self._base)
        if len(self._removed):
            base.remove_ids(faiss.IDSelectorBatch(self._removed))
        kept = ~np.isin(self._numbers, self._removed)
        if kept.any():
            base.add_with_ids(np.ascontiguousarray(self._vectors[kept]), self._numbers[kept])
        index.kind, index._base = self.kind, base
        if self.kind == "flat" and kind != "flat":
            return VectorIndex.built(kind, index._base_numbers(), base.index.reconstruct_n(0, base.ntotal))
        return index

    def search(
        self, query: Vectors, limit: int, allowed: Numbers | None = None, exact: Exact | None = None
    ) -> list[tuple[int, float]]:
        """The nearest `limit` numbers (of `allowed`, if given) with their cosines, best first.

        `query` has shape (dimension,). Equal cosines come in the order of the numbers. Kinds other
        than `flat` find candidates by 8 bits a value; `exact` then ranks these by what is stored.
        """
        limit = min(limit, len(self) if allowed is None else len(allowed))
        if limit <= 0:
            return []
        approximate = self.kind != "flat"
        wanted = limit * CANDIDATES if approximate else limit
        found = self._search_base(query, wanted, allowed)
        if approximate and exact is not None and found:
            numbers = [number for number, _ in found]
            found = list(zip(numbers, (exact(numbers) @ query).astype(float).tolist(), strict=True))
        found += self._search_added(query, limit, allowed)
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:limit]

    def _search_base(self, query: Vectors, limit: int, allowed: Numbers | None) -> list[tuple[int, float]]:
        limit = min(limit, int(self._base.ntotal))
        if limit == 0:
            return []
        parameters: Any = faiss.SearchParametersIVF() if self.kind == "ivf" else faiss.SearchParameters()
        if self.kind == "ivf":
            # Few allowed numbers lie in few of the lists, and nobody knows in which: look into all.
            narrow = allowed is not None and len(allowed) < len(self) // 2
            parameters.nprobe = self._base.nlist if narrow else min(self._base.nlist, IVF_LISTS_AT_ONCE)
        # The parameters only point at the selector, and that at the bits, which have to outlive the search.
        bits = selector = None
        if allowed is not None or len(self._removed):
            bits = self._selected(allowed)
            selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
            parameters.sel = selector
        scores, numbers = self._base.search(query[np.newaxis], limit, params=parameters)
        del bits, selector
        return [(int(number), float(score)) for number, score in zip(numbers[0], scores[0], strict=True) if number >= 0]

    def _search_added(self, query: Vectors, limit: int, allowed: Numbers | None) -> list[tuple[int, float]]:
        if not len(self._numbers):
            return []
        scores = self._vectors @ query
        usable = np.ones(len(self._numbers), bool)
        if len(self._removed):
            usable &= ~np.isin(self._numbers, self._removed)
        if allowed is not None:
            usable &= np.isin(self._numbers, allowed)
        (places,) = np.nonzero(usable)
        best = places[np.lexsort((self._numbers[places], -scores[places]))[:limit]]
        return [(int(self._numbers[place]), float(scores[place])) for place in best]

    def _selected(self, allowed: Numbers | None) -> NDArray[np.uint8]:
        """One bit for each number that a search of the base may find."""
        greatest = int(max(self._removed[-1] if len(self._removed) else 0, self._greatest()))
        bits = np.ones(greatest + 1, bool) if allowed is None else np.zeros(greatest + 1, bool)
        if allowed is not None:
            bits[allowed[allowed <= greatest]] = True
        bits[self._removed] = False
        return np.packbits(bits, bitorder="little")

    def _greatest(self) -> int:
        numbers = self._base_numbers()
        return int(numbers.max()) if len(numbers) else 0

    def _base_numbers(self) -> Numbers:
        if self._known is None:
            self._known = _numbers_in(self._base)
        return self._known

    def to_parts(self, stamp: Stamp) -> list[bytes | memoryview]:
        """The compacted index and its footer, as pieces of one file; the large one is not copied again."""
        body = memoryview(np.ascontiguousarray(faiss.serialize_index(self.compacted(self.kind)._base)).data)
        described = json.dumps(asdict(stamp)).encode()
        footer = described + _LENGTH.pack(len(described)) + _MAGIC
        digest = hashlib.blake2b(body, digest_size=_DIGEST_BYTES)
        digest.update(footer)
        return [body, footer, digest.digest()]

    def to_bytes(self, stamp: Stamp) -> bytes:
        """The index with its footer."""
        return b"".join(self.to_parts(stamp))

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> tuple["VectorIndex", Stamp]:
        """The index and its stamp; raises ValueError unless every byte is as it was written."""
        view = memoryview(data)
        sealed, digest = view[:-_DIGEST_BYTES], bytes(view[-_DIGEST_BYTES:])
        if (
            hashlib.blake2b(sealed, digest_size=_DIGEST_BYTES).digest() != digest
            or bytes(sealed[-len(_MAGIC) :]) != _MAGIC
        ):
            raise ValueError("not a complete vector index")
        end = len(sealed) - len(_MAGIC) - _LENGTH.size
        (length,) = _LENGTH.unpack_from(sealed, end)
        stamp = Stamp(**json.loads(bytes(sealed[end - length : end])))
        inner = faiss.deserialize_index(np.frombuffer(sealed, dtype=np.uint8, count=end - length))
        if stamp.kind not in {"flat", "sq8", "ivf"} or inner.ntotal != stamp.count:
            raise ValueError("not the vector index that its footer describes")
        index = cls(inner.d)
        index.kind, index._base = stamp.kind, inner  # type: ignore[assignment]
        return index, stamp


def _trained(kind: Kind, vectors: Vectors) -> Any:
    """An empty FAISS index of `kind`, trained on a sample of `vectors`."""
    dimension = vectors.shape[1]
    if kind == "flat":
        return faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
    step = max(1, len(vectors) // _TRAINING_VECTORS)
    sample = np.ascontiguousarray(vectors[::step], dtype=np.float32)
    inner: Any
    if kind == "sq8":
        inner = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
        inner.train(sample)
        return faiss.IndexIDMap2(inner)
    lists = max(1, min(int(4 * np.sqrt(len(vectors))), len(sample) // 39))
    inner = faiss.index_factory(dimension, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    inner.train(sample)
    return inner


def _numbers_in(base: Any) -> Numbers:
    if hasattr(base, "id_map"):
        return np.array(faiss.vector_to_array(base.id_map), dtype=np.int64)
    lists = base.invlists
    pieces = [
        faiss.rev_swig_ptr(lists.get_ids(each), lists.list_size(each)).copy()
        for each in range(lists.nlist)
        if lists.list_size(each)
    ]
    return np.concatenate(pieces).astype(np.int64) if pieces else np.zeros(0, np.int64)


def read_stamp(path: Path) -> Stamp | None:
    """The stamp at the end of a saved index, unverified; None where there is none."""
    fixed = _LENGTH.size + len(_MAGIC) + _DIGEST_BYTES
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(size - fixed)
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            file.seek(size - fixed - length)
            return Stamp(**json.loads(file.read(length)))
    except (OSError, ValueError, TypeError, struct.error):
        return None
