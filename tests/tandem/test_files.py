"""Writing and locking files."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tandem.files import locked, remove_leftovers, write_atomic

KILLED_WRITER = """
import sys
from pathlib import Path
from tandem.files import write_atomic
path = Path(sys.argv[1])
print("ready", flush=True)
while True:
    for letter in (b"a", b"b"):
        write_atomic(path, letter * 3_000_000)
"""


def test_written_bytes_are_read_back_and_no_other_file_stays(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", b"old")
    write_atomic(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_a_failed_write_leaves_the_old_content_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomic(tmp_path / "file", b"old")

    def disk_full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_killed_writer_leaves_one_of_the_two_contents_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"a" * 3_000_000)
    for attempt in range(8):
        command = [sys.executable, "-c", KILLED_WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.011 * attempt)
            writer.send_signal(signal.SIGKILL)
        assert path.read_bytes() in (b"a" * 3_000_000, b"b" * 3_000_000)


def test_leftovers_of_killed_writers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".file.0123456789ab.tmp", "file", "other.tmp"):
        (tmp_path / name).touch()
    assert remove_leftovers(tmp_path) == 1
    assert sorted(os.listdir(tmp_path)) == ["file", "other.tmp"]


def test_a_lock_keeps_another_process_waiting_until_it_is_let_go(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from tandem.files import locked\n"
    code += "with locked(Path(sys.argv[1])): print('in', flush=True)"
    with locked(tmp_path / "lock"):
        other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(timeout=1.5)
    output, _ = other.communicate(timeout=30)
    assert output == b"in\n"
