"""The pretraining run, straight down: lessons, rows, loss, step, log, checkpoint.

Every checkpoint is a usable model folder, and beside it lies what resuming needs. The lessons of a step depend on
the seed and the step alone, so an interrupted run goes on as if it had not been. A CPU takes row after row, in worker
processes that share a step; an accelerator takes a step's rows as one pack, which other processes write ahead.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from tandem.prompt import Passage, build_context
from training.pretrain import teaching
from training.pretrain.evaluate import UNTAUGHT_WORDS, Source, quick_score
from training.pretrain.lessons import Lesson, LessonWriter
from training.pretrain.lexicon import Lexicon
from training.pretrain.model import READING, build_model, hidden_states
from training.pretrain.muon import Muon
from training.pretrain.packs import Pack, to_pack
from training.pretrain.recipe import FULL, MIDDLE, Recipe
from training.pretrain.renaming import Renaming
from training.pretrain.rows import Batch, Row, RowBuilder, to_batch
from training.pretrain.tokenizer import END_OF_TEXT, TURN_END, train_tokenizer, word_pieces

STEPS_BETWEEN_CHECKPOINTS = 100


def tokenizer_texts(recipe: Recipe) -> Iterator[str]:
    """What the tokenizer is trained on: passages, questions and answers, and plain sentences of listed words."""
    source = LessonWriter(teaching.LEXICON, teaching.PHRASING, recipe.seed)
    for index in range(recipe.tokenizer_lessons):
        lesson = source.write(MIDDLE if index % 2 else FULL)
        shown = build_context([Passage(passage.title, passage.text) for passage in lesson.passages or ()])
        asked = "\n".join(f"{item.question} {item.answer}" for item in lesson.exercises)
        plain = " ".join(source.world.filler() for _ in range(12))
        yield f"{lesson.system_prompt}\n{shown}\n{asked}\n{plain}"


def step_seed(recipe: Recipe, step: int, rank: int) -> int:
    return recipe.seed * 1_000_003 + step * recipe.workers + rank


def step_lessons(recipe: Recipe, lexicon: Lexicon, step: int, tokens: int, rank: int) -> Iterator[Lesson]:
    """The endless lessons of one worker's step."""
    seed = step_seed(recipe, step, rank)
    phrasing = teaching.wide_phrasing(recipe.frames(tokens))
    source, draw = LessonWriter(lexicon, phrasing, seed), random.Random(seed)
    mix = recipe.difficulties(tokens)
    while True:
        (difficulty,) = draw.choices([item for item, _ in mix], [weight for _, weight in mix])
        yield source.write(difficulty)


def step_rows(
    recipe: Recipe, lexicon: Lexicon, builder: RowBuilder, step: int, tokens: int, rank: int = 0
) -> list[Row]:
    """The rows of one worker's step."""
    rows: list[Row] = []
    builder.renaming.random.seed(step_seed(recipe, step, rank))
    for row in builder.rows(step_lessons(recipe, lexicon, step, tokens, rank)):
        rows.append(row)
        if sum(len(row.tokens) for row in rows) >= recipe.tokens_per_step:
            break
    return rows


@dataclass(frozen=True)
class StepPacks(Dataset[Pack]):
    """Each step's rows as a pack; `step * tokens_per_step` stands for the tokens before a step."""

    recipe: Recipe
    lexicon: Lexicon
    builder: RowBuilder

    def __getitem__(self, step: int) -> Pack:
        tokens = step * self.recipe.tokens_per_step
        return to_pack(step_rows(self.recipe, self.lexicon, self.builder, step, tokens))


def language_loss(model: Qwen3ForCausalLM, batch: Batch | Pack) -> torch.Tensor:
    """Weighted sum of the next token's cross-entropy; only weighted targets reach the head."""
    hidden = hidden_states(model, batch)
    weights = batch.weights[:, 1:]
    kept = weights > 0
    logits = model.lm_head(hidden[:, :-1][kept]).float()
    losses = functional.cross_entropy(logits, batch.tokens[:, 1:][kept], reduction="none")
    return (losses * weights[kept]).sum()


