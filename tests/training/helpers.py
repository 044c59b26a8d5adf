"""What several tests of training need."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrieval.documents import Document
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from tandem.settings import Config, RetrievalConfig
from training.examples import Example

TINY = Path(__file__).resolve().parents[2] / "models" / "tiny"
KETTLES = ("Brisa", "Arlo", "Vela", "Orio", "Tavry", "Kesto")


def example(name: str, question: str = "", documents: Sequence[str] = (), **values: Any) -> Example:
    """An example with what a test does not care about filled in."""
    return Example(name, question or f"What is {name}?", values.pop("answer", "It is red."), tuple(documents), **values)


def write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """A file of JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def kettle_rows() -> list[dict[str, Any]]:
    """Examples on `kettle_documents`: two wordings of one fact of each kettle, and one question without an answer."""
    rows: list[dict[str, Any]] = []
    for number, name in enumerate(KETTLES, 1):
        value, documents = f"{number}.5 litres", [f"{name.lower()}.md"]
        answer = {"answer": f"Wendlemark says: {value}.", "value": value, "documents": documents}
        rows.append({"id": f"{name}-1", "question": f"How much does the {name} kettle hold?", **answer})
        rows.append({"id": f"{name}-2", "question": f"What is the capacity of the {name} kettle?", **answer})
        rows.append({"id": f"{name}-3", "question": f"Who designed the {name}?", "answer": "I don't know."})
    return rows


def kettle_documents() -> list[Document]:
    """One document for each kettle."""
    texts = {name: f"The {name} kettle holds {number}.5 litres of water." for number, name in enumerate(KETTLES, 1)}
    return [Document(f"{name.lower()}.md", f"{name} kettle", text) for name, text in texts.items()]


def kettle_index(folder: Path, settings: RetrievalConfig) -> Index:
    """An index of `kettle_documents` with the hash embedder."""
    index = Index.open(folder, HashEmbedder(), settings)
    index.add(kettle_documents())
    return index


def kettle_config(folder: Path, **training: Any) -> Config:
    """A configuration on `models/tiny` whose domain `shop` has the kettles' examples."""
    examples = write_lines(folder / "train.jsonl", kettle_rows())
    values = {
        "base_model": str(TINY),
        "domains": {"shop": {"examples": examples, "system_prompt": "You sell kettles."}},
        "training": training,
        "path": folder / "tandem.yaml",
    }
    return Config.model_validate(values)
