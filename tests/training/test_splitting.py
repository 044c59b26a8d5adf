"""No document is in both parts, whatever the examples; the seed alone decides which."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tandem.errors import UserError
from tests.training.helpers import example
from training.examples import Example
from training.splitting import connected, split

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
