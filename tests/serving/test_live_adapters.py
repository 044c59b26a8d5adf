"""Real adapters on real vLLM: each request gets its own adapter's answer, whatever it is batched with."""

import json
import random
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tandem.adapters import REFERENCES, WEIGHTS, Adapter, AdapterCard, base_digest, publish
from tandem.prompt import PROMPT_HASH
from tandem.workspace import Workspace
from tests.conftest import LIVE_DOCUMENTS, TINY, LiveServer
from tests.waiting import until

IN_FLIGHT = 8
MORE_THAN_SLOTS = 6
"""Adapters; the engine has four slots (engine.max_adapters)."""
MOVED = 2
"""Of the 20 likeliest first tokens, how many may change with what else is in the batch."""
ADAPTERS = "/v1/domains/shop/adapters"
PROMPTS = [text[:length] for text in LIVE_DOCUMENTS.values() for length in (40, 60)]


def logprobs_under_peft(model: Any, prompt: Sequence[int], completion: Sequence[int]) -> list[float]:
    """The log-probability of each token of the completion, in float32."""
    import torch

    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *completion]])).logits[0].float()
    found = torch.log_softmax(logits, -1)
    return [float(found[len(prompt) - 1 + place, token]) for place, token in enumerate(completion)]


@pytest.fixture(scope="module")
def adapters(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> list[Adapter]:
    """Random adapters of the tiny model, made and measured by PEFT."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    workspace, digest, made = Workspace.open(live_server.home), base_digest(TINY), []
    tokenizer = AutoTokenizer.from_pretrained(TINY)
    prompts = [tokenizer(prompt)["input_ids"] for prompt in PROMPTS[:4]]
    for seed in range(MORE_THAN_SLOTS):
        torch.manual_seed(seed)
        base = AutoModelForCausalLM.from_pretrained(TINY, dtype=torch.float32)
        options = LoraConfig(r=8, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
        model: Any = get_peft_model(base, options).eval()
        staging = tmp_path_factory.mktemp("adapter")
        model.save_pretrained(staging)
        references = [
            {"messages": [], "prompt_ids": prompt, "completion_ids": prompt[:8]}
            | {"logprobs": logprobs_under_peft(model, prompt, prompt[:8])}
            for prompt in prompts
        ]
        (staging / REFERENCES).write_text(json.dumps({"prompts": references}))
        card = AdapterCard("shop", "closed-book", TINY.name, digest, "1" * 64, PROMPT_HASH, (), seed=seed)
        (staging / "card.json").write_bytes(card.to_json())
        made.append(publish(staging, workspace, "shop"))
    return made


def post(live_server: LiveServer, route: str, **body: Any) -> httpx.Response:
    return httpx.post(live_server.url + route, json=body, timeout=120, trust_env=False)


def swap(live_server: LiveServer, adapter: Adapter, **fields: Any) -> httpx.Response:
    return post(live_server, f"{ADAPTERS}/swap", variant="finetuned", version=adapter.version, **fields)


def likeliest(live_server: LiveServer, model: str, prompt: str) -> set[str]:
    """The 20 likeliest first tokens."""
    response = post(live_server, "/v1/completions", model=model, prompt=prompt, max_tokens=1, logprobs=20)
    response.raise_for_status()
    return set(response.json()["choices"][0]["logprobs"]["top_logprobs"][0])


def test_the_engine_computes_what_peft_computes_and_more_swaps_than_slots_go_through(
    live_server: LiveServer, adapters: list[Adapter]
) -> None:
    for adapter in adapters:
        response = swap(live_server, adapter)
        assert response.status_code == 200, response.text
        assert response.json()["parity"]["mean_difference"] <= 0.05
        answered = post(live_server, "/v1/ask", domain="shop", question="Why?", variant="finetuned").json()
        assert answered["versions"]["adapter"] == adapter.version


def test_every_request_gets_its_own_adapter_whatever_it_is_batched_with(
    live_server: LiveServer, adapters: list[Adapter]
) -> None:
    for adapter in adapters:  # every slot has held an adapter, so the last one is never empty
        assert swap(live_server, adapter, force=True).status_code == 200
    models = ["shop/base", *(f"shop/finetuned@{adapter.version}" for adapter in adapters[-4:])]
    requests = [(model, prompt) for prompt in PROMPTS for model in models]
    alone = {request: likeliest(live_server, *request) for request in requests}
    different = [len(alone["shop/base", prompt] - alone[model, prompt]) for model, prompt in requests]
    assert sum(count > MOVED for count in different) > len(requests) / 2  # else this test could not fail
    random.Random(0).shuffle(requests)
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        together = list(pool.map(lambda request: likeliest(live_server, *request), requests))
    moved = {request: len(alone[request] - found) for request, found in zip(requests, together, strict=True)}
    assert {request: count for request, count in moved.items() if count > MOVED} == {}


def test_an_adapter_whose_references_are_anothers_is_refused_and_the_live_one_stays(
    live_server: LiveServer, adapters: list[Adapter], tmp_path: Path
) -> None:
    assert swap(live_server, adapters[0]).status_code == 200
    staging = tmp_path / "staging"
    staging.mkdir()
    for name in ("adapter_config.json", "card.json", WEIGHTS):
        (staging / name).write_bytes((adapters[1].folder / name).read_bytes())
    (staging / REFERENCES).write_bytes((adapters[2].folder / REFERENCES).read_bytes())
    mixed = publish(staging, Workspace.open(live_server.home), "shop")
    response = swap(live_server, mixed)
    assert (response.status_code, response.json()["error"]["code"]) == (409, "adapter_parity")
    assert post(live_server, f"{ADAPTERS}/swap", variant="finetuned", version=adapters[0].version).status_code == 200


def test_variants_compared_at_once_answer_as_they_do_alone(live_server: LiveServer, adapters: list[Adapter]) -> None:
    assert swap(live_server, adapters[0]).status_code == 200
    variants = ["base", "rag", "finetuned", f"hybrid@{adapters[1].version}"]
    compared = post(live_server, "/v1/compare", domain="shop", question="How hot is it?", variants=variants).json()
    versions = [answer["versions"]["adapter"] for answer in compared["answers"]]
    assert versions == [None, None, adapters[0].version, adapters[1].version]


@pytest.mark.disturbs_engine
def test_an_engine_that_died_gets_its_adapter_again(live_server: LiveServer, adapters: list[Adapter]) -> None:
    assert swap(live_server, adapters[0]).status_code == 200
    model, prompt = "shop/finetuned", PROMPTS[0]
    before = likeliest(live_server, model, prompt)
    live_server.engine.send_signal(signal.SIGKILL)
    until(lambda: not live_server.is_ready())
    live_server.wait_until_ready()
    assert len(before - likeliest(live_server, model, prompt)) <= MOVED
