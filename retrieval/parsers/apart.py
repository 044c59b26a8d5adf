"""Parsing in a child process with limits, for formats whose files can be made to harm who reads them.

The child reads requests from its standard input and answers on its standard output: a length (8 bytes, little-endian),
then as many bytes. It has a bounded address space and, for each file, a bounded time of the
processor; it writes no files, and opens none of its own. What takes too long,
needs too much memory or ends the child is that one file's failure; the next file gets a new child.
"""

import atexit
import contextlib
import json
import math
import os
import select
import struct
import subprocess
import sys
import threading
import time
from typing import IO, Any, Final

from retrieval.documents import UnreadableDocument
from retrieval.parsers.parsed import Parsed

SECONDS: Final = 60.0
"""For one file."""
MEMORY_BYTES: Final = 2_000_000_000
"""Address space of the child."""
START_SECONDS: Final = 60.0
MAX_ANSWER_BYTES: Final = 200_000_000
LENGTH: Final = struct.Struct("<Q")
_CHUNK: Final = 1 << 20


class ChildParser:
    """One child, started when it is first needed; safe from several threads, which take turns."""

    def __init__(self, seconds: float = SECONDS, memory_bytes: int = MEMORY_BYTES) -> None:
        self._seconds = seconds
        self._memory = memory_bytes
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def parse(self, data: bytes, kind: str) -> Parsed:
        """What the parser of `kind` makes of `data`; raises UnreadableDocument, for what the limits ended, too."""
        with self._lock:
            try:
                answer = self._ask(kind.encode(), data)
            except TimeoutError:
                self._end()
                raise UnreadableDocument(
                    f"Reading the file as {kind.upper()} takes more than {self._seconds:.0f} seconds.",
                    code="parser_limit",
                ) from None
            except (OSError, EOFError):
                self._end()
                raise UnreadableDocument(
                    f"Reading the file as {kind.upper()} ended the reader: it is damaged, or made to do that.",
                    code="parser_limit",
                ) from None
            if answer.get("code") == "parser_limit":
                # What it once had counts in its memory for good.
                self._end()
        if "refused" in answer:
            raise UnreadableDocument(answer["refused"], code=answer["code"])
        return Parsed(answer["text"], answer["title"], answer["metadata"], tuple(answer["pages"]), answer["hidden"])

    def close(self) -> None:
        """End the child; the next file starts another."""
        with self._lock:
            self._end()

    def _ask(self, kind: bytes, data: bytes) -> dict[str, Any]:
        child = self._child
        if child is None or child.poll() is not None:
            self._end()
            child = self._child = self._start()
        assert child.stdin is not None
        assert child.stdout is not None
        deadline = time.monotonic() + self._seconds
        for piece in (kind, data):
            _send(child.stdin, LENGTH.pack(len(piece)) + piece, deadline)
        (length,) = LENGTH.unpack(_receive(child.stdout, LENGTH.size, deadline))
        if length > MAX_ANSWER_BYTES:
            raise EOFError
        answer: dict[str, Any] = json.loads(_receive(child.stdout, length, deadline))
        return answer

    def _start(self) -> "subprocess.Popen[bytes]":
        environment = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "LC_ALL", "TZ"}}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        child = subprocess.Popen(
            # -P: nothing is imported from the folder that the user happens to be in.
            [sys.executable, "-P", "-m", "retrieval.parsers.child", str(self._memory), str(math.ceil(self._seconds))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            close_fds=True,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        os.set_blocking(child.stdin.fileno(), False)
        # Its imports take longer than most files, and count for none of them.
        _receive(child.stdout, 1, time.monotonic() + START_SECONDS)
        return child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            # What was not sent yet cannot be flushed any more.
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        child.wait()


def _send(pipe: IO[bytes], data: bytes, deadline: float) -> None:
    view = memoryview(data)
    while view:
        if not select.select([], [pipe], [], max(0.0, deadline - time.monotonic()))[1]:
            raise TimeoutError
        with contextlib.suppress(BlockingIOError):
            view = view[os.write(pipe.fileno(), view[:_CHUNK]) :]


def _receive(pipe: IO[bytes], size: int, deadline: float) -> bytes:
    received = bytearray()
    while len(received) < size:
        if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError
        piece = os.read(pipe.fileno(), min(size - len(received), _CHUNK))
        if not piece:
            raise EOFError
        received += piece
    return bytes(received)


SHARED: Final = ChildParser()
"""The one of this process."""

atexit.register(SHARED.close)
