"""What Prometheus reads; each gateway has its own registry."""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
VARIANT: Final = ("domain", "variant")

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each one, which nobody reads


class Metrics:
    """Counters and times by domain and variant. Names end in their unit."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests by how they ended: ok, or the error's code.", "code")
        self.tokens = self._counter("tokens", "Tokens of prompts and of answers.", "kind")
        self.empty_retrievals = self._counter("empty_retrievals", "Questions for which no passage was found.")
        self.passages_dropped = self._counter("passages_dropped", "Passages found that did not fit the prompt.")
        self.abstentions = self._counter("abstentions", "Answers that say that it is not known.")
        self.citations = self._counter("citation_markers", "Markers by fate: kept, mended, removed.", "fate")
        self.uncited = self._counter("uncited_answers", "Answers from passages that cite none and do not abstain.")
        self.first_token = self._seconds("time_to_first_token", "Request to first token, streamed answers only.")
        self.retrieval = self._seconds("retrieval", "Embedding the question and searching.")
        self.generation = self._seconds("generation", "In the engine, first byte to last.")
        self.total = self._seconds("request", "Whole request.")
        self.in_flight = Gauge("tandem_requests_in_flight", "Requests being answered.", registry=self.registry)
        self.engine_up = Gauge("tandem_engine_up", "1 while the engine answers.", registry=self.registry)
        self.engine_restarts = Gauge("tandem_engine_restarts", "Restarts of the engine.", registry=self.registry)
        self.snapshot = Gauge("tandem_index_snapshot", "State of an open index.", ["domain"], registry=self.registry)

    def expose(self, snapshots: Mapping[str, int]) -> bytes:
        """All of them in Prometheus' text format."""
        self.snapshot.clear()
        for domain, snapshot in snapshots.items():
            self.snapshot.labels(domain).set(snapshot)
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"tandem_{name}", text, [*VARIANT, *labels], registry=self.registry)

    def _seconds(self, name: str, text: str) -> Histogram:
        return Histogram(f"tandem_{name}_seconds", text, VARIANT, buckets=SECONDS, registry=self.registry)
