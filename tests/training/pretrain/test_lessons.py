"""The teaching text: reproducible, true to its own passages, and apart from what it is measured on."""

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tandem.prompt import ABSTENTION
from training.pretrain import development, teaching
from training.pretrain.evaluate import FOUR_PASSAGES, Source, writer
from training.pretrain.lessons import Difficulty, Lesson
from training.pretrain.phrasing import Phrasing
from training.pretrain.recipe import FULL, LONG, MIDDLE, SHORT, Recipe
from training.pretrain.world import World, inflected

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
DIFFICULTIES = (SHORT, MIDDLE, FULL, LONG, FOUR_PASSAGES)


def lessons(difficulty: Difficulty, count: int = 40, source: Source = Source.TEACHING, seed: int = 1) -> list[Lesson]:
    lesson_writer = writer(source, seed)
    return [lesson_writer.write(difficulty) for _ in range(count)]


def test_the_same_seed_writes_the_same_lessons() -> None:
    assert lessons(FULL, seed=3) == lessons(FULL, seed=3)
    assert lessons(FULL, seed=3) != lessons(FULL, seed=4)


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_every_value_stands_where_the_exercise_says(difficulty: Difficulty, source: Source) -> None:
    for lesson in lessons(difficulty, source=source):
        for item in lesson.exercises:
            if item.number is not None:
                assert lesson.passages is not None
                text = lesson.passages[item.number - 1].text
                assert text[item.start : item.start + len(item.value)] == item.value
                assert item.value in item.answer


@pytest.mark.parametrize("source", Source)
def test_a_question_without_answer_is_none_of_the_questions_with_one(source: Source) -> None:
    for lesson in lessons(FULL, 100, source):
        answered = {item.question for item in lesson.exercises if item.number is not None}
        unanswered = {item.question for item in lesson.exercises if item.number is None}
        assert not answered & unanswered
        assert all(item.answer == ABSTENTION for item in lesson.exercises if item.number is None)


def test_without_passages_nothing_is_known() -> None:
    closed = [lesson for lesson in lessons(Difficulty(closed=1.0)) if not lesson.passages]
    assert len(closed) == 40
    assert {item.answer for lesson in closed for item in lesson.exercises} == {ABSTENTION}


def test_the_two_lexicons_share_no_word() -> None:
    assert not teaching.LEXICON.closed_words & development.LEXICON.closed_words
    assert not set(teaching.LEXICON.places) & set(development.LEXICON.places)
    calendars = [{*source.LEXICON.months, *source.LEXICON.days} for source in (teaching, development)]
    assert not set.intersection(*calendars)


def test_the_two_lexicons_invent_different_names() -> None:
    taught, other = (World(source.LEXICON, source.PHRASING, random.Random(1)) for source in (teaching, development))
    assert not {taught.proper() for _ in range(20_000)} & {other.proper() for _ in range(20_000)}


def test_the_two_phrasings_share_no_frame() -> None:
    def frames(given: Phrasing) -> set[str]:
        stated = {frame for item in given.relations for frame in (*item.statements, *item.questions)}
        return stated | set(given.attribute_statements) | set(given.attribute_questions) | set(given.fillers)

    assert not frames(teaching.wide_phrasing()) & frames(development.PHRASING)


def test_the_teaching_text_names_nothing_of_the_sample_domain() -> None:
    names = (EXAMPLES / "helpdesk" / "names.txt").read_text(encoding="utf-8").splitlines()
    written = (passage for lesson in lessons(FULL, 2000) for passage in lesson.passages or ())
    taught = " ".join(f"{passage.title} {passage.text}" for passage in written)
    assert len(names) > 50
    assert not [name for name in names if re.search(rf"\b{re.escape(name)}\b", taught)]


def test_regular_verbs_are_inflected_as_they_are_written() -> None:
    frame = "{w} {w}s {w}ed {w}ing {w}er"
    assert inflected(frame, "bake") == "bake bakes baked baking baker"
    assert inflected(frame, "carry") == "carry carries carried carrying carrier"
    assert inflected(frame, "play") == "play plays played playing player"
    assert inflected(frame, "wash") == "wash washes washed washing washer"


def test_the_rate_rises_stays_and_falls_to_zero_in_each_cycle() -> None:
    recipe = Recipe(warmup_tokens=10, cycles=((100, 100), (40, 20)))
    moments = (4, 50, 100, 150, 204, 220, 240, 250, 260, 300)
    assert [recipe.rate(tokens) for tokens in moments] == [0.5, 1.0, 1.0, 0.5, 0.5, 1.0, 1.0, 0.5, 0.0, 0.0]
    moments = (0, 100, 125, 150, 199, 200, 240, 245, 250)
    guided = [recipe.guidance(tokens) / recipe.guidance_weight for tokens in moments]
    assert guided == [1.0, 1.0, 0.5, 0.0, 0.0, 1.0, 1.0, 0.5, 0.0]
    assert recipe.total_tokens == 260


def test_a_form_given_by_the_system_prompt_stands_around_every_value() -> None:
    for lesson in lessons(replace(FULL, formed=1.0, closed=0.0), count=30):
        form = lesson.system_prompt.partition("Give every answer in this form: ")[2]
        assert form.count("...") == form.count("[n]") == 1
        for exercise in lesson.exercises:
            shown = form.replace("...", exercise.value).replace("[n]", f"[{exercise.number}]")
            assert exercise.answer == (shown if exercise.value else ABSTENTION)
