"""The search by words, beside tantivy in memory over the same passages and questions.

`python -m benchmarks.lexical [PASSAGES ...]`, 100,000 and 200,000 by default. Both count the same words (the same
tokeniser, folding and stemmer). The passages are paragraphs of the data sets, where these are there
(TANDEM_TEST_DATA), filled up with made-up ones: their words as often as in the paragraphs, one in twelve from a long
tail. Questions are those of the data sets, or made of such words.
"""

import gzip
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tantivy

from retrieval.lexical import LexicalIndex
from retrieval.vectors import Stamp
from retrieval.words import words_of

DATA = Path(os.environ.get("TANDEM_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
PASSAGE_WORDS, QUESTIONS, DEPTH = 75, 300, 100
STOP_WORDS = "what is the of and in to"


def texts(count: int, rng: np.random.Generator) -> list[str]:
    """`count` passages, real ones first."""
    real = [" ".join(row["text"].split()[:PASSAGE_WORDS]) for row in _rows("squad-v1.1-dev/corpus.jsonl")]
    real += [" ".join(row["text"].split()[:PASSAGE_WORDS]) for row in _rows("beir-scifact/corpus.jsonl.gz")]
    counted = Counter(word for text in real for word in text.split()) or Counter(
        {f"word{rank}": 1_000_000 // rank for rank in range(1, 50_000)}
    )
    vocabulary = np.array(list(counted))
    share = np.array(list(counted.values())) / counted.total()
    while len(real) < count:
        words = rng.choice(vocabulary, (1_000, PASSAGE_WORDS), p=share).astype(object)
        tail = rng.random(words.shape) < 1 / 12
        words[tail] = [f"tail{rank}" for rank in rng.zipf(1.3, int(tail.sum()))]
        real += [" ".join(row) for row in words]
    return [real[place] for place in rng.permutation(len(real[:count]))]


def questions(passages: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Questions of SQuAD, or twelve words of a passage each."""
    asked = [row["question"] for row in _rows("squad-v1.1-dev/qa.jsonl")]
    if not asked:
        asked = [" ".join(rng.choice(passages[place].split(), 12)) for place in range(QUESTIONS)]
    return [asked[place] for place in rng.permutation(len(asked))[:QUESTIONS]]


class Tantivy:
    """The rival: an index in memory with one field."""

    def __init__(self, passages: Sequence[str]) -> None:
        builder = tantivy.SchemaBuilder()
        builder.add_unsigned_field("number", indexed=True, fast=True)
        builder.add_text_field("text", tokenizer_name="whitespace", index_option="freq")
        self._schema = builder.build()
        self._index = tantivy.Index(self._schema)
        writer = self._index.writer(64_000_000, 1)
        for number, text in enumerate(passages, 1):
            document = tantivy.Document()
            document.add_unsigned("number", number)
            document.add_text("text", " ".join(words_of(text, "en")))
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def search(self, query: str) -> list[int]:
        """Numbers, best first."""
        terms = [
            tantivy.Query.term_query(self._schema, "text", word, "freq")
            for word in dict.fromkeys(words_of(query, "en"))
        ]
        searcher = self._index.searcher()
        either = tantivy.Query.boolean_query([(tantivy.Occur.Should, term) for term in terms])
        hits = searcher.search(either, DEPTH, count=False).hits
        return list(searcher.fast_field_values("number", [address for _, address in hits]))


def compare(count: int) -> dict[str, Any]:
    """All figures for `count` passages; searches alternate between the two."""
    rng = np.random.default_rng(20261123)
    passages = texts(count, rng)
    asked = questions(passages, rng)
    ours = LexicalIndex()
    figures: dict[str, Any] = {"passages": count}
    figures["build_s"] = _seconds(lambda: ours.update([], enumerate(passages, 1)))
    began = time.perf_counter()
    rival = Tantivy(passages)
    figures["build_tantivy_s"] = time.perf_counter() - began
    half = np.sort(rng.permutation(np.arange(1, count + 1))[: count // 2])
    everything, some = ours.view(), ours.view(half)
    kinds: dict[str, Callable[[str], object]] = {
        "tantivy": rival.search,
        "ours": lambda query: everything.search(query, DEPTH),
        "half_allowed": lambda query: some.search(query, DEPTH),
    }
    for asking in asked[:20]:
        for search in kinds.values():
            search(asking)
    taken = {name: [1_000 * _seconds(lambda s=search, q=q: s(q)) for q in asked] for name, search in kinds.items()}  # type: ignore[misc]
    for name, milliseconds in taken.items():
        figures |= {f"{name}_p{part}_ms": float(np.percentile(milliseconds, part)) for part in (50, 95)}
    for name in ("tantivy", "ours"):
        times = [_seconds(lambda s=kinds[name]: s(STOP_WORDS)) for _ in range(9)]  # type: ignore[misc]
        figures[f"{name}_stop_words_ms"] = 1_000 * float(np.median(times))
    data = ours.to_bytes(Stamp(1, "", "", count))
    figures |= {"file_bytes_per_passage": len(data) / count}
    figures["open_s"] = _seconds(lambda: LexicalIndex.from_bytes(data))
    opened, _ = LexicalIndex.from_bytes(data)
    added = [_seconds(lambda n=n: opened.update([], [(count + n, passages[n])])) for n in range(1, 101)]  # type: ignore[misc]
    figures |= {"add_one_p50_ms": 1_000 * float(np.median(added)), "add_one_max_ms": 1_000 * max(added)}
    return figures


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _rows(name: str) -> list[dict[str, str]]:
    path = DATA / name
    if not path.is_file():
        return []
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


def main(words: list[str]) -> None:
    """Print a table, or JSON lines with `--json`."""
    for count in [int(word) for word in words if word.isdecimal()] or [100_000, 200_000]:
        figures = compare(count)
        if "--json" in words:
            print(json.dumps(figures))
            continue
        for name, value in figures.items():
            print(f"{name:26} {value:12,.3f}" if isinstance(value, float) else f"{name:26} {value:12,}")


if __name__ == "__main__":
    main(sys.argv[1:])
