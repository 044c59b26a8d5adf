"""How passages are searched for an answer: the same fields on every route, and what the search says of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from retrieval.documents import Document
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from serving.auth import Keys
from tandem import cli
from tandem.settings import RetrievalConfig
from tests.serving.gateway import Gateway, run_gateway

QUESTION = "How many levels has the Arlo toaster?"
SPANISH = "¿Cuántos niveles tiene la tostadora Arlo que compramos para la cocina?"
LONG = Document(
    "long.md",
    "Long",
    "\n\n".join(f"Part {n} of the Zorv manual says that its code {n} is {n}{n}{n}." for n in range(9)),
)
CUT = {"passage_tokens": 16, "overlap_tokens": 0}

Send = Callable[..., Any]


def ask(gateway: Gateway, question: str, **fields: Any) -> Any:
    return gateway.ask(question, **fields)


def chat(gateway: Gateway, question: str, **fields: Any) -> Any:
    return gateway.chat(question, tandem=fields)


def compare(gateway: Gateway, question: str, **fields: Any) -> Any:
    body = {"domain": "shop", "question": question, "variants": ["rag"], **fields}
    return gateway.http.post("/v1/compare", json=body)


def evidence(response: Any) -> Any:
    assert response.status_code == 200, response.text
    body = response.json()
    return body.get("tandem") or body.get("answers", [body])[0]


def prompt(gateway: Gateway) -> str:
    return str(gateway.engine.bodies[-1]["messages"])


ROUTES = pytest.mark.parametrize("send", [ask, chat, compare])


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose embedder reads English only, with a long document and a state before `lamp.md` was replaced."""
    home, settings = tmp_path_factory.mktemp("home"), {**CUT, "embedder_languages": ["en"]}
    with Index.open(home / "indexes" / "shop", HashEmbedder(), RetrievalConfig.model_validate(settings)) as index:
        index.add([LONG, Document("lamp.md", "Lamp", "The Vela lamp is of the first edition.")])
    with run_gateway(home, retrieval=settings) as running:
        yield running


@ROUTES
def test_an_older_snapshot_is_answered_from(english: Gateway, send: Send) -> None:
    for snapshot, expected in ((1, True), (2, False)):
        answered = evidence(send(english, "Of which edition is the Vela lamp?", snapshot=snapshot))
        assert answered["versions"]["snapshot"] == snapshot
        assert ("first edition" in prompt(english)) is expected


@ROUTES
def test_the_least_similarity_and_the_filter_hold_for_what_the_model_reads(english: Gateway, send: Send) -> None:
    assert evidence(send(english, QUESTION, min_similarity=1.0))["passages"]["found"] == 0
    assert evidence(send(english, QUESTION, filter={"document": "toaster.md"}, k=5))["passages"]["found"] == 1


@ROUTES
def test_neighbours_are_read_and_cited_where_they_stand(english: Gateway, send: Send) -> None:
    question = "What does part 4 of the Zorv manual say its code 4 is?"
    only = {"filter": {"document": "long.md"}, "k": 1}
    evidence(send(english, question, **only))
    assert "444" in prompt(english)
    assert "555" not in prompt(english)
    found = evidence(send(english, question, neighbours=1, **only))
    assert "333" in prompt(english)
    assert "555" in prompt(english)
    for citation in found["citations"]:
        assert LONG.text[citation["start"] : citation["end"]] == citation["quote"]
    assert found["citations"]


@ROUTES
def test_near_duplicates_are_folded_for_an_answer(english: Gateway, send: Send) -> None:
    every = evidence(send(english, "Zorv manual", filter={"document": "long.md"}, k=9))["passages"]["found"]
    folded = evidence(send(english, "Zorv manual", filter={"document": "long.md"}, k=9, collapse=0.3))
    assert folded["passages"]["found"] < every == 9


@ROUTES
def test_a_language_that_the_embedder_does_not_read_is_told_with_the_answer(english: Gateway, send: Send) -> None:
    told = evidence(send(english, SPANISH))
    assert told["language"] == "es"
    assert [warning.split(",")[0] for warning in told["warnings"]] == [
        "The embedder 'hash-64' does not read the language es"
    ]
    said = evidence(send(english, SPANISH, language="en"))
    assert (said["language"], said["warnings"]) == ("en", [])


def test_a_stream_ends_with_the_warnings_and_a_variant_that_reads_nothing_has_none(english: Gateway) -> None:
    streamed = english.chat(SPANISH, stream=True).text
    assert streamed.count("does not read the language es") == 1
    base = english.ask(SPANISH, variant="base").json()
    assert (base["language"], base["warnings"]) == (None, [])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("min_similarity", 2),
        ("collapse", 0),
        ("neighbours", 11),
        ("language", "spanish"),
        ("snapshot", -1),
        ("snapshot", 2**63),
        ("filter", "x"),
        ("k", 0),
    ],
)
@ROUTES
def test_a_value_out_of_its_range_is_refused_by_the_name_of_its_field(
    english: Gateway, send: Send, field: str, value: Any
) -> None:
    response = send(english, QUESTION, **{field: value})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == (f"tandem.{field}" if send is chat else field)


@ROUTES
def test_a_snapshot_that_is_not_there_is_not_found(english: Gateway, send: Send) -> None:
    response = send(english, QUESTION, snapshot=99)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_snapshot")


@pytest.mark.parametrize("command", [["ask", "shop"], ["compare", "shop", "--variants", "rag"]])
def test_the_command_line_takes_the_same_options_and_prints_the_warnings(
    english: Gateway, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert cli.run([*command, SPANISH, "--url", english.url, "--snapshot", "1", "--filter", "document=toaster.md"]) == 0
    printed = capsys.readouterr().out
    assert "warning: The embedder 'hash-64' does not read the language es" in printed
    assert "snapshot 1" in printed
    assert cli.run([*command, SPANISH, "--url", english.url, "--language", "en", "--neighbours", "1"]) == 0
    assert "warning" not in capsys.readouterr().out


def test_no_option_shows_a_user_more(home: Path) -> None:
    keys = Keys.from_environment({"TANDEM_API_KEY": "k ana", "TANDEM_ADMIN_KEY": "root"})
    parts = "\n\n".join(f"The Zorv code of door {n} is {n}{n}{n}{n}." for n in range(1, 5))
    private = [Document("ben.md", "Ben", parts, allow=("ben",)), Document("ana.md", "Ana", parts, allow=("ana",))]
    with Index.open(home / "indexes" / "shop", HashEmbedder(), RetrievalConfig.model_validate(CUT)) as index:
        index.add([Document("ben.md", "Ben", parts)])
        index.add(private)
    headers = {"Authorization": "Bearer k"}
    fields = {"snapshot": 1, "neighbours": 2, "collapse": 0.9, "min_similarity": -1.0, "language": "en", "k": 9}
    with run_gateway(home, keys=keys, retrieval=CUT) as gateway:
        for extra in (fields, {**fields, "snapshot": 2}, {**fields, "filter": {"document": "ben.md"}}):
            body = {"domain": "shop", "question": "What is the Zorv code of door 2?", **extra}
            answer = gateway.http.post("/v1/ask", json=body, headers=headers)
            shown = prompt(gateway) + answer.text
            assert "ben.md" not in shown
            assert ("2222" in shown) is (extra["snapshot"] == 2)
