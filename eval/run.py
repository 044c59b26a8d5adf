"""Asks a running server every question of every variant, and keeps each answer as it arrives."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eval.answers import Answer, AnswersFile
from eval.gateway import Gateway
from eval.judge import ANSWERS as ANSWERS_ONLY
from eval.judge import make_verdict
from eval.plan import (
    ANSWERS,
    Candidate,
    Plan,
    choose_candidates,
    choose_questions,
    make_plan,
    new_folder,
    planned_questions,
)
from eval.questions import Question, read_questions
from eval.report import write_report
from eval.tasks import Judging
from eval.verdict import Verdict
from tandem.errors import Conflict, ContextTooLong, Forbidden, TandemError, Unauthorized, Unavailable, UserError
from tandem.files import locked
from tandem.settings import SuccessConfig

Progress = Callable[[str, int, int], None]
"""Called with the name of the current piece, how many are done, and how many there are."""

FAILURES_IN_A_ROW: Final = 10
"""After so many failures of the server with no answer between them the run stops, to be resumed."""
CONTEXT_TOO_LONG: Final = ContextTooLong.code
PATIENCE_SECONDS: Final = 60.0
"""How long one question waits for a busy server."""


@dataclass(frozen=True)
class Job:
    """What is to be evaluated."""

    domain: str
    questions: Path
    success: SuccessConfig
    verdicts: Path
    """The folder in which the run's own is made."""
    variants: tuple[str, ...]
    split: str = "test"
    limit: int | None = None
    concurrency: int = 4
    patience_seconds: float = PATIENCE_SECONDS
    judging: Judging = ANSWERS_ONLY


@dataclass(frozen=True)
class Finished:
    """A verdict and the folder that it lies in."""

    folder: Path
    verdict: Verdict


async def evaluate(
    job: Job,
    gateway: Gateway,
    resume: Path | None = None,
    progress: Progress = lambda _name, _done, _total: None,
    on_start: Callable[[Path], None] = lambda _folder: None,
) -> Finished:
    """Ask what is not answered yet, judge, and write verdict.json and verdict.html.

    `resume` is the folder of a run to go on with; its own variants, split and limit hold. `on_start` hears the run's
    folder before the first of its answers is asked for.
    Raises UserError for questions that cannot be read or a server that refuses; Unavailable, which says how to go on,
    when the server fails in the middle. Answers that arrived are kept in either case.
    """
    questions = read_questions(job.questions, with_documents=job.success.citation > 0)
    async with gateway:
        asking = _Asking(gateway, job.domain, job.patience_seconds)
        folder, plan, first = _continue(job, resume) if resume else await _start(job, questions, asking)
        asked = planned_questions(plan, questions, job.questions)
        on_start(folder)
        try:
            with locked(folder / ".lock"), AnswersFile(folder / ANSWERS) as file:
                for answer in first:
                    file.append(answer)
                await _ask_all(asking, file, plan, asked, progress)
        except TandemError as error:
            error.message += f" The answers so far are kept; go on with --resume {folder}"
            raise
        except OSError as error:
            raise UserError(f"{folder} cannot be written ({error.strerror or error}).") from error
    verdict = make_verdict(plan, asked, file.answers, job.success, job.judging)
    verdict.write(folder)
    write_report(verdict, folder)
    return Finished(folder, verdict)


@dataclass
class _Asking:
    """What the workers of a run share."""

    gateway: Gateway
    domain: str
    patience_seconds: float
    failures: int = 0
    """Of the server, since its last answer."""


def _continue(job: Job, folder: Path) -> tuple[Path, Plan, list[Answer]]:
    plan = Plan.read(folder)
    if plan.domain != job.domain:
        raise UserError(f"The run in {folder} is one of the domain {plan.domain}, not {job.domain}.")
    return folder, plan, []


