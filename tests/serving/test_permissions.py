"""Who sees which documents over HTTP: a key's owner and groups, narrowed by `user`, on every route that shows text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retrieval.documents import Document
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from serving.auth import Identity, Keys
from tandem.errors import ConfigError, Forbidden
from tandem.settings import RetrievalConfig
from tests.serving.gateway import Gateway, run_gateway

KEYS = Keys.from_environment(
    {
        "TANDEM_API_KEY": "key-ana ana staff,board\nkey-ben ben staff\nkey-portal portal staff",
        "TANDEM_ADMIN_KEY": "root",
    }
)
PRIVATE = [
    Document("ana.md", "Ana", "The Zorv code of the safe is 1111.", allow=("ana",)),
    Document("ben.md", "Ben", "The Zorv code of the gate is 2222.", allow=("ben",)),
    Document("staff.md", "Staff", "The Zorv code of the kitchen is 3333.", allow=("staff",)),
    Document("nobody.md", "Nobody", "The Zorv code of the vault is 4444.", allow=()),
]
QUERY = "What is the Zorv code?"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = tmp_path_factory.mktemp("home")
    with Index.open(home / "indexes" / "shop", HashEmbedder(), RetrievalConfig()) as index:
        index.add(PRIVATE)
    with run_gateway(home, keys=KEYS, retrieval={"k": 10}) as running:
        yield running


def send(gateway: Gateway, key: str, method: str, path: str, body: Any = None) -> Any:
    return gateway.http.request(method, path, json=body, headers={"Authorization": f"Bearer {key}"})


def private(names: set[str]) -> set[str]:
    return {name for name in names if name in {document.id for document in PRIVATE}}


def searched(gateway: Gateway, key: str, **fields: Any) -> set[str]:
    hits = send(gateway, key, "POST", "/v1/domains/shop/search", {"query": QUERY, "k": 20, **fields}).json()["hits"]
    return private({hit["document"] for hit in hits})


@pytest.mark.parametrize(
    ("key", "user", "expected"),
    [
        ("key-ana", None, {"ana.md", "staff.md"}),
        ("key-ana", "ana", {"ana.md", "staff.md"}),
        ("key-ana", "ben", {"staff.md"}),
        ("key-portal", None, {"staff.md"}),
        ("key-portal", "ana", {"staff.md"}),
        ("root", None, {"ana.md", "ben.md", "staff.md", "nobody.md"}),
        ("root", "ben", {"ben.md", "staff.md"}),
    ],
)
def test_a_key_sees_its_owners_documents_and_user_only_narrows(
    gateway: Gateway, key: str, user: str | None, expected: set[str]
) -> None:
    assert searched(gateway, key, user=user) == expected
    suffix = f"?user={user}" if user else ""
    listed = send(gateway, key, "GET", f"/v1/domains/shop/documents{suffix}").json()["documents"]
    assert private({one["id"] for one in listed}) == expected
    seen = {
        document.id
        for document in PRIVATE
        if send(gateway, key, "GET", f"/v1/domains/shop/documents/{document.id}{suffix}").status_code == 200
    }
    assert seen == expected


def test_an_unknown_user_is_refused_in_one_sentence_on_every_route(gateway: Gateway) -> None:
    bodies: dict[str, Any] = {
        "/v1/ask": {"domain": "shop", "question": QUERY},
        "/v1/compare": {"domain": "shop", "question": QUERY, "variants": ["rag"]},
        "/v1/chat/completions": {"model": "shop/rag", "messages": [{"role": "user", "content": QUERY}]},
        "/v1/domains/shop/search": {"query": QUERY},
    }
    for path, body in bodies.items():
        for key in ("key-ana", "root"):
            response = send(gateway, key, "POST", path, {**body, "user": "mallory"})
            error = response.json()["error"]
            assert (response.status_code, error["code"]) == (403, "unknown_user"), path
            assert error["message"].startswith("There is no user 'mallory' here")


def test_what_the_model_is_shown_and_what_is_cited_may_be_seen(gateway: Gateway) -> None:
    bodies: dict[str, Any] = {
        "/v1/ask": {"domain": "shop", "question": QUERY},
        "/v1/compare": {"domain": "shop", "question": QUERY, "variants": ["rag"]},
        "/v1/chat/completions": {"model": "shop/rag", "messages": [{"role": "user", "content": QUERY}]},
    }
    codes = {"ana.md": "1111", "ben.md": "2222", "staff.md": "3333", "nobody.md": "4444"}
    for path, body in bodies.items():
        for key, user, expected in (("key-ana", None, {"1111", "3333"}), ("root", "ben", {"2222", "3333"})):
            response = send(gateway, key, "POST", path, body | ({"user": user} if user else {}))
            assert response.status_code == 200, response.text
            prompt = str(gateway.engine.bodies[-1]["messages"])
            assert {code for code in codes.values() if code in prompt} == expected, path
            assert not {code for code in codes.values() if code in response.text} - expected


def test_who_else_may_see_a_document_is_told_to_administrators_only(gateway: Gateway) -> None:
    path = "/v1/domains/shop/documents/ana.md"
    assert send(gateway, "root", "GET", path).json()["allow"] == ["ana"]
    assert "allow" not in send(gateway, "key-ana", "GET", path).json()


def test_a_span_is_shown_in_its_document_and_marked_in_a_page(gateway: Gateway) -> None:
    path = "/v1/domains/shop/documents/staff.md"
    shown = send(gateway, "key-ben", "GET", f"{path}?start=4&end=13&context=4").json()
    assert (shown["before"], shown["text"], shown["after"]) == ("The ", "Zorv code", " of ")
    page = send(gateway, "key-ben", "GET", f"{path}?start=4&end=13&format=html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert 'The <mark id="span">Zorv code</mark> of the kitchen is 3333.' in page.text
    for query in ("start=4&end=13", "start=4&end=13&format=html"):
        hidden = send(gateway, "key-ben", "GET", f"/v1/domains/shop/documents/ana.md?{query}")
        missing = send(gateway, "key-ben", "GET", f"/v1/domains/shop/documents/xna.md?{query}")
        assert hidden.status_code == missing.status_code == 404
        assert hidden.json()["error"]["message"].replace("ana.md", "xna.md") == missing.json()["error"]["message"]


@pytest.mark.parametrize("query", ["start=0", "end=3", "start=5&end=5", "start=0&end=9999", "format=html"])
def test_a_span_that_is_not_in_the_document_is_refused(gateway: Gateway, query: str) -> None:
    response = send(gateway, "root", "GET", f"/v1/domains/shop/documents/staff.md?{query}")
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_span")


def test_a_page_shows_markup_as_text(home: Path) -> None:
    hostile = 'before <script>alert(1)</script> & "quoted" {start} after'
    with Index.open(home / "indexes" / "shop", HashEmbedder(), RetrievalConfig()) as index:
        index.add([Document("x<b>.md", "<img src=x>", hostile)])
    with run_gateway(home) as gateway:
        page = gateway.http.get("/v1/domains/shop/documents/x<b>.md?start=7&end=15&format=html").text
    assert '<mark id="span">&lt;script&gt;</mark>alert(1)&lt;/script&gt; &amp; &quot;quoted&quot; {start} after' in page
    assert "<script" not in page
    assert "<img" not in page
    assert "<b>" not in page


def test_keys_name_their_owners_and_groups() -> None:
    assert KEYS.identify("Bearer key-ana") == Identity("ana", "user", frozenset({"staff", "board"}))
    assert KEYS.identify("Bearer root") == Identity("admin", "admin")
    with pytest.raises(ConfigError, match="Line 2 of TANDEM_API_KEY has 4 words") as caught:
        Keys.from_environment({"TANDEM_API_KEY": "fine\nsecret ana staff board"})
    assert "secret" not in caught.value.message


def test_without_owners_any_user_is_taken_and_narrows() -> None:
    keys = Keys.from_environment({"TANDEM_API_KEY": "u", "TANDEM_ADMIN_KEY": "a"})
    user, admin = keys.identify("Bearer u"), keys.identify("Bearer a")
    assert (keys.principals(user), keys.principals(admin)) == (frozenset({"user"}), None)
    assert (keys.principals(user, "ana"), keys.principals(admin, "ana")) == (frozenset(), frozenset({"ana"}))
    assert Keys().principals(Keys().identify(None), "ana") == frozenset({"ana"})
    with pytest.raises(Forbidden):
        KEYS.principals(Identity("ana", "user"), "")


def test_documents_are_given_their_permissions_over_http(home: Path) -> None:
    with run_gateway(home, keys=KEYS) as gateway:
        body = {"documents": [{"id": "new.md", "text": "The Zorv code is 5555.", "allow": ["board"], "language": "en"}]}
        added = send(gateway, "root", "POST", "/v1/domains/shop/documents", body).json()
        assert (added["added"], added["warnings"]) == (["new.md"], [])
        statuses = [
            send(gateway, key, "GET", "/v1/domains/shop/documents/new.md").status_code
            for key in ("key-ana", "key-ben", "root")
        ]
        assert statuses == [200, 404, 200]
