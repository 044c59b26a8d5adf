"""The answers of a run, kept in a file of JSON lines as they arrive, so that a kill loses none."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tandem.files import write_atomic


@dataclass(frozen=True)
class Answer:
    """What one variant said to one question, or why it said nothing."""

    question: str
    """The question's id."""
    variant: str
    text: str = ""
    cited: tuple[str, ...] = ()
    """Ids of the cited documents, each once, in the answer's order."""
    versions: Mapping[str, Any] = field(default_factory=dict)
    """What made it: base model, adapter, snapshot, prompt."""
    tokens: int = 0
    """Of prompt and answer together."""
    seconds: float = 0.0
    """Until the answer was here, waits for a busy server left out."""
    error: str | None = None
    """The sentence of a failure."""
    code: str | None = None
    """The failure's stable code."""

    @classmethod
    def from_response(cls, question: str, variant: str, body: Mapping[str, Any], seconds: float) -> Self:
        """From the body of `POST /v1/ask`; KeyError, TypeError or AttributeError when it is not one."""
        return cls(
            question=question,
            variant=variant,
            text=str(body["answer"]),
            cited=tuple(dict.fromkeys(str(citation["document"]) for citation in body["citations"])),
            versions=dict(body["versions"]),
            tokens=int(body.get("usage", {}).get("total_tokens", 0)),
            seconds=round(seconds, 4),
        )


class AnswersFile:
    """Appends answers to `path`; as `with AnswersFile(path) as file`. `answers` holds all, the latest of each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self.answers: dict[tuple[str, str], Answer] = {}
        """(question's id, variant) → its answer."""

    def __enter__(self) -> Self:
        kept = _read(self._path)
        for answer in kept:
            self._take(answer)
        # Writing the file anew takes out a line that a kill cut short.
        write_atomic(self._path, b"".join(map(_line, kept)))
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def append(self, answer: Answer) -> None:
        """Keep one more answer; it outlives this process from here on."""
        assert self._descriptor is not None, "AnswersFile is used outside `with`"
        data = _line(answer)
        while data:
            data = data[os.write(self._descriptor, data) :]
        self._take(answer)

    def has(self, question: str, variant: str) -> bool:
        """Whether the question is answered; a failure is not an answer, and is asked again."""
        answer = self.answers.get((question, variant))
        return answer is not None and answer.error is None

    def _take(self, answer: Answer) -> None:
        self.answers[answer.question, answer.variant] = answer


def _line(answer: Answer) -> bytes:
    return json.dumps(asdict(answer), ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def _read(path: Path) -> list[Answer]:
    """The answers in a file that may be missing or damaged; what cannot be read will be asked again."""
    if not path.exists():
        return []
    answers = []
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
            answers.append(Answer(**{**row, "cited": tuple(row["cited"])}))
        except (ValueError, TypeError, KeyError):
            continue
    return answers
