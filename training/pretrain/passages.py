"""Facts as documents: prose, lists, tables, questions and answers, headings, with the place of every value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from training.pretrain.phrasing import LIST_TITLES, NOTE_TITLES
from training.pretrain.world import Entity, Fact, World, capitalised


@dataclass
class Text:
    """Text under construction; ``spans`` holds (fact, start, end) with character offsets of the value."""

    text: str = ""
    spans: list[tuple[Fact, int, int]] = field(default_factory=list)

    def write(self, text: str) -> None:
        self.text += text

    def value(self, fact: Fact) -> None:
        self.spans.append((fact, len(self.text), len(self.text) + len(fact.value)))
        self.text += fact.value

    def frame(self, frame: str, fact: Fact, entity: str, large: bool = True) -> None:
        """Write a sentence frame with the entity, the label and the value filled in; ``large``: a large first letter."""
        before, after = frame.replace("{a}", fact.label).split("{v}")
        before, after = before.replace("{e}", entity), after.replace("{e}", entity)
        self.write(capitalised(before) if large else before)
        self.value(fact)
        self.write(after)


@dataclass(frozen=True)
class WrittenPassage:
    """A finished passage; ``spans`` as in ``Text``, offsets into ``text``."""

    title: str
    text: str
    spans: tuple[tuple[Fact, int, int], ...]


def frames_of(world: World, fact: Fact) -> tuple[str, ...]:
    return fact.relation.statements if fact.relation else world.phrasing.attribute_statements


def state(world: World, text: Text, fact: Fact, pronoun: str | None = None) -> None:
    """One sentence that says the fact, with the entity's full name or, as its subject, a pronoun."""
    frames = frames_of(world, fact)
    frame = world.draw.choice(frames)
    if frame.startswith("{v}") and not fact.value[0].isupper():
        frame = frames[0]
    phrasing, chance = world.phrasing, world.draw.random()
    if phrasing.copulas and not fact.relation and chance < 0.12:
        first, second = ("{e}", "{a}") if world.draw.random() < 0.5 else ("{a}", "{e}")
        loose = [world.loose_words(3) for _ in range(3)]
        frame = f"{loose[0]}{first} {loose[1]}{second} {loose[2]}{world.draw.choice(phrasing.copulas)} {{v}}."
    elif phrasing.openers and pronoun is None and chance > 0.9 and frame.startswith("{e}"):
        frame = f"{world.aside(phrasing.openers)} {frame}"
    if phrasing.closers and frame.endswith("{v}.") and world.draw.random() < 0.12:
        closer = world.aside(phrasing.closers)
        frame = frame.removesuffix(".") + ("" if closer.startswith(",") else " ") + closer + "."
    name = fact.entity.name if pronoun is None or not frame.startswith("{e}") else pronoun
    text.frame(frame, fact, name)


def prose(world: World, text: Text, entity: Entity, facts: Sequence[Fact]) -> None:
    for place, fact in enumerate(facts):
        filler = world.draw.random() < 0.15
        if filler:
            text.write(world.filler() + " ")
        pronoun = entity.pronoun.lower() if place and fact.entity is entity and world.draw.random() < 0.35 else None
        joined = [frame for frame in frames_of(world, fact) if frame.startswith("{e} ")] if place and not filler else []
        if joined and world.draw.random() < 0.25 and text.text.endswith(". "):
            text.text = text.text[:-2] + world.draw.choice((" and ", " and ", ", and it ", " but "))
            text.frame(joined[0].removeprefix("{e} "), fact, "", large=False)
        else:
            state(world, text, fact, pronoun)
        text.write(" " if place < len(facts) - 1 else "")


def bullets(world: World, text: Text, entity: Entity, facts: Sequence[Fact]) -> None:
    if world.draw.random() < 0.6:
        text.write(capitalised(entity.name) + ":\n")
    sign = world.draw.choice(("- ", "- ", "* ", ""))
    for place, fact in enumerate(facts):
        text.write(sign + capitalised(fact.label) + ": ")
        text.value(fact)
        text.write("\n" if place < len(facts) - 1 else "")


def table(_world: World, text: Text, entity: Entity, facts: Sequence[Fact]) -> None:
    text.write(f"| {capitalised(entity.title)} | |\n| --- | --- |\n")
    for place, fact in enumerate(facts):
        text.write(f"| {capitalised(fact.label)} | ")
        text.value(fact)
        text.write(" |\n" if place < len(facts) - 1 else " |")


