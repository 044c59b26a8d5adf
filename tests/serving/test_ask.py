"""POST /v1/ask through the whole gateway, with the canned engine."""

from pathlib import Path

from serving.canned import CannedEngine
from tandem.prompt import PROMPT_HASH
from tests.serving.gateway import DOCUMENTS, Gateway, run_gateway

QUESTION = "How much water does the Brisa kettle hold?"


def test_an_answer_cites_document_passage_and_verbatim_quote(gateway: Gateway) -> None:
    body = gateway.ask(QUESTION).json()
    assert body["answer"] == "The Brisa kettle holds 1.7 litres of water. [1]"
    [citation] = body["citations"]
    text = DOCUMENTS[0].text
    assert citation["document"] == "kettle.md"
    assert (
        citation["quote"] == text[citation["start"] : citation["end"]] == "The Brisa kettle holds 1.7 litres of water."
    )


def test_an_answer_names_versions_usage_and_milliseconds(gateway: Gateway) -> None:
    response = gateway.ask(QUESTION)
    body = response.json()
    assert body["versions"] == {"base": "canned/model", "adapter": None, "snapshot": 1, "prompt": PROMPT_HASH}
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"] > 0
    assert {"retrieval", "prompt", "generation", "citations", "total"} <= set(body["timings_ms"])
    assert response.headers["x-request-id"] == body["id"]


def test_k_bounds_the_passages(gateway: Gateway) -> None:
    assert gateway.ask(QUESTION, k=1).json()["passages"] == {"found": 1, "shown": 1, "dropped": 0}


def test_a_filter_bounds_the_documents(gateway: Gateway) -> None:
    body = gateway.ask("How long is the cord of the Arlo toaster?", filter={"kind": "kitchen"}).json()
    assert {citation["document"] for citation in body["citations"]} == {"toaster.md"}


def test_what_is_not_there_is_not_answered(gateway: Gateway) -> None:
    body = gateway.ask("Who invented radio telescopes?").json()
    assert (body["answer"], body["abstained"], body["citations"]) == ("I don't know.", True, [])


def test_base_reads_no_passages(gateway: Gateway) -> None:
    body = gateway.ask(QUESTION, variant="base").json()
    assert (body["passages"], body["versions"]["snapshot"], body["abstained"]) == (None, None, True)


def test_a_wrong_marker_is_mended_and_reported(home: Path) -> None:
    with run_gateway(home, CannedEngine(reply=lambda _: "1.7 litres [3], or so [8].")) as gateway:
        body = gateway.ask(QUESTION).json()
        assert body["answer"] == "1.7 litres [1], or so."
        assert (body["citation_repairs"], body["citations_removed"]) == (1, 1)


def test_passages_that_do_not_fit_are_dropped_from_the_last_and_reported(home: Path) -> None:
    with run_gateway(home, CannedEngine(context_tokens=75), serving={"max_answer_tokens": 20}) as gateway:
        body = gateway.ask(QUESTION).json()
        assert body["passages"]["found"] == 3
        assert 0 < body["passages"]["dropped"] < 3
        assert body["citations"][0]["document"] == "kettle.md"


def test_a_question_that_does_not_fit_alone_says_the_numbers_and_the_way_out(home: Path) -> None:
    with run_gateway(home, CannedEngine(context_tokens=200)) as gateway:
        response = gateway.ask("why " * 300)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (400, "context_length_exceeded")
        assert "200" in error["message"]
        assert "max_tokens" in error["message"]


def test_a_request_is_recorded_without_its_texts(home: Path) -> None:
    with run_gateway(home) as gateway:
        answered = gateway.ask(QUESTION, user="ana").json()
        gateway.ask(QUESTION, variant="hybrid")
        refused, record = gateway.records()
    assert (refused.status, refused.code) == (409, "no_adapter")
    assert (record.id, record.owner, record.variant, record.snapshot) == (answered["id"], "ana", "rag", 1)
    assert (record.status, record.question, record.answer) == (200, None, None)
    assert record.citations[0]["document"] == "kettle.md"
    assert "quote" not in record.citations[0]


def test_texts_are_recorded_by_setting(home: Path) -> None:
    with run_gateway(home, serving={"store_texts": True}) as gateway:
        gateway.ask(QUESTION)
        [record] = gateway.records()
    assert record.question == QUESTION


def test_metrics_count_by_variant(home: Path) -> None:
    with run_gateway(home) as gateway:
        gateway.ask(QUESTION)
        gateway.ask("Who invented radio telescopes?")
        text = gateway.http.get("/metrics").text
    assert 'tandem_requests_total{code="ok",domain="shop",variant="rag"} 2.0' in text
    assert 'tandem_abstentions_total{domain="shop",variant="rag"} 1.0' in text
    assert 'tandem_index_snapshot{domain="shop"} 1.0' in text
    assert "tandem_engine_up 1.0" in text
