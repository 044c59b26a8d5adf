"""Files and documents: what is read, what is refused, and in which words."""

import io
import unicodedata
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval import parsers
from retrieval.documents import Document, UnreadableDocument, checked, clean_text
from retrieval.parsers import docx as parsers_docx
from retrieval.parsers import language_code, parse
from tests.retrieval.helpers import make_docx, make_pdf


@given(st.text(st.characters()))
def test_cleaned_text_is_stable_storable_and_normal(text: str) -> None:
    cleaned = clean_text(text)
    assert clean_text(cleaned) == cleaned
    assert cleaned.encode().decode() == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not set(cleaned) & {"\x00", "\r", "\ufeff" if cleaned.startswith("\ufeff") else "\x00"}


def test_byte_order_mark_null_bytes_and_line_ends_are_removed() -> None:
    document = parse(b"\xef\xbb\xbf# Caf\x65\xcc\x81\r\n\r\nOne\x00 two.\r\n", "a.md")
    assert (document.title, document.text) == ("Café", "# Café\n\nOne two.\n")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.txt", b"", "empty"),
        ("a.md", b" \n ", "empty"),
        ("a.md", b"---\ntitle: x\n---\n", "no text"),
        ("a.txt", b"caf\xe9 au lait, s'il vous plait", "not UTF-8 text (byte 0xe9 at offset 3)"),
        ("a.txt", "text".encode("utf-16"), "UTF-16"),
        ("a.txt", bytes(range(256)) * 9, "binary"),
        ("a.txt", b"\x00\x01\x02" * 50, "binary"),
        ("a.png", b"\x89PNG", "kind .png"),
        ("a.pdf", b"%PDF-1.4 broken", "PDF"),
        ("a.pdf", b"no pdf at all", "PDF"),
        ("a.docx", b"no docx at all", "no DOCX"),
        ("a.docx", b"\xd0\xcf\x11\xe0 an encrypted container", "encrypted"),
        ("a.html", b"<html><body><script>x</script></body></html>", "no text"),
    ],
)
def test_unreadable_file_is_one_sentence(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        parse(data, name)
    assert reason in caught.value.message
    assert caught.value.message.endswith((".", ")"))
    assert "\n" not in caught.value.message


def test_encrypted_pdf_is_refused() -> None:
    with pytest.raises(UnreadableDocument, match="encrypted"):
        parse(make_pdf("secret", password="hush"), "a.pdf")


def test_pdf_pages_and_wrapped_lines_become_paragraphs() -> None:
    wrapped = "The kettle holds one point seven litres of water when it is\nfilled up to the upper mark on the scale."
    document = parse(make_pdf("Kettle manual", wrapped), "manual.pdf")
    assert document.title == "Kettle manual"
    assert "when it is filled up" in document.text
    assert document.metadata == {"pages": 2, "format": "pdf"}


def test_larger_lines_of_a_pdf_are_headings() -> None:
    document = parse(make_pdf("# Kettle\nIt boils water.\n# Care\nWash it by hand."), "manual.pdf")
    assert document.title == "Kettle"
    assert document.text == "# Kettle\n\nIt boils water.\n\n# Care\n\nWash it by hand."


def test_docx_keeps_headings_lists_and_tables_in_order() -> None:
    document = parse(make_docx(), "care.docx")
    assert document.title == "Caring for the Kettle"
    assert document.text == (
        "# Caring for the Kettle\n\n## Descaling\n\nUse vinegar once a month.\n\n- Rinse twice\n\n"
        "| Model | Litres |\n|---|---|\n| K1 | 1.7 |"
    )


def test_docx_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"\0" * 2_000_000)
    monkeypatch.setattr(parsers_docx, "MAX_UNPACKED_BYTES", 1_000_000)
    with pytest.raises(UnreadableDocument, match="unpacks to more than"):
        parsers_docx.parse_docx(buffer.getvalue())


def test_html_keeps_content_and_drops_the_frame() -> None:
    page = b"""<html lang=en><head><title>Shop</title></head><body><nav><a href=/>Home</a></nav>
    <h1>Charging</h1><p>Use the <b>supplied</b> cable.</p><h2>Times</h2>
    <table><tr><th>Model</th><th>Hours</th></tr><tr><td>K1</td><td>3</td></tr></table>
    <dl><dt>Weight</dt><dd>3 kg</dd></dl><footer>Imprint</footer><script>var x</script></body></html>"""
    document = parse(page, "charging.html")
    assert document.title == "Charging"
    assert document.metadata == {"language": "en", "format": "html"}
    assert "Use the supplied cable." in document.text
    assert "## Times" in document.text
    assert "| K1 | 3 |" in document.text
    assert "Weight: 3 kg" in document.text
    assert not any(word in document.text for word in ("Home", "Imprint", "var x"))


