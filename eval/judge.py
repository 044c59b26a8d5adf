"""From answers to a verdict: scores, intervals, comparisons, groups and examples."""

import itertools
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from eval.answers import Answer
from eval.plan import COSTS, Candidate, Plan
from eval.questions import Question
from eval.recommendation import NEGLIGIBLE, Comparison, recommend
from eval.scores import PARTS, Scores, score
from eval.tasks import Judging, task_result
from eval.verdict import Example, GroupResult, Said, VariantResult, Verdict
from tandem import __version__
from tandem.settings import SuccessConfig
from tandem.statistics import (
    ALPHA,
    CONFIDENCE,
    EXACT_LIMIT,
    POWER,
    RESAMPLES,
    SEED,
    SIGN_FLIPS,
    Estimate,
    can_differ,
    detectable_difference,
    estimate,
    holm,
    questions_needed,
    sign_flip_test,
)

GROUP_PARTS: Final = ("success", "correct")
"""What is broken down by groups."""
EXAMPLES: Final = 8
"""How many questions a verdict shows with all their answers."""

ANSWERS: Final = Judging()

Sheet = Mapping[str, Sequence[Scores]]
"""Variant → its scores, in the order of the questions."""


def make_verdict(
    plan: Plan,
    questions: Sequence[Question],
    answers: Mapping[tuple[str, str], Answer],
    success: SuccessConfig,
    judging: Judging = ANSWERS,
) -> Verdict:
    """Judge the answers, (question's id, variant) → answer; KeyError when one is missing."""
    candidates = sorted(plan.candidates, key=lambda candidate: (COSTS[candidate.name], candidate.name == "naive"))
    of = {candidate.name: [answers[question.id, candidate.name] for question in questions] for candidate in candidates}
    sheet = {
        name: [
            score(question, answer, success, judging.task) for question, answer in zip(questions, given, strict=True)
        ]
        for name, given in of.items()
    }
    variants = tuple(_variant(candidate, of[candidate.name], sheet[candidate.name]) for candidate in candidates)
    comparisons = compare_all({name: [scores.success for scores in column] for name, column in sheet.items()})
    means = {name: estimate([scores.success for scores in column]) for name, column in sheet.items()}
    return Verdict(
        domain=plan.domain,
        split=plan.split,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        questions=len(questions),
        success=success,
        recommendation=recommend(means, comparisons, len(questions)),
        variants=variants,
        groups=tuple(_groups(questions, sheet)),
        comparisons=tuple(comparisons),
        left_out=dict(plan.left_out),
        warnings=tuple(_warnings(variants, len(questions))),
        examples=tuple(_examples(questions, of, sheet)),
        method=_method(plan),
        task=judging.task,
        task_scores={
            name: result for name, given in of.items() if (result := task_result(judging, questions, given)) is not None
        },
    )


def compare_all(success: Mapping[str, Sequence[float]]) -> list[Comparison]:
    """Every pair of variants on the same questions, corrected together.

    All pairs are in the family, not only those with the best: which one is best was seen from the same answers.
    """
    pairs = list(itertools.combinations(success, 2))
    differences = [np.subtract(success[first], success[second]) for first, second in pairs]
    tests = [sign_flip_test(difference) for difference in differences]
    corrected = holm([test.value for test in tests])
    comparisons = []
    for (first, second), values, test, p_corrected in zip(pairs, differences, tests, corrected, strict=True):
        interval = estimate(values, (-1.0, 1.0))
        deviation = float(values.std(ddof=1)) if values.size > 1 else 0.0
        comparisons.append(
            Comparison(
                first=first,
                second=second,
                difference=interval.mean,
                low=interval.low,
                high=interval.high,
                p=test.value,
                exact=test.exact,
                p_corrected=p_corrected,
                deviation=deviation,
                detectable=detectable_difference(deviation, values.size) if can_differ(values.size) else None,
                questions_needed=questions_needed(deviation, interval.mean),
            )
        )
    return comparisons


