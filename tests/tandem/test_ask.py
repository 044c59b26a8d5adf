"""`tandem ask` against a small server that answers as the gateway does."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tandem import cli
from tests.http_server import Asked, Reply, http_server

ANSWER = {
    "id": "ask-1",
    "answer": "It opens at 11:00 [1].",
    "abstained": False,
    "citations": [
        {"marker": 1, "document": "hours.md", "passage": "p", "start": 0, "end": 9, "quote": "at 11:00\non Saturday"}
    ],
    "variant": "rag",
    "versions": {"base": "tiny", "adapter": None, "snapshot": 3, "prompt": "ab12"},
    "timings_ms": {"total": 231.4},
}


@contextmanager
def server(status: int, body: bytes) -> Iterator[tuple[str, list[Asked]]]:
    """Answers every POST with `status` and `body`; yields its address and the requests it saw."""
    seen: list[Asked] = []

    def respond(asked: Asked) -> Reply:
        seen.append(asked)
        return status, body, {}

    with http_server(respond) as url:
        yield url, seen


def ask(url: str, *options: str) -> int:
    """Run `tandem ask` against `url`."""
    return cli.run(["ask", "example", "When?", "--url", url, *options])


def test_an_answer_is_shown_with_its_citations_and_origin(capsys: pytest.CaptureFixture[str]) -> None:
    with server(200, json.dumps(ANSWER).encode()) as (url, seen):
        assert ask(url, "--api-key", "secret", "-k", "2") == 0
    assert capsys.readouterr().out.splitlines() == [
        "It opens at 11:00 [1].",
        "  [1] hours.md: “at 11:00 on Saturday”",
        "  (rag, base tiny, snapshot 3, prompt ab12, 231 ms)",
    ]
    body = {"domain": "example", "question": "When?", "variant": "rag", "k": 2}
    assert seen == [Asked("POST", "/v1/ask", "Bearer secret", body)]


def test_with_json_the_answer_is_passed_on_whole(capsys: pytest.CaptureFixture[str]) -> None:
    with server(200, json.dumps(ANSWER).encode()) as (url, _):
        assert ask(url, "--json") == 0
    assert json.loads(capsys.readouterr().out) == ANSWER


@pytest.mark.parametrize(
    ("status", "code", "exit_status"),
    [(404, "domain_not_found", 2), (401, "invalid_api_key", 2), (503, "unavailable", 1), (500, "internal_error", 1)],
)
def test_a_refusal_keeps_the_servers_sentence_and_code(
    status: int, code: str, exit_status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.dumps({"error": {"message": "So it is.", "code": code}}).encode()
    with server(status, body) as (url, _):
        assert ask(url, "--json") == exit_status
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == code
    assert error["message"].startswith("So it is.")


@pytest.mark.parametrize("status", [200, 404, 502])
def test_something_else_at_the_address_is_no_tandem_server(status: int, capsys: pytest.CaptureFixture[str]) -> None:
    with server(status, b"<html>hello</html>") as (url, _):
        assert ask(url) in (1, 2)
    assert "is not a Tandem server" in capsys.readouterr().err


def test_nobody_listening_says_how_to_start_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert ask(f"http://127.0.0.1:{unused.getsockname()[1]}") == 2
    assert "start one with `tandem serve`, or name one with --url or TANDEM_URL" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["localhost:8321", "file:///etc/passwd", "http://"])
def test_what_is_no_address_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(url) == 2
    assert "is not an address such as http://127.0.0.1:8321" in capsys.readouterr().err


def test_an_unknown_variant_is_refused_before_anything_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("http://127.0.0.1:1", "--variant", "best") == 2
    assert "'best' is no variant; there is base, finetuned, rag, hybrid, auto." in capsys.readouterr().err
