"""The real embedder: MiniLM as it is installed."""

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from retrieval import compiled_embedder
from retrieval.compiled_embedder import CompiledEmbedder
from retrieval.documents import Document
from retrieval.embedder import MAX_EMBEDDED_CHARACTERS, BatchedEmbedder, default_folder, load_embedder
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from retrieval.passages import Splitter
from retrieval.sentence_embedder import SentenceEmbedder
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
    alone = np.concatenate([embedder.encode_queries([text]) for text in texts])
    assert (alone * reference).sum(axis=1).min() > 0.999


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


def test_what_is_far_beyond_the_models_reach_is_not_tokenized() -> None:
    embedder = load_embedder()
    assert isinstance(embedder, BatchedEmbedder)
    long, cut = ["word " * 100_000, "word " * 6_400]
    assert embedder.read_of([long], "document") == embedder.read_of([cut], "document") == [cut]
    assert len(cut) == MAX_EMBEDDED_CHARACTERS
    assert np.array_equal(*embedder.encode([long, cut]))


def test_sentence_transformers_runs_the_same_model_where_there_is_a_gpu() -> None:
    texts = ["How long is the guarantee?", " Größe 東京 ", "word " * 400]
    compiled, plain = load_embedder(), SentenceEmbedder("default", default_folder(), "digest")
    assert isinstance(compiled, CompiledEmbedder)
    assert (compiled.encode(texts) * plain.encode(texts)).sum(axis=1).min() > 0.999
    assert compiled.count_tokens(texts[1]) == plain.count_tokens(texts[1])
    assert (compiled.dimension, compiled.max_tokens) == (plain.dimension, plain.max_tokens)


def test_a_kept_model_is_opened_without_torch_and_without_telemetry() -> None:
    load_embedder()
    program = """
import sys
from retrieval.embedder import load_embedder
load_embedder().encode_queries(["How long is the guarantee?"])
print([name for name in ("torch", "transformers", "sentence_transformers") if name in sys.modules])
print(sys.modules["openvino_telemetry"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\nNone\n"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, with the converted MiniLM in it."""
    load_embedder()
    shutil.copytree(compiled_embedder.cache_folder(), tmp_path / "cache")
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def loaded() -> CompiledEmbedder | None:
    return compiled_embedder.load_compiled("default", default_folder(), load_embedder().digest)


@pytest.mark.parametrize("name", ["model.bin", "model.xml", "tokenizer.json", "facts.json", "digest"])
def test_a_damaged_kept_model_is_made_anew(name: str, cache: Path, monkeypatch, caplog) -> None:
    whole = Path(shutil.copytree(cache, cache.with_name("whole")))
    (kept,) = (cache / "embedders").iterdir()
    file = kept / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)

    def convert(_source: object, target: Path) -> None:
        shutil.copytree(whole / "embedders" / kept.name, target, dirs_exist_ok=True)

    monkeypatch.setattr(compiled_embedder, "convert", convert)
    assert np.array_equal(loaded().encode(["a text"]), load_embedder().encode(["a text"]))
    assert "is damaged and is made anew" in caplog.text
    assert [path.name for path in (cache / "embedders").iterdir()] == [kept.name]
    monkeypatch.setattr(compiled_embedder, "convert", None)
    assert isinstance(loaded(), CompiledEmbedder)


def test_a_model_that_loses_something_when_it_is_converted_is_not_used(tmp_path: Path, monkeypatch, caplog) -> None:
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compiled_embedder, "_LEAST_COSINE", 1.1)
    assert loaded() is None
    assert "is run by sentence-transformers" in caplog.text
    assert list((tmp_path / "cache" / "embedders").iterdir()) == []


def test_where_nothing_can_be_kept_the_model_is_converted_each_time(cache: Path, monkeypatch, caplog) -> None:
    kept = next((cache / "embedders").iterdir())
    monkeypatch.setenv("TANDEM_CACHE", "/dev/null")
    monkeypatch.setattr(
        compiled_embedder, "convert", lambda _, target: shutil.copytree(kept, target, dirs_exist_ok=True)
    )
    assert np.array_equal(loaded().encode(["a text"]), load_embedder().encode(["a text"]))
    assert "could not be kept" in caplog.text
