"""Files that are made to harm who reads them: refused in a sentence, in bounded time and memory, one by one."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from benchmarks.under_load import zip_bomb
from retrieval.documents import UnreadableDocument
from retrieval.parsers import MAX_FILE_BYTES, parse, read_bytes
from retrieval.parsers.apart import ChildParser
from tests.retrieval.helpers import open_index
from tests.retrieval.test_documents import make_docx, make_pdf

PAGE = b"<html><body><h1>Kettle</h1><p>It boils water in the kitchen of the old house.</p></body></html>"


def pdf_of(objects: list[bytes]) -> bytes:
    """A PDF file of these objects, numbered from 1, the first its catalog."""
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    tail = b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    return body + tail % (size, table, size, len(body))


def many_pages(count: int) -> bytes:
    """A PDF whose tree of pages lists one page `count` times."""
    kids = b"3 0 R " * count
    tree = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids)
    return pdf_of([b"<< /Type /Catalog /Pages 2 0 R >>", tree, b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>"])


def cyclic() -> bytes:
    """A PDF whose tree of pages holds itself."""
    return pdf_of([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 1 /Kids [2 0 R 2 0 R] >>"])


HOSTILE = {
    "pages.pdf": many_pages(10_000),
    "cyclic.pdf": cyclic(),
    "bomb.docx": zip_bomb(),
    "noise.pdf": b"%PDF-1.7\n" + bytes(range(256)) * 40,
    "noise.docx": b"PK\x03\x04" + bytes(range(256)) * 40,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        parse(HOSTILE[name], name)
    assert caught.value.message.endswith((".", ")"))
    assert "\n" not in caught.value.message


def test_deeply_nested_html_is_read_or_refused_and_the_next_file_is_read() -> None:
    with contextlib.suppress(UnreadableDocument):
        assert "deep" in parse(b"<div>" * 300_000 + b"deep" + b"</div>" * 300_000, "deep.html").text
    assert "boils water" in parse(PAGE, "kettle.html").text


def test_a_file_of_one_enormous_line_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "line.txt"
    path.touch()
    os.truncate(path, 1_000_000_000)
    began = time.process_time()
    with pytest.raises(UnreadableDocument, match=f"the limit is {MAX_FILE_BYTES:,}"):
        read_bytes(path)
    assert time.process_time() - began < 1


def test_what_takes_too_long_is_ended_and_the_next_file_is_read() -> None:
    impatient = ChildParser(seconds=0.001)
    with pytest.raises(UnreadableDocument, match="takes more than 0 seconds") as caught:
        impatient.parse(make_pdf("Kettle"), "pdf")
    assert caught.value.code == "parser_limit"
    patient = ChildParser()
    assert "Kettle" in patient.parse(make_pdf("Kettle"), "pdf").text
    for parser in (impatient, patient):
        parser.close()


def test_what_takes_too_much_memory_is_refused_and_the_next_file_is_read() -> None:
    # The libraries alone map some 240 megabytes.
    small = ChildParser(memory_bytes=300_000_000)
    text = b"<p>" + b"kettle " * 1_400_000 + b"</p>"
    with pytest.raises(UnreadableDocument) as caught:
        small.parse(text, "html")
    assert caught.value.code == "parser_limit", caught.value.message
    assert "boils water" in small.parse(PAGE, "html").text
    small.close()


def test_a_child_that_dies_costs_one_file_only() -> None:
    parser = ChildParser()
    assert "boils" in parser.parse(PAGE, "html").text
    child = parser._child
    assert child is not None
    waiting: list[Exception] = []

    def read_much() -> None:
        try:
            parser.parse(many_pages(4_000), "pdf")
        except UnreadableDocument as error:
            waiting.append(error)

    thread = threading.Thread(target=read_much)
    thread.start()
    child.kill()
    thread.join()
    assert "boils" in parser.parse(PAGE, "html").text
    parser.close()
    assert child.poll() is not None


def test_one_hostile_file_in_a_folder_does_not_stop_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    for name, data in HOSTILE.items():
        (folder / name).write_bytes(data)
    (folder / "kettle.html").write_bytes(PAGE)
    (folder / "care.docx").write_bytes(make_docx())
    with open_index(tmp_path / "index") as index:
        commit = index.sync([folder])
        assert sorted(commit.added) == ["care.docx", "kettle.html"]
        assert {failure.id for failure in commit.failed} == set(HOSTILE)


def test_a_file_is_parsed_without_holding_up_other_threads() -> None:
    """The parent only waits, so a thread that measures time is never late for long."""
    parser, late = ChildParser(), []
    parser.parse(PAGE, "html")
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            began = time.monotonic()
            time.sleep(0.005)
            late.append(time.monotonic() - began)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        parser.parse(b"<p>" + b"kettle " * 300_000 + b"</p>", "html")
    finally:
        done.set()
        thread.join()
        parser.close()
    assert len(late) > 5, "the other thread ran meanwhile"


def test_the_child_ends_with_its_parent() -> None:
    code = (
        "from retrieval.parsers.apart import SHARED\n"
        f"SHARED.parse({PAGE!r}, 'html')\n"
        "print(SHARED._child.pid, flush=True)\n"
        "import os; os._exit(1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    pid = int(done.stdout)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    assert state == "Z", "it still runs"


def test_nothing_is_imported_from_the_folder_that_the_user_is_in(tmp_path: Path) -> None:
    (tmp_path / "resource.py").write_text("open('ran', 'w').close()\nfrom _resource import *\n")
    code = f"from retrieval.parsers.apart import SHARED; print(SHARED.parse({PAGE!r}, 'html').title)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.stdout.strip() == "Kettle", done.stderr
    assert not (tmp_path / "ran").exists()
