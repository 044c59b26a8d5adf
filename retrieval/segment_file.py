"""A segment of the lexical index as bytes: a header, its arrays one after the other, a stamp, and a digest over it all.

The end is that of `retrieval.vectors`: JSON of the stamp, its length, a magic word, the digest. Nothing is read before
the digest agrees: what was cut or flipped is an error, never a wrong score.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Final

import numpy as np

from retrieval.postings import Segment
from retrieval.vectors import Stamp

MAGIC: Final = b"tandem.lexical.1"
ARRAYS: Final = tuple(field.name for field in fields(Segment))
_TYPES: Final = ("<i8", "<i4", "<u8", "<i8", "<i4", "<u2")
_LENGTH: Final = struct.Struct("<Q")
_DIGEST_BYTES: Final = 32
_ALIGNMENT: Final = 8


def pack(segment: Segment, facts: Mapping[str, Any], stamp: Stamp) -> bytes:
    """The segment with `facts`, which are JSON, and its stamp."""
    arrays = [
        getattr(segment, name).astype(kind, copy=False).tobytes() for name, kind in zip(ARRAYS, _TYPES, strict=True)
    ]
    header = json.dumps({**facts, "bytes": [len(block) for block in arrays]}).encode()
    blocks = [_LENGTH.pack(len(header)), header, *arrays]
    described = json.dumps(asdict(stamp)).encode()
    padded = [part for block in blocks for part in (block, b"\0" * (-len(block) % _ALIGNMENT))]
    sealed = b"".join([*padded, described, _LENGTH.pack(len(described)), MAGIC])
    return sealed + hashlib.blake2b(sealed, digest_size=_DIGEST_BYTES).digest()


def unpack(data: bytes | memoryview) -> tuple[Segment, dict[str, Any], Stamp]:
    """The segment, whose arrays stay in `data`, the facts and the stamp; raises ValueError unless all is as written."""
    view = memoryview(data)
    sealed, digest = view[:-_DIGEST_BYTES], bytes(view[-_DIGEST_BYTES:])
    complete = hashlib.blake2b(sealed, digest_size=_DIGEST_BYTES).digest() == digest
    if not complete or bytes(sealed[-len(MAGIC) :]) != MAGIC:
        raise ValueError("not a complete lexical index")
    end = len(sealed) - len(MAGIC) - _LENGTH.size
    (length,) = _LENGTH.unpack_from(sealed, end)
    stamp = Stamp(**json.loads(bytes(sealed[end - length : end])))
    (length,) = _LENGTH.unpack_from(sealed, 0)
    first = _LENGTH.size
    facts: dict[str, Any] = json.loads(bytes(sealed[first : first + length]))
    first += length + -length % _ALIGNMENT
    arrays = []
    for size, kind in zip(facts["bytes"], _TYPES, strict=True):
        arrays.append(np.frombuffer(sealed[first : first + size], dtype=kind))
        first += size + -size % _ALIGNMENT
    return Segment(*arrays), facts, stamp
