"""Real tokens trained in a second: the trainer behind `tandem train` beside others, and the losses that both reach.

`python -m benchmarks.training`. All train the same LoRA of the same model on the same rows of the sample domain for one
epoch, with the same batch size, learning rate and schedule. Rivals: `transformers.Trainer`, whose other defaults are
left alone (a random order, each batch padded to its longest row, float32), and TRL's trainer with its best packing
(best-fit decreasing, no padding; packs of as many tokens as a batch has on average, or the longest row) in our
arithmetic. Rows of one kind are of about one length; the mixed ones are short and long, as in a set of several tasks.

Counted are tokens of the rows, padding not, over the seconds from the beginning to the end of an epoch's steps:
loading, evaluations and checkpoints are in neither. Beside each ratio stands that of the losses on rows that none of
them was trained on. `--model` takes another folder, and `--large` a model of 135 million parameters with random
weights; bfloat16, which pays in larger models only, is used from 50 million, where the processor has it.
"""

import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.large_model import large_model
from benchmarks.paired import SEED, Comparison, arguments, in_turns, interval, machine, report
from retrieval.embedder import load_embedder
from retrieval.index import Index
from tandem.config import load_config
from tandem.demo import CONFIGURATION, DOMAIN
from tandem.settings import Config
from tandem.training_settings import TrainingConfig
from training.base import Base, find_base
from training.examples import read_examples
from training.lora import MASKED, WARM_UP, lora_config, make_trainer, takes_bfloat16
from training.references import log_probabilities
from training.rows import Row, RowMaker
from training.runs import Run
from training.tokens import ChatTokens

ROWS: Final = {"closed-book": 128, "reading": 48, "mixed": 128}
"""Kind of rows → how many: a closed-book one is short, a reading one has up to four passages."""
READING_SHARE: Final = 0.3
"""Of the mixed rows."""
HELD: Final = 16
"""Rows of each kind that nothing is trained on."""


@dataclass(frozen=True)
class Epoch:
    """One epoch of one trainer."""

    seconds: float
    """From the beginning to the end of its steps."""
    loss: float
    """Mean loss for each token of the answers of the held rows, after it."""


Trained = Callable[[Base, Sequence[Row], Sequence[Row], TrainingConfig], Epoch]
"""Base model, rows to train on, rows held back, settings → an epoch."""


def sample_rows(config: Config, base: Base, kind: str, count: int) -> tuple[list[Row], list[Row]]:
    """Up to `count` rows of one kind to train on and `HELD` others, of the sample domain's examples in one and the same
    random order."""
    path = config.domain(DOMAIN).examples
    assert path is not None, "the sample domain has examples"
    examples = read_examples(path)
    random.Random(SEED).shuffle(examples)
    tokenizer = base.load_tokenizer()
    maker = RowMaker(config, DOMAIN, ChatTokens(tokenizer, base.end_tokens(tokenizer)), base.context_tokens)
    drawn = examples[: count + HELD]
    long = {"closed-book": 0, "reading": len(drawn), "mixed": round(READING_SHARE * len(drawn))}[kind]
    rows = maker.closed_book(drawn[long:]).rows
    if long:
        with (
            tempfile.TemporaryDirectory() as home,
            Index.open(Path(home) / "index", load_embedder(config.embedder), config.retrieval) as index,
        ):
            index.sync(config.domain(DOMAIN).documents or [])
            rows += maker.reading(drawn[:long], index).rows
    random.Random(SEED).shuffle(rows)
    return rows[HELD:], rows[:HELD]


def ours(base: Base, rows: Sequence[Row], held: Sequence[Row], settings: TrainingConfig) -> Epoch:
    """An epoch of the trainer of `tandem train`."""
    with tempfile.TemporaryDirectory() as folder:
        lora = lora_config(settings)
        tokenizer = base.load_tokenizer()
        trainer = make_trainer(base, tokenizer, rows, {"watched": rows[:1]}, lora, settings, Run(Path(folder)))
        return _epoch(trainer, held)


def with_defaults(base: Base, rows: Sequence[Row], held: Sequence[Row], settings: TrainingConfig) -> Epoch:
    """An epoch of `transformers.Trainer`."""
    from peft import get_peft_model
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments, set_seed

    # TRL's trainer too draws the adapter's first weights after the seed.
    set_seed(settings.seed)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=get_peft_model(base.load_model(), lora_config(settings)),
            args=TrainingArguments(per_device_train_batch_size=settings.batch_size, **_shared(folder, settings)),
            train_dataset=[_as_item(row) for row in rows],
            data_collator=DataCollatorForSeq2Seq(base.load_tokenizer()),
        )
        return _epoch(trainer, held)


