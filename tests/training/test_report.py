"""The report names what dominates and what is thin, and its page is whole, escaped and readable aloud."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.workspace import Workspace
from tests.training.helpers import example, kettle_config, kettle_index, kettle_rows, write_lines
from training import prepare as preparing
from training.bars import bar_plot, column_plot
from training.diversity import balance, diversity, lengths, thin
from training.prepare import prepare, summary


class Page(HTMLParser):
    """The tags of a page with their attributes; every one that opens is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=60))
def test_a_histogram_counts_every_length_once_in_twelve_steps_at_most(counts: list[int]) -> None:
    found = lengths(counts)
    bins = found["histogram"]
    assert len(bins) <= 12
    for step in bins:
        assert step["examples"] == sum(step["from"] <= count <= step["to"] for count in counts)
    assert sum(step["examples"] for step in bins) == len(counts)
    assert (found["least"], found["most"]) == (min(counts), max(counts))
    assert found["least"] <= found["median"] <= found["p95"] <= found["most"]


@pytest.mark.parametrize(
    ("share", "dominance", "warned"), [(0.6, 0.5, True), (0.5, 0.5, False), (0.6, 0.7, False), (1.0, 0.5, False)]
)
def test_what_dominates_is_warned_of_where_there_is_another(share: float, dominance: float, warned: bool) -> None:
    rows = [example(str(n), group="a" if n < 20 * share else "b", documents=[f"d{n}"]) for n in range(20)]
    warnings = balance(rows, {}, dominance)["warnings"]
    assert warnings == ([f"{100 * share:.0f} % of the examples are of the group a"] if warned else [])


def test_a_slip_of_the_detector_makes_no_language_dominant() -> None:
    rows = [example(str(n)) for n in range(200)]
    languages = {row.id: "en" for row in rows}
    assert balance(rows, {**languages, "7": "fy", "8": "und"}, 0.5)["warnings"] == []
    assert balance(rows, {**languages, **{str(n): "de" for n in range(20)}}, 0.5)["warnings"] == [
        "90 % of the examples are in the language en"
    ]


def test_what_is_thin_is_named() -> None:
    rows = [example(f"a{n}", "How now?", ["a.md"]) for n in range(30)] + [example("b", "Who?", ["b.md"])]
    languages = {row.id: "en" for row in rows} | {"b": "de"}
    balanced, varied = balance(rows, languages, 0.5), diversity(rows, ["a.md", "b.md", "c.md", "d.md"])
    assert thin(31, 0, balanced, varied) == [
        "no example abstains, so nothing teaches the model to say that it does not know",
        "1 language with less than a tenth of the largest one: de (1)",
        "2 of 4 indexed documents without an example: c.md, d.md",
        "1 of 4 indexed documents with one example only: b.md",
        "97 % of the questions begin with “how”",
    ]


def test_the_coverage_of_the_indexed_documents_is_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = kettle_config(tmp_path)
    write_lines(tmp_path / "train.jsonl", [row for row in kettle_rows() if "vela.md" not in row.get("documents", ())])
    workspace = Workspace.open(tmp_path / "home")
    index = kettle_index(workspace.index_folder("shop"), config.retrieval)
    monkeypatch.setattr(preparing, "open_index", lambda *_: index)
    dataset = prepare(config, workspace, "shop")
    coverage = dataset.report["diversity"]["coverage"]
    assert (coverage["indexed"], coverage["covered"], coverage["without_example"]) == (6, 5, ["vela.md"])
    assert "thin: 1 of 6 indexed documents without an example: vela.md" in summary(dataset.report)
    assert "5 of 6 indexed documents have an example. Without one: <code>vela.md" in _page(dataset.folder)


def test_the_page_is_whole_loads_nothing_and_speaks(tmp_path: Path) -> None:
    config = kettle_config(tmp_path)
    evil = {"id": "<script>x", "question": "Where <script>?", "answer": "<b>x</b>", "group": "<i>", "source": "<u>"}
    write_lines(tmp_path / "train.jsonl", [*kettle_rows(), evil, {**evil, "id": "<script>y"}])
    text = _page(prepare(config, Workspace.open(tmp_path / "home"), "shop").folder)
    page = Page(text)
    assert page.open == []
    names = [tag for tag, _ in page.tags]
    assert not {"script", "link", "img", "i", "u", "b"} & set(names)
    assert not re.search(r"https?:|url\(|@import", text)
    identifiers = [values["id"] for _, values in page.tags if "id" in values]
    assert len(identifiers) == len(set(identifiers))
    plots = [values for tag, values in page.tags if tag == "svg"]
    assert len(plots) == 7
    for plot in plots:
        assert plot["role"] == "img"
        assert set(str(plot["aria-labelledby"]).split()) <= set(identifiers)
    assert "19 kept" in text
    assert "&lt;script&gt;y" in text


@given(st.dictionaries(st.text(max_size=60), st.integers(0, 10**6), max_size=10))
def test_bars_stay_inside_their_plot(counts: dict[str, int]) -> None:
    for plot in (bar_plot(counts), column_plot(list(counts.items()))):
        assert len(plot.bars) == len(counts)
        for bar in plot.bars:
            assert bar.x >= 0
            assert bar.y >= 0
            assert bar.x + bar.width <= plot.width + 0.1
            assert bar.y + bar.height <= plot.height + 0.1


def _page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")