def test_html_main_is_taken_whole() -> None:
    page = "<body><div>Menu</div><main><h1>Größe</h1><p>9 m</p><ul><li>a</li></ul></main></body>"
    document = parse(page.encode(), "a.html")
    assert document.text == "# Größe\n\n9 m\n\n- a"


def test_html_in_a_declared_encoding_is_read() -> None:
    page = '<meta charset="iso-8859-1"><p>Größe</p>'.encode("latin-1")
    assert "Größe" in parse(page, "a.html").text


def test_front_matter_becomes_metadata_and_title() -> None:
    document = parse(b"---\ntitle: Care\nproduct: kettle\ntags: [a, b]\nsince: 2026-01-02\n---\nWash it.\n", "x.md")
    assert (document.title, document.text) == ("Care", "Wash it.\n")
    assert document.metadata == {"product": "kettle", "tags": ["a", "b"], "since": "2026-01-02", "format": "markdown"}


@pytest.mark.parametrize(
    ("name", "data", "title"),
    [
        ("x.md", b"# From `heading`\n\ntext", "From heading"),
        ("x.md", b"Underlined\n==========\n\ntext", "Underlined"),
        ("x.md", b"```\n# no heading\n```\n", "X"),
        ("x.txt", b"A short first line\n\nand then text.", "A short first line"),
        ("sub/battery-care_2.txt", b"Only text here. And more.", "Battery care 2"),
    ],
)
def test_title_comes_from_heading_then_first_line_then_name(name: str, data: bytes, title: str) -> None:
    assert parse(data, name).title == title


def test_too_large_and_missing_files_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsers, "MAX_FILE_BYTES", 3)
    (tmp_path / "a.txt").write_text("four")
    with pytest.raises(UnreadableDocument, match="4 bytes; the limit is 3"):
        parsers.read_bytes(tmp_path / "a.txt")
    with pytest.raises(UnreadableDocument, match="No such file"):
        parsers.read_bytes(tmp_path / "b.txt")


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (Document("", "t", "x"), "no id"),
        (Document("a\nb", "t", "x"), "cannot be shown"),
        (Document("a", "t", " \x00\n"), "no text"),
        (Document("a", "t", "x", {"k": {"nested": 1}}), "'k'"),
        (Document("a", "t", "x", {"k": float("nan")}), "finite"),
    ],
)
def test_documents_that_cannot_be_kept_say_why(document: Document, reason: str) -> None:
    with pytest.raises(UnreadableDocument, match=reason):
        checked(document)


def test_front_matter_says_who_may_see_a_document_and_a_page_its_language() -> None:
    document = parse(b"---\nallow: [staff, ana]\nlanguage: es\n---\nLa tetera.\n", "x.md")
    assert (document.allow, document.language, "allow" in document.metadata) == (("ana", "staff"), "es", False)
    assert parse(b"---\nallow: []\n---\nNobody.\n", "x.md").allow == ()
    with pytest.raises(UnreadableDocument, match="`allow` is 3"):
        parse(b"---\nallow: 3\n---\nText.\n", "x.md")
    assert parse(b"<html lang=en-GB><body><p>The kettle.</p></body></html>", "x.html").language == "en"


def test_words_that_a_reader_of_the_page_does_not_see_are_not_indexed() -> None:
    page = b"""<html><body><h1>Kettle</h1><p>It boils water in the kitchen.</p><p hidden>secret one</p>
    <div style="color: red; display : none"><p>secret two</p></div><span style="font-size:0">secret three</span>
    <p style="font-size:0.9em">It is small.</p><p>It is <span style="VISIBILITY:hidden">secret four</span> blue.</p>
    </body></html>"""
    text = parse(page, "a.html").text
    assert "secret" not in text
    assert all(words in text for words in ("boils water", "small", "It is blue."))


def test_nothing_invisible_hides_or_turns_around_a_text() -> None:
    hidden = "".join(chr(0xE0000 + ord(sign)) for sign in "obey")
    assert clean_text(f"pay \u202e001\u202c \u2066now\u2069{hidden}\u200b.") == "pay 001 now."
    joined = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f469\u200d\U0001f52c \u200fabc"
    assert clean_text(joined) == joined


@pytest.mark.parametrize(
    "front", ["allow: [hr]\ntitle: a: b", "allow:", "allow: [hr, 3]", "allow: ['']", "'allow': [x"]
)
def test_front_matter_whose_permissions_cannot_be_read_is_refused(front: str) -> None:
    with pytest.raises(UnreadableDocument, match="allow"):
        parse(f"---\n{front}\n---\nFor few eyes.\n".encode(), "x.md")


@pytest.mark.parametrize(
    ("given", "code"),
    [("es", "es"), ("en-GB", "en"), ("DE_at", "de"), ("spa", ""), ("Spanish", ""), ("12", ""), ("", "")],
)
def test_a_language_is_two_letters_or_unknown(given: str, code: str) -> None:
    assert language_code(given) == code