def packed(base: Base, rows: Sequence[Row], held: Sequence[Row], settings: TrainingConfig) -> Epoch:
    """An epoch of TRL's trainer with packing."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    lengths = [len(row.tokens) for row in rows]
    model = base.load_model()
    with tempfile.TemporaryDirectory() as folder:
        options = SFTConfig(
            per_device_train_batch_size=1,
            max_length=max(*lengths, round(settings.batch_size * sum(lengths) / len(lengths))),
            packing=True,
            bf16=takes_bfloat16(model),
            **_shared(folder, settings),
        )
        trainer = SFTTrainer(
            model=model,
            args=options,
            train_dataset=Dataset.from_list([_as_item(row) for row in rows]),
            processing_class=base.load_tokenizer(),
            peft_config=lora_config(settings),
        )
        return _epoch(trainer, held)


RIVALS: Final[dict[str, Trained]] = {"Trainer, defaults": with_defaults, "TRL, packed": packed}


def measure(
    base: Base, rows: Sequence[Row], held: Sequence[Row], kind: str, settings: TrainingConfig, rounds: int
) -> Iterator[Comparison]:
    """Train in turns with each rival, after one turn of each that is not counted."""
    lengths = sorted(len(row.tokens) for row in rows)
    for rival, train in RIVALS.items():
        both = (lambda: ours(base, rows, held, settings), lambda train=train: train(base, rows, held, settings))
        in_turns(1, *both)
        epochs = in_turns(rounds, *both)
        values = [(sum(lengths) / one.seconds, sum(lengths) / other.seconds) for one, other in epochs]
        details = {
            "loss_ratio": interval([one.loss / other.loss for one, other in epochs]).show(3),
            "losses": [round(value, 4) for value in (epochs[-1][0].loss, epochs[-1][1].loss)],
            "parameters": base.load_model().num_parameters(),
            "rows": len(rows),
            "batch_size": settings.batch_size,
            "tokens_of_a_row": {"shortest": lengths[0], "median": lengths[len(lengths) // 2], "longest": lengths[-1]},
        }
        name = f"real tokens trained a second, {kind} rows"
        yield Comparison(name, "tandem train", rival, "tokens/s", values, details)


def _shared(folder: str, settings: TrainingConfig) -> dict[str, Any]:
    """What is set of every rival: what decides what is learned, the device, and that nothing is printed or saved."""
    import torch

    return {
        "output_dir": folder,
        "num_train_epochs": settings.epochs,
        "seed": settings.seed,
        "learning_rate": settings.learning_rate,
        "warmup_steps": WARM_UP,
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": torch.cuda.is_available(),
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def _as_item(row: Row) -> dict[str, list[int]]:
    ids, labels = row.tokens.prompt_ids + row.tokens.completion_ids, row.tokens.completion_ids
    return {"input_ids": ids, "labels": [MASKED] * len(row.tokens.prompt_ids) + labels}


def _epoch(trainer: Any, held: Sequence[Row]) -> Epoch:
    """Train, say how long the steps took together, and ask for the held rows."""
    from transformers import TrainerCallback
    from transformers.trainer_callback import PrinterCallback

    class Clock(TrainerCallback):
        seconds, began = 0.0, 0.0

        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            self.seconds += time.perf_counter() - self.began

    clock = Clock()
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(clock)
    trainer.train()
    return Epoch(clock.seconds, _loss(trainer.model, held))


def _loss(model: Any, held: Sequence[Row]) -> float:
    """Mean negative log-probability of the tokens of the answers."""
    answers = [log_probabilities(model.eval(), row.tokens.prompt_ids, row.tokens.completion_ids) for row in held]
    tokens = [value for answer in answers for value in answer]
    return -sum(tokens) / len(tokens)


def main() -> None:
    parser = arguments("training", "Real tokens trained in a second, beside transformers.Trainer.", 5)
    parser.add_argument("--model", help="folder of a base model (default: the sample domain's)")
    parser.add_argument("--large", action="store_true", help="a model of 135 M parameters with random weights")
    parser.add_argument("--rows", type=int, help=f"rows of each kind (default: {ROWS})")
    parser.add_argument("--kind", choices=list(ROWS), help="rows of this kind alone (default: all)")
    options = parser.parse_args()
    before, config = machine(), load_config(CONFIGURATION)
    base, settings = find_base(options.model or config.base_model), config.training.model_copy(update={"epochs": 1})
    with tempfile.TemporaryDirectory() as folder:
        base = large_model(base, Path(folder)) if options.large else base
        comparisons = [
            comparison
            for kind, count in ROWS.items()
            if options.kind in (None, kind)
            for comparison in measure(
                base, *sample_rows(config, base, kind, options.rows or count), kind, settings, options.repetitions
            )
        ]
    report("training", before, comparisons, options.json)


if __name__ == "__main__":
    main()
