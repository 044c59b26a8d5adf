"""The sample domain holds what its README, its questions and its list of changes say."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from retrieval.documents import parse_file
from tandem.config import load_config

HELPDESK = Path(__file__).parents[2] / "examples" / "helpdesk"
VERSIONS = ("documents", "documents-v2")
# Follows from a change in the same document, and is said so below the table of CHANGES.md.
FOLLOWING = {"orders/shipping-velland.html": ("driver of Greywing Post", "driver of Bluefinch Post")}
# Unanswerable question -> entity, fact: no document that names the entity says anything of the fact.
ABSENT = {
    "helpdesk-121": (r"Tavry K2 kettle", r"weigh|kilogram|\bgrams?\b"),
    "helpdesk-122": (r"Vandry B2 blender", r"noise|decibel|loud"),
    "helpdesk-123": (r"Bresko C7 coffee machine", r"design"),
    "helpdesk-124": (r"Tavry K2 kettle", r"temperature step|lowest"),
    "helpdesk-125": (r"Keldo S6 slow cooker", r"Keldo S6 slow cooker is made in|built in|factory in"),
    "helpdesk-126": (r"Bresko C9", r"."),
    "helpdesk-127": (r"Crumlo T6", r"."),
    "helpdesk-128": (r"Norvask", r"."),
    "helpdesk-129": (r"E44", r"."),
    "helpdesk-130": (r"P9", r"."),
    "helpdesk-131": (r"Wakelo N2 alarm clock", r"station"),
    "helpdesk-132": (
        r"Nadlo X4 sewing machine",
        r"Nadlo X4 sewing machine lasts|Nadlo X4 sewing machine runs|battery of the Nadlo",
    ),
    "helpdesk-133": (r"workshop in Kessaly", r"phone|555"),
    "helpdesk-134": (r"Tarn Isles", r"head of support"),
    "helpdesk-135": (r"Care Plan Gold", r"."),
    "helpdesk-136": (r"Gramlo W8 bathroom scale", r"reset"),
    "helpdesk-137": (r"Zevric F1 fan", r"part number|\bpart \d"),
    "helpdesk-138": (r"Hubri G1 home hub", r"letters"),
    "helpdesk-139": (r"Stellno", r"."),
    "helpdesk-140": (r"knife course", r"."),
    "helpdesk-141": (r"acorn points", r"birthday"),
    "helpdesk-142": (r"Zevric F1 fan", r"square metre|room size"),
    "helpdesk-143": (r"Hubri G3", r"."),
    "helpdesk-144": (r"Marrow Quay", r"phone number|555"),
    "helpdesk-145": (r"repair price", r"sewing machine[ |]+\d"),
    "helpdesk-146": (r"Trade-in value", r"\bfan\b"),
    "helpdesk-147": (r"gift card", r"deposit"),
    "helpdesk-148": (r"Rovilo V9 robot vacuum", r"speed|per second"),
    "helpdesk-149": (r"Nomiri R1 rice cooker", r"sushi"),
    "helpdesk-150": (r"Misla M1 humidifier", r"hardness"),
}


def names(version: str) -> set[str]:
    folder = HELPDESK / version
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def written(version: str, name: str) -> str:
    """The text as a person wrote it: of a PDF or DOCX, its Markdown source."""
    built = name.endswith((".pdf", ".docx"))
    path = HELPDESK / "source" / version / f"{name}.md" if built else HELPDESK / version / name
    return path.read_text(encoding="utf-8")


def parsed(version: str, name: str) -> str:
    """The text as the index reads it, on one line."""
    return " ".join(parse_file(HELPDESK / version / name).text.split())


def changes() -> list[tuple[str, str, str, str]]:
    """Document, fact with `___` for the value, value in v1, value in v2."""
    rows = []
    for line in (HELPDESK / "CHANGES.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 4 and "___" in cells[1]:
            rows.append((cells[0], cells[1], cells[2], cells[3]))
    return rows


def listed(heading: str) -> set[str]:
    section = (HELPDESK / "CHANGES.md").read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^- (\S+)$", section, flags=re.M))


def questions(kind: str) -> list[dict[str, Any]]:
    lines = (HELPDESK / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["group"] == {"kind": kind}]


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


def test_pdf_and_docx_are_what_the_script_makes_of_the_sources(builder: ModuleType, tmp_path: Path) -> None:
    made = builder.build()
    assert set(made) == {
        HELPDESK / version / name
        for version in VERSIONS
        for name in names(version)
        if ".pdf" in name or ".docx" in name
    }
    for path, content in made.items():
        fresh = tmp_path / path.name
        fresh.write_bytes(content)
        assert parse_file(fresh).text == parse_file(path).text, path


def test_builder_writes_the_same_bytes_each_time(builder: ModuleType) -> None:
    assert builder.build() == builder.build()


def test_pdf_source_with_a_table_is_refused(builder: ModuleType) -> None:
    with pytest.raises(ValueError, match="holds a table"):
        builder.pdf_bytes("# Title\n\n| a | b |\n| --- | --- |\n| c | d |\n", "spring edition")


def test_questions_have_distinct_ids_and_texts_and_both_splits() -> None:
    answerable, unanswerable = questions("answerable"), questions("unanswerable")
    assert (len(answerable), len(unanswerable)) == (120, 30)
    for field in ("id", "question"):
        assert len({row[field] for row in answerable + unanswerable}) == 150
    for rows in (answerable, unanswerable):
        assert [row["split"] for row in rows].count("validation") == [row["split"] for row in rows].count("test")


@pytest.mark.parametrize("row", questions("answerable"), ids=lambda row: row["id"])
def test_answer_stands_verbatim_in_its_document(row: dict[str, Any]) -> None:
    assert row["answers"]
    assert len(row["documents"]) == 1
    (document,) = row["documents"]
    for answer in row["answers"]:
        assert re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", parsed("documents", document)), (document, answer)


def test_every_unanswerable_question_names_what_is_absent() -> None:
    assert {row["id"] for row in questions("unanswerable")} == set(ABSENT)
    assert all((row["answers"], row["documents"]) == ([], []) for row in questions("unanswerable"))


@pytest.mark.parametrize("version", VERSIONS)
def test_no_document_answers_an_unanswerable_question(version: str) -> None:
    texts = {name: parsed(version, name) for name in names(version)}
    for number, (entity, fact) in ABSENT.items():
        both = [name for name, text in texts.items() if re.search(entity, text, re.I) and re.search(fact, text, re.I)]
        assert both == [], number
