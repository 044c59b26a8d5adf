"""What a run asks whom: fixed before the first answer, kept in the run's folder, the same after a kill."""

import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from eval.gateway import Gateway
from eval.questions import Question, digest
from tandem import __version__
from tandem.errors import Conflict, Forbidden, NotFound, UserError
from tandem.files import write_atomic
from tandem.statistics import SEED

PLAN: Final = "run.json"
ANSWERS: Final = "answers.jsonl"

COSTS: Final[Mapping[str, int]] = {"base": 0, "rag": 1, "finetuned": 2, "hybrid": 3, "naive": 3}
"""Variant → how much it takes to build and to keep, in ranks: nothing, an index, an adapter, both."""
CANDIDATES: Final = ("base", "finetuned", "rag", "hybrid", "naive")


@dataclass(frozen=True)
class Candidate:
    """A variant under evaluation. `naive` is retrieval glued onto the adapter that was taught to answer from memory."""

    name: str
    variant: str
    """What the server calls it."""
    version: str | None = None
    """The adapter version to ask; None takes the one the server points to."""


@dataclass(frozen=True)
class Plan:
    """The settings of a run; `left_out` says in a sentence why a variant that was wanted is not asked."""

    domain: str
    split: str
    questions: tuple[str, ...]
    """Ids, in the order of the file."""
    questions_digest: str
    candidates: tuple[Candidate, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    concurrency: int = 4
    sample_seed: int | None = None
    """The seed by which `--limit` drew the questions; None when all were asked."""
    started: str = ""
    """ISO 8601, UTC."""
    tandem: str = __version__

    def write(self, folder: Path) -> None:
        """Keep it in a run's folder."""
        write_atomic(folder / PLAN, json.dumps(asdict(self), ensure_ascii=False, indent=2).encode() + b"\n")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Of a run's folder; NotFound when there is none, UserError when it is damaged."""
        try:
            values = json.loads((folder / PLAN).read_bytes())
            candidates = tuple(Candidate(**candidate) for candidate in values["candidates"])
            return cls(**{**values, "questions": tuple(values["questions"]), "candidates": candidates})
        except OSError:
            raise NotFound(
                f"{folder} holds no run to go on with ({PLAN} is missing): start one without --resume.",
                code="run_not_found",
            ) from None
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{folder / PLAN} cannot be read: start anew, without --resume.", code="run_damaged"
            ) from error


def parse_variants(text: str) -> tuple[str, ...]:
    """The names in `base,rag`, in the order of `CANDIDATES`; UserError (`unknown_variant`) for others."""
    names = {name.strip() for name in text.split(",") if name.strip()}
    unknown = sorted(names - set(CANDIDATES))
    if unknown or not names:
        wrong = ", ".join(repr(name) for name in unknown) or "an empty list"
        raise UserError(
            f"--variants: {wrong} cannot be evaluated; there is {', '.join(CANDIDATES)}.", code="unknown_variant"
        )
    return tuple(name for name in CANDIDATES if name in names)


def choose_questions(questions: Sequence[Question], split: str, limit: int | None) -> list[Question]:
    """Those of a split, or `limit` of them drawn by SEED, in the file's order; UserError when there is none."""
    chosen = [question for question in questions if question.split == split]
    if not chosen:
        there = ", ".join(sorted({question.split for question in questions}))
        raise UserError(f"No question is of the split {split!r}; there is {there}.", code="no_questions")
    if limit is None or limit >= len(chosen):
        return chosen
    drawn = set(random.Random(SEED).sample(range(len(chosen)), limit))
    return [question for position, question in enumerate(chosen) if position in drawn]


async def choose_candidates(
    gateway: Gateway, domain: str, wanted: Sequence[str]
) -> tuple[list[Candidate], dict[str, str]]:
    """Whom to ask, and why others are left out: `naive` needs to know which adapter `finetuned` answers with."""
    candidates = [Candidate(name, name) for name in wanted if name != "naive"]
    if "naive" not in wanted:
        return candidates, {}
    try:
        pointers = (await gateway.adapters(domain)).get("pointers") or {}
    except (Forbidden, NotFound) as error:
        return candidates, {"naive": f"The server does not say which adapters there are: {error.message}"}
    tuned, hybrid = (_version(pointers.get(variant)) for variant in ("finetuned", "hybrid"))
    if tuned is None:
        return candidates, {"naive": "The variant finetuned points to no adapter, which naive would read with."}
    if tuned == hybrid:
        return candidates, {"naive": f"The variant hybrid answers with the same adapter ({tuned})."}
    return [*candidates, Candidate("naive", "hybrid", tuned)], {}


def make_plan(
    domain: str,
    split: str,
    questions: Sequence[Question],
    candidates: Sequence[Candidate],
    left_out: Mapping[str, str],
    concurrency: int,
    *,
    is_sample: bool,
) -> Plan:
    """The plan of a run that starts now."""
    return Plan(
        domain=domain,
        split=split,
        questions=tuple(question.id for question in questions),
        questions_digest=digest(questions),
        candidates=tuple(candidates),
        left_out=left_out,
        concurrency=concurrency,
        sample_seed=SEED if is_sample else None,
        started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def planned_questions(plan: Plan, questions: Sequence[Question], path: Path) -> list[Question]:
    """The plan's questions out of the file; Conflict when the file says something else of them by now."""
    wanted = set(plan.questions)
    chosen = [question for question in questions if question.id in wanted]
    if digest(chosen) != plan.questions_digest:
        raise Conflict(
            f"{path} was changed after this run had started, so its answers cannot be compared: restore the file, or "
            "start anew, without --resume.",
            code="questions_changed",
        )
    return chosen


def new_folder(verdicts: Path, domain: str) -> Path:
    """Make `verdicts/<domain>-<time>`, by the clock of UTC; with a number where that is taken."""
    name = f"{domain}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    for number in range(1, 1000):
        folder = verdicts / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise Conflict(f"{verdicts / name} is taken a thousand times.")


def _version(pointer: Any) -> str | None:
    version = pointer.get("version") if isinstance(pointer, dict) else None
    return version if isinstance(version, str) else None
