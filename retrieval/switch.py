"""Puts a whole index folder in the place of another, so that a kill at any moment leaves one of them, whole."""

import contextlib
import ctypes
import errno
import os
import shutil
from pathlib import Path
from typing import Final

from retrieval.store import Store, replaced
from tandem.errors import TandemError
from tandem.files import locked, sync_path

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


def staging(folder: Path) -> Path:
    """An empty folder beside `folder` for the index that is to take its place."""
    next_folder = folder.with_name(f".{folder.name}.next")
    shutil.rmtree(next_folder, ignore_errors=True)
    next_folder.mkdir(parents=True)
    return next_folder


def job_lock(folder: Path) -> Path:
    """Held for a whole restoration or re-embedding, of which there is one at a time."""
    return folder.with_name(f".{folder.name}.job.lock")


def switch(next_folder: Path, folder: Path) -> None:
    """Let `next_folder` take the place of `folder`, and remove what was there.

    The caller has marked the old index as replaced, so that no process writes to it any more.
    """
    for path in next_folder.iterdir():
        sync_path(path)
    sync_path(next_folder)
    if folder.exists():
        _exchange(next_folder, folder)
    else:
        next_folder.rename(folder)
    sync_path(folder.parent)
    shutil.rmtree(next_folder, ignore_errors=True)


def settle(folder: Path, store: Store) -> None:
    """Undo the mark of a switch that was killed before it happened: the index in its place is the one in use.

    Raises Unavailable (`index_replaced`) while the switch is still to come.
    """
    if store.marked():
        try:
            # Whoever marked it holds this until the switch; what is written after the mark would be lost.
            with locked(job_lock(folder), wait=False):
                # The path may lead to the new database by now, which has no mark.
                if store.in_place():
                    store.mark_replaced(False)
        except BlockingIOError as error:
            raise replaced(folder) from error


def _exchange(one: Path, other: Path) -> None:
    # Python has no name for it: both names change at once, so that there is always an index under the second.
    library = ctypes.CDLL(None, use_errno=True)
    if library.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return
    code = ctypes.get_errno()
    reason = (
        "its file system cannot exchange two folders" if code in {errno.EINVAL, errno.ENOSYS} else os.strerror(code)
    )
    raise TandemError(
        f"The new index could not be put in the place of {other}: {reason}; the old one is in use as before.",
        code="index_unusable",
    )


def sweep(folder: Path) -> None:
    """Remove the unfinished index that a killed restoration or re-embedding left beside `folder`."""
    leftover = folder.with_name(f".{folder.name}.next")
    if leftover.exists():
        with contextlib.suppress(BlockingIOError), locked(job_lock(folder), wait=False):
            shutil.rmtree(leftover, ignore_errors=True)
