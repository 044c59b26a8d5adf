"""Deleted means deleted: the bytes of what left the tables leave every file of the index's folder.

Three places may still hold them after the transaction that deleted a row: pages of `index.db` in
which SQLite once moved the row, the write-ahead log, and derived files saved before. Each row of
`purges` is a promise, kept by a thread soon after the commit, at closing, or at the next opening.
"""

import logging
import threading
import time
from pathlib import Path
from typing import Final

from retrieval import rows
from retrieval.derived import Derived
from retrieval.store import REPLACED, Store
from tandem.errors import TandemError
from tandem.files import locked

# Seconds after which a promise is due. What was deleted by name goes at once, a moment later so that
# deletions in a row are one purge; what was only replaced waits for company, since a purge writes
# the whole database anew.
DELAYS: Final = {"deleted": 0.5, "collected": 300.0}
_RETRY_SECONDS: Final = 1.0
# How often a process that others leave the purging to looks for their deletions.
_WATCH_SECONDS: Final = 10.0

_logger = logging.getLogger(__name__)


class Purger:
    """Purges one index; `wake` it after commits, `close` it before the store."""

    def __init__(self, store: Store, derived: Derived, folder: Path, *, watches: bool = False) -> None:
        self._store = store
        self._derived = derived
        self._watches = watches
        # A name of its own: writing derived files, which takes the other lock, is part of a purge.
        self._lock_path = folder / ".purge.lock"
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._woken = False
        self._closed = False
        self._vacuumed = 0

    def wake(self) -> None:
        """Purge what is due soon, in a thread that ends when there is nothing left."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="tandem-purge", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Stop the thread and purge what is left; a failure is logged, the next opening tries again."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        self._try()

    def purge(self) -> bool:
        """Purge now whatever is pending; False where readers of other processes are in the way for now."""
        if self._pending() is None:
            return True
        with locked(self._lock_path):
            pending = self._pending()
            if pending is None:
                return True
            if self._vacuumed < pending.number:
                self._store.vacuum()
                self._vacuumed = pending.number
            try:
                self._derived.forget(self._store, pending.snapshot)
            finally:
                emptied = self._store.empty_log()
            if not emptied:
                return False
            with self._store.writing() as connection:
                connection.execute(
                    "UPDATE purges SET purged_at = ? WHERE purged_at IS NULL AND number <= ?",
                    (time.time(), pending.number),
                )
        return True

    def _pending(self) -> rows.Purge | None:
        with self._store.reading() as connection:
            return rows.pending_purge(connection, DELAYS)

    def _try(self) -> bool:
        try:
            return self.purge()
        except (TandemError, OSError) as error:
            if isinstance(error, TandemError) and error.code in REPLACED:
                return True
            _logger.warning("deleted text could not be purged from %s yet: %s", self._lock_path.parent, error)
            return False

    def _run(self) -> None:
        while True:
            with self._changed:
                self._woken = False
            wait = self._seconds_to_wait()
            if wait is not None and wait <= 0:
                wait = 0.0 if self._try() else _RETRY_SECONDS
            with self._changed:
                if self._watches and wait is None:
                    wait = _WATCH_SECONDS
                if self._closed or (wait is None and not self._woken):
                    self._thread = None
                    return
                self._changed.wait_for(lambda: self._woken or self._closed, timeout=wait)

    def _seconds_to_wait(self) -> float | None:
        """Until the next purge is due; None where nothing is pending."""
        try:
            pending = self._pending()
        except TandemError as error:
            if error.code in REPLACED:
                return None
            _logger.warning("what is to be purged cannot be read: %s", error)
            return _RETRY_SECONDS
        return None if pending is None else pending.due - time.time()