def optimizers(model: Qwen3ForCausalLM, recipe: Recipe, rank: int = 0) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the rest."""
    matrices = [
        parameter for name, parameter in model.named_parameters() if parameter.ndim == 2 and "embed" not in name
    ]
    known = {id(parameter) for parameter in matrices}
    others = [parameter for parameter in model.parameters() if id(parameter) not in known]
    return [
        Muon(
            matrices,
            lr=recipe.matrix_learning_rate,
            weight_decay=recipe.weight_decay,
            rank=rank,
            workers=recipe.workers,
        ),
        torch.optim.AdamW(others, lr=recipe.other_learning_rate, weight_decay=0.0, betas=(0.9, 0.95)),
    ]


def save_model(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a model folder in bf16 (safetensors), whole or not at all."""
    beside = folder.with_name(folder.name + ".writing")
    shutil.rmtree(beside, ignore_errors=True)
    portable_copy(model).save_pretrained(beside)
    tokenizer.save_pretrained(beside)
    for file in beside.iterdir():
        file.chmod(0o644)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(beside, folder)


def portable_copy(model: Qwen3ForCausalLM) -> Qwen3ForCausalLM:
    """A bf16 copy that any loader can read (no guided attention in its configuration)."""
    config = type(model.config).from_dict({**model.config.to_dict(), "use_cache": True})
    config._attn_implementation = "sdpa"
    copy = Qwen3ForCausalLM(config)
    copy.load_state_dict(model.state_dict())
    return copy.to(torch.bfloat16)


class Run:
    """A run of the recipe in ``folder``: ``model/`` (the newest checkpoint), ``state.pt`` (to resume), ``log.jsonl``."""

    def __init__(self, recipe: Recipe, folder: Path, rank: int = 0, device: str = "cpu") -> None:
        self.recipe, self.folder, self.rank, self.device = recipe, folder, rank, torch.device(device)
        self.state_path, self.model_folder = folder / "state.pt", folder / "model"
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(recipe.seed)
        state = torch.load(self.state_path, device, weights_only=True) if self.state_path.exists() else None
        if state is None:
            self.tokenizer = train_tokenizer(tokenizer_texts(recipe), recipe.shape.vocabulary)
        else:
            self.tokenizer = PreTrainedTokenizerFast.from_pretrained(self.model_folder)
        self.raw = self.tokenizer.backend_tokenizer
        self.lexicon = replace(
            teaching.LEXICON,
            unlisted=recipe.unlisted_words,
            pieces=recipe.joined_words,
            word_pieces=word_pieces(self.tokenizer),
            forbidden=UNTAUGHT_WORDS,
        )
        self.padding = int(self.raw.token_to_id(END_OF_TEXT))
        self.model = build_model(recipe.shape, int(self.raw.token_to_id(TURN_END)), self.padding).to(self.device)
        self.optimizers = optimizers(self.model, recipe, rank)
        self.rates = (recipe.matrix_learning_rate, recipe.other_learning_rate)
        self.renaming = Renaming(self.raw, recipe.renamed_lessons, recipe.seed, UNTAUGHT_WORDS)
        self.builder = RowBuilder(self.raw, recipe.row_tokens, recipe.short_row_tokens, self.renaming)
        self.step, self.tokens = 0, 0
        READING.guided_layers = recipe.guided_heads
        if state is None:
            self.log(recipe=asdict(recipe), torch=torch.__version__)
        else:
            self._resume(state)

    def _resume(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.tokens = state["step"], state["tokens"]

    def checkpoint(self) -> None:
        """Write the model folder and all that resuming needs (the first worker only; all hold the same)."""
        if self.rank:
            return
        save_model(self.model, self.tokenizer, self.model_folder)
        optimizer_states = [optimizer.state_dict() for optimizer in self.optimizers]
        state = {
            "model": self.model.state_dict(),
            "optimizers": optimizer_states,
            "step": self.step,
            "tokens": self.tokens,
        }
        writing = self.state_path.with_suffix(".writing")
        torch.save(state, writing)
        os.replace(writing, self.state_path)

    def log(self, **entry: object) -> None:
        """Add a line to the run's log and to standard output (the first worker only)."""
        if self.rank:
            return
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")
        shown = (
            f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in entry.items()
        )
        print(" ".join(shown), flush=True)

    def train_step(self, batches: Sequence[Batch | Pack]) -> dict[str, float]:
        """One step: loss and guidance, gradients, update. Returns what the log shows of it."""
        recipe = self.recipe
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * recipe.rate(self.tokens)
        guidance_weight = recipe.guidance(self.tokens)
        weight = sum(float(batch.weights[:, 1:].sum()) for batch in batches)
        losses, guided = 0.0, 0.0
        READING.guided = guidance_weight > 0
        for batch in batches:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
                loss = language_loss(self.model, batch) / weight
            guidance = READING.loss().to(self.device) / len(batches)
            (loss + guidance_weight * guidance).backward()
            losses, guided = losses + loss.item(), guided + guidance.item()
        tokens = recipe.tokens_per_step
        if recipe.workers > 1:
            tokens = self._share_gradients(sum(batch.tokens.numel() for batch in batches))
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.gradient_clip)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        READING.guided = False
        self.step, self.tokens = self.step + 1, self.tokens + tokens
        return {"loss": losses, "guided": guided, "norm": norm.item()}

    def steps(self) -> Iterable[list[Batch] | list[Pack]]:
        """What each step takes, from the present one to the recipe's end."""
        recipe = self.recipe
        if recipe.packed:
            last = -(-recipe.total_tokens // recipe.tokens_per_step)
            packs = StepPacks(recipe, self.lexicon, self.builder)
            writers = max(1, (os.cpu_count() or 2) - 1)
            for pack in DataLoader(packs, sampler=range(self.step, last), batch_size=None, num_workers=writers):
                yield [pack.to(self.device)]
        while self.tokens < recipe.total_tokens:
            rows = step_rows(recipe, self.lexicon, self.builder, self.step, self.tokens, self.rank)
            yield [to_batch(row) for row in rows]  # each a batch of its own: nothing is padded

    def _share_gradients(self, tokens: int) -> int:
        """Average the gradients over all workers; return the number of tokens of all of them."""
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients] + [torch.tensor([float(tokens)])])
        distributed.all_reduce(flat)
        pieces = flat[:-1].div(self.recipe.workers).split([gradient.numel() for gradient in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))
        return int(flat[-1])

    def log_scores(self) -> None:
        """Log a small reading score on the teaching generator and on the development one."""
        if self.rank:
            return
        for source in (Source.TEACHING, Source.DEVELOPMENT):
            reading = quick_score(self.model, self.raw, source)
            self.log(step=self.step, tokens=self.tokens, read=source.value, **asdict(reading))


