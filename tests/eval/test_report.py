"""verdict.json and verdict.html: complete, self-contained, escaped, readable by machines that read pages aloud."""

import json
import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from eval.answers import Answer, AnswersFile
from eval.judge import make_verdict
from eval.plan import Candidate, Plan, make_plan
from eval.plots import Mark, interval_plot
from eval.questions import Question, read_questions
from eval.report import render, shown_comparisons, write_report
from eval.verdict import Verdict
from tandem.settings import StyleRule, SuccessConfig
from tests.eval.gateway import CLOSED, house_answers, rows, write_rows

SUCCESS = SuccessConfig(
    correct=0.6, style=0.2, citation=0.2, style_rules=[StyleRule(name="opening", pattern=r"^We say: .+\.$")]
)
CANDIDATES = [
    Candidate("base", "base"),
    Candidate("finetuned", "finetuned"),
    Candidate("rag", "rag"),
    Candidate("hybrid", "hybrid"),
    Candidate("naive", "hybrid", CLOSED),
]
HOSTILE = "<script>alert(1)</script>\"'&"


def answer(question: Question, candidate: Candidate) -> Answer:
    request = {"question": question.question, "variant": candidate.variant, "version": candidate.version}
    body = house_answers(request)[1]
    assert isinstance(body, dict)
    return Answer.from_response(question.id, candidate.name, body, 0.25)


def plan_of(questions: list[Question], candidates: list[Candidate]) -> Plan:
    return make_plan("shop", "test", questions, candidates, {"auto": HOSTILE}, 4, is_sample=False)


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> list[Question]:
    written = rows()
    written[1]["group"] = {"kind": HOSTILE}
    return read_questions(write_rows(tmp_path_factory.mktemp("questions") / "q.jsonl", written))


@pytest.fixture(scope="module")
def verdict(questions: list[Question]) -> Verdict:
    answers = {(row.id, way.name): answer(row, way) for row in questions for way in CANDIDATES}
    answers["q1", "base"] = Answer("q1", "base", text=HOSTILE, cited=(HOSTILE,))
    answers["q2", "base"] = Answer("q2", "base", error=HOSTILE, code="timeout")
    return make_verdict(plan_of(questions, CANDIDATES), questions, answers, SUCCESS)


