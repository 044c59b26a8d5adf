"""What several tests of retrieval need."""

import io
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import docx
import numpy as np
import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from retrieval.documents import Document
from retrieval.embedder import Embedder, Vectors
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from tandem.settings import RetrievalConfig

STORE = "faiss"
"""The fixture `store` runs a test on each."""
MILVUS_SLOW = pytest.mark.parametrize("store", ["faiss", pytest.param("milvus", marks=pytest.mark.slow)], indirect=True)
SMALL = RetrievalConfig(passage_tokens=12, overlap_tokens=2)


class CountingEmbedder(HashEmbedder):
    """Remembers every text it was asked to embed."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def encode(self, texts: list[str]) -> Vectors:
        self.texts += texts
        return super().encode(texts)

    def encode_queries(self, texts: list[str]) -> Vectors:
        return super().encode(texts)


def open_index(folder: Path, embedder: Embedder | None = None, settings: RetrievalConfig = SMALL) -> Index:
    """An index with the hash embedder, in the store that the test runs on."""
    return Index.open(folder, embedder or HashEmbedder(), settings.model_copy(update={"store": STORE}))


def documents(count: int, words: Callable[[int], str] = lambda number: f"the word{number} of number {number}") -> list:
    """Documents d0, d1, … with one sentence each."""
    return [
        Document(f"d{number}", f"Title {number}", words(number), {"even": number % 2 == 0}) for number in range(count)
    ]


def exact_order(query: str, texts: dict[str, str], embedder: Embedder) -> list[str]:
    """Keys of `texts` by cosine to `query`, best first: the slow twin of the vector index."""
    keys = sorted(texts)
    scores = embedder.encode([texts[key] for key in keys]) @ embedder.encode_queries([query])[0]
    return [keys[position] for position in np.argsort(-scores, kind="stable")]


def make_pdf(*pages: str, password: str | None = None) -> bytes:
    """A PDF with these pages; lines that begin with `# ` are set larger."""
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in pages:
        page = writer.add_blank_page(612, 792)
        stream = DecodedStreamObject()
        lines = "".join(
            f"/F1 {18 if line.startswith('# ') else 12} Tf ({line.removeprefix('# ')}) Tj 0 -20 Td "
            for line in text.split("\n")
        )
        stream.set_data(f"BT 72 700 Td {lines} ET".encode("latin-1"))
        page[NameObject("/Contents")] = writer._add_object(stream)
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    if password:
        writer.encrypt(password)
    buffer = io.BytesIO()
    writer.write(buffer)
    assert len(PdfReader(io.BytesIO(buffer.getvalue()), password=password).pages) == len(pages)
    return buffer.getvalue()


def make_docx() -> bytes:
    """A DOCX with a title, a heading, a paragraph, a list item and a table."""
    source = docx.Document()
    source.add_heading("Caring for the Kettle", 0)
    source.add_heading("Descaling", 1)
    source.add_paragraph("Use vinegar once a month.")
    source.add_paragraph("Rinse twice", style="List Bullet")
    table = source.add_table(2, 2)
    for cell, text in zip(
        [cell for row in table.rows for cell in row.cells], ["Model", "Litres", "K1", "1.7"], strict=True
    ):
        cell.text = text
    buffer = io.BytesIO()
    source.save(buffer)
    return buffer.getvalue()


def plain_bm25(texts: list[str], queries: list[str]) -> np.ndarray:
    """BM25 (k1 1.2, b 0.75, unstemmed lowercase words) by the book; scores of shape (queries, texts)."""
    counts = [Counter(re.findall(r"\w+", text.lower())) for text in texts]
    lengths = np.array([count.total() for count in counts])
    weights = 1.2 * (0.25 + 0.75 * lengths / lengths.mean())
    scores = np.zeros((len(queries), len(texts)))
    for position, query in enumerate(queries):
        for word in set(re.findall(r"\w+", query.lower())):
            frequency = np.array([count[word] for count in counts])
            having = int((frequency > 0).sum())
            rarity = np.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
            scores[position] += rarity * frequency * 2.2 / (frequency + weights)
    return scores
