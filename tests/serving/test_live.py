"""The main job on real parts: `tandem serve`, vLLM with `models/tiny`, MiniLM, the OpenAI SDK."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import psutil
import pytest

from tests.conftest import LIVE_DOCUMENTS, LIVE_LABELS, PROJECT, LiveServer
from tests.waiting import PATIENCE_SECONDS, until

QUESTIONS = [
    "How much water does the Brisa kettle hold?",
    "How long does the warranty of the Brisa kettle last?",
    "How long is the cord of the Arlo toaster?",
    "How much does the Vela lamp cost?",
]


@pytest.fixture
def client(live_server: LiveServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live_server.url}/v1", api_key="none", max_retries=0, timeout=120) as made:
        yield made


def ask(live_server: LiveServer, **body: Any) -> httpx.Response:
    return httpx.post(f"{live_server.url}/v1/ask", json={"domain": "shop", **body}, timeout=120, trust_env=False)


def test_openai_lists_the_models(client: openai.OpenAI) -> None:
    assert {"shop/base", "shop/rag"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("shop/rag").id == "shop/rag"


def test_openai_chats(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="shop/rag", messages=[{"role": "user", "content": QUESTIONS[0]}], temperature=0
    )
    assert completion.choices[0].message.content
    assert completion.usage is not None
    assert completion.usage.prompt_tokens > 50
    assert completion.model_extra is not None
    assert completion.model_extra["tandem"]["passages"]["shown"] == 4


def test_the_real_engine_holds_an_untaught_model_to_the_labels(client: openai.OpenAI) -> None:
    """Drawn at random, at a temperature at which it would otherwise say nearly anything."""
    for seed in range(8):
        message: Any = [{"role": "user", "content": "Where is my card?"}]
        chat = client.chat.completions.create(model="intents/base", messages=message, temperature=2, seed=seed)
        assert chat.choices[0].message.content in LIVE_LABELS


def test_the_real_engine_holds_an_untaught_model_to_a_json_schema(live_server: LiveServer) -> None:
    body = {"domain": "places", "variant": "base", "question": "The green lamp works."}
    answered = httpx.post(f"{live_server.url}/v1/ask", json=body, timeout=120, trust_env=False)
    assert answered.status_code == 200, answered.text
    found = json.loads(answered.json()["answer"])
    assert found.keys() == {"colour", "broken"}
    assert found["colour"] in ("red", "green")
    assert isinstance(found["broken"], bool)


def test_openai_streams_the_same_answer(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": QUESTIONS[0]}]
    with client.chat.completions.create(model="shop/rag", messages=messages, stream=True) as stream:
        chunks = list(stream)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    evidence = (chunks[-1].model_extra or {})["tandem"]
    whole = client.chat.completions.create(model="shop/rag", messages=messages)
    assert streamed.strip()
    assert evidence["answer"] == whole.choices[0].message.content
    assert len(chunks) > 2


def test_openai_sees_its_own_errors(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "x"}]
    with pytest.raises(openai.NotFoundError, match="There is no model 'shop/raag'; did you mean 'shop/rag'"):
        client.chat.completions.create(model="shop/raag", messages=messages)
    with pytest.raises(openai.ConflictError, match="no adapter"):
        client.chat.completions.create(model="shop/hybrid", messages=messages)


def test_every_citation_of_a_real_answer_is_verbatim(live_server: LiveServer) -> None:
    answers = [ask(live_server, question=question).json() for question in QUESTIONS]
    cited = [citation for answer in answers for citation in answer["citations"]]
    assert cited, [answer["answer"] for answer in answers]
    for citation in cited:
        text = httpx.get(f"{live_server.url}/v1/domains/shop/documents/{citation['document']}", trust_env=False).json()[
            "text"
        ]
        assert text[citation["start"] : citation["end"]] == citation["quote"]
        assert text == LIVE_DOCUMENTS[citation["document"]]


def test_base_and_raw_completions_come_from_the_base_model(live_server: LiveServer, client: openai.OpenAI) -> None:
    assert ask(live_server, question=QUESTIONS[0], variant="base").json()["versions"]["base"] == "tiny"
    raw = client.completions.create(model="shop/base", prompt="The kettle", max_tokens=4, logprobs=2)
    assert raw.choices[0].logprobs is not None


def test_a_question_beyond_the_context_is_told_the_numbers(live_server: LiveServer) -> None:
    response = ask(live_server, question="why " * 3000)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "context_length_exceeded")
    assert error["context_tokens"] >= 2048


def test_what_vllm_refuses_is_told_in_its_words(client: openai.OpenAI) -> None:
    schema: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "bogus"}}}
    with pytest.raises(openai.BadRequestError, match="grammar|schema"):
        client.chat.completions.create(
            model="shop/base", messages=[{"role": "user", "content": "x"}], response_format=schema
        )


def test_tandem_ask_prints_an_answer(live_server: LiveServer) -> None:
    command = [sys.executable, "-m", "tandem.cli", "ask", "shop", QUESTIONS[0], "--url", live_server.url]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "snapshot" in done.stdout


def test_a_client_that_leaves_frees_the_engine(live_server: LiveServer) -> None:
    endless = {"logit_bias": {"2": -100, "0": -100}, "max_tokens": 1500, "stream": True}
    body = {"model": "shop/base", "messages": [{"role": "user", "content": "Go on."}], **endless}
    with httpx.stream("POST", f"{live_server.url}/v1/chat/completions", json=body, timeout=60, trust_env=False) as left:
        lines = left.iter_lines()
        next(lines)
        until(lambda: running(live_server) == 1)
    until(lambda: running(live_server) == 0)


def running(live_server: LiveServer) -> int:
    """Requests in the engine, by its own count."""
    lines = httpx.get(f"{live_server.engine_url}/metrics", timeout=30, trust_env=False).text.splitlines()
    return int(sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running")))


@pytest.mark.disturbs_engine
def test_a_killed_engine_is_503_and_comes_back(live_server: LiveServer) -> None:
    def restarts() -> float:
        metrics = httpx.get(f"{live_server.url}/metrics", trust_env=False).text
        return float(re.search(r"^tandem_engine_restarts (\S+)$", metrics, re.MULTILINE)[1])  # type: ignore[index]

    before, workers = restarts(), live_server.engine.children(recursive=True)
    live_server.engine.send_signal(signal.SIGKILL)
    until(lambda: not live_server.is_ready())
    response = ask(live_server, question=QUESTIONS[0])
    assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
    assert "retry-after" in response.headers
    live_server.wait_until_ready()
    assert ask(live_server, question=QUESTIONS[0]).status_code == 200
    assert psutil.wait_procs(workers, timeout=PATIENCE_SECONDS)[1] == []
    assert restarts() == before + 1
