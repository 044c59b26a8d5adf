"""OpenAI's chat and completion routes through the whole gateway, with the canned engine."""

import http.client
import json
import time
from pathlib import Path
from typing import Any

import pytest

from serving.canned import CannedEngine
from tests.serving.gateway import Gateway, run_gateway
from tests.waiting import until

QUESTION = "How much water does the Brisa kettle hold?"
ANSWER = "The Brisa kettle holds 1.7 litres of water. [1]"


def stream(gateway: Gateway, **fields: Any) -> list[dict[str, Any]]:
    """The chunks of a streamed answer; the last event has to be [DONE]."""
    lines = [line for line in gateway.chat(QUESTION, stream=True, **fields).text.splitlines() if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def said(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def test_a_completion_carries_the_evidence(gateway: Gateway) -> None:
    body = gateway.chat(QUESTION).json()
    assert body["choices"][0]["message"]["content"] == ANSWER
    assert body["model"] == "shop/rag"
    assert body["tandem"]["citations"][0]["document"] == "kettle.md"
    assert body["id"] == body["tandem"]["id"]
    assert "prompt_token_ids" not in body


def test_a_stream_ends_with_the_evidence_and_every_chunk_has_a_choice(gateway: Gateway) -> None:
    chunks = stream(gateway)
    assert said(chunks) == ANSWER
    assert all(chunk["choices"] for chunk in chunks)
    assert ["tandem" in chunk for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["tandem"]["answer"] == ANSWER


def test_a_stream_with_usage_has_the_evidence_in_the_usage_chunk(gateway: Gateway) -> None:
    chunks = stream(gateway, stream_options={"include_usage": True})
    assert said(chunks) == ANSWER
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert chunks[-1]["tandem"]["citations"]


def test_tokens_come_as_they_are_made(home: Path) -> None:
    with run_gateway(home, CannedEngine(token_seconds=0.1)) as gateway:
        body = {"model": "shop/rag", "stream": True, "messages": [{"role": "user", "content": QUESTION}]}
        with gateway.http.stream("POST", "/v1/chat/completions", json=body) as response:
            times = [time.monotonic() for line in response.iter_lines() if line]
    assert times[-1] - times[0] > 0.4


def test_a_follow_up_is_searched_with_the_turn_before_it(gateway: Gateway) -> None:
    turns = [
        {"role": "system", "content": "Speak plainly."},
        {"role": "user", "content": "Tell me of the Vela lamp."},
        {"role": "assistant", "content": "It gives warm light [2]."},
        {"role": "user", "content": [{"type": "text", "text": "Of what type is its bulb?"}]},
    ]
    body = {"model": "shop/rag", "messages": turns, "tandem": {"k": 1}}
    answer = gateway.http.post("/v1/chat/completions", json=body).json()
    assert answer["tandem"]["citations"][0]["document"] == "lamp.md"
    sent = gateway.engine.bodies[-1]["messages"]
    assert sent[0]["content"].startswith("Be brief.\nSpeak plainly.")
    assert sent[2]["content"] == "It gives warm light (2)."


def test_only_allowed_parameters_reach_the_engine(gateway: Gateway) -> None:
    given = {"temperature": 0.5, "top_p": 0.9, "stop": ["x"], "seed": 7, "logprobs": True, "top_logprobs": 2}
    kind = {"response_format": {"type": "json_object"}}
    gateway.chat(QUESTION, max_completion_tokens=11, user="ana", store=False, **given, **kind)
    sent = gateway.engine.bodies[-1]
    assert given.items() <= sent.items()
    assert (sent["max_tokens"], sent["model"]) == (11, "base")
    assert set(sent) == {*given, *kind, "max_tokens", "model", "messages", "stream"}


@pytest.mark.parametrize(
    "name", ["chat_template", "cache_salt", "chat_template_kwargs", "tools", "prompt_logprobs", "lora_request"]
)
def test_what_reaches_into_the_engine_is_refused(gateway: Gateway, name: str) -> None:
    response = gateway.chat(QUESTION, **{name: "x"})
    assert (response.status_code, response.json()["error"]["param"]) == (400, name)


def test_several_answers_at_once_are_for_variants_without_citations(gateway: Gateway) -> None:
    response = gateway.chat(QUESTION, n=2)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "n")
    assert gateway.chat(QUESTION, model="shop/base", n=2).status_code == 200


@pytest.mark.parametrize("streamed", [True, False])
def test_a_client_that_leaves_aborts_the_engines_work(home: Path, streamed: bool) -> None:
    with run_gateway(home, CannedEngine(token_seconds=0.5)) as gateway:
        body = {"model": "shop/rag", "stream": streamed, "messages": [{"role": "user", "content": QUESTION}]}
        client = http.client.HTTPConnection(gateway.url.removeprefix("http://"))
        client.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
        until(lambda: len(gateway.engine.bodies) == 1)
        client.close()
        until(lambda: gateway.engine.aborted == 1)
        [record] = gateway.records()
    assert (record.status, record.code) == (499, "client_gone")


def test_an_engine_that_breaks_while_streaming_ends_the_stream_with_an_error(home: Path) -> None:
    engine = CannedEngine()
    engine.breaks_after = 2
    with run_gateway(home, engine) as gateway:
        last = stream(gateway)[-1]
    assert last["error"]["code"] == "engine_error"


def test_raw_completions_pass_the_prompt_on(gateway: Gateway) -> None:
    body = {"model": "shop/base", "prompt": "one two", "max_tokens": 5}
    assert gateway.http.post("/v1/completions", json=body).json()["choices"][0]["text"] == " after one two"
    streamed = gateway.http.post("/v1/completions", json=body | {"stream": True}).text
    assert streamed.endswith("data: [DONE]\n\n")


def test_raw_completions_are_not_for_variants_that_read(gateway: Gateway) -> None:
    response = gateway.http.post("/v1/completions", json={"model": "shop/rag", "prompt": "x"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "unsupported_variant")


def test_models_list_every_variant_and_what_stands_behind_it(gateway: Gateway) -> None:
    models = {model["id"]: model["tandem"] for model in gateway.http.get("/v1/models").json()["data"]}
    assert len(models) == 10
    assert models["shop/rag"]["answers"]
    assert models["shop/rag"]["snapshot"] == 1
    assert not models["shop/hybrid"]["answers"]
    assert gateway.http.get("/v1/models/shop/base").json()["id"] == "shop/base"
