"""The final held-out set: apart from the teaching text and from the development set, and true to its own passages.

Failures show counts, not the set's words and sentences: nobody is to read them while the teaching text is widened.
"""

import random
import re

import pytest

from training.pretrain import development, teaching
from training.pretrain.held_out import LEXICON, PHRASING
from training.pretrain.lessons import Difficulty, LessonWriter
from training.pretrain.lexicon import Lexicon, words
from training.pretrain.phrasing import Phrasing
from training.pretrain.world import World

OTHERS = ((teaching.LEXICON, teaching.wide_phrasing()), (development.LEXICON, development.PHRASING))
ENDINGS = (("ies", "y"), ("ied", "y"), ("es", ""), ("s", ""), ("ed", ""), ("ed", "e"), ("ing", ""), ("ing", "e"))
PLACE_WORDS = frozenset(
    words(
        """above against along at behind below beneath beside between beyond by in inside near on opposite outside past
        the to under underneath within"""
    )
)


def forms(word: str) -> set[str]:
    """The word and what it may be an inflected form of."""
    stripped = {
        word.removesuffix(ending) + other
        for ending, other in ENDINGS
        if word.endswith(ending) and len(word) > len(ending) + 2
    }
    undoubled = {form[:-1] for form in stripped if form[-1] == form[-2]}
    return {word} | stripped | undoubled


def all_forms(text: str) -> set[str]:
    return {form for word in re.findall(r"[a-z]+", re.sub(r"\{\w+\}", " ", text.lower())) for form in forms(word)}


def content(lexicon: Lexicon) -> set[str]:
    """The forms of every listed word, places, months and days included."""
    places = {word for place in lexicon.places for word in place.split()} - PLACE_WORDS
    return all_forms(" ".join((*lexicon.closed_words, *places, *lexicon.months, *lexicon.days)))


def relation_frames(given: Phrasing) -> list[str]:
    return [frame for item in given.relations for frame in (*item.statements, *item.questions)]


def frames(given: Phrasing) -> set[str]:
    others = (given.attribute_statements, given.attribute_questions, given.fillers, given.personas)
    return {frame for group in (relation_frames(given), *others) for frame in group}


@pytest.mark.parametrize("other", [teaching.LEXICON, development.LEXICON], ids=["teaching", "development"])
def test_no_listed_word_is_one_of_the_others(other: Lexicon) -> None:
    shared = len(content(LEXICON) & content(other))
    assert shared == 0


@pytest.mark.parametrize(("lexicon", "given"), OTHERS, ids=["teaching", "development"])
def test_no_invented_name_is_one_of_the_others(lexicon: Lexicon, given: Phrasing) -> None:
    ours, theirs = World(LEXICON, PHRASING, random.Random(1)), World(lexicon, given, random.Random(1))
    assert not {ours.proper() for _ in range(20_000)} & {theirs.proper() for _ in range(20_000)}


@pytest.mark.parametrize("given", [teaching.wide_phrasing(), development.PHRASING], ids=["teaching", "development"])
def test_no_frame_is_one_of_the_others(given: Phrasing) -> None:
    shared = len(frames(PHRASING) & frames(given))
    assert shared == 0


def test_no_relation_frame_has_the_shape_of_a_teaching_pattern() -> None:
    patterns = [frame for item in teaching.wide_phrasing().patterns for frame in (*item.statements, *item.questions)]
    shapes = [re.compile(re.sub(r"\\{[wjpn]\\}", r"\\w+", re.escape(pattern))) for pattern in patterns]
    shaped = sum(any(shape.fullmatch(frame) for shape in shapes) for frame in relation_frames(PHRASING))
    assert shaped == 0


def test_every_relation_turns_on_a_word_that_no_teaching_relation_uses() -> None:
    relations = (*teaching.wide_phrasing().relations, *teaching.wide_phrasing().patterns)
    taught = all_forms(" ".join((*relation_frames(teaching.wide_phrasing()), *(item.label for item in relations))))
    own = [set.intersection(*map(all_forms, (*item.statements, *item.questions))) for item in PHRASING.relations]
    without = sum(not shared - taught for shared in own)
    assert without == 0


def test_no_attribute_frame_is_a_teaching_one_with_other_ends() -> None:
    def middles(given: Phrasing) -> set[str]:
        return {" ".join(frame.split()[1:-1]) for frame in (*given.attribute_statements, *given.attribute_questions)}

    shared = len(middles(PHRASING) & middles(teaching.wide_phrasing()))
    assert shared == 0


def test_every_value_stands_where_its_span_says() -> None:
    source = LessonWriter(LEXICON, PHRASING, seed=1)
    for lesson in (source.write(Difficulty(closed=0.0)) for _ in range(50)):
        passages = lesson.passages or ()
        assert passages
        for passage in passages:
            assert all(passage.text[start:end] == fact.value for fact, start, end in passage.spans)
        for item in lesson.exercises:
            if item.number is not None:
                text = passages[item.number - 1].text
                assert text[item.start : item.start + len(item.value)] == item.value