class Page(HTMLParser):
    """Tags with their attributes, in order; fails on tags that are closed wrongly."""

    VOID = frozenset({"meta", "br", "line", "circle"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_json_holds_what_its_schema_names(verdict: Verdict, tmp_path: Path) -> None:
    verdict.write(tmp_path)
    written = json.loads((tmp_path / "verdict.json").read_bytes())
    assert set(written) == {
        *("schema", "domain", "split", "created", "questions", "success", "recommendation", "variants", "groups"),
        *("comparisons", "left_out", "warnings", "examples", "method", "task", "task_scores"),
    }
    assert [result["name"] for result in written["variants"]] == ["base", "rag", "finetuned", "hybrid", "naive"]
    assert len(written["comparisons"]) == 10
    assert written["success"]["style_rules"] == [{"name": "opening", "pattern": r"^We say: .+\.$"}]
    assert written["recommendation"]["sentence"] == verdict.recommendation.sentence


def test_groups_hold_all_questions_in_the_files_order(verdict: Verdict) -> None:
    assert [(group.value, group.questions) for group in verdict.groups] == [
        ("seen", 17),
        (HOSTILE, 1),
        ("unanswerable", 6),
    ]
    assert verdict.groups[2].parts["rag"]["success"].mean == 1.0


def test_measures_that_say_nothing_are_left_out_of_their_mean(verdict: Verdict) -> None:
    parts = {result.name: result.parts for result in verdict.variants}
    assert parts["finetuned"]["citation_precision"] is None
    counts = {name: value.count for name, value in parts["hybrid"].items() if value}
    assert counts == {
        **dict.fromkeys(("success", "correct", "style", "citation"), 24),
        **dict.fromkeys(("citation_precision", "citation_recall", "abstains_wrongly"), 18),
        "abstains_rightly": 6,
    }


def test_examples_differ_most_and_come_from_each_group_first(verdict: Verdict) -> None:
    assert len(verdict.examples) == 8
    assert {example.group["kind"] for example in verdict.examples[:3]} == {"seen", HOSTILE, "unanswerable"}
    spreads = [len({said.success for said in example.said}) for example in verdict.examples]
    assert min(spreads) > 1


def test_the_page_opens_with_the_recommendation(verdict: Verdict) -> None:
    page, sentence = render(verdict), escape(verdict.recommendation.sentence)
    assert page.index(sentence) < page.index("<svg") < page.index("<table")


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(verdict: Verdict) -> None:
    text = render(verdict)
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    names = {name for _, attributes in page.tags for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "href")}
    assert "://" not in text
    assert "url(" not in text
    assert any("default-src 'none'" in str(meta.get("content")) for meta in page.all("meta"))


def test_texts_of_others_are_escaped(verdict: Verdict) -> None:
    text = render(verdict)
    assert text.count("<script") == 0
    # A group, an answer, what it cites, a failure, a reason, and the group in its example.
    assert text.count("&lt;script&gt;alert(1)") >= 5


def test_plots_and_tables_speak(verdict: Verdict) -> None:
    text = render(verdict)
    page = Page(text)
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for plot in page.all("svg"):
        assert plot["role"] == "img"
        assert set(str(plot["aria-labelledby"]).split()) <= set(identifiers)
    assert len(page.all("svg")) == 2
    assert all("scope" in head for head in page.all("th"))
    assert "lang" in page.all("html")[0]
    assert "hybrid: 100.0 (" in text


def test_the_pairs_shown_are_those_with_the_best_and_with_base(verdict: Verdict) -> None:
    pairs = [(pair.first, pair.second) for pair in shown_comparisons(verdict)]
    assert set(pairs[:4]) == {("hybrid", other) for other in ("base", "rag", "finetuned", "naive")}
    assert set(pairs[4:]) == {(other, "base") for other in ("rag", "finetuned", "naive")}


def test_one_variant_and_no_groups_still_make_a_page(questions: list[Question]) -> None:
    bare = [Question(row.id, row.question, row.answers, row.documents) for row in questions]
    answers = {(row.id, "rag"): Answer(row.id, "rag", error="Down.") for row in bare}
    lonely = make_verdict(plan_of(bare, CANDIDATES[2:3]), bare, answers, SuccessConfig())
    page = Page(render(lonely))
    assert len(page.all("svg")) == 1
    assert lonely.warnings == ("rag failed on 24 of 24 questions; each counts as 0.",)


def test_half_a_surrogate_pair_in_an_answer_spoils_nothing(questions: list[Question], tmp_path: Path) -> None:
    with AnswersFile(tmp_path / "answers.jsonl") as file:
        for row in questions:
            file.append(Answer(row.id, "rag", text="\ud800 crowns"))
    with AnswersFile(tmp_path / "answers.jsonl") as file:
        judged = make_verdict(plan_of(questions, CANDIDATES[2:3]), questions, file.answers, SUCCESS)
    judged.write(tmp_path)
    assert write_report(judged, tmp_path).stat().st_size > 1000


def test_an_axis_holds_its_intervals_and_zero_on_round_ticks() -> None:
    plot = interval_plot([Mark("a", 0.12, 0.04, 0.2), Mark("b", -0.03, -0.08, 0.02)])
    assert [tick.text for tick in plot.ticks] == ["−10", "−5", "0", "5", "10", "15", "20"]
    assert [tick.is_zero for tick in plot.ticks].index(True) == 2
    for row in plot.rows:
        assert plot.ticks[0].x <= row.low <= row.x <= row.high <= plot.ticks[-1].x
    assert plot.rows[0].high == plot.ticks[-1].x


def test_an_axis_of_nothing_but_zero_is_still_one() -> None:
    plot = interval_plot([Mark("a", 0.0, 0.0, 0.0)])
    assert len(plot.ticks) == 2
    assert re.fullmatch(r"0\.0 \(0\.0 to 0\.0\)", plot.rows[0].text)
