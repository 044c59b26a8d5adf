"""Kills, a full disk and flipped bytes: what was acknowledged is there, or a clear error says why not."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from retrieval.documents import Document
from retrieval.index import Index
from tests.retrieval.helpers import documents, open_index

PROJECT = Path(__file__).parents[2]

WRITER = """
import sys
from pathlib import Path
from tests.retrieval.helpers import open_index
from tests.retrieval.test_store_promises import commit
with open_index(Path(sys.argv[1])) as index:
    turn = index.snapshot
    print("ready", flush=True)
    while True:
        turn += 1
        commit(index, turn, Path(sys.argv[2]))
        print(index.snapshot, flush=True)
"""


def commit(index: Index, turn: int, folder: Path) -> None:
    """The commit with this number: adding, replacing, deleting by name, or a folder that changed."""
    if turn % 4 == 1:
        index.add([Document(f"d{turn}", "t", f"added in {turn}"), Document("same", "t", f"turn {turn}")])
    elif turn % 4 == 2:
        index.add([Document("same", "t", f"turn {turn}")])
    elif turn % 4 == 3:
        for old in folder.glob("*.md"):
            old.unlink()
        (folder / f"f{turn}.md").write_text(f"file of {turn}")
        (folder / "stays.md").write_text(f"changed in {turn}")
        index.sync([folder])
    else:
        index.delete([f"d{turn - 3}"])


def state_after(turns: int) -> dict[str, str]:
    """What the documents are after that many commits."""
    texts: dict[str, str] = {}
    for turn in range(1, turns + 1):
        if turn % 4 == 1:
            texts |= {f"d{turn}": f"added in {turn}", "same": f"turn {turn}"}
        elif turn % 4 == 2:
            texts["same"] = f"turn {turn}"
        elif turn % 4 == 3:
            texts.pop(f"f{turn - 4}.md", None)
            texts |= {f"f{turn}.md": f"file of {turn}", "stays.md": f"changed in {turn}"}
        else:
            del texts[f"d{turn - 3}"]
    return texts


def kill_writers(tmp_path: Path, times: int) -> None:
    seed = random.Random(11)
    folder, docs = tmp_path / "index", tmp_path / "docs"
    docs.mkdir()
    for _ in range(times):
        command = [sys.executable, "-c", WRITER, str(folder), str(docs)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        lines = [writer.stdout.readline() for _ in range(seed.randint(1, 5))]
        time.sleep(seed.uniform(0, 0.1))
        writer.send_signal(signal.SIGKILL)
        lines += writer.communicate()[0].splitlines()
        acknowledged = max(int(line) for line in lines if line.strip().isdigit())
        began = time.monotonic()
        with open_index(folder) as index:
            assert time.monotonic() - began < 5
            snapshot = index.snapshot
            assert acknowledged <= snapshot <= acknowledged + 1
            expected = state_after(snapshot)
            assert {info.id: index.document(info.id).text for info in index.documents()} == expected
            assert {hit.document for hit in index.search("turn added file changed", k=1000).hits} == set(expected)
            older = max(index.stats().oldest_snapshot, snapshot - 3, 1)
            gone = {f"d{turn - 3}" for turn in range(1, snapshot + 1) if turn % 4 == 0}
            then = {name: text for name, text in state_after(older).items() if name not in gone}
            assert {i.id: index.document(i.id, snapshot=older).text for i in index.documents(snapshot=older)} == then
    assert snapshot > 2 * times


def test_twenty_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    kill_writers(tmp_path, 20)


@pytest.mark.slow
def test_three_hundred_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    kill_writers(tmp_path, 300)


FULL = """
import json, resource, signal, sys
from pathlib import Path
from retrieval.documents import Document
from tandem.errors import TandemError
from tests.retrieval.helpers import open_index
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[2])
index = open_index(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
done = []
try:
    for number in range(10_000):
        index.add([Document(f"x{number}", "t", f"word{number} " * 400)])
        done.append(f"x{number}")
        if number % 3 == 2:
            index.delete([f"x{number - 1}"])
            done.remove(f"x{number - 1}")
except TandemError as error:
    print(json.dumps({"done": done, "code": error.code}), flush=True)
try:
    # Searching goes on.
    assert index.search("word", k=5).hits
finally:
    try:
        index.close()
    except TandemError as error:
        assert error.code in {"disk_full", "index_unusable"}, error
"""


@pytest.mark.parametrize("kib", [180, 301, 420, 777, 1500])
def test_a_file_that_cannot_grow_is_a_clear_error_and_nothing_acknowledged_is_lost(tmp_path: Path, kib: int) -> None:
    with open_index(tmp_path) as index:
        index.add(documents(20))
    command = [sys.executable, "-c", FULL, str(tmp_path), str(kib * 1024 + 13)]
    child = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=False)
    assert child.returncode == 0, child.stderr
    told = json.loads(child.stdout)
    assert told["code"] in {"disk_full", "index_unusable"}
    with open_index(tmp_path) as index:
        ids = {info.id for info in index.documents()}
        # The commit in which it failed may be a deletion that was not acknowledged.
        assert {f"d{number}" for number in range(20)} | set(told["done"]) == ids
        index.add([Document("after", "t", "there is room again")])
        assert index.search("room again", k=1).hits[0].document == "after"


FLIPS = """
import json, random, shutil, sys
from pathlib import Path
from tandem.errors import TandemError
from tests.retrieval.test_store_promises import answers
from tests.retrieval.helpers import open_index
base, work = Path(sys.argv[1]), Path(sys.argv[2])
seed, expected = random.Random(int(sys.argv[3])), json.loads(sys.argv[4])
files = [path for path in sorted(base.iterdir()) if path.stat().st_size]
sizes = [path.stat().st_size for path in files]
counts = {"error": 0, "right": 0}
for turn in range(int(sys.argv[5])):
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(base, work)
    (path,) = seed.choices(files, sizes)
    data = bytearray((work / path.name).read_bytes())
    place, bit = seed.randrange(len(data)), 1 << seed.randrange(8)
    data[place] ^= bit
    (work / path.name).write_bytes(data)
    print(json.dumps([path.name, place, bit]), file=sys.stderr, flush=True)
    try:
        with open_index(work) as index:
            found = answers(index)
    except TandemError:
        counts["error"] += 1
        continue
    except Exception as error:
        print(json.dumps({"wrong": [path.name, place, bit], "found": repr(error)}))
        continue
    if found != expected:
        print(json.dumps({"wrong": [path.name, place, bit], "found": [a for a, b in zip(found, expected) if a != b]}))
    else:
        counts["right"] += 1
print(json.dumps(counts))
"""


def answers(index: Index) -> list[object]:
    """What some questions find, as JSON has it."""
    found: list[object] = []
    ana, ben = frozenset({"ana"}), frozenset({"ben", "staff"})
    everything: list[dict[str, Any]] = [
        {},
        {"filter": {"even": True}},
        {"filter": {"document": "d5"}},
        {"filter": {"document_prefix": ["d4", "p"]}},
        {"principals": ana},
        {"principals": ben, "filter": {"even": False, "owner": ["x", "y"]}},
    ]
    for options in everything:
        hits = index.search("the word5 of number", k=80, **options).hits
        found.append([[hit.document, hit.passage, hit.title, hit.text, hit.start, dict(hit.metadata)] for hit in hits])
    found.append([index.document(f"d{number}").text for number in range(60)])
    for principals in (None, ana, ben):
        found.append([[info.id, info.title, info.passages] for info in index.documents(principals=principals)])
    return found


def flip(tmp_path: Path, times: int, seed: int = 17) -> dict[str, int]:
    base = tmp_path / "base"
    with open_index(base) as index:
        index.add(documents(60))
        index.add([Document("d5", "Title 5", "the word5 of another number", {"even": False})])
        index.add(
            [
                Document(
                    f"p{number}",
                    "t",
                    f"the plan{number}",
                    {"even": number % 3 == 0, "owner": "xyz"[number % 3]},
                    (name,),
                )
                for number, name in enumerate(["ana", "ben", "staff", "eve"] * 4)
            ]
        )
        expected = json.loads(json.dumps(answers(index)))
    command = [
        sys.executable,
        "-c",
        FLIPS,
        str(base),
        str(tmp_path / "work"),
        str(seed),
        json.dumps(expected),
        str(times),
    ]
    child = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=False)
    last = child.stderr.strip().splitlines()[-3:]
    assert child.returncode == 0, f"{child.returncode}: {last}"
    *wrong, counts = [json.loads(line) for line in child.stdout.splitlines()]
    assert wrong == []
    found: dict[str, int] = counts
    assert found["error"]
    assert found["right"]
    return found


def test_a_flipped_byte_is_an_error_or_changes_nothing(tmp_path: Path) -> None:
    flip(tmp_path, 200)


@pytest.mark.slow
def test_a_thousand_flipped_bytes_are_errors_or_change_nothing(tmp_path: Path) -> None:
    flip(tmp_path, 1_000)
