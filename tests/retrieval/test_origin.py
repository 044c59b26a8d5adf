"""Where a document's words come from: source, licence and page are kept, found by, and shown."""

import io
import sqlite3
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from pypdf import PdfWriter
from pypdf.generic import NameObject, StreamObject

from retrieval.check import verify
from retrieval.copies import backup_folder, restore
from retrieval.documents import Document
from retrieval.index import Index, IndexCorrupt
from retrieval.parsers import parse, parse_all
from retrieval.reembed import reembed
from retrieval.requests import Options
from serving.citations import Source, check_answer
from serving.flow import sources
from tandem.commands.search import print_result
from tests.retrieval.helpers import SMALL, CountingEmbedder, make_pdf, open_index

PAGES = ("Kettles boil water.", "", "Lamps give light.", "Chairs are for sitting.")


@pytest.fixture
def index(tmp_path: Path):
    with open_index(tmp_path / "index") as opened:
        yield opened


def pages_of(index: Index) -> dict[str, int | None]:
    return {hit.text: hit.page for hit in index.search("kettles lamps chairs", 20).hits}


def manual() -> Document:
    return parse(make_pdf(*[f"# Part {number}\n{text}" for number, text in enumerate(PAGES, 1)]), "manual.pdf")


def test_a_pdf_knows_where_its_pages_begin_empty_ones_too() -> None:
    document = parse(make_pdf(*PAGES), "manual.pdf")
    spans = pairwise([*document.pages, len(document.text)])
    assert tuple(document.text[start:end].strip() for start, end in spans) == PAGES


def test_hits_name_the_page_they_begin_on_and_others_have_none(index: Index) -> None:
    index.add([manual(), Document("plain", "Plain", "Kettles are made of steel.")])
    assert pages_of(index) == {
        "# Part 1\n\nKettles boil water.": 1,
        "# Part 2\n\n# Part 3\n\nLamps give light.": 2,
        "# Part 4\n\nChairs are for sitting.": 4,
        "Kettles are made of steel.": None,
    }


def test_pages_outlive_reopening_backup_reembedding_and_replacing(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    with open_index(folder) as index:
        snapshot = index.add([manual()]).snapshot
        before = pages_of(index)
        backup_folder(folder, tmp_path / "copy.db")
        index.add([Document("manual.pdf", "Manual", "Kettles again.")])
        old = index.search("kettles", 20, snapshot=snapshot).hits
        assert {hit.text: hit.page for hit in old} == before
        assert index.search("kettles").hits[0].page is None
    restore(folder, tmp_path / "copy.db")
    embedder = CountingEmbedder()
    embedder.digest = "another"
    reembed(folder, embedder, SMALL)
    with open_index(folder, embedder) as index:
        assert pages_of(index) == before


@pytest.mark.parametrize(
    ("table", "ask"),
    [("documents", lambda index: index.document("manual.pdf")), ("passages", lambda index: index.search("kettles"))],
)
def test_a_changed_page_is_noticed(tmp_path: Path, table: str, ask: Callable[[Index], object]) -> None:
    with open_index(tmp_path / "index") as index:
        index.add([manual()])
    with sqlite3.connect(tmp_path / "index" / "index.db") as connection:
        connection.execute(f"UPDATE {table} SET pages = '[7]' WHERE number = 1")
    connection.close()
    assert len(verify(tmp_path / "index").problems) >= 1
    with open_index(tmp_path / "index") as index, pytest.raises(IndexCorrupt):
        ask(index)


def test_a_citation_names_the_page_of_its_quote() -> None:
    text = "Kettles boil water. Lamps give 40 lumens."
    shown = Source("a.pdf", "a.pdf#1", 100, text, 3, (100 + text.index("Lamps"),), "https://a.example", "CC0")
    (citation,) = check_answer("Lamps give 40 lumens [1].", "How bright?", [shown]).citations
    assert (citation.page, citation.source, citation.licence) == (4, "https://a.example", "CC0")


def test_source_and_licence_are_taken_from_each_format_under_one_name() -> None:
    page = (
        b"<html lang='en'><head><link rel='canonical' href='https://a.example/k'></head><body><p>Kettles boil water"
        b" in the kitchen.</p><a rel='license' href='https://cc.example/by'>Licence</a></body></html>"
    )
    assert parse(page, "a.html").metadata.items() >= {
        ("source", "https://a.example/k"),
        ("licence", "https://cc.example/by"),
    }
    front = b"---\nsource: https://b.example\nlicense: MIT\n---\nText."
    assert parse(front, "b.md").metadata == {"source": "https://b.example", "licence": "MIT", "format": "markdown"}
    rows, _ = parse_all(b"text,license,source\nHello there,CC0,the archive\n", "c.csv")
    assert rows[0].metadata == {"licence": "CC0", "source": "the archive", "format": "csv"}


XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:source>https://a.example</dc:source>
<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">CC0</rdf:li></rdf:Alt></dc:rights></rdf:Description></rdf:RDF>
</x:xmpmeta>"""


@pytest.mark.parametrize(
    ("xmp", "found"), [(XMP, {"source": "https://a.example", "licence": "CC0"}), (XMP[:200], {}), ("<", {}), ("", {})]
)
def test_source_and_licence_of_a_pdf_are_read_and_damaged_metadata_costs_nothing_else(
    xmp: str, found: dict[str, str]
) -> None:
    writer, stream, buffer = PdfWriter(io.BytesIO(make_pdf("Kettles boil water."))), StreamObject(), io.BytesIO()
    stream.set_data(xmp.encode())
    writer._root_object[NameObject("/Metadata")] = writer._add_object(stream)
    writer.write(buffer)
    document = parse(buffer.getvalue(), "a.pdf")
    assert (document.text, document.metadata) == ("Kettles boil water.", {"pages": 1, **found, "format": "pdf"})


def test_a_search_can_be_narrowed_to_a_licence(index: Index) -> None:
    index.add([Document(name, name, "Kettles boil water.", {"licence": name}) for name in ("MIT", "CC0")])
    assert [hit.document for hit in index.search("kettles", filter={"licence": "CC0"}).hits] == ["CC0"]


def test_the_terminal_shows_page_source_and_licence(index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    index.add([manual(), Document("b", "B", "Stools stand.", {"source": "the archive", "licence": "CC0"})])
    print_result(index.search("Stools stand Lamps give light", 9))
    shown = capsys.readouterr().out
    assert "page 2, score" in shown
    assert "b 0-13, source the archive, licence CC0, score" in shown


def test_pages_of_the_text_around_a_hit_are_told(tmp_path: Path) -> None:
    sentences = [f"On sheet {number} the owl counts {number} boats. " for number in range(1, 7)]
    begins = tuple(len("".join(sentences[:number])) for number in range(6))
    with open_index(tmp_path) as index:
        index.add([Document("d", "t", "".join(sentences), pages=begins)])
        hit = next(hit for hit in index.search("owl", 9, options=Options(neighbours=2)).hits if hit.page == 3)
    (source,) = sources([hit])
    shown = hit.before + hit.text + hit.after
    assert len(hit.before) > 0
    assert source.page == 1 + begins.index(next(b for b in reversed(begins) if b <= source.start))
    assert set(hit.page_breaks) == {b for b in begins if source.start < b < source.start + len(shown)}
