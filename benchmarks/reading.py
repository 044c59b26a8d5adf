"""How well a base model reads: held-out questions over made-up passages, and SQuAD given the gold paragraph.

Every answer is generated greedily (float32, batches padded on the left) from the prompt that serving sends. The made-up
questions come from the held-out generator of ``training.pretrain``, whose names, listed words and sentence frames the
teaching text does not have and which nobody looked at while that was written. ``--source development`` asks the other
generator, which was looked at (docs/decisions/0003-models-tiny.md).
``python -m benchmarks.reading --model FOLDER --questions 500``.
"""

import argparse
import json
import os
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from tandem.measures import exact_match, normalise, token_f1
from tandem.prompt import Message, Passage, build_messages, find_markers, is_abstention
from training.pretrain.evaluate import FOUR_PASSAGES, Source, writer
from training.pretrain.lessons import Exercise, Lesson

SEED = 20261122
ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("TANDEM_TEST_DATA", ROOT.parent / "shared" / "data"))


@dataclass(frozen=True)
class ReadingReport:
    """Shares between 0 and 1 over ``answerable`` and ``absent`` questions with four passages in the prompt."""

    right_value: float
    right_citation: float
    abstains_when_absent: float
    false_abstention: float
    right_value_without_passages: float
    answerable: int
    absent: int


class Reader:
    """A causal LM of the hub's format that answers chat prompts greedily."""

    def __init__(self, folder: Path | str, batch_size: int = 16) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.torch, self.batch_size = torch, batch_size
        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def answer(self, prompts: Sequence[list[Message]], max_tokens: int = 40) -> list[str]:
        """One answer for each prompt, in order; sorted by length inside so that little is padded."""
        texts = [
            self.tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True) for prompt in prompts
        ]
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        answers = [""] * len(texts)
        for at in range(0, len(order), self.batch_size):
            chosen = order[at : at + self.batch_size]
            batch = self.tokenizer([texts[index] for index in chosen], return_tensors="pt", padding=True)
            with self.torch.inference_mode():
                made = self.model.generate(**batch, max_new_tokens=max_tokens, do_sample=False)
            said = self.tokenizer.batch_decode(made[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
            for index, answer in zip(chosen, said, strict=True):
                answers[index] = answer.strip()
        return answers


def without_markers(answer: str) -> str:
    """The answer's text without its ``[n]``."""
    for marker in reversed(find_markers(answer)):
        answer = answer[: marker.start] + answer[marker.end :]
    return " ".join(answer.split())


def made_up_questions(source: Source, count: int) -> list[tuple[Lesson, Exercise]]:
    """The first ``count`` questions of a generator."""
    lesson_writer = writer(source, SEED)
    found: list[tuple[Lesson, Exercise]] = []
    while len(found) < count:
        lesson = lesson_writer.write(FOUR_PASSAGES)
        found += [(lesson, item) for item in lesson.exercises]
    return found[:count]


def score_made_up(reader: Reader, source: Source, count: int) -> ReadingReport:
    """Right value: the answer without its marker is the value; right citation: its one marker is the passage's."""
    questions = made_up_questions(source, count)
    shown = [[Passage(item.title, item.text) for item in lesson.passages or ()] for lesson, _ in questions]
    prompts = [
        build_messages(item.question, passages, lesson.system_prompt)
        for (lesson, item), passages in zip(questions, shown, strict=True)
    ]
    answers = reader.answer(prompts)
    answerable = [(item, answer) for (_, item), answer in zip(questions, answers, strict=True) if item.number]
    absent = [answer for (_, item), answer in zip(questions, answers, strict=True) if not item.number]
    closed_prompts = [build_messages(item.question, None) for item, _ in answerable]
    return ReadingReport(
        right_value=mean(is_value(answer, item) for item, answer in answerable),
        right_citation=mean(
            [marker.number for marker in find_markers(answer)] == [item.number] for item, answer in answerable
        ),
        abstains_when_absent=mean(map(is_abstention, absent)),
        false_abstention=mean(is_abstention(answer) for _, answer in answerable),
        right_value_without_passages=mean(
            is_value(answer, item) for (item, _), answer in zip(answerable, reader.answer(closed_prompts), strict=True)
        ),
        answerable=len(answerable),
        absent=len(absent),
    )


def is_value(answer: str, item: Exercise) -> bool:
    return normalise(without_markers(answer)) == normalise(item.value)


def score_squad(reader: Reader, count: int) -> dict[str, Any]:
    """EM and F1 (percent) on a seeded sample of SQuAD v1.1's development questions, given the gold paragraph."""
    folder = DATA / "squad-v1.1-dev"
    rows = [json.loads(line) for line in (folder / "qa.jsonl").read_text(encoding="utf-8").splitlines()]
    documents = (json.loads(line) for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines())
    paragraphs = {row["id"]: Passage(row["title"], row["text"]) for row in documents}
    chosen = random.Random(SEED).sample(rows, min(count, len(rows)))
    answers = reader.answer([build_messages(row["question"], [paragraphs[row["doc_id"]]]) for row in chosen])
    said = [without_markers(answer) for answer in answers]
    return {
        "exact_match": 100 * mean(exact_match(text, row["answers"]) for text, row in zip(said, chosen, strict=True)),
        "token_f1": 100 * mean(token_f1(text, row["answers"]) for text, row in zip(said, chosen, strict=True)),
        "abstained": mean(map(is_abstention, answers)),
        "questions": len(chosen),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description="How well a base model reads.")
    parser.add_argument("--model", default=str(ROOT / "models" / "tiny"), help="a model folder")
    parser.add_argument("--questions", type=int, default=1000, help="questions of each kind")
    parser.add_argument("--source", type=Source, default=Source.HELD_OUT, choices=list(Source), help="the generator")
    arguments = parser.parse_args()
    reader = Reader(arguments.model)
    made_up = score_made_up(reader, arguments.source, arguments.questions)
    report: dict[str, Any] = {arguments.source.value: asdict(made_up), "seed": SEED}
    if arguments.source is Source.HELD_OUT and (DATA / "squad-v1.1-dev").is_dir():
        report["squad_v1.1_dev"] = score_squad(reader, arguments.questions)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
