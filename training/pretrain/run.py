"""The pretraining run, straight down: lessons, rows, loss, step, log, checkpoint.

Every checkpoint is a usable model folder, and beside it lies what resuming needs. The lessons of a step depend on
the seed and the step alone, so an interrupted run goes on as if it had not been.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from tandem.prompt import Passage, build_context
from training.pretrain.evaluate import quick_score, writer
from training.pretrain.lessons import Lesson
from training.pretrain.model import GUIDANCE, build_model
from training.pretrain.muon import Muon
from training.pretrain.recipe import FULL, MIDDLE, Recipe
from training.pretrain.rows import Batch, RowBuilder, collate
from training.pretrain.tokenizer import END_OF_TEXT, TURN_END, train_tokenizer


def tokenizer_texts(recipe: Recipe) -> Iterator[str]:
    """What the tokenizer is trained on: passages, questions and answers, and plain sentences of listed words."""
    source = writer(held_out=False, seed=recipe.seed)
    for index in range(recipe.tokenizer_lessons):
        lesson = source.write(MIDDLE if index % 2 else FULL)
        shown = build_context([Passage(passage.title, passage.text) for passage in lesson.passages or ()])
        asked = "\n".join(f"{item.question} {item.answer}" for item in lesson.exercises)
        plain = " ".join(source.world.filler() for _ in range(12))
        yield f"{lesson.system_prompt}\n{shown}\n{asked}\n{plain}"


def step_lessons(recipe: Recipe, step: int, tokens: int) -> Iterator[Lesson]:
    """The endless lessons of a step."""
    source = writer(held_out=False, seed=recipe.seed * 1_000_003 + step)
    draw = random.Random(recipe.seed + step)
    mix = recipe.difficulties(tokens)
    while True:
        (difficulty,) = draw.choices([item for item, _ in mix], [weight for _, weight in mix])
        yield source.write(difficulty)


def language_loss(model: Qwen3ForCausalLM, batch: Batch) -> torch.Tensor:
    """Weighted mean of the next token's cross-entropy. hidden: (R, T, width); only weighted targets reach the head."""
    hidden = model.model(input_ids=batch.tokens, attention_mask=batch.visible, position_ids=batch.positions).last_hidden_state
    weights = batch.weights[:, 1:]
    kept = weights > 0
    losses = functional.cross_entropy(model.lm_head(hidden[:, :-1][kept]).float(), batch.tokens[:, 1:][kept], reduction="none")
    return (losses * weights[kept]).sum() / weights.sum()


def optimizers(model: Qwen3ForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the rest."""
    matrices = [parameter for name, parameter in model.named_parameters() if parameter.ndim == 2 and "embed" not in name]
    known = {id(parameter) for parameter in matrices}
    others = [parameter for parameter in model.parameters() if id(parameter) not in known]
    return [
        Muon(matrices, lr=recipe.matrix_learning_rate, weight_decay=recipe.weight_decay),
        torch.optim.AdamW(others, lr=recipe.other_learning_rate, weight_decay=0.0, betas=(0.9, 0.95)),
    ]


def save_model(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a model folder in bf16 (safetensors), whole or not at all."""
    beside = folder.with_name(folder.name + ".writing")
    shutil.rmtree(beside, ignore_errors=True)
    copy = build_model_like(model)
    copy.save_pretrained(beside)
    tokenizer.save_pretrained(beside)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(beside, folder)


def build_model_like(model: Qwen3ForCausalLM) -> Qwen3ForCausalLM:
    """A bf16 copy that any loader can read (no guided attention in its configuration)."""
    config = type(model.config).from_dict({**model.config.to_dict(), "use_cache": True})
    config._attn_implementation = "sdpa"
    copy = Qwen3ForCausalLM(config)
    copy.load_state_dict(model.state_dict())
    return copy.to(torch.bfloat16)


def pretrain(recipe: Recipe, folder: Path, threads: int, minutes_between_checkpoints: float = 5.0) -> None:
    """Run or resume the recipe in ``folder``: ``model/`` (the newest checkpoint), ``state.pt``, ``log.jsonl``."""
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    state_path, model_folder = folder / "state.pt", folder / "model"
    state = torch.load(state_path, weights_only=True) if state_path.exists() else None
    if state is None:
        tokenizer = train_tokenizer(tokenizer_texts(recipe), recipe.shape.vocabulary)
    else:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(model_folder)
    raw = tokenizer.backend_tokenizer
    padding = int(raw.token_to_id(END_OF_TEXT))
    model = build_model(recipe.shape, int(raw.token_to_id(TURN_END)), padding)
    steppers = optimizers(model, recipe)
    step, tokens = 0, 0
    if state is not None:
        model.load_state_dict(state["model"])
        for stepper, saved in zip(steppers, state["optimizers"], strict=True):
            stepper.load_state_dict(saved)
        step, tokens = state["step"], state["tokens"]
    base_rates = (recipe.matrix_learning_rate, recipe.other_learning_rate)
    GUIDANCE.layers = {recipe.shape.layers - 2: (0, 1), recipe.shape.layers - 1: (0,)}
    builder = RowBuilder(raw, recipe.row_tokens)
    began, saved_at, since = time.time(), time.time(), tokens

    def checkpoint() -> None:
        save_model(model, tokenizer, model_folder)
        everything = {"model": model.state_dict(), "optimizers": [stepper.state_dict() for stepper in steppers], "step": step, "tokens": tokens}
        torch.save(everything, state_path.with_suffix(".writing"))
        os.replace(state_path.with_suffix(".writing"), state_path)

    def log(**entry: object) -> None:
        with (folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")
        print(" ".join(f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in entry.items()), flush=True)

    if state is None:
        log(recipe=asdict(recipe), torch=torch.__version__)
    while tokens < recipe.total_tokens:
        rows = list(itertools.islice(builder.rows(step_lessons(recipe, step, tokens)), recipe.rows_per_step))
        batch = collate(rows, padding)
        for stepper, base in zip(steppers, base_rates, strict=True):
            for group in stepper.param_groups:
                group["lr"] = base * recipe.rate(tokens)
        guidance = recipe.guidance(tokens)
        GUIDANCE.batch = batch if guidance > 0 else None
        loss = language_loss(model, batch)
        guided = GUIDANCE.loss()
        (loss + guidance * guided).backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip)
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad(set_to_none=True)
        step, tokens = step + 1, tokens + sum(len(row.tokens) for row in rows)
        if step % 20 == 0:
            speed = (tokens - since) / (time.time() - began)
            log(step=step, tokens=tokens, loss=loss.item(), guided=guided.item(), norm=norm.item(), tokens_per_second=speed)
        if step % 200 == 0:
            GUIDANCE.batch = None
            for held_out in (False, True):
                print(f"  {'held-out' if held_out else 'teaching'}: {quick_score(model, raw, 2048, padding, held_out).line()}", flush=True)
        if time.time() - saved_at > minutes_between_checkpoints * 60:
            checkpoint()
            saved_at = time.time()
    checkpoint()
