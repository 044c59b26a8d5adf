"""A person's decisions: in the terminal and in a spreadsheet, checked alike; only what is accepted is trained on."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from eval.questions import read_questions
from tandem.errors import Conflict, UserError
from tandem.workspace import Workspace
from tests.training.drafts.project import KETTLE, tandem
from tests.training.helpers import write_lines
from training.dataset import read_dataset
from training.drafts.review import Decision, decide, save_decisions
from training.drafts.sheet import BEGINS_FORMULA, guard, read_sheet, unguard, write_sheet
from training.drafts.store import Draft, change_drafts, drafts_path, read_drafts

QUOTE = "The Brisa kettle holds 1.7 litres."
TEXTS = st.text(
    alphabet=st.sampled_from("=+-@'\"ab;, \n\té\u2028％|%1") | st.characters(exclude_categories=["Cs", "Cc"]),
    max_size=40,
)


def draft(name: str = "1", **values: Any) -> Draft:
    given_values = {"question": "How much?", "answer": "1.7 litres", "value": "1.7 litres", "quote": QUOTE, **values}
    place = KETTLE.find(given_values["quote"])
    return Draft(
        id=f"draft-{name:0>16}", document="kettle.md", start=place, end=place + len(given_values["quote"]),
        language="en", made_by="rules: x", drafted_at="2026-01-01T00:00:00+00:00", **given_values,
    )  # fmt: skip


def text_of(document: str) -> str | None:
    return KETTLE if document == "kettle.md" else None


def states(project: Path) -> dict[str, int]:
    found = [item.state for item in read_drafts(Workspace.open(project / "home"), "shop")]
    return {state: found.count(state) for state in set(found)}


@pytest.fixture
def drafted(project: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The project with drafts by rules."""
    assert tandem(project, "data", "draft", "shop", "--licence", "own", "--basis", "own work") == 0
    capsys.readouterr()
    return project


def answering(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))


def test_each_decision_in_the_terminal_is_saved_before_the_next_is_asked(
    drafted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sum(states(drafted).values())
    answering(monkeypatch, "a\nr\ns\ne\n\nBy hand: 4 crowns.\n\n\na\nq\n")
    assert tandem(drafted, "data", "review", "shop", "--by", "Ida") == 0
    said = capsys.readouterr().out
    assert f"{before} drafts wait for review by Ida." in said
    assert f"2 accepted, 1 rejected, 1 skipped; {before - 3} wait still." in said
    accepted = [item for item in read_drafts(Workspace.open(drafted / "home"), "shop") if item.state == "accepted"]
    assert [item.reviewed_by for item in accepted] == ["Ida", "Ida"]
    assert [item.answer for item in accepted if item.edited] == ["By hand: 4 crowns."]


def test_an_edit_that_the_document_does_not_bear_out_is_not_accepted(
    drafted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, "e\n\n\n\nThe kettle flies.\na\nq\n")
    assert tandem(drafted, "data", "review", "shop", "--by", "Ida") == 0
    assert "cannot be accepted: `quote` does not stand in 'kettle.md', letter by letter" in capsys.readouterr().out
    assert set(states(drafted)) == {"open"}


def test_input_that_ends_keeps_what_was_decided(drafted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "a\n")
    assert tandem(drafted, "data", "review", "shop", "--by", "Ida") == 0
    assert states(drafted)["accepted"] == 1


@pytest.mark.parametrize("text", ["12.50", "0049 30 123", "1/2", "10:30", "5 May", "May 2024", "true", "1e5", "7 %"])
def test_a_number_or_a_date_is_written_as_text_and_comes_back(text: str) -> None:
    assert guard(text) == f"'{text}"
    assert unguard(f"'{text}") == unguard(text) == text
    assert unguard(guard(f"'{text}")) == f"'{text}"


def test_words_with_a_number_are_left_as_they_are() -> None:
    assert guard("1.7 litres") == "1.7 litres"


@given(TEXTS | st.text(alphabet="12'.,/ -eaMpmtrue", max_size=8))
def test_a_guarded_cell_is_no_formula_and_comes_back(text: str) -> None:
    cell = guard(text)
    assert unguard(cell) == text
    assert not cell.lstrip() or cell.lstrip()[0] not in BEGINS_FORMULA
    assert not any(part.lstrip() and part.lstrip()[0] in BEGINS_FORMULA for part in cell.split(";"))


@hypothesis_settings(max_examples=40)
@given(
    st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5),
    st.sampled_from([",", ";", "\t"]),
    st.randoms(use_true_random=False),
)
def test_a_spreadsheet_may_change_separator_order_and_quotes_and_nothing_is_taken_for_an_edit(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str]], separator: str, chance: Any
) -> None:
    drafts = [draft(str(n), question=a.strip() or "?", answer=b.strip() or "!") for n, (a, b) in enumerate(texts)]
    drafts = [replace(d, question=" ".join(d.question.split()) or "?", answer=d.answer.strip() or "!") for d in drafts]
    path = tmp_path_factory.mktemp("sheet") / "sheet.csv"
    write_sheet(path, drafts)
    rows = list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    header, body = rows[0], rows[1:]
    chance.shuffle(body)
    columns = list(range(len(header)))
    chance.shuffle(columns)
    saved = io.StringIO()
    writer = csv.writer(saved, delimiter=separator, lineterminator=chance.choice(["\n", "\r\n"]))
    writer.writerows([row[column] for column in columns] for row in [header, *body])
    path.write_bytes(saved.getvalue().encode(chance.choice(["utf-8", "utf-8-sig"])))
    found = read_sheet(path, drafts, "Ida", text_of)
    assert (found.changed, found.unchanged, found.missing) == ([], len(drafts), [])


