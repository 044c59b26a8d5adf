"""Lessons: some passages, and questions about them that are answered, cited, or rightly not answered."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tandem.prompt import ABSTENTION
from training.pretrain.lexicon import Lexicon
from training.pretrain.passages import WrittenPassage, ask, write_list, write_passage
from training.pretrain.phrasing import Phrasing
from training.pretrain.world import Entity, Fact, World, capitalised


@dataclass(frozen=True)
class Exercise:
    """A question with its right answer; ``number`` counts passages from 1 and is None where none holds the answer."""

    question: str
    answer: str
    value: str = ""
    number: int | None = None
    start: int = 0
    """Character offset of the value in its passage's text."""


@dataclass(frozen=True)
class Lesson:
    """``passages`` is None for a closed-book lesson."""

    system_prompt: str
    passages: tuple[WrittenPassage, ...] | None
    exercises: tuple[Exercise, ...]


@dataclass(frozen=True)
class Difficulty:
    """How large lessons are (inclusive ranges), and shares of their questions and of themselves."""

    passages: tuple[int, int] = (4, 4)
    facts: tuple[int, int] = (2, 5)
    fillers: tuple[int, int] = (0, 1)
    exercises: int = 12
    absent: float = 0.22
    """Share of the questions that have no answer."""
    styled: float = 0.15
    """Share of the lessons whose answers follow an instruction of `STYLES`."""
    closed: float = 0.04
    """Share of the lessons without passages."""
    formed: float = 0.0
    """Share of the lessons whose system prompt gives words to put around every value."""


STYLES = (
    ("", "{value} [{number}]"),
    ("Answer in a full sentence.", "{sentence} [{number}]"),
    ("Write the number of the passage first.", "[{number}] {value}"),
    ("Do not cite passages.", "{value}"),
    ('Begin every answer with "{word}:".', "{word}: {value} [{number}]"),
    ('End every answer with "{word}."', "{value} [{number}] {word}."),
)  # fmt: skip
FORMED = "Give every answer in this form: {form}"


