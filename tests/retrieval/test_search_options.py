"""Options of a search: least similarity, near-duplicates, neighbours, languages, a cross-encoder."""

import logging
from collections.abc import Sequence
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from retrieval.documents import Document
from retrieval.embedder import default_folder, load_embedder
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from retrieval.languages import LanguageRules
from retrieval.requests import Options
from retrieval.reranker import CrossEncoderReranker
from retrieval.results import Hit
from retrieval.search import Searcher
from tandem.errors import ConfigError, UserError
from tandem.settings import LanguageWeights, RetrievalConfig
from tests.retrieval.helpers import SMALL, open_index

ENGLISH = "Which warranty does the electric kettle of the first series have?"
SPANISH = "¿Cuánto tiempo dura la garantía de la tetera eléctrica en este país?"


@pytest.fixture
def index(tmp_path: Path):
    with open_index(tmp_path / "index") as opened:
        yield opened


class English(HashEmbedder):
    """As the built-in embedder, of which it is known that it reads English only."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "default"


def names(hits: Sequence[Hit]) -> list[str]:
    return [hit.document for hit in hits]


def test_hits_below_the_least_similarity_are_left_out_and_those_above_fill_k(index: Index) -> None:
    index.add([Document(f"d{n}", "t", "kettle " * (n + 1) + "cable " * (9 - n)) for n in range(10)])
    everything = {hit.document: hit.similarity for hit in index.search("kettle", 10).hits}
    for least in (-1.0, 0.3, 0.6, 0.9, 1.0):
        found = index.search("kettle", 3, options=Options(min_similarity=least)).hits
        above = [value for value in everything.values() if value >= least]
        assert len(found) == min(3, len(above))
        assert all(hit.similarity >= least for hit in found)


def test_near_duplicates_are_named_beside_the_better_one_and_k_is_still_met(tmp_path: Path) -> None:
    with open_index(tmp_path, settings=SMALL.model_copy(update={"depth": 5})) as index:
        index.add([Document(f"copy{n:02}", "Same", "the kettle boils water") for n in range(30)])
        index.add([Document("other", "Other", "a kettle is not a cable")])
        assert len(names(index.search("kettle boils", 2).hits)) == 2
        best, other = index.search("kettle boils", 2, options=Options(collapse=0.99)).hits
        assert (best.document, other.document) == ("copy00", "other")
        assert len(best.collapsed) >= 4
        assert set(best.collapsed) <= {f"copy{n:02}#1" for n in range(1, 30)}
        assert other.collapsed == []


words = st.sampled_from(["kettle", "cable", "warranty", "été", "years", "# Part\n\n", "\n\n", "five.", "東京都"])


@given(body=st.lists(words, min_size=5, max_size=120).map(" ".join), window=st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_neighbours_are_the_text_right_beside_the_hit(body: str, window: int, tmp_path_factory) -> None:
    if not body.strip(" \n#Part"):
        return
    with open_index(tmp_path_factory.mktemp("index")) as index:
        index.add([Document("d", "t", body)])
        text = index.document("d").text
        plain = index.search("kettle cable", 100).hits
        widened = index.search("kettle cable", 100, options=Options(neighbours=window)).hits
        spans = sorted((hit.start, hit.end) for hit in plain)
        assert [(hit.start, hit.end, hit.text) for hit in widened] == [(h.start, h.end, h.text) for h in plain]
        for hit in widened:
            place = spans.index((hit.start, hit.end))
            around = spans[max(0, place - window) : place + window + 1]
            assert text[around[0][0] : max(end for _, end in around)] == hit.before + hit.text + hit.after
            assert text[hit.start - len(hit.before) : hit.start] == hit.before


@pytest.mark.parametrize(
    "option",
    [{"min_similarity": 2}, {"collapse": -1}, {"neighbours": 11}, {"language": "english"}, {"min_similarity": "x"}],
)
def test_an_option_out_of_its_range_is_refused(index: Index, option: dict) -> None:
    with pytest.raises(UserError, match=f"{next(iter(option))} is") as caught:
        index.search("x", options=Options(**option))
    assert caught.value.code == "invalid_option"


def test_a_question_in_a_language_the_embedder_does_not_read_is_searched_by_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_index(tmp_path, English()) as index, caplog.at_level(logging.WARNING, "retrieval.search"):
        index.add([Document("es", "t", "la garantía dura tres años"), Document("x", "t", "cables y enchufes")])
        asked = index.search(SPANISH, 9)
        again = index.search(SPANISH, 9)
        assert (asked.language, names(asked.hits)) == ("es", ["es"])
        assert asked.warnings == again.warnings
        assert "does not read the language es" in asked.warnings[0]
        assert len(caplog.records) == 1
        assert index.search(SPANISH, 9, options=Options(min_similarity=1.0)).hits
        english = index.search(ENGLISH, 9)
        assert (english.language, english.warnings, len(english.hits)) == ("en", [], 2)


def test_a_multilingual_embedder_is_one_line_of_configuration(tmp_path: Path) -> None:
    several = SMALL.model_copy(update={"embedder_languages": ["en", "es"]})
    with open_index(tmp_path, English(), several) as index:
        commit = index.add([Document("es", "t", "la garantía", language="es"), Document("x", "t", "cables")])
        assert commit.warnings == []
        asked = index.search(SPANISH, 9)
        assert (asked.warnings, len(asked.hits)) == ([], 2)


def test_a_commit_says_which_languages_are_searched_by_words_only(tmp_path: Path) -> None:
    with open_index(tmp_path, English()) as index:
        assert index.add([Document("en", "t", "kettle", language="en"), Document("?", "t", "kettle")]).warnings == []
        (warning,) = index.add([Document("es", "t", "tetera", language="es")]).warnings
        assert "does not read the language es" in warning


def test_a_short_question_has_the_language_of_the_documents(tmp_path: Path) -> None:
    with open_index(tmp_path / "es", English()) as index:
        index.add([Document(str(n), "t", f"garantía {n}", language="es") for n in range(3)])
        assert index.search("kettle", 9).language == "es"
        assert index.search(ENGLISH, 9).language == "en"
    with open_index(tmp_path / "both", English()) as index:
        index.add([Document("es", "t", "garantía", language="es"), Document("en", "t", "warranty", language="en")])
        found = index.search("kettle", 9)
        assert (found.language, found.warnings) == ("", [])
        assert index.search("kettle", 9, options=Options(language="es")).language == "es"


def test_the_documents_language_is_detected_where_they_say_none(tmp_path: Path) -> None:
    spanish = "La garantía de la tetera dura tres años desde la fecha de compra que figura en la factura."
    english = "The warranty of the kettle lasts for three years from the day of purchase on the receipt."
    with open_index(tmp_path, English(), RetrievalConfig()) as index:
        index.add([Document(str(n), "t", f"{n}. {spanish}") for n in range(3)])
        assert index.search("tetera", 9).language == "es"
        index.add([Document("en", "t", english)])
        assert index.search("tetera", 9).language == "", "one word, and documents in two languages"


def test_weights_by_language_are_those_of_the_settings() -> None:
    given = {"es": LanguageWeights(dense_weight=0.5), "*": LanguageWeights(lexical_weight=3.0)}
    rules = LanguageRules(English(), RetrievalConfig(languages=given, lexical_weight=2.0))
    assert [(w.dense, w.lexical) for w in map(rules.weights, ["en", "", "es", "fr"])] == [
        (1.0, 3.0),
        (1.0, 3.0),
        (0.5, 2.0),
        (0.0, 3.0),
    ]
    dense_only = LanguageRules(English(), RetrievalConfig(lexical_weight=0.0))
    assert dense_only.weights("es").dense == 1.0, "something has to be searched"
    every = LanguageRules(HashEmbedder(), RetrievalConfig())
    assert (every.matter, every.weights("xx").dense) == (False, 1.0)


def test_the_built_in_embedder_reads_english() -> None:
    assert LanguageRules(load_embedder(), RetrievalConfig()).readable == {"en"}


class Reversing:
    """Scores by how late a text comes in `order`."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    def scores(self, query: str, texts: Sequence[str]) -> np.ndarray:
        self.seen.append(list(texts))
        return np.arange(len(texts), dtype=np.float32)


