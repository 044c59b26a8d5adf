"""The files that derived indexes are saved in, each with a stamp and a digest over all of its bytes."""

import logging
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Final

from retrieval.lexical import LexicalIndex
from retrieval.vectors import Stamp, VectorIndex, read_stamp
from tandem.files import sync_path, write_atomic

VECTORS_NAME: Final = "vectors.faiss"
LEXICAL_NAME: Final = "lexical.bin"

Fits = Callable[[Stamp], bool]
Parts = dict[str, list[bytes | memoryview]]
"""File name → what is to be written there."""
_logger = logging.getLogger(__name__)


def write(folder: Path, pieces: Parts) -> None:
    """Write each file durably; between two of them they may be of different snapshots, which `load` notices."""
    for name, content in pieces.items():
        write_atomic(folder / name, *content)


def load_vectors(folder: Path, fits: Fits) -> tuple[VectorIndex, Stamp] | None:
    """The saved vectors; None where they are missing, damaged or of something else."""
    path = folder / VECTORS_NAME
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            view = memoryview(mapped)
            try:
                vectors, stamp = VectorIndex.from_bytes(view)
            finally:
                view.release()
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, BufferError) as error:
        _logger.warning("%s is damaged (%s) and is rebuilt", path, error)
        return None
    return (vectors, stamp) if fits(stamp) else None


def load_lexical(folder: Path, fits: Fits) -> tuple[LexicalIndex, Stamp] | None:
    """The saved lexical index, as `load_vectors`."""
    path = folder / LEXICAL_NAME
    try:
        lexical, stamp = LexicalIndex.from_bytes(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        _logger.warning("%s is damaged (%s) and is rebuilt", path, error)
        return None
    return (lexical, stamp) if fits(stamp) else None


def remove_before(folder: Path, snapshot: int) -> None:
    """Remove the derived files that are not known to be of `snapshot` or a later one."""
    for name in (VECTORS_NAME, LEXICAL_NAME):
        stamp = read_stamp(folder / name)
        if stamp is None or stamp.snapshot < snapshot:
            (folder / name).unlink(missing_ok=True)
    sync_path(folder)
