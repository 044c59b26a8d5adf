"""How many questions are answered at once; the ones beyond are told to come back."""

from collections.abc import Iterator
from contextlib import contextmanager

from tandem.errors import Unavailable


class Admission:
    """Counts requests in flight; to be used from one event loop."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.in_flight = 0

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Hold a place; raises Unavailable (`too_busy`) when there is none."""
        if self.in_flight >= self._limit:
            raise Unavailable(
                f"The gateway answers {self._limit} requests at once (serving.max_concurrent); try again in a moment.",
                code="too_busy",
            )
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
