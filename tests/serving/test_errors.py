"""Bad input at every door: one clear sentence, the right status and code, OpenAI's shape."""

import json
from pathlib import Path
from typing import Any

import pytest

from serving.canned import CannedEngine
from tests.serving.gateway import Gateway, run_gateway

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "said"),
    [
        ("/v1/ask", {"domain": "shop"}, 400, "invalid_request", "`question` is missing"),
        ("/v1/ask", {"domain": "shop", "question": "  "}, 400, "invalid_request", "empty"),
        ("/v1/ask", {"domain": "shop", "question": 5}, 400, "invalid_request", "`question` should be a valid string"),
        ("/v1/ask", {"domain": "shop", "question": "x", "k": "many"}, 400, "invalid_request", "`k` should be"),
        ("/v1/ask", {"domain": "shop", "question": "x", "k": 0}, 400, "invalid_request", "greater than or equal to 1"),
        ("/v1/ask", {"domain": "shop", "question": "x", "colour": 1}, 400, "invalid_request", "`colour` is not"),
        ("/v1/ask", {"domain": "shopp", "question": "x"}, 404, "unknown_domain", "did you mean 'shop'"),
        (
            "/v1/ask",
            {"domain": "shop", "question": "x", "variant": "ragg"},
            400,
            "unknown_variant",
            "'rag'",
        ),
        ("/v1/ask", {"domain": "shop", "question": "x", "variant": "hybrid"}, 409, "no_adapter", "tandem train shop"),
        ("/v1/ask", {"domain": "shop", "question": "x", "variant": "auto"}, 409, "no_router", "shop/rag"),
        ("/v1/ask", {"domain": "empty", "question": "x"}, 409, "empty_index", "index"),
        (CHAT, {"model": "shop/nope", "messages": HELLO}, 404, "model_not_found", "shop/"),
        (CHAT, {"model": "shop/rag@1", "messages": HELLO}, 404, "model_not_found", "no versions"),
        (CHAT, {"model": "gpt-4o", "messages": HELLO}, 404, "model_not_found", "there are shop/base"),
        (CHAT, {"model": "shop/rag", "messages": []}, 400, "invalid_request", "messages"),
        (CHAT, {"model": "shop/rag", "messages": [{"role": "tool", "content": "x"}]}, 400, "invalid_request", "role"),
        (CHAT, {"model": "shop/rag", "messages": [*HELLO, {"role": "assistant", "content": "x"}]}, 400, None, "last"),
        (CHAT, {"model": "shop/rag", "messages": HELLO, "temperature": 9}, 400, "invalid_request", "temperature"),
        (CHAT, {"model": "shop/rag", "messages": HELLO, "max_tokens": -1}, 400, "invalid_request", "max_tokens"),
        (CHAT, {"model": "shop/rag", "messages": HELLO, "max_tokens": 10**7}, 400, "context_length_exceeded", "2,048"),
        (
            CHAT,
            {"model": "shop/rag", "messages": [{"role": "user", "content": "\ud800"}]},
            400,
            None,
            "be passed on",
        ),
        ("/v1/domains/shop/search", {"query": "x", "snapshot": 99}, 404, "unknown_snapshot", "no snapshot 99"),
        ("/v1/domains/nope/search", {"query": "x"}, 404, "unknown_domain", "nope"),
        ("/v1/domains/shop/documents", {"documents": []}, 400, "invalid_request", "documents"),
        ("/v1/domains/shop/documents", {"documents": [{"id": "x"}]}, 400, "invalid_request", "documents.0.text"),
        (
            "/v1/domains/shop/documents",
            {"documents": [{"id": "x", "text": " "}]},
            400,
            "unreadable_document",
            "no text",
        ),
        ("/v1/nothing", {}, 404, "unknown_route", "/v1/nothing"),
        ("/v1/models", {}, 405, "method_not_allowed", "GET"),
    ],
)
def test_bad_input_is_told_in_one_sentence(
    gateway: Gateway, path: str, body: Any, status: int, code: str | None, said: str
) -> None:
    headers = {"Content-Type": "application/json"}
    response = gateway.http.post(path, content=json.dumps(body), headers=headers)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code or "invalid_request"), error
    assert said in error["message"]
    assert set(error) >= {"message", "type", "param", "code"}
    assert error["message"].endswith((".", "`"))
    assert "Traceback" not in response.text


@pytest.mark.parametrize("path", ["/v1/ask", CHAT, "/v1/domains/shop/documents", "/v1/domains/shop/search"])
@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe", b"", b"null", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_told_so(gateway: Gateway, path: str, content: bytes) -> None:
    response = gateway.http.post(path, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("chunked", [True, False])
def test_a_large_body_is_413(home: Path, chunked: bool) -> None:
    with run_gateway(home, serving={"max_body_bytes": 1000}) as gateway:
        content: Any = iter([b"x" * 600] * 3) if chunked else b"x" * 1800
        response = gateway.http.post("/v1/ask", content=content, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")


def test_a_full_engine_is_503_with_a_time_to_come_back(home: Path) -> None:
    engine = CannedEngine()
    engine.full = True
    with run_gateway(home, engine) as gateway:
        response = gateway.chat("Hello", model="shop/base")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "engine_full")
    assert int(response.headers["retry-after"]) >= 1


def test_more_requests_than_are_admitted_are_503(home: Path) -> None:
    with run_gateway(home, CannedEngine(token_seconds=0.3), serving={"max_concurrent": 1}) as gateway:
        body = {"model": "shop/base", "stream": True, "messages": HELLO}
        with gateway.http.stream("POST", CHAT, json=body) as first:
            assert gateway.chat("Hello").json()["error"]["code"] == "too_busy"
            assert b"DONE" in first.read()
        assert gateway.chat("Hello").status_code == 200


def test_an_answer_that_takes_too_long_is_504(home: Path) -> None:
    with run_gateway(home, CannedEngine(token_seconds=30), engine={"request_timeout_seconds": 2}) as gateway:
        response = gateway.chat("Hello", model="shop/base")
    assert (response.status_code, response.json()["error"]["code"]) == (504, "engine_timeout")


def test_our_own_mistake_shows_no_traceback(home: Path) -> None:
    def broken(_: Any) -> str:
        raise ValueError("secret detail")

    with run_gateway(home, CannedEngine(reply=broken)) as gateway:
        response = gateway.chat("Hello", model="shop/base")
    assert response.status_code == 502
    assert "secret" not in response.text
