"""How the benchmark of personal data counts: what stays is not found, what was not marked is not right."""

from benchmarks.personal_data import Sentence, Unused, count, share, show, to_json
from tandem.training_settings import AnonymiseConfig
from training.anonymising import Anonymiser

MAIL, CARD = "anna@firma.at", "4111 1111 1111 1111"
ANONYMISER = Anonymiser(AnonymiseConfig(mode="mask"), Unused())


def sentence(text: str, *marked: tuple[str, str]) -> Sentence:
    return Sentence(text, 1, [(text.index(value), text.index(value) + len(value), name) for value, name in marked])


def test_a_place_is_found_when_nothing_of_it_stays_and_touched_when_something_goes() -> None:
    whole = sentence(f"Write to {MAIL} now", (MAIL, "EMAIL_ADDRESS"))
    partly = sentence(f"Write to {MAIL} now", (f"to {MAIL} now", "EMAIL_ADDRESS"))
    missed = sentence("Write to anna at firma", ("anna at firma", "EMAIL_ADDRESS"))
    counts = count([whole, partly, missed], ANONYMISER)["email"]
    assert [found for _, found in counts.found] == [True, False, False]
    assert [touched for _, touched in counts.touched] == [True, True, False]
    assert [right for _, right in counts.right] == [True, True]


def test_a_find_in_something_else_is_wrong_and_named() -> None:
    counts = count([sentence(f"Pay {CARD}", (CARD, "ORGANIZATION")), sentence(f"Pay {CARD}")], ANONYMISER)
    assert set(counts) == {"card"}
    assert counts["card"].instead == {"ORGANIZATION": 1, "nothing": 1}
    assert "wrong: 1 ORGANIZATION, 1 nothing" in show(to_json(counts))


def test_the_interval_draws_templates() -> None:
    """Ten sentences of one template are one draw: of two templates, one right and one wrong, nothing is known."""
    found = share([(1, True)] * 10 + [(2, False)] * 10)
    assert found is not None
    assert (found["share"], found["low"], found["high"]) == (0.5, 0.0, 1.0)
    assert share([]) is None
