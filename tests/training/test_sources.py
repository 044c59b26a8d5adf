"""JSON lines, CSV and Parquet hold the same examples; a mistake is named by its place in each of them."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.errors import UserError
from tandem.workspace import Workspace
from tests.training.helpers import kettle_config, kettle_rows, write_lines
from training.dataset import content_digest
from training.examples import Example, read_examples, read_source
from training.prepare import prepare, summary
from training.sources import stream_named
from training.splitting import Split

# Not `<|` and not [1], which an answer may not hold; no lone surrogates, which UTF-8 cannot hold.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<[")).filter(lambda text: text.strip())
PLAIN = TEXT.filter(lambda text: not text.casefold().strip().startswith(("i don", "i do")))
DOCUMENTS = st.lists(PLAIN, max_size=3, unique=True)
QUESTIONS = st.fixed_dictionaries({"id": PLAIN, "question": PLAIN, "answer": PLAIN, "documents": DOCUMENTS})
PROMPTS = st.fixed_dictionaries({"prompt": PLAIN, "completion": PLAIN})
CHATS = st.tuples(PLAIN, PLAIN).map(lambda turns: {"messages": chat(*turns)})
ROWS = st.one_of(
    st.lists(QUESTIONS, min_size=1, max_size=4, unique_by=lambda row: row["id"]),
    st.lists(PROMPTS, min_size=1, max_size=4),
    st.lists(CHATS, min_size=1, max_size=4),
)


def chat(user: str, assistant: str, system: str | None = None) -> list[dict[str, str]]:
    turns = [("system", system)] if system else []
    return [
        {"role": role, "content": text} for role, text in (*turns, ("user", user), ("assistant", assistant)) if text
    ]


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        for row in rows:
            cells = {key: json.dumps(value) if isinstance(value, list) else value for key, value in row.items()}
            writer.writerow(cells)
    return path


def write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    names = list(dict.fromkeys(key for row in rows for key in row))
    whole = [{name: row.get(name) for name in names} for row in rows]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(whole), path)
    return path


WRITERS = {"jsonl": write_lines, "csv": write_csv, "parquet": write_parquet}


def problems(path: Path) -> list[str]:
    with pytest.raises(UserError) as caught:
        read_examples(path)
    assert caught.value.code == "invalid_examples"
    return [line.replace(f"{path.parent}/", "") for line in caught.value.message.splitlines()]


@settings(deadline=None)
@given(ROWS)
def test_the_three_formats_give_the_same_examples_and_digest(rows: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        read = [read_examples(write(Path(folder) / f"t.{ending}", rows)) for ending, write in WRITERS.items()]
    assert len(read[0]) == len(rows)
    assert read[0] == read[1] == read[2]
    assert len({content_digest("shop", Split(examples, []), 1) for examples in read}) == 1


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(sorted(WRITERS)))
def test_no_bytes_make_a_traceback(content: bytes, ending: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"t.{ending}"
        path.write_bytes(content)
        with pytest.raises(UserError):
            read_examples(path)


def test_the_formats_prepare_to_one_dataset(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "home")
    digests = set()
    for ending, write in WRITERS.items():
        config = kettle_config(tmp_path)
        values = config.model_dump()
        values["domains"]["shop"]["examples"] = write(tmp_path / f"rows.{ending}", kettle_rows())
        digests.add(prepare(type(config).model_validate(values), workspace, "shop").digest)
    assert len(digests) == 1


def test_chat_prompts_and_questions_become_the_same_examples(tmp_path: Path) -> None:
    rows = [{"messages": chat("How much?", "3 euros.")}, {"messages": chat("Who?", "Ada.")}]
    pairs = [{"prompt": "How much?", "completion": "3 euros."}, {"prompt": "Who?", "completion": "Ada."}]
    assert read_examples(write_lines(tmp_path / "a.jsonl", rows)) == read_examples(write_csv(tmp_path / "b.csv", pairs))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"prompt": "a", "completion": "b"}, {"prompt": "a"}], "2: `completion` is missing"),
        ([{"prompt": "a", "completion": "b"}, {"question": "q"}], "2: this row has question/answer, and "),
        ([{"prompt": "a", "question": "b"}], "1: this row has the columns of question/answer and of prompt/completion"),
        ([{"messages": [*chat("a", "b"), *chat("c", "d")]}], "1: `messages` has the turns user, assistant, user, "),
        ([{"messages": chat("a", "3 [1]")}], "1: `messages.1.content` holds a citation marker"),
        ([{"messages": chat("a", "b", "One")}, {"messages": chat("c", "d", "Two")}], "2: the system turn differs"),
        (
            [{"text": "a", "label": "b"}] * 3,
            "1: these are `text`/`label` rows, and this domain answers questions; set its `task: classification`",
        ),
    ],
)
@pytest.mark.parametrize("ending", sorted(WRITERS))
def test_a_mistake_is_named_once_by_its_place(
    tmp_path: Path, rows: list[dict[str, Any]], said: str, ending: str
) -> None:
    (line,) = problems(WRITERS[ending](tmp_path / f"t.{ending}", rows))
    assert line.startswith(f"t.{ending}:{'' if ending == 'jsonl' else ' row '}{said}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,id\n1,2\n", "t.csv: the header names the column 'id' twice"),
        ("prompt,completion\na,b\nc\n", "t.csv: row 2: this row has 1 cells, and the header has 2"),
        ('prompt,completion\na,b\nc,"d', "t.csv: row 2: this is not valid CSV: unexpected end of data"),
    ],
)
def test_a_broken_table_is_named_by_its_row(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(content)
    assert problems(tmp_path / "t.csv") == [said]


def test_one_and_the_same_system_turn_is_reported_and_not_trained(tmp_path: Path) -> None:
    rows = [{"messages": chat(f"What is {n}?", f"It is {n}.", "Be kind.")} for n in ("red", "blue", "green")]
    assert read_source(write_lines(tmp_path / "train.jsonl", rows)).unused_system_turns == 3
    config = kettle_config(tmp_path)
    write_lines(tmp_path / "train.jsonl", rows)
    report = prepare(config, Workspace.open(tmp_path / "home"), "shop").report
    assert "system turns: 3 not used" in "\n".join(summary(report))


def test_the_datasets_library_reads_data_files_by_name(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_parquet(tmp_path / "data" / "train.parquet", [{"prompt": "a", "completion": "b"}])
    (row,) = stream_named(str(tmp_path / "data"))
    assert (row.number, row.values) == (1, {"prompt": "a", "completion": "b"})  # type: ignore[union-attr]


def test_a_name_that_cannot_be_reached_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="'nobody/nothing-here' are no file, and no dataset") as caught:
        read_examples("nobody/nothing-here")
    assert "\n" not in caught.value.message


def test_an_existing_file_wins_over_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "squad", [{"prompt": "a", "completion": "b"}])
    (example,) = read_examples("squad")
    assert (example.question, example.answer) == ("a", "b")
    assert isinstance(example, Example)