def test_decisions_and_edits_of_a_spreadsheet_are_taken_and_a_second_import_changes_nothing(
    drafted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = drafted / "drafts.csv"
    assert tandem(drafted, "data", "review", "shop", "--export", str(path)) == 0
    raw = path.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    assert b"\r\n" in raw
    assert b"'=SUM" in raw
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    for row in rows:
        row["decision"] = "reject" if "SUM" in row["quote"] else "accept"
    rows[0]["answer"] = "An edited answer."
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    for expected in (f"{len(rows) - 1} accepted, 1 rejected by Ida; 0 as they were", f"nothing by Ida; {len(rows)} as"):
        assert tandem(drafted, "data", "review", "shop", "--import", str(path), "--by", "Ida") == 0
        assert expected in capsys.readouterr().out
    assert tandem(drafted, "data", "review", "shop", "--export", str(path)) != 0
    assert "may hold someone's decisions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"decision": "perhaps"}, "should be accept, reject, or nothing"),
        ({"id": "draft-ffffffffffffffff"}, "there is no draft"),
        ({"decision": "accept", "quote": "It flies."}, "does not stand in 'kettle.md'"),
        ({"decision": "accept", "value": "9 litres"}, "does not stand in `quote`"),
        ({"decision": "accept", "question": " "}, "`question` is empty"),
        ({"decision": "accept", "answer": "Yes [1]."}, "holds a citation marker"),
        ({"document": "other.md"}, "says what the draft is"),
        ({"decision": "accept", "revision": "7"}, "was changed after this file was written"),
    ],
)
def test_a_row_that_cannot_be_taken_is_named_and_nothing_is_written(
    tmp_path: Path, change: dict[str, str], expected: str
) -> None:
    path = tmp_path / "sheet.csv"
    write_sheet(path, [draft("1"), draft("2")])
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    rows[1] |= change
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(UserError, match=r"sheet\.csv: row 2: ") as caught:
        read_sheet(path, [draft("1"), draft("2")], "Ida", text_of)
    assert expected in caught.value.message


