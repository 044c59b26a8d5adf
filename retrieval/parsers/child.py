"""The child of `retrieval.parsers.apart`: `python -m retrieval.parsers.child MEMORY_BYTES SECONDS`."""

import json
import math
import os
import resource
import sys
from contextlib import suppress
from typing import Any, Final

from retrieval.documents import UnreadableDocument
from retrieval.parsers import parser_of
from retrieval.parsers.apart import LENGTH

NICE: Final = 10


def main(memory_bytes: int, seconds: int) -> None:
    """Answer requests until there are no more."""
    # Answers go to the first descriptor that nothing else writes to.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for kind in ("pdf", "docx", "html"):
        parser_of(kind)
    limit(memory_bytes)
    # Everything else the server does goes before a file that takes long.
    os.nice(NICE)
    answers.write(b"+")
    answers.flush()
    while True:
        pieces = [_read() for _ in range(2)]
        if pieces[0] is None or pieces[1] is None:
            return
        limit_processor(seconds)
        data = json.dumps(answer(pieces[0].decode(), pieces[1])).encode()
        answers.write(LENGTH.pack(len(data)) + data)
        answers.flush()


def limit(memory_bytes: int) -> None:
    """Bound this process for the rest of its life."""
    # Where a system does not know one of them, the others hold; the parent's clock holds everywhere.
    for which, most in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):
            resource.setrlimit(which, (most, most))


def limit_processor(seconds: int) -> None:
    """Let the system end this process after so many further seconds of the processor, parent or no parent."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = math.ceil(used.ru_utime + used.ru_stime) + seconds
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def answer(kind: str, data: bytes) -> dict[str, Any]:
    """What was read, or why it was refused."""
    try:
        parsed = parser_of(kind)(data)
    except UnreadableDocument as error:
        return {"refused": error.message, "code": error.code}
    except (Exception, RecursionError) as error:
        # Libraries in C say many things when they get no memory.
        if isinstance(error, MemoryError) or _much_memory():
            return {"refused": f"Reading the file as {kind.upper()} takes too much memory.", "code": "parser_limit"}
        reason = f"The file cannot be read as {kind.upper()}: it is damaged or not what it seems."
        return {"refused": reason, "code": UnreadableDocument.code}
    return {
        "text": parsed.text,
        "title": parsed.title,
        "metadata": parsed.metadata,
        "pages": parsed.pages,
        "hidden": parsed.hidden,
    }


def _much_memory() -> bool:
    """Whether this process once had over half of the address space that it may have."""
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    with suppress(OSError, StopIteration), open("/proc/self/status") as status:
        kilobytes = next(int(line.split()[1]) for line in status if line.startswith("VmPeak"))
        return 0 < most < 2 * 1024 * kilobytes
    return False


def _read() -> bytes | None:
    head = sys.stdin.buffer.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    return sys.stdin.buffer.read(length)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
