"""No document is in both parts, whatever the examples; the seed alone decides which."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tandem.config import load_config
from tandem.errors import UserError
from tandem.workspace import Workspace
from tests.training.helpers import example
from training.examples import Example
from training.prepare import prepare
from training.splitting import connected, split
from training.strata import FEWEST, labels, strata

EXAMPLES = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=3), min_size=2, max_size=40).map(
    lambda lists: [example(str(number), documents=dict.fromkeys(names)) for number, names in enumerate(lists)]
)
SEEDS = st.integers(0, 1000)


@given(EXAMPLES, SEEDS, st.floats(0.01, 0.49))
def test_no_document_is_in_both_parts_and_no_example_is_lost(rows: list[Example], seed: int, share: float) -> None:
    assume(len(connected(rows)) > 1)
    parts = split(rows, share, seed)
    documents = [{name for row in part for name in row.documents} for part in (parts.train, parts.validation)]
    assert not documents[0] & documents[1]
    assert parts.train
    assert parts.validation
    assert sorted(row.id for row in [*parts.train, *parts.validation]) == sorted(row.id for row in rows)


@given(EXAMPLES, SEEDS, st.randoms())
def test_the_order_of_the_file_does_not_decide(rows: list[Example], seed: int, shuffler: object) -> None:
    assume(len(connected(rows)) > 1)
    shuffled = list(rows)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    kept = [{row.id for row in split(order, 0.2, seed).validation} for order in (rows, shuffled)]
    assert kept[0] == kept[1]


@given(EXAMPLES)
def test_groups_are_those_of_a_slow_search(rows: list[Example]) -> None:
    reached: set[frozenset[int]] = set()
    for start in range(len(rows)):
        group, growing = {start}, True
        while growing:
            names = {name for position in group for name in rows[position].documents}
            more = {position for position, row in enumerate(rows) if names & set(row.documents)} - group
            group, growing = group | more, bool(more)
        reached.add(frozenset(group))
    assert {frozenset(group) for group in connected(rows)} == reached


def test_the_share_is_met_as_nearly_as_groups_allow() -> None:
    rows = [example(f"{document}-{number}", documents=[document]) for document in "abcdefghij" for number in range(10)]
    assert len(split(rows, 0.1, 1).validation) == 10
    assert len(split(rows, 0.3, 1).validation) == 30
    assert len({split(rows, 0.1, seed).validation[0].id for seed in range(20)}) > 1


def test_examples_that_all_hang_together_are_refused() -> None:
    rows = [example("1", documents=["a", "b"]), example("2", documents=["b", "c"]), example("3", documents=["c"])]
    with pytest.raises(UserError, match="All 3 examples hang together"):
        split(rows, 0.1, 1)


GROUPED = st.lists(
    st.tuples(st.lists(st.sampled_from("abcdefgh"), max_size=2), st.sampled_from([None, *"xyz"])),
    min_size=2,
    max_size=40,
).map(
    lambda rows: [example(str(n), documents=dict.fromkeys(names), group=group) for n, (names, group) in enumerate(rows)]
)


@given(GROUPED, SEEDS, st.floats(0.01, 0.49), st.randoms())
def test_neither_a_document_nor_a_group_is_torn_whatever_the_strata(
    rows: list[Example], seed: int, share: float, chance: object
) -> None:
    assume(len(connected(rows)) > 1)
    kinds = [chance.choice("mno") for _ in rows]  # type: ignore[attr-defined]
    parts = split(rows, share, seed, kinds)
    links = [{(row.group,), *row.documents} - {(None,)} for part in (parts.train, parts.validation) for row in part]
    sides = [set().union(*links[: len(parts.train)]), set().union(*links[len(parts.train) :])]
    assert not sides[0] & sides[1]
    assert parts.train
    assert parts.validation
    assert sorted(row.id for row in [*parts.train, *parts.validation]) == sorted(row.id for row in rows)


@given(GROUPED, SEEDS, st.randoms())
def test_the_order_does_not_decide_with_strata_either(rows: list[Example], seed: int, shuffler: object) -> None:
    assume(len(connected(rows)) > 1)
    shuffled = list(rows)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    kept = [
        {row.id for row in split(order, 0.2, seed, [int(row.id) % 3 for row in order]).validation}
        for order in (rows, shuffled)
    ]
    assert kept[0] == kept[1]


@given(SEEDS, st.integers(2, 6))
def test_free_examples_are_split_in_proportion(seed: int, kinds: int) -> None:
    rows = [example(f"{number:03}") for number in range(60 * kinds)]
    strata_of = [number % kinds if number >= 20 else "rare" for number in range(len(rows))]
    validation = split(rows, 0.1, seed, strata_of).validation
    for kind in {*strata_of}:
        want = 0.1 * strata_of.count(kind)
        assert abs(sum(strata_of[int(row.id)] == kind for row in validation) - want) <= max(1, want / 2)


def test_a_draw_without_a_kind_is_drawn_again() -> None:
    rows = [example(f"{number:03}", answer="I don't know." if number < 30 else "Red.") for number in range(300)]
    kinds = [row.abstains for row in rows]
    uneven = [seed for seed in range(60) if sum(r.abstains for r in split(rows, 0.1, seed).validation) in (0, 5, 6, 7)]
    assert uneven
    for seed in uneven:
        assert sum(row.abstains for row in split(rows, 0.1, seed, kinds).validation) == 3


def test_the_sample_domain_is_split_as_before_there_were_strata(tmp_path: Path) -> None:
    config = load_config(Path(__file__).parents[2] / "examples" / "helpdesk" / "tandem.yaml")
    digest = prepare(config, Workspace.open(tmp_path), "helpdesk").digest
    assert digest == "1c0c69a9abda6ab20fc800ae4bfc9c46d6663bba9dae75ac2ca47e0a82501ea1"


def test_labels_are_answers_that_many_share_and_no_document_gives() -> None:
    many = [example(f"a{n}", answer="Card arrival") for n in range(FEWEST)]
    few = [example(f"b{n}", answer="Top up") for n in range(FEWEST - 1)]
    told = [example(f"c{n}", answer="Red.", documents=["x"]) for n in range(FEWEST)]
    silent = [example(f"d{n}", answer="I don't know.") for n in range(FEWEST)]
    assert set(labels(many)) == {"Card arrival"}
    assert set(labels([*few, *told, *silent])) == {None}
    assert set(strata([*many, *silent], {"a0": "en"})) == {
        (False, "en", "card arrival"),
        (False, None, "card arrival"),
        (True, None, None),
    }
