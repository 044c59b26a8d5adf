"""The comparison of what is found: its measures, and both sides on a small set of its own."""

import json
import math
from pathlib import Path

from benchmarks.finding import Questions, compare, ndcg, paragraphs, recall, reciprocal_rank, within_ten_passages

THINGS = ("kettle", "lamp", "ferry", "violin", "ladder", "compass", "anchor", "basket")


def write_set(folder: Path) -> None:
    rows = [
        {"id": thing, "title": thing.title(), "text": f"The {thing} stands in room {n}."}
        for n, thing in enumerate(THINGS)
    ]
    asked = [{"question": f"Where does the {thing} stand?", "doc_id": thing} for thing in THINGS]
    for name, lines in (("corpus", rows), ("qa", [*asked, {"question": "?", "doc_id": "elsewhere"}])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_both_sides_find_what_there_is_and_questions_without_a_document_are_left_out(tmp_path: Path) -> None:
    write_set(tmp_path)
    asked = paragraphs("things", tmp_path, "en")
    assert (len(asked.documents), len(asked.questions)) == (len(THINGS), len(THINGS))
    results = compare(asked)["results"]
    assert len(results) == 9
    for one in results:
        if one["search"] == "fused":
            assert one["ours"] == one["plain"] == 1.0
            assert one["difference"]["mean"] == 0.0


def test_measures_by_hand() -> None:
    found, wanted = ["b", "a", "x"], frozenset({"a", "b"})
    assert [recall(found, wanted, depth) for depth in (1, 2)] == [0.0, 1.0]
    assert ndcg(found, wanted) == 1.0
    assert math.isclose(ndcg(["x", "a"], frozenset({"a"})), 1 / math.log2(3))
    assert reciprocal_rank([[1, 2], [2, 3]]) == [2, 1, 3]


def test_a_window_brings_the_text_beside_the_passage_that_is_found() -> None:
    filler = " ".join(f"Then room {number} was painted anew and its door was oiled." for number in range(9))
    long = {thing: (thing.title(), f"Where the {thing} stands: in the hall. {filler}") for thing in THINGS[:2]}
    # With the beginnings of the two they are the ten that are found.
    others = [*THINGS[2:], "globe", "pulley"]
    short = {thing: (thing.title(), f"Kettle and lamp stand beside the {thing}.") for thing in others}
    documents = long | short
    asked = Questions("things", "en", documents, [("Where do kettle and lamp stand?", frozenset({"kettle", "lamp"}))])
    found = within_ten_passages(asked)
    assert found["a passage of each"] == 1.0
    assert (found["all text of each, window 0"], found["all text of each, window 1"]) == (0.0, 1.0)