def dialogue(world: World, text: Text, _entity: Entity, facts: Sequence[Fact]) -> None:
    for place, fact in enumerate(facts):
        text.write(f"{world.draw.choice(('Q: ', '', '**'))}{ask(world, fact)}\n{world.draw.choice(('A: ', ''))}")
        if world.draw.random() < 0.5:
            state(world, text, fact)
        else:
            text.value(fact)
        text.write("\n" if place < len(facts) - 1 else "")


def headings(world: World, text: Text, _entity: Entity, facts: Sequence[Fact]) -> None:
    for place, fact in enumerate(facts):
        text.write(f"{'#' * world.draw.choice((1, 2, 3))} {capitalised(fact.label)}\n")
        state(world, text, fact)
        text.write("\n" if place < len(facts) - 1 else "")


Shape = Callable[[World, Text, Entity, Sequence[Fact]], None]
SHAPES: tuple[tuple[Shape, float], ...] = (
    (prose, 0.58),
    (bullets, 0.14),
    (table, 0.08),
    (dialogue, 0.1),
    (headings, 0.1),
)


def ask(world: World, fact: Fact) -> str:
    """A question for the fact's value."""
    frames = fact.relation.questions if fact.relation else world.phrasing.attribute_questions
    frame, phrasing, chance = world.draw.choice(frames), world.phrasing, world.draw.random()
    if phrasing.loose_words and not fact.relation and chance < 0.15:
        first, second = ("{e}", "{a}") if world.draw.random() < 0.5 else ("{a}", "{e}")
        frame = f"{world.loose_words(3)}{first} {world.loose_words(3)}{second} {world.loose_words(2)}".strip()
        frame += world.draw.choice(("?", "?", ".", ""))
    elif phrasing.question_openers and chance > 0.9:
        frame = f"{world.aside(phrasing.question_openers)} {frame}"
    elif phrasing.question_closers and chance > 0.83:
        frame = f"{frame} {world.aside(phrasing.question_closers)}"
    question = frame.replace("{a}", fact.label).replace("{e}", fact.entity.name)
    return question if phrasing.loose_words and world.draw.random() < 0.08 else capitalised(question)


def write_list(world: World, facts: Sequence[Fact]) -> WrittenPassage:
    """A passage that gives one attribute of several entities, as a table or a list."""
    draw, text = world.draw, Text()
    label = capitalised(facts[0].label)
    as_table = draw.random() < 0.6
    if as_table:
        text.write(f"| {draw.choice(('Name', 'Item', 'Which', ''))} | {label} |\n| --- | --- |\n")
    elif draw.random() < 0.7:
        text.write(draw.choice((f"{label}:\n", f"{world.filler()}\n")))
    for place, fact in enumerate(facts):
        title = capitalised(fact.entity.title)
        text.write(f"| {title} | " if as_table else f"- {title}: ")
        text.value(fact)
        text.write((" |" if as_table else "") + ("\n" if place < len(facts) - 1 else ""))
    return WrittenPassage(
        capitalised(draw.choice(LIST_TITLES).replace("{a}", facts[0].label)), text.text, tuple(text.spans)
    )


def write_passage(world: World, entity: Entity, facts: Sequence[Fact], fillers: int) -> WrittenPassage:
    """A passage about ``entity``; ``fillers`` sentences stand before or after the facts."""
    draw, text = world.draw, Text()
    (shape,) = draw.choices([shape for shape, _ in SHAPES], [weight for _, weight in SHAPES])
    before = draw.randint(0, fillers)
    text.write("".join(world.filler() + (" " if shape is prose else "\n") for _ in range(before)))
    shape(world, text, entity, facts)
    text.write("".join((" " if shape is prose else "\n") + world.filler() for _ in range(fillers - before)))
    own = capitalised(entity.title)
    title = draw.choice((own, own, own, f"{own} - {draw.choice(NOTE_TITLES)}", f"{draw.choice(NOTE_TITLES)}: {own}"))
    if shape is not table and shape is not bullets and draw.random() < 0.15:
        title = draw.choice(NOTE_TITLES)
    return WrittenPassage(title, text.text, tuple(text.spans))
