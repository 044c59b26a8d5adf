"""Writes request records to the database from a thread of its own, so that no answer waits for a disk."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from tandem.database import Database, RequestRecord

CAPACITY: Final = 10_000

logger = logging.getLogger(__name__)


class Recorder:
    """Takes records in order; when `capacity` of them wait, further ones are dropped and counted in `dropped`."""

    def __init__(self, database: Database, capacity: int = CAPACITY) -> None:
        self._database = database
        self._slots = threading.BoundedSemaphore(capacity)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        self.dropped = 0

    def record(self, record: RequestRecord) -> None:
        """Queue one record; returns at once."""
        if self._slots.acquire(blocking=False):
            self._thread.submit(self._write, record)
        else:
            self.dropped += 1

    def close(self) -> None:
        """Write what waits, then stop."""
        self._thread.shutdown()

    def _write(self, record: RequestRecord) -> None:
        try:
            self._database.record_request(record)
        except SQLAlchemyError:
            # An answer was given; that its record is lost must not stop the next ones.
            logger.exception("The record of request %s could not be written.", record.id)
        finally:
            self._slots.release()