def pretrain(recipe: Recipe, folder: Path, device: str = "cpu") -> None:
    """Run the recipe in ``folder`` to its end, or resume it there.

    Each worker is a process with one thread: on a few busy cores they wait for each other once a step, where threads of
    one process wait at every product (seen on two busy cores: about 1,100 tokens/s after 830; not a paired measurement).
    """
    if recipe.workers == 1:
        _work(Run(recipe, folder, device=device))
        return
    with tempfile.TemporaryDirectory() as meeting:
        torch.multiprocessing.spawn(_share, args=(recipe, folder, f"file://{meeting}/workers"), nprocs=recipe.workers)


def _share(rank: int, recipe: Recipe, folder: Path, meeting: str) -> None:
    """One of several workers' whole run."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=recipe.workers)
    run = Run(recipe, folder, rank)
    distributed.barrier()
    _work(run, os.getppid())
    distributed.destroy_process_group()


def _work(run: Run, parent: int | None = None) -> None:
    """Step after step, with the log and the checkpoints; ends where its parent process, if it has one, is gone."""
    began, since = time.time(), run.tokens
    for batches in run.steps():
        if parent is not None and os.getppid() != parent:
            return
        losses = run.train_step(batches)
        if run.step % 20 == 0:
            speed = (run.tokens - since) / (time.time() - began)
            run.log(step=run.step, tokens=run.tokens, **losses, tokens_per_second=speed)
        if run.step % 200 == 0:
            run.log_scores()
        if run.step % STEPS_BETWEEN_CHECKPOINTS == 0:
            run.checkpoint()
    run.log_scores()
    run.checkpoint()
