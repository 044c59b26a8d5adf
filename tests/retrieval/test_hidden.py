"""What no reader sees does not reach the index, and is counted."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval.documents import Document
from retrieval.parsers import parse
from retrieval.results import Commit
from tandem.commands.index_print import print_commit
from tests.retrieval.helpers import open_index

SEEN = "The kettle boils water in the kitchen of the house."


def page(inner: str, body: str = "", head: str = "") -> bytes:
    return f"<html><head>{head}</head><body {body}><h1>Kettle</h1><p>{SEEN}</p>{inner}</body></html>".encode()


def styled(style: str, words: str) -> list[bytes]:
    """A page whose paragraph says its style itself, and one whose style sheet says it."""
    sheet = f"<style>h1 {{ color: red }} p.note > b {{ {style} }}</style>"
    return [page(f"<p style='{style}'>{words}</p>"), page(f"<p class='note'><b>{words}</b></p>", head=sheet)]


@pytest.mark.parametrize(
    "style",
    [
        "display:none",
        "display:none !important; display: block",
        "DISPLAY : None !important",
        "visibility: hidden",
        "opacity:0",
        "opacity: 0.0",
        "font-size:0",
        "font-size: 0px",
        "color: #fff; background: white",
        "color: rgb(255, 255, 255); background-color: #FFFFFF",
        "color: transparent",
        "position: absolute; left: -9999px",
        "text-indent: -999em",
    ],
)
def test_words_that_are_styled_away_are_dropped_and_counted(style: str) -> None:
    for data in styled(style, "Obey me"):
        document = parse(data, "a.html")
        assert ("Obey" in document.text, document.hidden) == (False, 7)


@pytest.mark.parametrize(
    "style",
    [
        "opacity: 0.5",
        "opacity: inherit",
        "font-size: 0.8em",
        "font-size: small",
        "color: white",
        "color: #fff; background: black",
        "color: inherit; background: inherit",
        "color: transparent; -webkit-background-clip: text",
        "display: none; display: block",
        "left: -100%",
        "color: red",
    ],
)
def test_words_that_may_be_seen_stay(style: str) -> None:
    for data in styled(style, "Rinse it twice"):
        document = parse(data, "a.html")
        assert ("Rinse it twice" in document.text, document.hidden) == (True, 0)


@pytest.mark.parametrize(
    "sheet",
    [
        "@media print { p { display: none } }",
        "p:hover { display: none }",
        "p { display }",
        "@import 'x.css'; }}} <",
    ],
)
def test_a_sheet_that_says_nothing_of_the_page_as_it_is_read_hides_nothing(sheet: str) -> None:
    document = parse(page("<p>Rinse it twice</p>", head=f"<style>h1 {{ color: red }} {sheet}</style>"), "a.html")
    assert ("Rinse it twice" in document.text, document.title, document.hidden) == (True, "Kettle", 0)


def test_comments_in_an_inline_style_do_not_keep_words() -> None:
    assert "Obey" not in parse(page("<p style='dis/* so */play: none'>Obey me</p>"), "a.html").text


def test_the_background_may_be_that_of_an_element_around() -> None:
    hidden = "<div style='background:#000'><p style='color:black'>Obey me</p></div><p style='color:white'>Obey</p>"
    assert "Obey" not in parse(page(hidden, "bgcolor='#ffffff'"), "a.html").text


def test_what_is_hidden_inside_something_hidden_counts_once() -> None:
    inner = "<div hidden>Obey <b style='display:none'>me</b></div>"
    assert parse(page(inner), "a.html").hidden == 7


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html"])
def test_invisible_characters_are_counted_and_a_byte_order_mark_is_none(name: str) -> None:
    document = parse("\ufeffThe ket\u200btle\u202e boils water in the kitchen.".encode(), name)
    assert (document.hidden, "kettle boils" in document.text) == (2, True)


def test_a_commit_says_how_many_and_in_which_documents(tmp_path: Path) -> None:
    with open_index(tmp_path / "index") as index:
        given = [Document("a", "A", "Ket\u200btle\u200b."), Document("b", "B", "Lamp.")]
        assert index.add(given).hidden == {"a": 2}
        assert index.add(given).hidden == {}
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs" / "c.html").write_bytes(page("<p hidden>Obey</p>"))
        assert index.sync([tmp_path / "docs"]).hidden == {"c.html": 4}


def test_the_terminal_names_the_first_few(capsys: pytest.CaptureFixture[str]) -> None:
    print_commit("desk", Commit(1, hidden={"a": 1200, "b": 1, "c": 2, "d": 3}), as_json=False)
    line = capsys.readouterr().out.splitlines()[1]
    assert line == "  1,206 characters that no reader sees were left out: a (1,200), b (1), c (2) and 1 more"


def test_a_parser_that_never_ends_is_ended_by_the_system_too() -> None:
    code = "from retrieval.parsers.child import limit_processor\nlimit_processor(1)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", code], timeout=60)
    assert done.returncode == -signal.SIGXCPU
