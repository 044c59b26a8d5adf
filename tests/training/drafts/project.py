"""A small project whose documents rules can read, and a server that speaks the chat protocol."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tandem import cli
from tests.http_server import Asked, Reply, http_server
from tests.training.helpers import TINY, write_lines

KETTLE = """# Brisa kettle

The Brisa kettle holds 1.7 litres. It is blue. The Brisa kettle costs 45 crowns.

- Power: 1800 watts
- Note: keep it dry

| Part | Price | Colour |
| --- | --- | --- |
| Lid | 4 crowns | black |
| Cord | 7 crowns | grey |

## How do I clean the Brisa kettle?

Fill it with vinegar and water, and wait for an hour. Then rinse it twice.
"""
LAMP = "# Vela Lampe\n\nDie Vela Lampe kostet 30 Kronen. Die Vela Lampe wurde von Ada Brunn entworfen.\n"
FORMULA = (
    "# Sums\n\nThe total means =SUM(A1,B2) in the first sheet. In the second one stand only the names of the months.\n"
)
QUESTIONS = [
    {"id": "q1", "question": "How much does the Brisa kettle cost?", "answers": ["45 crowns"], "documents": []}
]


def make_project(folder: Path, **domain: Any) -> Path:
    """Documents, questions and configuration in a folder; nothing is indexed yet."""
    documents = folder / "documents"
    documents.mkdir(parents=True)
    for name, text in (("kettle.md", KETTLE), ("lamp.md", LAMP), ("sums.md", FORMULA)):
        (documents / name).write_text(text, encoding="utf-8")
    write_lines(folder / "questions.jsonl", QUESTIONS)
    shop = {"documents": "documents", "questions": "questions.jsonl", **domain}
    values = {"base_model": str(TINY), "domains": {"shop": shop}}
    (folder / "tandem.yaml").write_text(json.dumps(values), encoding="utf-8")
    return folder


def tandem(folder: Path, *arguments: str) -> int:
    """The exit status of a command on the project."""
    return cli.run([*arguments, "--config", str(folder / "tandem.yaml"), "--home", str(folder / "home")])


@contextmanager
def chat_server(answer: Callable[[dict[str, Any]], str | int]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server whose chat answers are what `answer` makes of the request's body, or an error of that status.

    Gives its address, and the bodies that it was sent.
    """
    bodies: list[dict[str, Any]] = []

    def respond(asked: Asked) -> Reply:
        bodies.append(asked.body)
        said = answer(asked.body)
        if not isinstance(said, str):
            return said, {"error": {"message": "no"}}, {}
        return 200, {"choices": [{"index": 0, "message": {"role": "assistant", "content": said}}]}, {}

    with http_server(respond) as url:
        yield url, bodies
