"""Real tokens trained in a second: the trainer behind `tandem train` beside `transformers.Trainer` with its defaults.

`python -m benchmarks.training`. Both train the same LoRA of the same model on the same rows of the sample domain, with
the same batch size; the rival pads each batch of its random order to its longest row, as its collator does. Counted are
tokens of the rows, padding not, over the seconds from the beginning to the end of an epoch's steps: loading,
evaluations and checkpoints are in neither. `--model` takes another folder; bfloat16, which pays in larger models only,
is used from 50 million parameters, where the processor has it.
"""

import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.paired import SEED, Comparison, arguments, in_turns, machine, report
from retrieval.embedder import load_embedder
from retrieval.index import Index
from tandem.config import load_config
from tandem.demo import CONFIGURATION, DOMAIN
from tandem.settings import Config, TrainingConfig
from training.base import Base, find_base
from training.examples import read_examples
from training.lora import MASKED, lora_config, make_trainer
from training.rows import Row, RowMaker
from training.runs import Run
from training.tokens import ChatTokens

ROWS = {"closed-book": 128, "reading": 48}
"""Kind of adapter → rows: a closed-book one is short, a reading one has up to four passages."""


def sample_rows(config: Config, base: Base, kind: str, count: int) -> list[Row]:
    """Up to `count` rows of one kind, from examples of the sample domain in one and the same random order."""
    path = config.domain(DOMAIN).examples
    assert path is not None, "the sample domain has examples"
    examples = read_examples(path)
    random.Random(SEED).shuffle(examples)
    tokenizer = base.load_tokenizer()
    maker = RowMaker(config, DOMAIN, ChatTokens(tokenizer, base.end_tokens(tokenizer)), base.context_tokens)
    if kind == "closed-book":
        return maker.closed_book(examples[:count]).rows
    with (
        tempfile.TemporaryDirectory() as home,
        Index.open(Path(home) / "index", load_embedder(config.embedder), config.retrieval) as index,
    ):
        index.sync(config.domain(DOMAIN).documents or [])
        return maker.reading(examples[:count], index).rows


def our_seconds(base: Base, rows: Sequence[Row], settings: TrainingConfig) -> float:
    """Seconds of one epoch's steps with the trainer of `tandem train`."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(
            base, base.load_tokenizer(), rows, {"watched": rows[:1]}, lora_config(settings), settings, Run(Path(folder))
        )
        return _epoch_seconds(trainer)


def rival_seconds(base: Base, rows: Sequence[Row], settings: TrainingConfig) -> float:
    """Seconds of one epoch's steps with `transformers.Trainer`, whose defaults are left alone."""
    import torch
    from peft import get_peft_model
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments
    from transformers.trainer_callback import PrinterCallback

    with tempfile.TemporaryDirectory() as folder:
        # What is set is the batch, one epoch, the device, and that nothing is printed or saved.
        options = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=settings.batch_size,
            num_train_epochs=1,
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=torch.cuda.is_available(),
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(
            model=get_peft_model(base.load_model(), lora_config(settings)),
            args=options,
            train_dataset=[_as_item(row) for row in rows],
            data_collator=DataCollatorForSeq2Seq(base.load_tokenizer()),
        )
        trainer.remove_callback(PrinterCallback)
        return _epoch_seconds(trainer)


def measure(base: Base, rows: Sequence[Row], kind: str, settings: TrainingConfig, rounds: int) -> Comparison:
    """Train in turns, after one turn of each that is not counted."""
    in_turns(1, lambda: our_seconds(base, rows, settings), lambda: rival_seconds(base, rows, settings))
    seconds = in_turns(rounds, lambda: our_seconds(base, rows, settings), lambda: rival_seconds(base, rows, settings))
    lengths = sorted(len(row.tokens) for row in rows)
    values = [(sum(lengths) / ours, sum(lengths) / theirs) for ours, theirs in seconds]
    details = {
        "model": base.name,
        "rows": len(rows),
        "batch_size": settings.batch_size,
        "tokens_of_a_row": {"shortest": lengths[0], "median": lengths[len(lengths) // 2], "longest": lengths[-1]},
    }
    name = f"real tokens trained a second, {kind} rows"
    return Comparison(name, "tandem train", "Trainer, defaults", "tokens/s", values, details)


def _as_item(row: Row) -> dict[str, list[int]]:
    ids, labels = row.tokens.prompt_ids + row.tokens.completion_ids, row.tokens.completion_ids
    return {"input_ids": ids, "labels": [MASKED] * len(row.tokens.prompt_ids) + labels}


def _epoch_seconds(trainer: Any) -> float:
    """Train, and say how long the steps of all epochs took together."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        seconds, began = 0.0, 0.0

        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            self.seconds += time.perf_counter() - self.began

    clock = Clock()
    trainer.add_callback(clock)
    trainer.train()
    return clock.seconds


def main() -> None:
    parser = arguments("training", "Real tokens trained in a second, beside transformers.Trainer.", 5)
    parser.add_argument("--model", help="folder of a base model (default: the sample domain's)")
    parser.add_argument("--rows", type=int, help=f"rows of each kind (default: {ROWS})")
    options = parser.parse_args()
    before, config = machine(), load_config(CONFIGURATION)
    base, settings = find_base(options.model or config.base_model), config.training.model_copy(update={"epochs": 1})
    comparisons = [
        measure(base, sample_rows(config, base, kind, options.rows or count), kind, settings, options.repetitions)
        for kind, count in ROWS.items()
    ]
    report("training", before, comparisons, options.json)


if __name__ == "__main__":
    main()
