"""LoRA with TRL's trainer: rows in, the best checkpoint out."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from retrieval.embedder import fast_bfloat16
from tandem.errors import TandemError
from tandem.training_settings import TrainingConfig
from training.base import Base
from training.metrics import OnLine, RunLog
from training.processes import first_goes_first, is_first, share_of_batch
from training.quantising import load_quantised
from training.reporter import Evaluated, Say, make_reporter
from training.rows import Progress, Row
from training.runs import Run
from training.stopping import best_evaluation, evaluations, is_out_of_patience, losses_at

LINEAR: Final = "all-linear"
"""All linear layers but the output, which vLLM serves for every architecture that it serves LoRA for."""
WARM_UP: Final = 0.05
"""Share of the steps over which the learning rate rises."""
BFLOAT16_FROM: Final = 50_000_000
"""Parameters from which bfloat16 pays on a CPU that has it: with 135 million a step is quicker, and with 4 million
one of 8 rows of 40 tokens took 3.3 CPU seconds instead of 0.2 to 0.3."""
MASKED: Final = -100
"""Label of a token without loss."""


@dataclass(frozen=True)
class Fitted:
    """The best checkpoint of a finished run."""

    folder: Path
    """Holds PEFT's two files."""
    losses: Mapping[str, float]
    """Mean loss for each token of the answers, at that checkpoint: `train`, and each set of watched rows."""
    steps: int
    history: list[dict[str, Any]]
    """What the trainer logged, oldest first."""


def lora_config(settings: TrainingConfig) -> Any:
    """The `peft.LoraConfig` for the settings."""
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        use_rslora=settings.rslora,
        target_modules=list(settings.targets) if settings.targets else LINEAR,
        bias="none",
        task_type="CAUSAL_LM",
    )


def fit(
    base: Base,
    tokenizer: Any,
    rows: Sequence[Row],
    watched: Mapping[str, Sequence[Row]],
    lora: Any,
    settings: TrainingConfig,
    run: Run,
    say: Say,
    progress: Progress,
    log_folder: Path,
    parent: Path | None = None,
    evaluated: Evaluated | None = None,
    on_line: OnLine = lambda _: None,
) -> Fitted:
    """Train until the loss on the first of `watched` no longer falls; goes on from the run's last checkpoint.

    All processes that train together call it; each takes its share of every step's rows.

    `parent`: the folder of the adapter whose weights it begins with, in place of new ones. The numbers of each step go
    into `log_folder` (see `training.metrics`) and to `on_line`. `evaluated` is told of each evaluation, also before an
    interruption.

    Raises UserError (`diverged`) when the loss is no number any more.
    """
    decisive = next(iter(watched))
    tell = evaluated or (lambda _number, _loss: None)
    with first_goes_first():
        checkpoints = run.checkpoints()
    last = checkpoints[-1] if checkpoints else None
    finished = last is not None and _is_finished(last.state, decisive, settings.patience)
    if last:
        if not finished:
            say(f"going on after step {last.step} of a run that was interrupted")
        for number, (_, loss) in enumerate(evaluations(last.state["log_history"], decisive), 1):
            tell(number, loss)
    if not finished:
        with ExitStack() as stack:
            # The numbers of the others go nowhere.
            folder = log_folder if is_first() else Path(stack.enter_context(TemporaryDirectory()))
            log = stack.enter_context(RunLog(folder, last.step if last else 0, on_line=on_line))
            trainer = make_trainer(base, tokenizer, rows, watched, lora, settings, run, log, parent)
            trainer.add_callback(make_reporter(list(watched), settings, log, say, progress, tell))
            trainer.train(resume_from_checkpoint=str(last.folder) if last else None)
    return _best(run, decisive)