async def _start(job: Job, questions: Sequence[Question], asking: _Asking) -> tuple[Path, Plan, list[Answer]]:
    """A new folder with its plan, after each variant was asked one question: who cannot answer is found out first."""
    chosen = choose_questions(questions, job.split, job.limit)
    candidates, left_out = await choose_candidates(asking.gateway, job.domain, job.variants)
    answering, first = [], []
    for candidate in candidates:
        try:
            first.append(await _insist(asking, chosen[0], candidate))
        except Conflict as error:
            # naive is a control: whatever keeps its adapter from reading keeps no other variant from being judged.
            if error.code not in ("no_adapter", "no_labels") and candidate.name != "naive":
                raise
            left_out[candidate.name] = error.message
            continue
        except TandemError as error:
            # This one question may be too much for the variant; anything else holds for every question.
            if isinstance(error, Unavailable) or (isinstance(error, UserError) and error.code != CONTEXT_TOO_LONG):
                raise
        answering.append(candidate)
    if not answering:
        raise Conflict(f"No variant answers. {' '.join(left_out.values())}", code="no_variant")
    plan = make_plan(
        job.domain, job.split, chosen, answering, left_out, job.concurrency, is_sample=job.limit is not None
    )
    folder = new_folder(job.verdicts, job.domain)
    plan.write(folder)
    return folder, plan, first


async def _ask_all(
    asking: _Asking, file: AnswersFile, plan: Plan, questions: Sequence[Question], progress: Progress
) -> None:
    """All variants of a question one after the other, so that they meet the server in the same state."""
    every = list(itertools.product(questions, plan.candidates))
    pending = [(question, candidate) for question, candidate in every if not file.has(question.id, candidate.name)]
    done = itertools.count(len(every) - len(pending) + 1)
    progress("", len(every) - len(pending), len(every))

    async def work(queue: Iterator[tuple[Question, Candidate]]) -> None:
        for question, candidate in queue:
            file.append(await _answer_or_failure(asking, question, candidate))
            progress(candidate.name, next(done), len(every))

    shared = iter(pending)
    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(plan.concurrency):
                workers.create_task(work(shared))
    except* TandemError as group:
        raise _first(group) from None


def _first(group: BaseException) -> BaseException:
    """The first error inside a group."""
    return _first(group.exceptions[0]) if isinstance(group, BaseExceptionGroup) else group


async def _answer_or_failure(asking: _Asking, question: Question, candidate: Candidate) -> Answer:
    """An answer; what fails becomes one with an error. Raises what would fail for every other question too."""
    try:
        answer = await _insist(asking, question, candidate)
    except TandemError as failure:
        _stop_if_hopeless(asking, failure)
        return Answer(question.id, candidate.name, error=failure.message, code=failure.code)
    asking.failures = 0
    return answer


async def _insist(asking: _Asking, question: Question, candidate: Candidate) -> Answer:
    """The answer, after as many attempts as a busy server wants while patience lasts."""
    deadline = time.monotonic() + asking.patience_seconds
    while True:
        try:
            return await _ask_once(asking, question, candidate)
        except Unavailable as error:
            if time.monotonic() + error.retry_after_seconds >= deadline:
                raise
            await asyncio.sleep(error.retry_after_seconds)


def _stop_if_hopeless(asking: _Asking, failure: TandemError) -> None:
    """Raise where the other questions would fail the same way."""
    if failure.code == "no_server" or isinstance(failure, Unauthorized | Forbidden):
        raise failure
    asking.failures += not isinstance(failure, UserError)
    if asking.failures >= FAILURES_IN_A_ROW:
        raise Unavailable(
            f"The server failed {asking.failures} times in a row, last with: {failure.message}", code=failure.code
        )


async def _ask_once(asking: _Asking, question: Question, candidate: Candidate) -> Answer:
    start = time.perf_counter()
    body = await asking.gateway.ask(asking.domain, question.question, candidate.variant, candidate.version)
    try:
        return Answer.from_response(question.id, candidate.name, body, time.perf_counter() - start)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"What answers at {asking.gateway.url} is not a Tandem server.", code="no_server") from error
