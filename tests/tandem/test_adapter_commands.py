"""`tandem adapters` and `tandem compare`."""

import json
from pathlib import Path

import pytest

from tandem import cli
from tandem.adapters import Adapter
from tandem.database import Database
from tandem.workspace import Workspace
from tests.serving.adapters import make_adapter, make_base
from tests.tandem.test_ask import ANSWER, server

SWAPPED = {
    "variant": "hybrid",
    "version": "b" * 12,
    "previous": "a" * 12,
    "parity": {"mean_difference": 0.00123, "tokens": 512, "limit": 0.05, "holds": True},
}


@pytest.fixture
def project(tmp_path: Path) -> list[str]:
    base = make_base(tmp_path / "base")
    config = tmp_path / "tandem.yaml"
    config.write_text(json.dumps({"base_model": str(base), "domains": {"shop": {}, "other": {}}}))
    return ["--config", str(config), "--home", str(tmp_path / "home")]


@pytest.fixture
def adapter(project: list[str], tmp_path: Path) -> Adapter:
    workspace = Workspace.open(tmp_path / "home")
    adapter = make_adapter(workspace, tmp_path / "base")
    database = Database(workspace.database_url())
    database.move_pointer("shop", "hybrid", adapter.version, None)
    database.close()
    return adapter


def test_list_names_versions_and_what_they_answer_for(
    project: list[str], adapter: Adapter, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["adapters", "list", "shop", *project]) == 0
    [line] = capsys.readouterr().out.splitlines()
    parts = (adapter.version, "reading", adapter.card.created, "1 documents", "answers for hybrid")
    assert line.split() == " ".join(parts).split()
    assert cli.run(["adapters", "list", "other", *project]) == 0
    assert "other has no adapters yet: run `tandem train other`." in capsys.readouterr().out
    assert cli.run(["adapters", "list", "shop", "--json", *project]) == 0
    assert json.loads(capsys.readouterr().out)["pointers"]["hybrid"]["version"] == adapter.version


def test_show_tells_where_an_adapter_comes_from(
    project: list[str], adapter: Adapter, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["adapters", "show", "shop", adapter.version, *project]) == 0
    shown = capsys.readouterr().out
    assert all(part in shown for part in (adapter.card.base_digest, "kettle.md", "answers for     hybrid"))
    assert cli.run(["adapters", "show", "shop", "0" * 12, *project]) == 2
    assert "shop has no adapter 000000000000" in capsys.readouterr().err


def test_swap_sends_what_was_named_and_prints_what_answers(capsys: pytest.CaptureFixture[str]) -> None:
    with server(200, json.dumps(SWAPPED).encode()) as (url, seen):
        command = ["adapters", "swap", "shop", "b" * 12, "--expected", "a" * 12, "--url", url, "--api-key", "secret"]
        assert cli.run(command) == 0
        assert cli.run(["adapters", "rollback", "shop", "--variant", "finetuned", "--url", url]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "shop/hybrid: bbbbbbbbbbbb answers, aaaaaaaaaaaa did before",
        "  log-probabilities of 512 reference tokens differ from training by 0.0012 on average (allowed: 0.05)",
    ]
    first, second = seen
    assert (first.path, first.key) == ("/v1/domains/shop/adapters/swap", "Bearer secret")
    assert first.body == {"variant": "hybrid", "version": "b" * 12, "force": False, "expected": "a" * 12}
    assert (second.path, second.body) == ("/v1/domains/shop/adapters/rollback", {"variant": "finetuned"})


def test_a_domain_that_is_none_never_becomes_a_route(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["adapters", "swap", "../x", "b" * 12, "--url", "http://127.0.0.1:1"]) == 2
    assert "cannot be the name of a domain" in capsys.readouterr().err


def test_compare_prints_the_answers_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    error = {"variant": "finetuned", "error": {"code": "no_adapter", "message": "Train one."}}
    with server(200, json.dumps({"id": "x", "answers": [ANSWER, error]}).encode()) as (url, seen):
        assert cli.run(["compare", "shop", "When?", "--variants", "rag, finetuned", "--url", url]) == 0
    assert seen[0].body == {"domain": "shop", "question": "When?", "variants": ["rag", "finetuned"]}
    shown = capsys.readouterr().out.splitlines()
    assert shown[:2] == ["rag:", "  It opens at 11:00 [1]."]
    assert shown[-2:] == ["finetuned:", "  not answered: Train one."]
