"""Rules of a domain: who may see documents, language, licence, source and metadata, by where their files lie."""

from pathlib import Path
from typing import Any

import pytest

from retrieval.documents import Document
from retrieval.index import Index
from retrieval.rules import Rules, pattern_of
from tandem.config import load_config
from tandem.errors import ConfigError
from tandem.settings import DocumentRule
from tests.retrieval.helpers import CountingEmbedder


def rule(path: str, **values: Any) -> DocumentRule:
    return DocumentRule.model_validate({"path": path, **values})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "hr").mkdir(parents=True)
    (folder / "a.md").write_text("Kettles boil water.")
    (folder / "hr" / "pay.md").write_text("Salaries are paid on Friday.")
    (folder / "hr" / "own.md").write_text("---\nallow: [anna, otto]\nlicence: MIT\nlanguage: es\n---\nPensiones.")
    (folder / "rows.csv").write_text("id,text\n1,Lamps give light.\n")
    return folder


@pytest.mark.parametrize(
    ("glob", "matched", "others"),
    [
        ("hr/**", ["hr/a.md", "hr/b/c.md"], ["a.md", "x/hr/a.md", "hrx/a.md"]),
        ("hr/", ["hr/a.md", "hr/b/c.md"], ["hr"]),
        ("hr/*.md", ["hr/a.md"], ["hr/b/c.md", "hr/a.mdx"]),
        ("*.md", ["a.md", "hr/b/c.md"], ["a.pdf"]),
        ("**/c.md", ["c.md", "hr/b/c.md"], ["xc.md"]),
        ("a?[1].md", ["ab[1].md"], ["a/[1].md", "ab1.md"]),
    ],
)
def test_patterns_are_globs_below_the_folder(glob: str, matched: list[str], others: list[str]) -> None:
    assert [name for name in [*matched, *others] if pattern_of(glob).fullmatch(name)] == matched


def test_a_later_rule_wins_key_by_key() -> None:
    rules = Rules([rule("*", licence="MIT", source="here"), rule("hr/", licence="CC0"), rule("x", licence="no")])
    assert rules.apply(Document("hr/a", "A", "Text."), "hr/a").metadata == {"licence": "CC0", "source": "here"}


def test_a_document_wins_over_rules_but_for_who_may_see_it(index: Index, folder: Path) -> None:
    said = rule("hr/", allow=["otto", "eva"], licence="internal", language="en", metadata={"kind": "staff"})
    index.sync([folder], rules=[said])
    own, ruled = index.document("hr/own.md"), index.document("hr/pay.md")
    assert (own.allow, own.language, own.metadata["licence"]) == (("otto",), "es", "MIT")
    assert (ruled.allow, ruled.language, ruled.metadata["licence"]) == (("eva", "otto"), "en", "internal")
    assert own.metadata["kind"] == "staff"
    assert index.search("pensiones", filter={"kind": "staff"}).hits
    seen = {hit.document for hit in index.search("salaries", 9, principals=frozenset({"anna"})).hits}
    assert seen == {"a.md", "rows.csv#1"}


def test_a_rule_cannot_open_what_a_document_keeps_closed(index: Index, folder: Path) -> None:
    index.sync([folder], rules=[rule("hr/", allow="eva"), rule("**", allow="*")])
    assert index.document("hr/own.md").allow == ("anna", "otto")
    assert index.document("hr/pay.md").allow is None


def test_a_rule_closes_what_is_kept_of_a_file_that_cannot_be_opened_and_opens_nothing(
    index: Index, folder: Path, embedder: CountingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.sync([folder], rules=[rule("hr/", allow=["eva"])])
    before = len(embedder.texts)

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", refuse)
        rules = [rule("**", allow=["otto"]), rule("hr/pay.md", allow="*")]
        commit = index.sync([folder], rules=rules)
        assert {failure.id for failure in commit.failed} == {"a.md", "hr/own.md", "hr/pay.md", "rows.csv"}
        allowed = {name: index.document(name).allow for name in ("a.md", "hr/own.md", "hr/pay.md", "rows.csv#1")}
        assert allowed == {"a.md": ("otto",), "hr/own.md": (), "hr/pay.md": ("eva",), "rows.csv#1": ("otto",)}
        assert index.sync([folder], rules=rules).replaced == []
    assert len(embedder.texts) == before
    index.sync([folder], rules=rules)
    assert index.document("hr/own.md").allow == ("otto",)
    assert index.document("hr/pay.md").allow is None


def test_names_that_have_nobody_in_common_leave_the_operator_alone(index: Index, folder: Path) -> None:
    index.sync([folder], rules=[rule("hr/own.md", allow=["eva"])])
    assert index.document("hr/own.md").allow == ()


def test_a_changed_rule_touches_what_it_matches_and_embeds_nothing(
    index: Index, folder: Path, embedder: CountingEmbedder
) -> None:
    index.sync([folder])
    embedder.texts.clear()
    commit = index.sync([folder], rules=[rule("hr/pay.md", allow="hr"), rule("*.csv", licence="CC0")])
    assert (sorted(commit.replaced), embedder.texts) == (["hr/pay.md", "rows.csv#1"], [])
    again = index.sync([folder], rules=[rule("hr/pay.md", allow="hr"), rule("*.csv", licence="CC0")])
    assert (again.replaced, again.snapshot) == ([], commit.snapshot)
    assert sorted(index.sync([folder]).replaced) == ["hr/pay.md", "rows.csv#1"]
    assert index.document("hr/pay.md").allow is None


def test_a_rule_that_matches_no_file_is_a_warning(index: Index, folder: Path) -> None:
    commit = index.sync([folder], rules=[rule("hr/"), rule("sales/", allow="sales")])
    assert commit.warnings == ["The rule 'sales/' of `document_rules` matches no file."]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("[{path: hr/, alow: [hr]}]", "unknown key `alow` .*did you mean `allow`"),
        ("[{path: hr/, allow: }]", "allow` should be a valid list, and is None"),
        ("[{path: hr/, allow: ['*', hr]}]", r"allow names everybody \(`\*`\) and others"),
        ("[{path: /hr}]", "path` String should match pattern"),
        ("[{path: hr/, metadata: {allow: hr}}]", "metadata has allow"),
        ("[{allow: [hr]}]", "path` is missing"),
    ],
)
def test_wrong_rules_are_refused_by_their_keys(tmp_path: Path, rules: str, message: str) -> None:
    file = tmp_path / "tandem.yaml"
    file.write_text(f"base_model: a/b\ndomains:\n  desk:\n    document_rules: {rules}\n")
    with pytest.raises(ConfigError, match=message):
        load_config(file)