def test_a_draft_whose_document_is_gone_can_only_be_rejected() -> None:
    item = replace(draft(), document="gone.md")
    _, problems = decide(item, Decision.of(item, "accepted"), "Ida", None)
    assert problems == ["the document 'gone.md' is no longer indexed, so the draft can only be rejected"]
    after, problems = decide(item, Decision.of(item, "rejected"), "Ida", None)
    assert (after.state, problems) == ("rejected", [])


def test_of_two_reviewers_the_second_is_told(tmp_path: Path) -> None:
    workspace, item = Workspace.open(tmp_path), draft()
    change_drafts(workspace, "shop", lambda _: [item])
    after, _ = decide(item, Decision.of(item, "accepted"), "Ida", KETTLE)
    save_decisions(workspace, "shop", [(item, after)])
    other, _ = decide(item, Decision.of(item, "rejected"), "Max", KETTLE)
    with pytest.raises(Conflict, match="changed by someone else"):
        save_decisions(workspace, "shop", [(item, other)])
    assert read_drafts(workspace, "shop") == [after]


def test_a_damaged_file_of_drafts_is_named_by_its_line(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    change_drafts(workspace, "shop", lambda _: [draft()])
    path = drafts_path(workspace, "shop")
    path.write_bytes(path.read_bytes() + b'{"id": 3}\n')
    with pytest.raises(Conflict, match=r"shop\.jsonl:2 is no draft"):
        read_drafts(workspace, "shop")


def test_only_accepted_drafts_are_trained_on_and_what_a_document_no_longer_says_leaves(
    drafted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace.open(drafted / "home")
    assert tandem(drafted, "prepare", "shop") != 0, "drafts that nobody decided on are no examples"
    assert "has no examples" in capsys.readouterr().err
    items = read_drafts(workspace, "shop")
    texts = {name: (drafted / "documents" / name).read_text() for name in {item.document for item in items}}
    pairs = [(item, decide(item, Decision.of(item, "accepted"), "Ida", texts[item.document])[0]) for item in items[:-1]]
    save_decisions(workspace, "shop", pairs)
    assert tandem(drafted, "prepare", "shop") == 0
    said = capsys.readouterr().out
    assert "drafts: 1 wait for review" in said
    dataset = read_dataset(workspace, "shop")
    examples = [*dataset.split.train, *dataset.split.validation]
    assert {example.id for example in examples} <= {before.id for before, _ in pairs}
    assert all(example.synthetic and example.reviewed_by == "Ida" and example.evidence for example in examples)

    changed = (drafted / "documents" / "kettle.md").read_text().replace("holds 1.7 litres", "holds 2.1 litres")
    (drafted / "documents" / "kettle.md").write_text(changed)
    assert tandem(drafted, "index", "shop") == 0
    assert tandem(drafted, "prepare", "shop") == 0
    left = [item["reason"] for item in read_dataset(workspace, "shop").report["left"]]
    assert left == ["kettle.md no longer says what it rests on, word for word"]
    assert "1 accepted ones left" in capsys.readouterr().out


def test_a_test_question_may_not_be_a_draft(tmp_path: Path) -> None:
    row = {"id": "q", "question": "How much?", "answers": ["1.7 litres"], "documents": []}
    for more in ({"synthetic": True}, {"id": "draft-0123456789abcdef"}):
        path = write_lines(tmp_path / "questions.jsonl", [{**row, **more}])
        with pytest.raises(UserError, match="a test is made of what people wrote"):
            read_questions(path)


def test_a_synthetic_row_of_a_file_needs_the_person_who_accepted_it(project: Path) -> None:
    row = {"id": "a", "question": "Why?", "answer": "So.", "synthetic": True}
    values = json.loads((project / "tandem.yaml").read_text())
    values["domains"]["shop"]["examples"] = "train.jsonl"
    (project / "tandem.yaml").write_text(json.dumps(values))
    write_lines(project / "train.jsonl", [row, {"id": "b", "question": "When?", "answer": "Now."}])
    assert tandem(project, "prepare", "shop") == 2
