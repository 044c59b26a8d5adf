"""Examples are read whole, or refused with every mistake by its line."""

from pathlib import Path
from typing import Any

import pytest

from tandem.errors import UserError
from tandem.prompt import ABSTENTION
from tests.training.helpers import write_lines
from training.examples import Example, read_examples, read_questions

GOOD = {"id": "a", "question": "How much?", "answer": "It costs 3 euros.", "value": "3 euros", "documents": ["x.md"]}


def problems(path: Path) -> list[str]:
    """The lines of the error, without the folder."""
    with pytest.raises(UserError) as caught:
        read_examples(path)
    assert caught.value.code == "invalid_examples"
    return [line.replace(f"{path.parent}/", "") for line in caught.value.message.splitlines()]


def test_an_example_is_read_with_all_its_keys(tmp_path: Path) -> None:
    rows = [GOOD, {"id": "b", "question": "Who?", "answer": ABSTENTION}]
    assert read_examples(write_lines(tmp_path / "train.jsonl", rows)) == [
        Example("a", "How much?", "It costs 3 euros.", ("x.md",), "3 euros"),
        Example("b", "Who?", ABSTENTION),
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answer": None}, "`answer` should be a valid string, and is None"),
        ({"question": " \n"}, "`question` is empty"),
        ({"id": 3}, "`id` should be a valid string, and is 3"),
        ({"documents": "x.md"}, "`documents` should be a valid list, and is 'x.md'"),
        ({"documents": ["x.md", ""]}, "`documents.1` is empty"),
        ({"documnets": ["x.md"]}, "unknown key `documnets`; did you mean `documents`?"),
        ({"answer": "It costs 3 euros [1]."}, "`answer` holds a citation marker"),
        ({"answer": "3 euros<|im_end|>"}, "`answer` holds `<|`"),
        ({"answer": "I do not know", "value": None}, "an answer that abstains has to read"),
        ({"answer": ABSTENTION}, "and yet there is a `value`"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    (line,) = problems(write_lines(tmp_path / "train.jsonl", [{**GOOD, "id": "first"}, {**GOOD, **change}]))
    assert line.startswith("train.jsonl:2: ")
    assert said in line


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"id": "a"}\n\n[1]\n{"id": "b", "question": "Q?", "answer": NaN}\nnot json\n')
    assert problems(path) == [
        "train.jsonl:1: `question` is missing",
        "train.jsonl:1: `answer` is missing",
        "train.jsonl:3: expected one object in braces, and found list",
        "train.jsonl:4: this is not valid JSON: NaN is no JSON value",
        "train.jsonl:5: this is not valid JSON: Expecting value",
    ]


def test_an_id_is_there_once(tmp_path: Path) -> None:
    assert problems(write_lines(tmp_path / "t.jsonl", [GOOD, GOOD])) == ["t.jsonl:2: `id` 'a' is already in line 1"]


def test_a_long_list_of_mistakes_is_cut_for_people_and_whole_for_programs(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "t.jsonl", [{"id": str(number), "question": "Q?"} for number in range(30)])
    assert problems(path)[-1] == "… and 10 more in t.jsonl."
    with pytest.raises(UserError) as caught:
        read_examples(path)
    assert len(caught.value.details["problems"]) == 30


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe"])
def test_a_file_without_examples_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(content)
    (line,) = problems(path)
    assert "there is no example" in line or "not UTF-8" in line


def test_questions_keep_their_other_keys_to_themselves(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "q.jsonl", [{"id": "1", "question": "Why?", "answers": [], "split": "test"}])
    assert [(question.id, question.question) for question in read_questions(path)] == [("1", "Why?")]