def make_trainer(
    base: Base,
    tokenizer: Any,
    rows: Sequence[Row],
    watched: Mapping[str, Sequence[Row]],
    lora: Any,
    settings: TrainingConfig,
    run: Run,
    log: RunLog | None = None,
    parent: Path | None = None,
) -> Any:
    """TRL's trainer over rows that are tokenised already; with the weights of `parent` where there is one."""
    import torch
    from transformers.trainer_callback import PrinterCallback
    from trl import SFTConfig

    from training.rows_apart import keep_rows_apart
    from training.trainer import RunTrainer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    batch_size = share_of_batch(settings.batch_size)
    model = load_quantised(base) if settings.quantisation else base.load_model()
    arguments = SFTConfig(
        output_dir=str(run.folder),
        seed=settings.seed,
        data_seed=settings.seed,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=WARM_UP,
        weight_decay=0.0,
        max_grad_norm=1.0,
        optim="adamw_torch",
        bf16=takes_bfloat16(model),
        use_cpu=device == "cpu",
        dataloader_pin_memory=device != "cpu",
        gradient_checkpointing=settings.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if settings.gradient_checkpointing else None,
        use_liger_kernel=device != "cpu" and find_spec("liger_kernel") is not None,
        ddp_find_unused_parameters=False,
        completion_only_loss=True,
        padding_free=keep_rows_apart(model),
        max_length=None,
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        load_best_model_at_end=False,
        report_to="none",
        disable_tqdm=True,
        push_to_hub=False,
    )
    if device == "cpu":
        _score_answers_only()
    trainer = RunTrainer(
        decisive=next(iter(watched)),
        run_log=log,
        model=with_parent(model, parent, settings) if parent else model,
        args=arguments,
        train_dataset=_as_dataset(rows),
        eval_dataset={name: _as_dataset(part) for name, part in watched.items()},
        processing_class=tokenizer,
        peft_config=None if parent else lora,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def takes_bfloat16(model: Any) -> bool:
    """Whether a base model is trained in bfloat16 on this machine."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return device != "cpu" or (model.num_parameters() >= BFLOAT16_FROM and fast_bfloat16(device))


def with_parent(model: Any, parent: Path, settings: TrainingConfig) -> Any:
    """The base model with an adapter's weights, ready to be trained further; dropout is that of the settings."""
    from peft import PeftConfig, PeftModel

    lora = PeftConfig.from_pretrained(str(parent))
    lora.lora_dropout = settings.dropout
    return PeftModel.from_pretrained(model, str(parent), config=lora, is_trainable=True)


def _score_answers_only() -> None:
    """Have TRL run the output layer only where there is a loss, as it does on GPUs: the answers, not the prompts.

    Elsewhere it runs it at every position, for compilers that want the same shapes in every batch; with prompts of 400
    tokens and a vocabulary of 2,048 that was a sixth of a step. The function is asked about nothing else there.
    """
    from trl.trainer import utils

    if hasattr(utils, "_use_triton"):
        utils._use_triton = lambda _device: True


def _as_dataset(rows: Sequence[Row]) -> Any:
    """Rows as the trainer takes them: `input_ids` and `labels`, which leave the prompt out of the loss."""
    from datasets import Dataset

    return Dataset.from_list(
        [
            {
                "input_ids": row.tokens.prompt_ids + row.tokens.completion_ids,
                "labels": [MASKED] * len(row.tokens.prompt_ids) + row.tokens.completion_ids,
            }
            for row in rows
        ]
    )


def _is_finished(state: Mapping[str, Any], decisive: str, patience: int) -> bool:
    """Whether a run that was interrupted had nothing left to do but to publish."""
    return state["global_step"] >= state["max_steps"] or is_out_of_patience(state["log_history"], decisive, patience)


def _best(run: Run, decisive: str) -> Fitted:
    """The checkpoint with the lowest loss on the decisive rows."""
    checkpoints = {checkpoint.step: checkpoint for checkpoint in run.checkpoints()}
    state = checkpoints[max(checkpoints)].state
    history = [dict(entry) for entry in state["log_history"]]
    step, _ = best_evaluation(history, decisive)
    if step not in checkpoints:
        raise TandemError(f"The best checkpoint, of step {step}, is not in {run.folder} any more.")
    names = [key.removeprefix("eval_").removesuffix("_loss") for entry in history for key in entry]
    losses = losses_at(history, step, list(dict.fromkeys(names)))
    return Fitted(checkpoints[step].folder, losses, step, history)
