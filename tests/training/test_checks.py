"""Examples against the documents and the evaluation as they are now."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.helpers import example
from training.checks import Stale, holds, stale


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("It holds 1.2 litres.", "1.2 litres", True),
        ("It holds 1.2\n  Litres.", "1.2 litres", True),
        ("It holds 11.2 litres.", "1.2 litres", False),
        ("It holds 1.2 litres.", "2 litres", False),
        ("It costs 24,000 euros.", "24", False),
        ("It lasts 24 months.", "24", True),
        ("It lasts 24.", "24", True),
        ("in the amberly light", "amber", False),
        ("It costs €39 now", "€39", True),
        ("Use code A-1 (new).", "A-1 (new)", True),
    ],
)
def test_a_value_is_held_as_whole_words(text: str, value: str, expected: bool) -> None:
    assert holds(text, value) is expected


@given(st.text(alphabet="ab1 .,€(", min_size=1).filter(str.strip))
def test_every_text_holds_itself(text: str) -> None:
    assert holds(text, text)


def test_stale_names_the_missing_document_or_the_value_that_is_gone() -> None:
    texts = {"a.md": "It is red.", "b.md": "It is blue."}
    rows = [
        example("fine", documents=["a.md"], value="red"),
        example("changed", documents=["b.md"], value="red"),
        example("either", documents=["a.md", "b.md"], value="blue"),
        example("removed", documents=["c.md"], value="red"),
        example("free"),
    ]
    assert stale(rows, texts.get) == [
        Stale("changed", "b.md no longer says 'red'"),
        Stale("removed", "there is no document c.md"),
    ]
