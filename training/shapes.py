"""The shapes that rows may have, told by their columns, and how each becomes question and answer."""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

QUESTION: Final = "question/answer"
PROMPT: Final = "prompt/completion"
CHAT: Final = "messages"
LABELLED: Final = "text/label"

MARKS: Final = {QUESTION: {"question", "answer"}, PROMPT: {"prompt", "completion"}, CHAT: {"messages"}}
"""Shape → the columns of which one is enough to tell it."""
COLUMNS: Final = {**MARKS, LABELLED: {"text", "label"}}
"""Shape → the columns that a row of it has to have."""
NAMES: Final = {
    PROMPT: {"prompt": "question", "completion": "answer"},
    LABELLED: {"text": "question", "label": "answer"},
}
"""Shape → what its columns are called in an example."""
OTHER_KEYS: Final = (
    *("id", "documents", "value", "licence", "source", "basis", "group"),
    *("synthetic", "evidence", "reviewed_by", "reviewed_at"),
)
"""What a row of any shape may have besides."""

NOT_CLASSIFICATION: Final = (
    "these are `text`/`label` rows, and this domain answers questions; set its `task: classification`, "
    "or write each row as `prompt` and `completion`"
)


class Turned(NamedTuple):
    """A row as question and answer; `places` says what the user called these two, for messages."""

    values: dict[str, Any]
    places: dict[str, str]
    system: str | None = None


@lru_cache(maxsize=1024)
def shapes_of(keys: tuple[str, ...]) -> Sequence[str]:
    """The shapes that the columns of one row tell: none, one, or several, which is a mistake."""
    columns = set(keys)
    found = tuple(shape for shape, marks in MARKS.items() if marks & columns)
    return found or ((LABELLED,) if {"text", "label"} <= columns else ())


@cache
def allowed_keys(shape: str) -> Sequence[str]:
    """The columns that a row of this shape may have."""
    return [*sorted(COLUMNS[shape]), *OTHER_KEYS]


def turn(shape: str, values: dict[str, Any]) -> Turned | str:
    """The row as question and answer, still unchecked, or what is wrong with its messages."""
    if shape == CHAT:
        return _turn_messages(values)
    if shape in NAMES:
        names = NAMES[shape]
        return Turned({names.get(key, key): value for key, value in values.items()}, {v: k for k, v in names.items()})
    return Turned(values, {})


def _turn_messages(values: dict[str, Any]) -> Turned | str:
    messages = values["messages"]
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return "`messages` should be a list of objects with `role` and `content`"
    for position, message in enumerate(messages):
        if set(message) != {"role", "content"} or not isinstance(message["content"], str):
            return f"`messages.{position}` should have a `role` and a `content`, both text, and nothing else"
    roles = [message["role"] for message in messages]
    first = 1 if roles[:1] == ["system"] else 0
    if roles[first:] != ["user", "assistant"]:
        return (
            f"`messages` has the turns {', '.join(map(str, roles)) or 'of nobody'}; only one user turn and the "
            "assistant's answer, with a system turn before them or without, can be trained so far"
        )
    rest = {key: value for key, value in values.items() if key != "messages"}
    turned = {**rest, "question": messages[first]["content"], "answer": messages[first + 1]["content"]}
    places = {"question": f"messages.{first}.content", "answer": f"messages.{first + 1}.content"}
    return Turned(turned, places, messages[0]["content"] if first else None)
