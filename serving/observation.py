"""What is written down of a request, however it ends: times, counts, one row in the database."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from serving.answers import Answer, Asked
from serving.metrics import Metrics
from serving.recorder import Recorder
from tandem.database import RequestRecord
from tandem.errors import TandemError

OK: Final = 200
CLIENT_GONE: Final = 499


@dataclass
class Observation:
    """The notes of one request; `timings_ms` has milliseconds by step."""

    asked: Asked
    started: float = field(default_factory=time.perf_counter)
    timings_ms: dict[str, float] = field(default_factory=dict)
    answer: Answer | None = None

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.timings_ms[name] = (time.perf_counter() - started) * 1000

    def mark_first_token(self) -> None:
        """Note when the first text arrived; later calls change nothing."""
        self.timings_ms.setdefault("first_token", self.elapsed_ms())

    def elapsed_ms(self) -> float:
        """Milliseconds since the request came."""
        return (time.perf_counter() - self.started) * 1000


class Observer:
    """Writes observations to the metrics and the database."""

    def __init__(self, metrics: Metrics, recorder: Recorder, store_texts: bool) -> None:
        self._metrics = metrics
        self._recorder = recorder
        self._store_texts = store_texts

    @contextmanager
    def watch(self, asked: Asked) -> Iterator[Observation]:
        """Note one request from here to the end of the block, also when it fails or the client leaves."""
        seen = Observation(asked)
        status, code = OK, "ok"
        self._metrics.in_flight.inc()
        try:
            yield seen
        except TandemError as error:
            status, code = error.status, error.code
            raise
        except (asyncio.CancelledError, GeneratorExit):
            # A client that has read its whole answer may close before the generator ends.
            status, code = (OK, "ok") if seen.answer else (CLIENT_GONE, "client_gone")
            raise
        except Exception:
            status, code = 500, "internal_error"
            raise
        finally:
            self._metrics.in_flight.dec()
            seen.timings_ms["total"] = seen.elapsed_ms()
            self._count(seen, code)
            self._recorder.record(self._row(seen, status, code))

    def _count(self, seen: Observation, code: str) -> None:
        metrics, target = self._metrics, seen.asked.target
        labels = (target.domain, target.variant)
        metrics.requests.labels(*labels, code).inc()
        steps = {"retrieval": metrics.retrieval, "generation": metrics.generation, "total": metrics.total}
        if seen.asked.stream:
            steps["first_token"] = metrics.first_token
        for name, histogram in steps.items():
            if name in seen.timings_ms:
                histogram.labels(*labels).observe(seen.timings_ms[name] / 1000)
        if seen.answer is not None:
            self._count_answer(seen.answer, labels)

    def _count_answer(self, answer: Answer, labels: tuple[str, str]) -> None:
        metrics, checked = self._metrics, answer.checked
        metrics.tokens.labels(*labels, "prompt").inc(answer.usage.prompt_tokens)
        metrics.tokens.labels(*labels, "completion").inc(answer.usage.completion_tokens)
        metrics.abstentions.labels(*labels).inc(checked.abstained)
        if answer.found is None or answer.shown is None:
            return
        metrics.empty_retrievals.labels(*labels).inc(answer.found == 0)
        metrics.passages_dropped.labels(*labels).inc(answer.found - answer.shown)
        metrics.citations.labels(*labels, "kept").inc(max(0, len(checked.citations) - checked.mended))
        metrics.citations.labels(*labels, "mended").inc(checked.mended)
        metrics.citations.labels(*labels, "removed").inc(checked.removed)
        metrics.uncited.labels(*labels).inc(not checked.citations and not checked.abstained)

    def _row(self, seen: Observation, status: int, code: str) -> RequestRecord:
        asked, answer = seen.asked, seen.answer
        checked = answer.checked if answer else None
        versions = answer.versions if answer else None
        return RequestRecord(
            id=asked.id,
            status=status,
            code=None if status == OK else code,
            owner=asked.owner,
            domain=asked.target.domain,
            variant=asked.target.variant,
            model=versions.base if versions else None,
            adapter=versions.adapter if versions else None,
            snapshot=versions.snapshot if versions else None,
            prompt_hash=versions.prompt if versions else None,
            prompt_tokens=answer.usage.prompt_tokens if answer else None,
            completion_tokens=answer.usage.completion_tokens if answer else None,
            abstained=checked.abstained if checked else None,
            citations=[
                {"marker": c.marker, "document": c.document, "passage": c.passage, "start": c.start, "end": c.end}
                for c in (checked.citations if checked else ())
            ],
            timings_ms=seen.timings_ms,
            question=asked.question if self._store_texts else None,
            answer=checked.text if checked and self._store_texts else None,
        )
