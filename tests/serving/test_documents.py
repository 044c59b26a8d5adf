"""The document and search routes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.gateway import DOCUMENTS, Gateway, run_gateway

ROUTE = "/v1/domains/shop/documents"


@pytest.fixture
def fresh(home: Path) -> Iterator[Gateway]:
    with run_gateway(home) as running:
        yield running


def test_a_document_that_is_added_is_answered_from_at_once(fresh: Gateway) -> None:
    body = {"documents": [{"id": "fan.md", "title": "Fan", "text": "The Orio fan turns 900 times a minute."}]}
    added = fresh.http.post(ROUTE, json=body).json()
    assert (added["snapshot"], added["added"], added["failed"]) == (2, ["fan.md"], [])
    answer = fresh.ask("How often does the Orio fan turn a minute?").json()
    assert answer["citations"][0]["document"] == "fan.md"
    assert answer["versions"]["snapshot"] == 2


def test_a_document_with_a_known_id_is_replaced(fresh: Gateway) -> None:
    body = {"documents": [{"id": "lamp.md", "title": "Lamp", "text": "The Vela lamp is out of print."}]}
    assert fresh.http.post(ROUTE, json=body).json()["replaced"] == ["lamp.md"]
    assert fresh.http.get(f"{ROUTE}/lamp.md").json()["text"] == "The Vela lamp is out of print."


def test_a_deleted_document_is_not_found_again(fresh: Gateway) -> None:
    assert fresh.http.delete(f"{ROUTE}/kettle.md").json() == {"snapshot": 2, "removed": ["kettle.md"]}
    hits = fresh.http.post("/v1/domains/shop/search", json={"query": "Brisa kettle"}).json()["hits"]
    assert "kettle.md" not in {hit["document"] for hit in hits}
    assert fresh.http.get(f"{ROUTE}/kettle.md").status_code == 404
    assert fresh.http.delete(f"{ROUTE}/kettle.md").status_code == 404


def test_documents_are_listed_in_pages(fresh: Gateway) -> None:
    first = fresh.http.get(ROUTE, params={"limit": 2}).json()
    assert ([one["id"] for one in first["documents"]], first["total"], first["has_more"]) == (
        ["kettle.md", "lamp.md"],
        3,
        True,
    )
    rest = fresh.http.get(ROUTE, params={"limit": 2, "after": "lamp.md"}).json()
    assert ([one["id"] for one in rest["documents"]], rest["has_more"]) == (["toaster.md"], False)


def test_files_are_uploaded_and_an_unreadable_one_is_reported(fresh: Gateway) -> None:
    files = [
        ("files", ("folder/grill.md", b"# Grill\n\nThe Sola grill heats in 8 minutes.", "text/markdown")),
        ("files", ("broken.pdf", b"%PDF-1.4 nothing", "application/pdf")),
    ]
    body = fresh.http.post(ROUTE, files=files).json()
    assert body["added"] == ["folder/grill.md"]
    assert [failure["id"] for failure in body["failed"]] == ["broken.pdf"]
    assert "Sola grill" in fresh.http.get(f"{ROUTE}/folder/grill.md").json()["text"]


def test_only_unreadable_files_are_an_error_and_change_nothing(fresh: Gateway) -> None:
    response = fresh.http.post(ROUTE, files=[("files", ("empty.txt", b"", "text/plain"))])
    assert (response.status_code, response.json()["error"]["code"]) == (400, "unreadable_document")
    assert fresh.http.get(ROUTE).json()["total"] == len(DOCUMENTS)


def test_another_kind_of_body_is_415(fresh: Gateway) -> None:
    response = fresh.http.post(ROUTE, content=b"text", headers={"Content-Type": "text/plain"})
    assert (response.status_code, response.json()["error"]["code"]) == (415, "unsupported_media_type")


def test_a_form_without_files_is_told_so(fresh: Gateway) -> None:
    response = fresh.http.post(ROUTE, data={"a": "b"}, files={"": ("", b"")})
    assert response.status_code == 400
    assert "file" in response.json()["error"]["message"]


def test_search_gives_verbatim_passages(fresh: Gateway) -> None:
    body = fresh.http.post("/v1/domains/shop/search", json={"query": "cord of the toaster", "k": 1}).json()
    [hit] = body["hits"]
    assert (body["snapshot"], hit["document"]) == (1, "toaster.md")
    assert DOCUMENTS[1].text[hit["start"] : hit["end"]] == hit["text"]


def test_an_uploaded_file_keeps_the_rules_of_its_domain_and_tells_what_was_hidden(home: Path) -> None:
    rules = [{"path": "hr/", "allow": ["boss"], "source": "https://a.example"}]
    with run_gateway(home, domains={"shop": {"document_rules": rules}, "empty": {}}) as gateway:
        file = ("files", ("hr/pay.md", "Salaries are paid\u200b on Friday.".encode(), "text/markdown"))
        assert gateway.http.post(ROUTE, files=[file]).json()["hidden"] == {"hr/pay.md": 1}
        body = gateway.http.get(f"{ROUTE}/hr/pay.md").json()
        assert (body["allow"], body["metadata"]["source"], body["pages"]) == (["boss"], "https://a.example", [])
        assert "hidden" not in body
        answer = gateway.ask("When are salaries paid?").json()
        assert [(one["source"], one["licence"], one["page"]) for one in answer["citations"]] == [
            ("https://a.example", None, None)
        ]