def _variant(candidate: Candidate, answers: Sequence[Answer], column: Sequence[Scores]) -> VariantResult:
    good = [answer for answer in answers if answer.error is None]
    made_by = {json.dumps(dict(answer.versions), sort_keys=True): dict(answer.versions) for answer in good}
    return VariantResult(
        name=candidate.name,
        variant=candidate.variant,
        version=candidate.version,
        cost=COSTS[candidate.name],
        failed=len(answers) - len(good),
        seconds=statistics.median(answer.seconds for answer in good) if good else None,
        tokens=statistics.fmean(answer.tokens for answer in good) if good else None,
        versions=tuple(made_by.values()),
        parts={part: _estimate_known([getattr(scores, part) for scores in column]) for part in PARTS},
    )


def _estimate_known(values: Sequence[float | None]) -> Estimate | None:
    known = [value for value in values if value is not None]
    return estimate(known) if known else None


def _groups(questions: Sequence[Question], sheet: Sheet) -> list[GroupResult]:
    """By dimension; their values in the order in which the file first names them."""
    places: dict[tuple[str, str], list[int]] = {}
    for place, question in enumerate(questions):
        for key in question.group.items():
            places.setdefault(key, []).append(place)
    return [
        GroupResult(
            dimension=dimension,
            value=value,
            questions=len(members),
            parts={
                name: {part: estimate([getattr(column[place], part) for place in members]) for part in GROUP_PARTS}
                for name, column in sheet.items()
            },
        )
        for (dimension, value), members in sorted(places.items(), key=lambda item: item[0][0])
    ]


def _warnings(variants: Sequence[VariantResult], questions: int) -> list[str]:
    failed = [
        f"{result.name} failed on {result.failed} of {questions} questions; each counts as 0."
        for result in variants
        if result.failed
    ]
    changed = [
        f"What answers as {result.name} changed during the run: there are answers of {len(result.versions)} "
        "combinations of model, adapter, snapshot and prompt."
        for result in variants
        if len(result.versions) > 1
    ]
    return [*failed, *changed]


def _examples(questions: Sequence[Question], answers: Mapping[str, Sequence[Answer]], sheet: Sheet) -> list[Example]:
    """Questions on which success differs most, at first one of each group."""
    spread = [float(np.ptp([column[place].success for column in sheet.values()])) for place in range(len(questions))]
    places = sorted((place for place in range(len(questions)) if spread[place] > 0), key=lambda place: -spread[place])
    seen: dict[str, int] = {}
    turns = []
    for place in places:
        group = json.dumps(dict(questions[place].group), sort_keys=True)
        seen[group] = seen.get(group, 0) + 1
        turns.append((seen[group], -spread[place], place))
    return [_example(questions[place], place, answers, sheet) for _, _, place in sorted(turns)[:EXAMPLES]]


def _example(question: Question, place: int, answers: Mapping[str, Sequence[Answer]], sheet: Sheet) -> Example:
    said = []
    for name, column in sheet.items():
        answer, scores = answers[name][place], column[place]
        said.append(
            Said(
                variant=name,
                text=answer.text,
                cited=answer.cited,
                error=answer.error,
                success=scores.success,
                correct=scores.correct,
                style=scores.style,
                citation=scores.citation,
            )
        )
    return Example(
        question.id, question.question, question.answers, question.documents, dict(question.group), tuple(said)
    )


def _method(plan: Plan) -> dict[str, Any]:
    return {
        "seed": SEED,
        "confidence": CONFIDENCE,
        "interval": "bias-corrected and accelerated bootstrap over questions",
        "resamples": RESAMPLES,
        "test": "two-sided paired sign-flip permutation test",
        "sign_flips": SIGN_FLIPS,
        "exact_limit": EXACT_LIMIT,
        "correction": "Holm over all pairs of variants",
        "alpha": ALPHA,
        "power": POWER,
        "negligible": NEGLIGIBLE,
        "concurrency": plan.concurrency,
        "sample_seed": plan.sample_seed,
        "started": plan.started,
        "questions_digest": plan.questions_digest,
        "packages": {"tandem": __version__, "numpy": np.__version__},
    }
