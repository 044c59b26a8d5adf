"""Labels told by a tuned base model, beside logistic regression on MiniLM's vectors: banking77, split by the tool.

`python -m benchmarks.classification`. The rows go through `tandem prepare` (stratified test and validation parts) and
`tandem train`; the adapter then answers the test texts greedily with every token held to the labels, as the engine's
structured output does it. The rival is fitted on the same training texts, and its C chosen on the same validation
texts. `--rows` takes so many rows, the same share of each label, and 0 all; the numbers grow with them.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.paired import machine
from eval.classification import overall
from retrieval.embedder import load_embedder
from tandem.adapters import Adapter
from tandem.prompt import build_messages
from tandem.settings import Config
from tandem.statistics import Estimate, estimate, sign_flip_test
from tandem.workspace import Workspace
from training.base import find_base
from training.examples import Example, read_source
from training.prepare import prepare
from training.publishing import load_adapter
from training.splitting import Split
from training.stratified import stratified
from training.tokens import ChatTokens
from training.train import train

ROOT: Final = Path(__file__).resolve().parent.parent
DATA: Final = Path(os.environ.get("TANDEM_TEST_DATA", ROOT.parent / "shared" / "data"))
SEED: Final = 20261122
DOMAIN: Final = "banking"
TRAINING: Final = {"learning_rate": 0.003, "epochs": 4, "batch_size": 16, "test_share": 0.25, "validation_share": 0.1}
STRENGTHS: Final = (1.0, 10.0, 100.0)
"""Of the rival: its inverse regularisation C."""
BATCH: Final = 32


def write_rows(source: Path, target: Path, count: int) -> None:
    """The first file's rows, or about `count` of them with the same share of each label."""
    examples = read_source(source, "classification").examples
    if 0 < count < len(examples):
        examples = stratified(examples, count / len(examples), SEED).validation
    rows = [json.dumps({"text": one.question, "label": one.answer}) + "\n" for one in examples]
    target.write_text("".join(rows), encoding="utf-8")


def configuration(examples: Path, base_model: str, training: Mapping[str, Any]) -> Config:
    """One domain that classifies."""
    domain = {"task": "classification", "examples": examples, "system_prompt": "Name the intent of the message."}
    values = {"base_model": base_model, "domains": {DOMAIN: domain}, "training": {**TRAINING, **training}}
    return Config.model_validate({**values, "path": examples.with_name("tandem.yaml")})


def tuned_answers(config: Config, adapter: Adapter, texts: Sequence[str]) -> list[str]:
    """The adapter's labels: greedy, and after each token only such as some label goes on with."""
    import torch
    from transformers import GenerationConfig

    base = find_base(config.base_model)
    tokenizer = base.load_tokenizer()
    ends = base.end_tokens(tokenizer)
    chat, system = ChatTokens(tokenizer, ends), config.domains[DOMAIN].system_prompt
    prompts = [build_messages(text, None, system) for text in texts]
    # The end of the turn is a token of each: what a template writes before it belongs to the label.
    of = {tuple(chat.row(prompts[0], label).completion_ids): label for label in adapter.card.labels}
    following = _following(of)
    model = load_adapter(base, adapter.folder)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(ends)
    greedy = GenerationConfig(
        do_sample=False, max_new_tokens=max(map(len, of)), eos_token_id=sorted(ends), pad_token_id=pad
    )
    answers: list[str] = []
    for start in range(0, len(texts), BATCH):
        ids = [chat.prompt_ids(prompt) for prompt in prompts[start : start + BATCH]]
        longest = max(map(len, ids))
        padded = torch.tensor([[pad] * (longest - len(row)) + row for row in ids], device=model.device)  # (B, T)
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids], device=model.device)
        with torch.inference_mode():
            made = model.generate(
                input_ids=padded,
                attention_mask=mask,
                generation_config=greedy,
                prefix_allowed_tokens_fn=lambda _, row, cut=longest: following.get(tuple(row[cut:].tolist()), [pad]),
            )
        answers += [_label(of, row[longest:].tolist()) for row in made]
    return answers


def linear_answers(parts: Split, texts: Sequence[str]) -> tuple[list[str], float]:
    """The rival's labels, and the C that was best on the validation texts."""
    from sklearn.linear_model import LogisticRegression

    embedder = load_embedder()
    vectors = {name: embedder.encode(_texts(getattr(parts, name))) for name in ("train", "validation")}
    right = [example.answer for example in parts.validation]
    found = []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=1000, random_state=SEED)
        model.fit(vectors["train"], [example.answer for example in parts.train])
        found.append((float(np.mean(model.predict(vectors["validation"]) == right)), -strength, model))
    _, negative, best = max(found, key=lambda item: item[:2])
    return [str(label) for label in best.predict(embedder.encode(list(texts)))], -negative