def test_the_candidates_that_are_read_come_in_the_order_of_the_cross_encoder(tmp_path: Path) -> None:
    depth = SMALL.model_copy(update={"rerank_depth": 4})
    with open_index(tmp_path, settings=depth) as index:
        index.add([Document(f"d{n}", "t", "kettle " * (n + 1) + "cable " * (9 - n)) for n in range(8)])
        fused = index.search("kettle", 8).hits
        reversing = Reversing()
        index._searcher = Searcher(index._store, index._derived, index._embedder, depth, reversing)
        top = index.search("kettle", 3)
        assert names(top.hits) == names(fused[:4])[::-1][:3]
        assert [hit.rerank_score for hit in top.hits] == [3.0, 2.0, 1.0]
        assert top.timings_ms["rerank"] > 0
        assert len(reversing.seen[0]) == 4
        assert names(index.search("kettle", 6).hits) == names(fused[:6])[::-1]


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny cross-encoder with random weights and MiniLM's tokenizer."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("reranker")
    tokenizer = AutoTokenizer.from_pretrained(default_folder(), local_files_only=True)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        num_labels=1,
        initializer_range=1.0,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_cross_encoder_from_a_folder_orders_the_hits(tmp_path: Path, cross_encoder: Path) -> None:
    from sentence_transformers import CrossEncoder

    with_it = SMALL.model_copy(update={"reranker": str(cross_encoder)})
    bodies = ["the kettle boils", "a cable for the kettle", "kettle warranty", "water in a kettle", "kettle and tea"]
    with open_index(tmp_path, settings=with_it) as index:
        index.add([Document(f"d{n}", f"d{n}", body) for n, body in enumerate(bodies)])
        hits = index.search("Which kettle?", 5).hits
    model = CrossEncoder(str(cross_encoder), local_files_only=True)
    searchable = [f"d{n}\n{body}" for n, body in enumerate(bodies)]
    scores = model.predict([("Which kettle?", text) for text in searchable])
    assert names(hits) == [f"d{n}" for n in np.argsort(-scores)]
    assert [hit.rerank_score for hit in hits] == pytest.approx(sorted(scores.tolist(), reverse=True), abs=1e-4)
    assert len({round(float(score), 4) for score in scores}) == 5


def test_a_reranker_that_is_none_is_refused_in_one_sentence(tmp_path: Path, cross_encoder: Path) -> None:
    for name, said in (
        (str(tmp_path), "holds no safetensors weights"),
        ("no/such-model-at-all", "neither a folder nor to be had from the hub"),
        (str(broken(tmp_path / "broken", cross_encoder)), "cannot be loaded"),
    ):
        with pytest.raises(ConfigError, match=said):
            CrossEncoderReranker(name).scores("q", ["a"])


def test_a_reranker_without_weights_is_refused_when_the_index_is_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no safetensors weights"):
        open_index(tmp_path / "index", settings=SMALL.model_copy(update={"reranker": str(tmp_path)}))


def broken(folder: Path, cross_encoder: Path) -> Path:
    """The same without its configuration."""
    folder.mkdir()
    (folder / "model.safetensors").write_bytes((cross_encoder / "model.safetensors").read_bytes())
    return folder
