"""The search for training settings: Optuna proposes, each trial is an ordinary run, the best one is published.

The study is a journal of JSON lines in the workspace, `searches/<domain>-<kind>-<key>.journal`; the key says what is
searched on what rows. After a kill the same command goes on: the trial that was interrupted is taken up again at its
last checkpoint. What a trial proposes depends on the seed, its number and the trials before it, not on interruptions.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tandem.errors import UserError
from tandem.files import locked
from tandem.training_settings import SearchConfig, SearchRange, TrainingConfig
from tandem.workspace import Workspace
from training.reporter import Evaluated, Say

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

Run = Callable[[TrainingConfig, Evaluated], float]
"""Trains with the settings, tells each evaluation, and returns the best decisive loss; UserError where it diverges."""

Forget = Callable[[TrainingConfig], None]
"""Removes what a run with the settings left behind, if anything."""

STARTUP: Final = 4
"""Trials before any is pruned."""
PRUNED_FROM: Final = 2
"""The first evaluation, counted from 1, at which a trial may be pruned: the one before says little of where it ends."""
SECONDS: Final = "seconds"
REASON: Final = "reason"


@dataclass(frozen=True)
class Found:
    """What a search came to: the best settings, and every trial for the report."""

    settings: TrainingConfig
    trials: list[dict[str, Any]]
    """`number` (from 1), `state` (complete, pruned, failed), `loss` (None where there is none), `seconds`, `values`."""


def search(path: Path, settings: TrainingConfig, run: Run, forget: Forget, say: Say) -> Found:
    """Try out the space of `settings.search` and return the best of it; `path` is the study's journal.

    `forget` is called for the runs that are not the best.

    Raises UserError (`nothing_found`) when no trial came to its end.
    """
    space = settings.search
    with open_study(path) as study:
        _take_up_again(study, say)
        while (number := len(_counted(study)) + 1) <= space.trials:
            _try_one(study, number, settings, run, forget, say)
        trials = [described(place, trial) for place, trial in enumerate(_counted(study), 1)]
        if not any(trial["state"] == "complete" for trial in trials):
            raise UserError(
                f"None of {len(trials)} trials came to its end: {trials[-1].get('reason', 'all were pruned')}; narrow "
                "`training.search.space`.",
                code="nothing_found",
            )
        best = study.best_trial
        _forget_others(study, settings, forget)
        say(f"the best trial: {shown(best.params)}, loss {best.value:.4f}")
        return Found(with_values(settings, best.params), trials)


@contextmanager
def open_study(path: Path) -> Iterator["Study"]:
    """The study of a journal, held against other processes."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock")):
        _drop_half_line(path)
        yield optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(path))),
            study_name="search",
            load_if_exists=True,
            direction="minimize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=PRUNED_FROM),
        )


def search_path(workspace: Workspace, domain: str, kind: str, key: str) -> Path:
    """Where a search's journal is."""
    return workspace.home / "searches" / f"{domain}-{kind}-{key}.journal"


def with_values(settings: TrainingConfig, values: Mapping[str, Any]) -> TrainingConfig:
    """The settings with a trial's values in place of theirs."""
    return settings.model_copy(update=dict(values))


def without_searched(settings: TrainingConfig) -> dict[str, Any]:
    """What decides what a search finds: all settings but those it looks for, and the space."""
    kept = settings.model_dump(exclude={"search", *settings.search.space})
    return {**kept, "space": settings.search.model_dump(include={"space", "pruning"})}


def heaviest(settings: TrainingConfig) -> TrainingConfig:
    """The settings of the trial that would take the most memory."""
    most: dict[str, Any] = {}
    for name in ("batch_size", "rank"):
        choice = settings.search.space.get(name)
        if choice is not None:
            most[name] = int(choice.high) if isinstance(choice, SearchRange) else max(choice)
    return with_values(settings, most)


def described(number: int, trial: "FrozenTrial") -> dict[str, Any]:
    """A finished trial for the card and the report."""
    state = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}[trial.state.name]
    reason = {"reason": trial.user_attrs[REASON]} if REASON in trial.user_attrs else {}
    losses = [trial.value] if trial.value is not None else list(trial.intermediate_values.values())
    return {
        "number": number,
        "state": state,
        "loss": min(losses, default=None),
        "seconds": trial.user_attrs.get(SECONDS),
        "values": dict(trial.params),
        **reason,
    }


