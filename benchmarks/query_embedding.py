"""What embedding a question takes while the engine decodes, beside the same with the engine at rest.

`python -m benchmarks.query_embedding` starts `tandem serve` on the sample domain, whose vLLM shares the processor, and
embeds the domain's questions in this process, with as many threads as the gateway has for it: each question at rest and
while eight answers are being decoded without a pause. A pair is one question in one round.
"""

import itertools
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.gateway import sample_questions
from benchmarks.paired import Comparison, arguments, machine, report
from retrieval.embedder import load_embedder
from serving.launch import this_machine
from tandem.client import post
from tandem.demo import DOMAIN, Demo

QUESTIONS = 64
IN_FLIGHT = 8
WARM_UP_SECONDS = 2.0


class Decoding:
    """Keeps the engine at `IN_FLIGHT` answers while it is entered."""

    def __init__(self, url: str, questions: list[str]) -> None:
        self._url = url
        self._questions = itertools.cycle(questions)
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self.answers = 0

    def __enter__(self) -> "Decoding":
        self._stopped.clear()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(IN_FLIGHT)]
        for thread in self._threads:
            thread.start()
        time.sleep(WARM_UP_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._stopped.is_set():
            messages = [{"role": "user", "content": next(self._questions)}]
            body: dict[str, Any] = {"model": f"{DOMAIN}/base", "messages": messages}
            post(self._url, "/v1/chat/completions", {**body, "max_tokens": 256}, None, 600)
            self.answers += 1


def embed_all(embedder: Any, questions: list[str]) -> list[float]:
    """Milliseconds of each, one after the other."""
    taken = []
    for question in questions:
        began = time.perf_counter()
        embedder.encode_queries([question])
        taken.append(1000 * (time.perf_counter() - began))
    return taken


def measure(rounds: int) -> Comparison:
    """All questions at rest and while decoding, `rounds` times."""
    threads = this_machine().gateway_threads
    os.environ["OMP_NUM_THREADS"] = str(threads)
    embedder, questions = load_embedder(), sample_questions(QUESTIONS)
    pairs: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo(Path(folder), quiet=True)
        demo.command("index", DOMAIN)
        with demo.server(keep=False) as wait_until_ready:
            decoding = Decoding(wait_until_ready(), questions)
            embed_all(embedder, questions)
            for _ in range(rounds):
                at_rest = embed_all(embedder, questions)
                with decoding:
                    pairs += zip(embed_all(embedder, questions), at_rest, strict=True)
    details = {"threads": threads, "answers decoded meanwhile": decoding.answers}
    return Comparison("embedding a question", "while decoding", "at rest", "ms", pairs, details)


def main() -> None:
    options = arguments("query_embedding", "Embedding a question while the engine decodes.", 3).parse_args()
    before = machine()
    report("query_embedding", before, [measure(options.repetitions)], options.json)


if __name__ == "__main__":
    main()
