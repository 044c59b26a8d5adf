"""What a run says while it goes on, and when it saves and stops."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tandem.errors import UserError
from tandem.training_settings import TrainingConfig
from training.metrics import RunLog
from training.overfitting import overfit_alarm
from training.processes import agreed
from training.rows import Progress
from training.stopping import History, are_finite, evaluations, is_out_of_patience, losses_at

Say = Callable[[str], None]
Evaluated = Callable[[int, float], None]
"""Takes the number of an evaluation (from 1) and the decisive loss; what it raises ends the run."""

TIMED_STEPS: Final = 5
"""Steps that are timed, after the first one, before the time of the run is told."""


def make_reporter(
    watched: Sequence[str], settings: TrainingConfig, log: RunLog, say: Say, progress: Progress, evaluated: Evaluated
) -> Any:
    """A callback that tells how it goes, saves in time and stops in time.

    What it decides by is in the trainer's history, so it goes on after a kill; only when the next checkpoint is written
    depends on the clock, which changes nothing about the result.
    """
    from transformers import TrainerCallback

    decisive, patience = watched[0], settings.patience

    class Reporter(TrainerCallback):  # type: ignore[misc]
        saved_at = 0.0
        seconds: list[float] = []  # noqa: RUF012

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            del control
            log.steps_of_epoch = state.max_steps // int(args.num_train_epochs)
            self.saved_at, self.seconds = time.monotonic(), []

        def on_step_begin(self, args: Any, state: Any, control: Any, optimizer: Any = None, **_: Any) -> None:
            del args, state, control
            log.begin_step(float(optimizer.param_groups[0]["lr"]))

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            del args
            line = log.end_step(state.global_step, state.epoch or 0.0)
            ends_epoch = log.steps_of_epoch and state.global_step % log.steps_of_epoch == 0
            epoch = int(line["epoch"]) + (0 if ends_epoch else 1)
            progress(f"epoch {epoch}", state.global_step, state.max_steps)
            self.seconds.append(line["seconds"])
            _tell_time(self.seconds, state.max_steps - state.global_step, say)
            # The end of an epoch is saved anyway, after its evaluation.
            if not ends_epoch and agreed(time.monotonic() - self.saved_at >= settings.checkpoint_seconds):
                control.should_save = True

        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Mapping[str, float], **_: Any) -> None:
            del args
            if f"eval_{watched[-1]}_loss" not in metrics:
                return  # the other watched rows are still to come
            losses = losses_at(state.log_history, state.global_step, watched)
            epoch = round(state.epoch or 0)
            log.evaluated(state.global_step, state.epoch or 0.0, losses)
            _tell(losses, epoch, settings, say)
            evaluated(len(evaluations(state.log_history, decisive)), losses[decisive])
            if alarm := _new_alarm(state.log_history, state.global_step, decisive):
                say(f"warning: {alarm}")
            if is_out_of_patience(state.log_history, decisive, patience):
                say(f"stopped: the loss on {decisive.replace('_', ' ')} did not fall for {patience} evaluations")
                control.should_training_stop = True

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            del args, state, control
            self.saved_at = time.monotonic()

    return Reporter()


def _tell_time(seconds: Sequence[float], steps_left: int, say: Say) -> None:
    """Once enough steps are timed, say how long the others will take; the first one, which warms up, does not count."""
    if len(seconds) == TIMED_STEPS + 1 and steps_left:
        each = sum(seconds[1:]) / TIMED_STEPS
        say(f"{steps_left} steps to go at most: about {show_seconds(steps_left * each)}, evaluations not counted")


def _tell(losses: Mapping[str, float], epoch: int, settings: TrainingConfig, say: Say) -> None:
    """Say the losses after an epoch; UserError (`diverged`) where one is no number."""
    if not are_finite(losses):
        raise UserError(
            f"The loss is no number any more after epoch {epoch}: lower `training.learning_rate`, which is "
            f"{settings.learning_rate:g}.",
            code="diverged",
        )
    shown = ", ".join(f"{name.replace('_', ' ')} {loss:.4f}" for name, loss in losses.items())
    say(f"epoch {epoch} of at most {settings.epochs}: loss {shown}")


def _new_alarm(history: History, step: int, decisive: str) -> str | None:
    """The overfit alarm, where it is due at this evaluation and was not at the one before."""
    earlier = [entry for entry in history if entry["step"] < step]
    return None if overfit_alarm(earlier, decisive) else overfit_alarm(history, decisive)


def show_seconds(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
