"""The sample domain's documents are what its README and its list of changes say."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from retrieval.parsers import parse, read_bytes
from tandem.config import load_config
from tests.examples.handbook import HELPDESK, VERSIONS, changes, names, written

# Follows from a change in the same document, and is said so below the table of CHANGES.md.
FOLLOWING = {"orders/shipping-velland.html": ("driver of Greywing Post", "driver of Bluefinch Post")}


def listed(heading: str) -> set[str]:
    section = (HELPDESK / "CHANGES.md").read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^- (\S+)$", section, flags=re.M))


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_documents", HELPDESK / "build_documents.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses looks its module up by name.
    sys.modules["build_documents"] = module
    spec.loader.exec_module(module)
    return module


def test_configuration_loads_with_the_questions_and_a_short_prompt() -> None:
    domain = load_config(HELPDESK / "tandem.yaml").domains["helpdesk"]
    assert domain.documents == [HELPDESK / "documents"]
    assert domain.examples == HELPDESK / "train.jsonl"
    assert domain.questions == HELPDESK / "questions.jsonl"
    assert domain.system_prompt is not None
    assert domain.system_prompt.count(".") == 2


def test_handbook_has_the_size_and_the_kinds_that_the_readme_names() -> None:
    kinds = [Path(name).suffix for name in names("documents")]
    assert len(kinds) == 113
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {".md": 99, ".html": 8, ".pdf": 3, ".docx": 3}


@pytest.mark.parametrize("version", VERSIONS)
def test_version_is_light_and_its_documents_are_of_reading_length(version: str) -> None:
    assert sum((HELPDESK / version / name).stat().st_size for name in names(version)) < 1_000_000
    lengths = {
        name: len(re.findall(r"\w+", re.sub(r"<[^>]+>", " ", written(version, name)))) for name in names(version)
    }
    assert {name: length for name, length in lengths.items() if not 80 <= length <= 400} == {}


def test_versions_share_their_names_but_for_the_listed_ones() -> None:
    old, new = names("documents"), names("documents-v2")
    assert new - old == listed("New documents")
    assert old - new == listed("Documents that are gone")
    assert len(new - old) >= 6
    assert len(old - new) >= 2


def test_changes_touch_at_least_twenty_documents() -> None:
    assert len({document for document, *_ in changes()}) >= 20


@pytest.mark.parametrize(("document", "fact", "old", "new"), changes())
def test_changed_fact_stands_in_each_version_with_its_value(document: str, fact: str, old: str, new: str) -> None:
    before, after = written("documents", document), written("documents-v2", document)
    assert fact.replace("___", old) in before
    assert fact.replace("___", new) in after
    assert fact.replace("___", old) not in after


def test_nothing_differs_between_the_versions_but_the_listed_facts() -> None:
    for name in names("documents") & names("documents-v2"):
        text = written("documents", name).replace("spring edition", "autumn edition")
        for document, fact, old, new in changes():
            if document == name:
                text = text.replace(fact.replace("___", old), fact.replace("___", new))
        text = text.replace(*FOLLOWING.get(name, ("", "")))
        assert text == written("documents-v2", name), name


def test_pdf_and_docx_are_what_the_script_makes_of_the_sources(builder: ModuleType) -> None:
    made = builder.build()
    assert set(made) == {
        HELPDESK / version / name
        for version in VERSIONS
        for name in names(version)
        if ".pdf" in name or ".docx" in name
    }
    for path, content in made.items():
        assert parse(content, path.name).text == parse(read_bytes(path), path.name).text, path


def test_builder_writes_the_same_bytes_each_time(builder: ModuleType) -> None:
    assert builder.build() == builder.build()


def test_pdf_source_with_a_table_is_refused(builder: ModuleType) -> None:
    with pytest.raises(ValueError, match="holds a table"):
        builder.pdf_bytes("# Title\n\n| a | b |\n| --- | --- |\n| c | d |\n", "spring edition")
