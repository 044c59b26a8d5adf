"""Questions are read whole, or every mistake is named with its line."""

import json
from pathlib import Path

import pytest

from eval.questions import digest, read_questions
from tandem.errors import UserError
from tests.eval.gateway import Json, rows, write_rows

GOOD: Json = {"id": "q", "question": "What?", "answers": ["5 crowns"], "documents": ["a.md"]}


def problems(path: Path, with_documents: bool = False) -> list[str]:
    with pytest.raises(UserError) as caught:
        read_questions(path, with_documents=with_documents)
    assert caught.value.code == "invalid_questions"
    return caught.value.message.splitlines()


def test_questions_come_in_the_files_order_with_their_defaults(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "q.jsonl", [*rows(4), GOOD | {"note": "of the author's own"}])
    read = read_questions(path, with_documents=True)
    assert [question.id for question in read] == ["q0", "q1", "q2", "q3", "q"]
    assert (read[3].is_answerable, read[3].group) == (False, {"kind": "unanswerable"})
    assert (read[4].split, read[4].group, read[4].answers) == ("test", {}, ("5 crowns",))


def test_the_sample_domains_questions_are_read() -> None:
    path = Path(__file__).parents[2] / "examples" / "helpdesk" / "questions.jsonl"
    assert len(read_questions(path, with_documents=True)) >= 150


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"answers": None}, "`answers` should be a list of texts, and is None"),
        ({"answers": "5"}, "`answers` should be a list of texts, and is '5'"),
        ({"answers": ["the"]}, "the answer 'the' holds no word that could be found"),
        ({"answers": []}, "`documents` are named, but there are no `answers`: leave both empty"),
        ({"documents": []}, "`documents` is empty, but citations have a weight in `success`"),
        ({"documents": [1]}, "`documents` should be a list of texts, and is [1]"),
        ({"id": 7}, "`id` should be a text, and is 7"),
        ({"question": " "}, "`question` should be a text, and is ' '"),
        ({"group": "seen"}, '`group` should be an object such as {"kind": "changed"}'),
        ({"split": "train"}, "`split` should be validation or test, and is 'train'"),
        ({"gruop": {}}, "unknown key `gruop`; did you mean `group`?"),
        ({"question": "\ud800"}, "half a surrogate pair"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, change: Json, problem: str) -> None:
    path = write_rows(tmp_path / "q.jsonl", [*rows(2), GOOD | change])
    (line,) = problems(path, with_documents=True)
    assert line.startswith(f"{path}:3: ")
    assert problem in line


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    lines = [
        json.dumps(GOOD),
        "{",
        "[]",
        "",
        '{"id": "r"}',
        json.dumps(GOOD | {"id": "s"}),
        json.dumps(rows(1)[0] | {"id": "q"}),
    ]
    path.write_text("\n".join(lines))
    found = problems(path)
    assert [line.removeprefix(f"{path}:") for line in found[1:]] == [
        '3: expected an object such as {"id": …, "question": …}',
        "5: `question` is missing",
        "5: `answers` is missing",
        "5: `documents` is missing",
        "6: the question 'What?' is already in line 1",
        "7: the id 'q' is already in line 1",
    ]
    assert found[0].startswith(f"{path}:2: this is not JSON: ")


def test_hundreds_of_mistakes_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text("x\n" * 300)
    assert problems(path)[-1] == "and 280 more"


def test_a_line_separator_inside_a_text_ends_no_line(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(GOOD | {"question": "What\u2028now?"}, ensure_ascii=False), encoding="utf-8")
    assert read_questions(path)[0].question == "What\u2028now?"


@pytest.mark.parametrize(("content", "problem"), [(b"", "there is no question in it"), (b"\xff", "is not UTF-8 text")])
def test_a_file_without_questions_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(content)
    assert problem in problems(path)[0]
    assert "cannot be read (No such file" in problems(tmp_path / "none")[0]


def test_the_digest_follows_what_a_verdict_depends_on(tmp_path: Path) -> None:
    first = read_questions(write_rows(tmp_path / "a", [GOOD]))
    assert digest(first) == digest(read_questions(write_rows(tmp_path / "b", [GOOD | {"demo": True}])))
    assert digest(first) != digest(read_questions(write_rows(tmp_path / "c", [GOOD | {"answers": ["6 crowns"]}])))
