"""The real embedder: MiniLM as it is installed."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from retrieval.documents import Document
from retrieval.embedder import MAX_EMBEDDED_CHARACTERS, default_folder, load_embedder
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from retrieval.passages import Splitter
from tandem.errors import ConfigError
from tandem.settings import RetrievalConfig


def test_vectors_are_those_of_sentence_transformers_whatever_the_batch() -> None:
    from sentence_transformers import SentenceTransformer

    texts = [
        "How long is the guarantee?",
        "word " * 400,
        "",
        "Größe 東京",
        *[f"sentence {n} " * n for n in range(1, 40)],
    ]
    embedder = load_embedder()
    vectors = embedder.encode(texts)
    reference = SentenceTransformer(str(default_folder()), device="cpu").encode(texts, normalize_embeddings=True)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(texts), embedder.dimension) == (43, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors * reference).sum(axis=1).min() > 0.999
    assert embedder.encode([]).shape == (0, 384)


def test_embedder_is_safe_from_several_threads() -> None:
    embedder = load_embedder()
    texts = [f"text {number} " * (number + 1) for number in range(8)]
    alone = embedder.encode(texts)
    wrong: list[float] = []

    def encode(turn: int) -> None:
        part = texts[turn:] + texts[:turn]
        expected = np.concatenate([alone[turn:], alone[:turn]])
        wrong.append(float(np.abs(embedder.encode(part) - expected).max()))

    threads = [threading.Thread(target=encode, args=(turn,)) for turn in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 6
    assert max(wrong) < 0.02


def test_tokens_are_counted_without_special_ones_and_without_a_limit() -> None:
    embedder = load_embedder()
    assert embedder.count_tokens("hello world") == 2
    assert embedder.count_tokens("hello " * 1000) == 1000
    assert embedder.max_tokens == 256


def test_paraphrase_is_found_above_a_passage_that_shares_the_words(tmp_path: Path) -> None:
    pairs = {
        "refund": "Money is given back within fourteen days after the goods were returned to the shop.",
        "distractor": "How soon the customer service gets its own new office is not known.",
        "battery": "A full charge lasts for about nine hours of music.",
        "colour": "The housing is sold in blue, in sand and in dark green.",
    }
    question = "How soon does a customer get reimbursed?"
    with Index.open(tmp_path, load_embedder(), RetrievalConfig(lexical_weight=0.0)) as index:
        index.add([Document(name, "Shop", text) for name, text in pairs.items()])
        assert index.search(question).hits[0].document == "refund"
        assert index.search("play time before it has to be plugged in").hits[0].document == "battery"
    with Index.open(tmp_path, load_embedder(), RetrievalConfig(dense_weight=0.0)) as index:
        assert index.search(question).hits[0].document == "distractor"


def test_real_passages_keep_exact_offsets_and_their_budget() -> None:
    embedder = load_embedder()
    text = "# Manual\n\n" + "\n\n".join(
        f"## Größe {part}\n\n"
        + " ".join(f"The naïve élan of part {part} costs {number} €, 東京." for number in range(12))
        for part in range(3)
    )
    passages = Splitter(embedder, RetrievalConfig()).split(Document("d", "Manual", text))
    assert len(passages) > 3
    assert all(text[passage.start : passage.end] == passage.text for passage in passages)
    assert all(embedder.count_tokens(passage.text) <= 96 for passage in passages)
    assert max(embedder.count_tokens(passage.text) for passage in passages) > 60


def test_missing_embedder_and_one_without_safetensors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no safetensors"):
        load_embedder(str(tmp_path))
    with pytest.raises(ConfigError, match="neither a folder nor"):
        load_embedder("not/a/hub/id")


def test_hash_embedder_is_deterministic_and_brings_texts_with_the_same_words_together() -> None:
    first, second = HashEmbedder(), HashEmbedder()
    vectors = first.encode(["kettle warranty years", "warranty of the kettle", "blue bicycle bell", ""])
    assert np.array_equal(
        vectors, second.encode(["kettle warranty years", "warranty of the kettle", "blue bicycle bell", ""])
    )
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_one_enormous_word_keeps_no_other_thread_waiting() -> None:
    embedder, text = load_embedder(), "x" * 3_000_000
    counting = threading.Thread(target=embedder.count_tokens, args=(text,))
    began = last = time.perf_counter()
    longest = 0.0
    counting.start()
    while counting.is_alive():
        time.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    assert longest < (last - began) / 2


def test_what_is_far_beyond_the_models_reach_is_not_tokenized(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder, seen = load_embedder(), []
    preprocess = embedder._model.preprocess
    monkeypatch.setattr(embedder._model, "preprocess", lambda texts: seen.extend(texts) or preprocess(texts))
    long, cut = embedder.encode(["word " * 100_000, "word " * 6_400])
    assert [len(text) for text in seen] == [MAX_EMBEDDED_CHARACTERS, MAX_EMBEDDED_CHARACTERS]
    assert np.array_equal(long, cut)
