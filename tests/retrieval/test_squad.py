"""Recall on real questions: at least that of a plain twin (exact cosine, BM25 by the book, fused alike)."""

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest

from retrieval.documents import Document
from retrieval.embedder import load_embedder
from retrieval.fusion import fuse
from retrieval.index import Index
from tandem.settings import RetrievalConfig
from tests.retrieval.helpers import plain_bm25

DATA = Path(os.environ.get("TANDEM_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "squad-v1.1-dev"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is missing; TANDEM_TEST_DATA names its parent"),
]


def test_fused_recall_on_squad_is_at_least_that_of_the_plain_reference(tmp_path: Path) -> None:
    paragraphs, questions = load(paragraphs=300, questions=200)
    embedder = load_embedder()
    with Index.open(tmp_path, embedder, RetrievalConfig()) as index:
        index.add([Document(key, title, text) for key, (title, text) in paragraphs.items()])
        ours = [
            list(dict.fromkeys(hit.document for hit in index.search(question, k=40).hits))[:10]
            for question, _ in questions
        ]
    texts = [text for _, text in paragraphs.values()]
    cosines = embedder.encode_queries([question for question, _ in questions]) @ embedder.encode(texts).T
    words = plain_bm25(texts, [question for question, _ in questions])
    keys = list(paragraphs)
    plain = [
        [keys[number] for number, _ in fuse([(1.0, best(row)), (1.0, best(scores))], rrf_k=60)[:10]]
        for row, scores in zip(cosines, words, strict=True)
    ]
    answers = [answer for _, answer in questions]
    assert recall(ours, answers) >= recall(plain, answers)
    assert recall(ours, answers) >= 0.95


def load(paragraphs: int, questions: int) -> tuple[dict[str, tuple[str, str]], list[tuple[str, str]]]:
    """Paragraphs by id with title and text, and questions with the ids of their paragraphs."""
    rows = [json.loads(line) for line in (DATA / "corpus.jsonl").read_text().splitlines()[:paragraphs]]
    taken = {row["id"]: (row["title"], row["text"]) for row in rows}
    asked = [json.loads(line) for line in (DATA / "qa.jsonl").read_text().splitlines()]
    pairs = [(row["question"], row["doc_id"]) for row in asked if row["doc_id"] in taken]
    return taken, random.Random(0).sample(pairs, questions)


def best(scores: np.ndarray) -> list[int]:
    return [int(position) for position in np.argsort(-scores, kind="stable")[:100]]


def recall(found: list[list[str]], answers: list[str]) -> float:
    return sum(answer in ids for ids, answer in zip(found, answers, strict=True)) / len(answers)