def measure(source: Path, base_model: str, count: int, training: Mapping[str, Any], home: Path) -> dict[str, Any]:
    """Prepare, train, answer the test part in both ways, and score both on the same texts."""
    examples = home / "rows.jsonl"
    write_rows(source, examples, count)
    config, workspace = configuration(examples, base_model, training), Workspace.open(home / "home")
    dataset = prepare(config, workspace, DOMAIN)
    began = time.perf_counter()
    adapter = train(config, workspace, DOMAIN, "closed-book", None, _say, _silent)
    seconds = time.perf_counter() - began
    parts = dataset.split
    texts, right = _texts(parts.test), [example.answer for example in parts.test]
    ours = tuned_answers(config, adapter, texts)
    rival, strength = linear_answers(parts, texts)
    differences = [float(a == label) - float(b == label) for a, b, label in zip(ours, rival, right, strict=True)]
    return {
        "labels": len(adapter.card.labels),
        "texts": {"train": len(parts.train), "validation": len(parts.validation), "test": len(parts.test)},
        "train_seconds": round(seconds, 1),
        "tuned": {name: asdict(value) for name, value in overall(right, ours).items()},
        "logistic_regression": {name: asdict(value) for name, value in overall(right, rival).items()},
        "strength": strength,
        "difference_of_accuracy": asdict(estimate(differences, (-1.0, 1.0))),
        "p": sign_flip_test(differences).value,
        "always_the_commonest": max(right.count(label) for label in set(right)) / len(right),
    }


def _following(labels: Mapping[tuple[int, ...], str]) -> dict[tuple[int, ...], list[int]]:
    """Each beginning of a label → the tokens that may come next."""
    found: dict[tuple[int, ...], set[int]] = {}
    for tokens in labels:
        for cut in range(len(tokens)):
            found.setdefault(tokens[:cut], set()).add(tokens[cut])
    return {beginning: sorted(tokens) for beginning, tokens in found.items()}


def _label(labels: Mapping[tuple[int, ...], str], made: list[int]) -> str:
    """The label whose tokens an answer begins with; padding comes after its end."""
    return next(label for tokens, label in labels.items() if tuple(made[: len(tokens)]) == tokens)


def _texts(examples: Sequence[Example]) -> list[str]:
    return [example.question for example in examples]


def _say(line: str) -> None:
    """On the error stream, so that --json gives one object and nothing else."""
    print(line, file=sys.stderr, flush=True)


def _silent(_name: str, _done: int, _total: int) -> None:
    """No progress bar."""


def show(found: Mapping[str, Any], as_json: bool) -> None:
    """The numbers for a terminal, in points of 100."""
    if as_json:
        print(json.dumps({"benchmark": "classification", "machine": machine(), **found}))
        return
    print(f"banking77: {found['labels']} labels; {found['texts']} texts; trained in {found['train_seconds']} s")
    for name in ("tuned", "logistic_regression"):
        scores = {key: Estimate(**found[name][key]) for key in ("accuracy", "macro_f1")}
        print(f"{name:>20}: " + ", ".join(f"{key} {_points(value)}" for key, value in scores.items()))
    difference = Estimate(**found["difference_of_accuracy"])
    print(f"{'difference':>20}: accuracy {_points(difference)}, p {found['p']:.2g} (sign flips over texts)")
    print(f"{'commonest label':>20}: accuracy {100 * found['always_the_commonest']:.1f}")


def _points(value: Estimate) -> str:
    return f"{100 * value.mean:.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.classification", description="Labels told, side by side."
    )
    parser.add_argument("--model", default=str(ROOT / "models" / "tiny"), help="a base model's folder or hub id")
    parser.add_argument("--rows", type=int, default=1540, help="of the data; 0 takes all")
    parser.add_argument("--epochs", type=int, default=TRAINING["epochs"], help="at most")
    parser.add_argument("--rank", type=int, default=16, help="of the adapter")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    source = DATA / "banking77" / "train.jsonl"
    if not source.is_file():
        parser.exit(0, f"There is no {source}, so nothing is measured; name its folder in TANDEM_TEST_DATA.\n")
    with tempfile.TemporaryDirectory() as home:
        training = {"epochs": options.epochs, "rank": options.rank}
        show(measure(source, options.model, options.rows, training, Path(home)), options.json)


if __name__ == "__main__":
    main()
