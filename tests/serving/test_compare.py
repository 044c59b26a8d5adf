"""POST /v1/compare: several variants, one question, one id."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.canned import CannedEngine
from tandem.adapters import Adapter
from tests.serving.adapters import make_adapter, make_base
from tests.serving.gateway import Gateway, run_gateway

QUESTION = "How much water does the Brisa kettle hold?"


@pytest.fixture
def adapter_and_gateway(tmp_path: Path) -> Iterator[tuple[Adapter, Gateway]]:
    base = make_base(tmp_path / "base")
    with run_gateway(tmp_path / "home", CannedEngine(), base_model=str(base)) as gateway:
        adapter = make_adapter(gateway.workspace, base)
        swap = {"variant": "hybrid", "version": adapter.version}
        gateway.http.post("/v1/domains/shop/adapters/swap", json=swap).raise_for_status()
        yield adapter, gateway


def compare(gateway: Gateway, **fields: Any) -> Any:
    return gateway.http.post("/v1/compare", json={"domain": "shop", "question": QUESTION, **fields})


def test_every_variant_that_answers_is_asked_and_named(adapter_and_gateway: tuple[Adapter, Gateway]) -> None:
    adapter, gateway = adapter_and_gateway
    response = compare(gateway)
    body = response.json()
    versions = {answer["variant"]: answer["versions"]["adapter"] for answer in body["answers"]}
    assert versions == {"base": None, "rag": None, "hybrid": adapter.version}
    assert body["id"] == response.headers["x-request-id"]
    assert {answer["id"] for answer in body["answers"]} == {f"{body['id']}-{variant}" for variant in versions}
    assert {record.id for record in gateway.records()} == {answer["id"] for answer in body["answers"]}


def test_answers_come_in_the_order_asked_and_a_failing_one_does_not_hide_the_others(
    adapter_and_gateway: tuple[Adapter, Gateway],
) -> None:
    adapter, gateway = adapter_and_gateway
    pinned = f"finetuned@{adapter.version}"
    answers = compare(gateway, variants=["hybrid", "finetuned", pinned, "rag"]).json()["answers"]
    assert [answer["variant"] for answer in answers] == ["hybrid", "finetuned", pinned, "rag"]
    assert answers[1]["error"]["code"] == "no_adapter"
    assert answers[2]["versions"]["adapter"] == adapter.version
    assert answers[3]["citations"]


def test_when_none_can_answer_the_first_error_is_the_response(adapter_and_gateway: tuple[Adapter, Gateway]) -> None:
    response = compare(adapter_and_gateway[1], variants=["finetuned", "auto"])
    assert (response.status_code, response.json()["error"]["code"]) == (409, "no_adapter")


@pytest.mark.parametrize(
    ("variants", "code"), [(["rag", "rag"], "invalid_request"), (["raag"], "unknown_variant"), ([], "invalid_request")]
)
def test_what_cannot_be_compared_is_refused(
    adapter_and_gateway: tuple[Adapter, Gateway], variants: list[str], code: str
) -> None:
    response = compare(adapter_and_gateway[1], variants=variants)
    assert (response.status_code, response.json()["error"]["code"]) == (400, code)


def test_a_stream_tags_every_event_with_its_variant(adapter_and_gateway: tuple[Adapter, Gateway]) -> None:
    text = compare(adapter_and_gateway[1], variants=["rag", "finetuned", "hybrid"], stream=True).text
    *events, done = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert done == "[DONE]"
    first, *rest = [json.loads(event) for event in events]
    assert first["variants"] == ["rag", "finetuned", "hybrid"]
    ends = {event["variant"]: event for event in rest if "delta" not in event}
    assert ends["finetuned"]["error"]["code"] == "no_adapter"
    for variant in ("rag", "hybrid"):
        streamed = "".join(event["delta"] for event in rest if event["variant"] == variant and "delta" in event)
        assert streamed == ends[variant]["answer"]["answer"] == "The Brisa kettle holds 1.7 litres of water. [1]"