class LessonWriter:
    """Writes lessons of a given difficulty; the same seed gives the same lessons."""

    def __init__(self, lexicon: Lexicon, phrasing: Phrasing, seed: int) -> None:
        self.draw = random.Random(seed)
        self.world = World(lexicon, phrasing, self.draw)

    def write(self, difficulty: Difficulty) -> Lesson:
        if self.draw.random() < difficulty.closed:
            return self._closed_lesson(difficulty)
        entities, facts = self._world_facts(difficulty)
        passages = self._passages(entities, facts, difficulty)
        instruction, form, word = self._style(difficulty)
        answered = [
            self._answered(number, span, form, word)
            for number, passage in enumerate(passages, 1)
            for span in passage.spans
        ]
        self.draw.shuffle(answered)
        absent_count = sum(self.draw.random() < difficulty.absent for _ in range(difficulty.exercises))
        absent = self._absent(entities, facts, absent_count)
        chosen = answered[: difficulty.exercises - len(absent)] + absent
        self.draw.shuffle(chosen)
        return Lesson(self._system(instruction), tuple(passages), tuple(chosen))

    def _system(self, instruction: str) -> str:
        parts = [self.world.persona() if self.draw.random() < 0.3 else "", instruction]
        return "\n".join(part for part in parts if part)

    def _style(self, difficulty: Difficulty) -> tuple[str, str, str]:
        if difficulty.formed and self.draw.random() < difficulty.formed:
            form = self._form()
            return FORMED.format(form=form.format(value="...", number="n")), form, ""
        styled = self.draw.random() < difficulty.styled
        instruction, form = self.draw.choice(STYLES[1:]) if styled else STYLES[0]
        word = capitalised(self.draw.choice(self.world.lexicon.nouns))
        return instruction.format(word=word), form, word

    def _form(self) -> str:
        """Words before and after the value, and the place of the passage's number among them."""
        draw, world = self.draw, self.world
        before = " ".join(world.filler().rstrip(".").split()[: draw.randint(1, 6)]) + draw.choice(("", "", ",", ":"))
        after = " ".join(world.filler().split()[-draw.randint(1, 5) :]) if draw.random() < 0.7 else ""
        middle = draw.choice(("{value}", "{value},")) if after else "{value}"
        parts = [before, middle, after]
        parts.insert(draw.choice((0, 2, 3, 3, 3, 3)), "[{number}]")
        return " ".join(part for part in parts if part)

    def _closed_lesson(self, difficulty: Difficulty) -> Lesson:
        """No passage: nothing is known. Either no passages were shown at all, or retrieval found none."""
        _, facts = self._world_facts(difficulty)
        exercises = tuple(Exercise(ask(self.world, fact), ABSTENTION) for fact in facts[: difficulty.exercises])
        if self.draw.random() < 0.5:
            return Lesson(self._system(""), (), exercises)
        return Lesson(self.world.persona() if self.draw.random() < 0.5 else "", None, exercises)

    def _world_facts(self, difficulty: Difficulty) -> tuple[list[Entity], list[Fact]]:
        """Entities and facts whose attributes mostly recur from entity to entity."""
        draw, world = self.draw, self.world
        entities = world.entities(draw.randint(*difficulty.passages))
        shared = world.attributes(draw.randint(3, 6))
        facts = []
        for entity in entities:
            count = draw.randint(*difficulty.facts)
            own = [attribute for attribute in shared if draw.random() < 0.65][:count]
            while len(own) < count:
                attribute = world.attribute()
                if attribute[0] not in {label for label, _ in own}:
                    own.append(attribute)
            draw.shuffle(own)
            facts += [world.fact(entity, attribute) for attribute in own]
        return entities, facts

    def _passages(
        self, entities: Sequence[Entity], facts: Sequence[Fact], difficulty: Difficulty
    ) -> list[WrittenPassage]:
        written, listed = [], self._listed(facts) if self.draw.random() < 0.15 else []
        if listed:
            written.append(write_list(self.world, listed))
        for entity in entities:
            own = [fact for fact in facts if fact.entity is entity and fact not in listed]
            if own:
                written.append(write_passage(self.world, entity, own, self.draw.randint(*difficulty.fillers)))
        self.draw.shuffle(written)
        return written

    def _listed(self, facts: Sequence[Fact]) -> list[Fact]:
        """The facts that share the most common label, if at least two do: they become one list."""
        label = Counter(fact.label for fact in facts).most_common(1)[0][0]
        found = [fact for fact in facts if fact.label == label]
        return found if len(found) > 1 else []

    def _answered(self, number: int, span: tuple[Fact, int, int], form: str, word: str) -> Exercise:
        fact, start, _ = span
        frame = (fact.relation.statements if fact.relation else self.world.phrasing.attribute_statements)[0]
        sentence = capitalised(
            frame.replace("{a}", fact.label).replace("{e}", fact.entity.name).replace("{v}", fact.value)
        )
        answer = form.format(value=fact.value, number=number, sentence=sentence, word=word)
        return Exercise(ask(self.world, fact), answer, fact.value, number, start)

    def _absent(self, entities: Sequence[Entity], facts: Sequence[Fact], count: int) -> list[Exercise]:
        """Questions about a known entity's unknown attribute, or about an entity that only resembles a known one."""
        draw, world = self.draw, self.world
        stated = {(fact.entity.title, fact.label) for fact in facts}
        found: list[Exercise] = []
        while len(found) < count:
            other = draw.choice(facts)
            chance = draw.random()
            if chance < 0.6:
                entity, attribute = draw.choice(entities), (other.label, other.relation)
            elif chance < 0.8:
                entity, attribute = draw.choice(entities), world.attribute()
            else:
                kinds = [word for word in other.entity.title.split() if word in world.lexicon.kinds]
                entity, attribute = world.entity(kinds[-1] if kinds else None), (other.label, other.relation)
            if (entity.title, attribute[0]) in stated or (
                chance >= 0.8 and entity.title in {known.title for known in entities}
            ):
                if chance < 0.6 and len(stated) >= len(entities) * len({fact.label for fact in facts}):
                    entity = world.entity()
                else:
                    continue
            found.append(Exercise(ask(world, Fact(entity, attribute[0], "", attribute[1])), ABSTENTION))
        return found
