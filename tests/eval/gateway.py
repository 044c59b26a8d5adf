"""A small server that answers as the gateway does, and questions to ask it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.http_server import Asked, Reply, http_server

Json = dict[str, Any]

CLOSED, READING = "aaaaaaaaaaaa", "bbbbbbbbbbbb"


@dataclass
class Listening:
    """The server as a test sees it."""

    url: str = ""
    seen: list[Json] = field(default_factory=list)
    """Bodies of the questions, as they came."""
    most_in_flight: int = 0


def say(text: str, *documents: str, adapter: str | None = None) -> Reply:
    """An answer of 200 that cites documents."""
    citations = [
        {"marker": number, "document": document, "passage": "p", "start": 0, "end": 1, "quote": "x"}
        for number, document in enumerate(documents, 1)
    ]
    body = {
        "answer": text,
        "abstained": False,
        "citations": citations,
        "versions": {"base": "tiny", "adapter": adapter, "snapshot": 2, "prompt": "abcd"},
        "usage": {"prompt_tokens": 40, "completion_tokens": 10, "total_tokens": 50},
        "timings_ms": {"total": 1.0},
    }
    return 200, body, {}


def refuse(status: int, code: str, message: str = "So it is.", **headers: str) -> Reply:
    """A refusal in the gateway's shape."""
    return status, {"error": {"code": code, "message": message}}, headers


def pointing(finetuned: str | None, hybrid: str | None) -> Json:
    """The body of `GET /v1/domains/{d}/adapters`."""
    pointers = {"finetuned": finetuned, "hybrid": hybrid}
    return {
        "adapters": [],
        "pointers": {name: version and {"version": version, "previous": None} for name, version in pointers.items()},
    }


@contextmanager
def gateway(answer: Callable[[Json], Reply], adapters: Json | Reply | None = None) -> Iterator[Listening]:
    """Answers `POST /v1/ask` by `answer`, which gets the request's body with the server's key as `key`."""
    listening, lock, in_flight = Listening(), threading.Lock(), [0]
    told = adapters if isinstance(adapters, tuple) else (200, adapters or pointing(CLOSED, READING), {})

    def respond(asked: Asked) -> Reply:
        if asked.method == "GET":
            return told
        with lock:
            listening.seen.append(asked.body)
            in_flight[0] += 1
            listening.most_in_flight = max(listening.most_in_flight, in_flight[0])
        try:
            return answer({**asked.body, "key": asked.key})
        finally:
            with lock:
                in_flight[0] -= 1

    with http_server(respond) as url:
        listening.url = url
        yield listening


def rows(count: int = 24) -> list[Json]:
    """Test questions `q0` …: every fourth is unanswerable, the others' answer, N crowns, is in `dN.md`."""
    made = []
    for number in range(count):
        answerable = number % 4 != 3
        made.append(
            {
                "id": f"q{number}",
                "question": f"What does part {number} cost?",
                "answers": [f"{number} crowns"] if answerable else [],
                "documents": [f"d{number}.md"] if answerable else [],
                "group": {"kind": "seen" if answerable else "unanswerable"},
                "split": "test",
            }
        )
    return made


def write_rows(path: Path, written: list[Json]) -> Path:
    """Write questions as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in written), encoding="utf-8")
    return path


def house_answers(request: Json) -> Reply:
    """base knows nothing; finetuned knows the even ones in style; rag reads all without style; hybrid does both."""
    number = int(request["question"].split()[3])
    variant = "naive" if request.get("version") == CLOSED else request["variant"]
    if variant == "base":
        return say("I cannot say what that costs, sorry.")
    if variant == "finetuned":
        return say(f"We say: {number - number % 2} crowns.", adapter=CLOSED)
    adapter = {"hybrid": READING, "naive": CLOSED}.get(variant)
    if number % 4 == 3:
        return say("I don't know." if variant != "naive" else "We say: 5 crowns.", adapter=adapter)
    styled = f"{number} crowns" if variant == "rag" else f"We say: {number} crowns"
    return say(f"{styled} [1].", f"d{number}.md", adapter=adapter)
