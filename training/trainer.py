"""TRL's trainer, whose checkpoints are whole or not there and hold all that decides how a run goes on."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from trl import SFTTrainer

from tandem.files import sync_path
from training import processes
from training.metrics import RunLog
from training.runs import WRITING
from training.stopping import evaluations


class RunTrainer(SFTTrainer):  # type: ignore[misc]
    """Adds to TRL's trainer: whole checkpoints, numbers of every step, and padding where it only evaluates."""

    data_collator: Any

    def __init__(self, *arguments: Any, decisive: str, run_log: RunLog | None = None, **named: Any) -> None:
        self.decisive, self.run_log = decisive, run_log
        super().__init__(*arguments, **named)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """Batches of watched rows, padded, since the trainer weighs the loss of a batch by its first dimension."""
        laid = self.data_collator
        self.data_collator = replace(laid, padding_free=False)
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = laid

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