def shown(values: Mapping[str, Any]) -> str:
    """Values for people: `learning_rate 0.0012, rank 16`."""
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()
    )


def propose(trial: "Trial", space: SearchConfig) -> dict[str, Any]:
    """A trial's values, of the declared space."""
    values: dict[str, Any] = {}
    for name, choice in space.space.items():
        if isinstance(choice, SearchRange):
            values[name] = (
                trial.suggest_int(name, int(choice.low), int(choice.high), log=choice.log)
                if choice.is_whole
                else trial.suggest_float(name, choice.low, choice.high, log=choice.log)
            )
        else:
            values[name] = trial.suggest_categorical(name, list(choice))
    return values


def _try_one(study: "Study", number: int, settings: TrainingConfig, run: Run, forget: Forget, say: Say) -> None:
    """One trial, from asking to telling."""
    import optuna

    study.sampler = optuna.samplers.TPESampler(seed=settings.seed + number, n_startup_trials=STARTUP)
    trial = study.ask()
    values = propose(trial, settings.search)
    say(f"trial {number} of {settings.search.trials}: {shown(values)}")
    known = _same_before(study, values)
    if known is not None:
        trial.set_user_attr(SECONDS, 0.0)
        say(f"  as in an earlier trial: loss {known:.4f}")
        study.tell(trial, known)
        return
    began, best_before = time.monotonic(), _best_values(study)

    def evaluated(evaluation: int, loss: float) -> None:
        trial.report(loss, evaluation)
        if settings.search.pruning and trial.should_prune():
            raise optuna.TrialPruned

    try:
        loss = run(with_values(settings, values), evaluated)
    except optuna.TrialPruned:
        _note_seconds(trial, began)
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        forget(with_values(settings, values))
        say("  pruned: worse than the median of the others by now")
    except UserError as error:
        _note_seconds(trial, began)
        trial.set_user_attr(REASON, error.message)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        forget(with_values(settings, values))
        say(f"  failed: {error.message}")
    else:
        _note_seconds(trial, began)
        study.tell(trial, loss)
        say(f"  loss {loss:.4f}")
        is_best = _best_values(study) == values
        worse = best_before if is_best else values
        if worse is not None:
            forget(with_values(settings, worse))


def _note_seconds(trial: "Trial", began: float) -> None:
    """Of a trial that was interrupted: since it was taken up again."""
    trial.set_user_attr(SECONDS, round(time.monotonic() - began, 1))


def _best_values(study: "Study") -> dict[str, Any] | None:
    """Those of the best complete trial so far."""
    return dict(study.best_trial.params) if any(trial.value is not None for trial in _counted(study)) else None


def _forget_others(study: "Study", settings: TrainingConfig, forget: Forget) -> None:
    """Remove what a kill between a trial's end and its forgetting left behind."""
    best = _best_values(study)
    others = {repr(trial.params): trial.params for trial in _counted(study) if trial.params != best}
    for values in others.values():
        forget(with_values(settings, values))


def _take_up_again(study: "Study", say: Say) -> None:
    """Set aside the trial that a kill interrupted: the next one has its seed and number, so it proposes the same."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=[TrialState.RUNNING]):
        # Failed without a reason: it counts when it is done.
        study.tell(trial.number, state=TrialState.FAIL)
        say(f"going on with an interrupted trial: {shown(trial.params)}")


def _counted(study: "Study") -> "Sequence[FrozenTrial]":
    """The finished trials, oldest first, without those that were interrupted."""
    from optuna.trial import TrialState

    finished = study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
    return [trial for trial in finished if trial.state is not TrialState.FAIL or REASON in trial.user_attrs]


def _same_before(study: "Study", values: Mapping[str, Any]) -> float | None:
    """The loss of a complete trial with the same values."""
    return next((t.value for t in _counted(study) if t.value is not None and t.params == values), None)


def _drop_half_line(path: Path) -> None:
    """Take away what a kill left of the journal's last line."""
    if path.is_file():
        # Cut, not written anew: a kill in between must not cost the lines that are whole.
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
