"""TRL's trainer, whose checkpoints are whole or not there and hold all that decides how a run goes on."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file, save_file
from transformers.trainer_pt_utils import LengthGroupedSampler
from trl import SFTTrainer

from tandem.files import sync_path
from training import processes
from training.metrics import RunLog
from training.runs import ORDER, WRITING, Checkpoint
from training.stopping import evaluations

GENERATOR: Final = "epoch_began_with"
"""Name of the tensor in `order.safetensors`: the state of torch's random numbers, bytes of shape (its size,)."""


class RememberedOrder(LengthGroupedSampler):  # type: ignore[misc]
    """Rows of similar length together, in an order that can be drawn again in the middle of an epoch.

    The trainer keeps the random numbers of the moment of a checkpoint, but the order of the whole epoch was drawn from
    those of its beginning.
    """

    began_with: torch.Tensor | None = None
    """State of the random numbers before the epoch's order was drawn."""
    repeat: torch.Tensor | None = None
    """The state to draw the next order from, once."""

    def __iter__(self) -> Iterator[int]:
        if self.repeat is not None:
            torch.set_rng_state(self.repeat)
            self.repeat = None
        self.began_with = processes.as_the_first(torch.get_rng_state())
        torch.set_rng_state(self.began_with)
        return iter(super().__iter__())


class RunTrainer(SFTTrainer):  # type: ignore[misc]
    """Adds to TRL's trainer: the order of an epoch, whole checkpoints, and numbers of every step."""

    def __init__(self, *arguments: Any, decisive: str, run_log: RunLog | None = None, **named: Any) -> None:
        self.decisive, self.run_log = decisive, run_log
        self.order: RememberedOrder | None = None
        self.repeat: torch.Tensor | None = None
        super().__init__(*arguments, **named)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        rows = self.train_dataset if train_dataset is None else train_dataset
        self.order = RememberedOrder(
            self.args.train_batch_size * self.args.gradient_accumulation_steps * processes.count(),
            lengths=[len(ids) for ids in rows["input_ids"]],
        )
        self.order.repeat = self.repeat
        return self.order

    def train_from(self, checkpoint: Checkpoint | None) -> None:
        """Train to the end, from a checkpoint or from the beginning."""
        if checkpoint is not None and checkpoint.step % checkpoint.steps_of_epoch:
            self.repeat = load_file(checkpoint.folder / ORDER)[GENERATOR]
        self.train(resume_from_checkpoint=str(checkpoint.folder) if checkpoint else None)

    def training_step(self, model: Any, inputs: Any, *arguments: Any, **named: Any) -> torch.Tensor:
        """One forward and backward pass; its loss (a scalar) and its tokens are noted."""
        tokens = int(inputs["attention_mask"].sum()) if "attention_mask" in inputs else inputs["input_ids"].numel()
        loss: torch.Tensor = super().training_step(model, inputs, *arguments, **named)
        if self.run_log is not None:
            self.run_log.saw(*processes.mean_and_total(loss.item(), tokens))
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log; the training loss is the mean over all steps of the epoch, also those before an interruption."""
        if "loss" in logs and self.run_log is not None:
            logs["loss"] = self.run_log.epoch_loss()
        super().log(logs, start_time)

    def _get_output_dir(self, trial: Any) -> str:
        """Where a checkpoint is put together."""
        return str(Path(super()._get_output_dir(trial)) / WRITING)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint under a name that does not count, make it durable, and only then give it its own."""
        super()._save_checkpoint(model, trial)
        processes.wait_for_all()
        if not self.args.should_save:
            return
        name = f"checkpoint-{self.state.global_step}"
        partial, final = Path(self.args.output_dir) / WRITING / name, Path(self.args.output_dir) / name
        # A pickle that nothing here reads.
        (partial / "training_args.bin").unlink(missing_ok=True)
        assert self.order is not None
        assert self.order.began_with is not None
        save_file({GENERATOR: self.order.began_with}, partial / ORDER)
        if self.run_log is not None:
            self.run_log.make_durable()
        _make_durable(partial)
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        sync_path(final.parent)
        self._forget_old()

    def _forget_old(self) -> None:
        """Keep the two newest checkpoints and the best one."""
        found = sorted(Path(self.args.output_dir).glob("checkpoint-*"), key=_step)
        scored = evaluations(self.state.log_history, self.decisive)
        best = min(scored, key=lambda one: (one[1], one[0]))[0] if scored else None
        for folder in found[:-2]:
            if _step(folder) != best:
                shutil.rmtree(folder, ignore_errors=True)


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("checkpoint-"))


def _make_durable(folder: Path) -> None:
    """Put the files of a folder, and the folder, on the disk."""
    for path in folder.iterdir():
        sync_path(path)
    sync_path(folder)
