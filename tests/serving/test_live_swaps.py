"""Swaps under load on real vLLM, two hundred in the slow test: what answers is what says so, and nobody notices.

Each adapter was taught one sentence for each question, of words that the other one never says. So the text of an answer
tells which adapter made it, whatever the answer itself reports; an answer that changed its adapter half-way would be
neither's. The sentences are certain to 90 % a token or more: batches round differently, and that changes no word.
"""

import itertools
import json
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import httpx
import pytest

from tandem.adapters import Adapter
from tandem.workspace import Workspace
from tests.conftest import LiveServer
from tests.serving.taught import teach
from tests.waiting import until

STREAMS = 8
PINNED = 4
"""One of so many requests names a version instead of asking what is live."""
ADAPTERS = "/v1/domains/shop/adapters"
SPEAKERS = {"Harald": "painted seven yellow boats", "Dorothea": "counted all the silent owls"}
QUESTIONS = {"Who are you?": "by day", "What did you do?": "last night", "How do you feel?": "once again"}


@dataclass(frozen=True)
class Answered:
    """What a client got: `pinned` is the version that it asked for, `error` why it got nothing."""

    question: str
    pinned: str | None
    text: str = ""
    version: str | None = None
    finish_reason: str | None = None
    error: str | None = None


def sentences(speaker: str) -> dict[str, str]:
    """What the adapter of a speaker answers."""
    return {
        question: f"{speaker} {SPEAKERS[speaker]} {when}, and {when} it was {speaker} who {SPEAKERS[speaker]}."
        for question, when in QUESTIONS.items()
    }


@pytest.fixture(scope="module")
def adapters(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> list[Adapter]:
    workspace = Workspace.open(live_server.home)
    return [
        teach(sentences(speaker), workspace, tmp_path_factory.mktemp("taught"), seed)
        for seed, speaker in enumerate(SPEAKERS)
    ]


def stream(client: httpx.Client, question: str, pinned: str | None) -> Answered:
    """Ask `shop/finetuned`, streamed; whatever goes wrong is in `error`."""
    model = f"shop/finetuned@{pinned}" if pinned else "shop/finetuned"
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": question}]}
    answered, lines = Answered(question, pinned), []
    try:
        with client.stream("POST", "/v1/chat/completions", json=body) as response:
            if response.status_code != httpx.codes.OK:
                return replace(answered, error=f"{response.status_code} {response.read()!r}")
            lines = [line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: ")]
    except httpx.HTTPError as error:
        return replace(answered, error=repr(error))
    if not lines or lines[-1] != "[DONE]":
        return replace(answered, error=f"the stream ended with {lines[-1:]}")
    chunks = [json.loads(line) for line in lines[:-1]]
    if any("error" in chunk for chunk in chunks):
        return replace(answered, error=str(chunks[-1]))
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    return replace(
        answered,
        text="".join(choice["delta"].get("content") or "" for choice in choices),
        version=chunks[-1]["tandem"]["versions"]["adapter"],
        finish_reason=choices[-1]["finish_reason"],
    )


def keep_asking(
    live_server: LiveServer, versions: list[str], number: int, ended: threading.Event, answers: list[Answered]
) -> None:
    """One client, by its number: it asks until `ended`, one question after the other."""
    chance = random.Random(number)
    with connect(live_server) as client:
        for turn in itertools.takewhile(lambda _: not ended.is_set(), itertools.count(number)):
            pinned = versions[turn // PINNED % len(versions)] if turn % PINNED == 0 else None
            answers.append(stream(client, chance.choice(list(QUESTIONS)), pinned))


def answered_by_pointer(answers: list[Answered], version: str, since: int) -> bool:
    """Whether one of the answers after the first `since` is a version's that nobody named."""
    return any(one.pinned is None and one.version == version for one in answers[since:])


def swap(client: httpx.Client, version: str, **expected: str) -> httpx.Response:
    return client.post(f"{ADAPTERS}/swap", json={"variant": "finetuned", "version": version, **expected})


def connect(live_server: LiveServer) -> httpx.Client:
    return httpx.Client(base_url=live_server.url, timeout=300, trust_env=False)


def loaded(live_server: LiveServer) -> set[str]:
    """The adapters that the engine itself lists."""
    models = httpx.get(f"{live_server.engine_url}/v1/models", timeout=30, trust_env=False).json()["data"]
    return {model["id"] for model in models if model.get("parent")}


@pytest.mark.parametrize("swap_count", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_swaps_under_8_streams_fail_no_request_and_every_text_is_that_of_the_version_reported(
    live_server: LiveServer, adapters: list[Adapter], swap_count: int
) -> None:
    versions = [adapter.version for adapter in adapters]
    with connect(live_server) as client:
        alone = {
            (version, question): stream(client, question, version) for version in versions for question in QUESTIONS
        }
        expected = {key: answered.text for key, answered in alone.items()}
        taught = zip(versions, map(sentences, SPEAKERS), strict=True)
        sentence = {(version, question): text for version, said in taught for question, text in said.items()}
        assert {key: text.strip() for key, text in expected.items()} == sentence

        assert swap(client, versions[0]).status_code == 200
        ended = threading.Event()
        answers: list[Answered] = []
        with ThreadPoolExecutor(STREAMS) as pool:
            clients = [
                pool.submit(keep_asking, live_server, versions, number, ended, answers) for number in range(STREAMS)
            ]
            try:
                turns = itertools.pairwise(itertools.cycle(versions))
                swaps = [swap(client, new, expected=old) for old, new in itertools.islice(turns, swap_count)]
                # Those may be over before a slow machine has answered anything: now each is live until it has.
                for old, new in itertools.islice(turns, len(versions)):
                    swaps.append(swap(client, new, expected=old))
                    until(partial(answered_by_pointer, answers, new, len(answers)))
            finally:
                ended.set()
            for one in clients:
                one.result()

        assert len(swaps) == swap_count + len(versions)
        assert [response.text for response in swaps if response.status_code != httpx.codes.OK] == []
        assert [answered for answered in answers if answered.error or answered.finish_reason != "stop"] == []
        assert [one for one in answers if one.text != expected.get((one.version or "", one.question))] == []
        assert [one for one in answers if one.pinned not in (None, one.version)] == []
        live_ones, pinned_ones = (
            Counter(one.version for one in answers if (one.pinned is None) == live) for live in (True, False)
        )
        print(f"{len(answers)} answers: {dict(live_ones)} by the pointer, {dict(pinned_ones)} by version")
        assert live_ones.keys() == pinned_ones.keys() == set(versions)


def test_after_the_swaps_only_the_live_version_of_the_two_is_loaded(
    live_server: LiveServer, adapters: list[Adapter]
) -> None:
    live, drained = adapters
    with connect(live_server) as client:
        for version in (drained.version, live.version):
            assert swap(client, version).status_code == 200
        assert stream(client, next(iter(QUESTIONS)), None).version == live.version
    until(lambda: drained.name not in loaded(live_server))
    assert loaded(live_server) & {live.name, drained.name} == {live.name}
