"""Writes files so that a kill or a full disk leaves the old content or the new, never a mixture."""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


def write_atomic(path: Path, *data: bytes | memoryview) -> None:
    """Replace the content of `path` by the pieces of `data`, durably, or leave it untouched.

    The bytes go to a temporary name in the same folder, are fsynced, and take the final name by
    rename; then the folder is fsynced so that the rename itself survives a power cut.
    Raises OSError (disk full, no permission); the temporary file is removed then.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with open(descriptor, "wb") as file:
            for piece in data:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_path(path.parent)


def sync_path(path: Path) -> None:
    """Make what a file holds durable, or the renames and deletions inside a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> int:
    """Delete the temporary files that killed writers left directly in `folder`; return how many."""
    leftovers = list(folder.glob(".*.tmp"))
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)
    return len(leftovers)


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on the file `path` (made when missing) against other processes.

    Raises BlockingIOError where another process holds it and `wait` is off.

    The kernel lets go of it when the process dies, so a kill never leaves a lock behind.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
