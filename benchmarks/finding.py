"""What is found: the index beside a plain twin, on questions whose documents are known.

`python -m benchmarks.finding`. The twin shares no code with the index: whole documents (title above text) embedded by
bare `SentenceTransformer.encode` with the same MiniLM, searched exactly by FAISS's flat index; the same documents by
`bm25s` with Snowball's stemmer of the set's language; both fused by reciprocal rank (k 60, depth 100). The index has
its defaults but for `lexical_language`, and its passages count as the documents they belong to.

Sets are those of the folder that TANDEM_TEST_DATA names, each left out where it is missing: SQuAD 1.1 (development),
SciFact, XQuAD in Spanish, and HotpotQA, whose questions need two documents. Differences are paired by question, with
intervals of 95 %. `--questions` bounds the questions of a set, drawn by a seed.

Where questions need several documents, the index's first ten passages are looked into as well: how many questions find
a passage of each document there, and how many find all of their text, alone and with neighbouring passages.
"""

import gzip
import json
import math
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Final

from benchmarks.paired import SEED, arguments, machine
from retrieval.documents import Document
from retrieval.embedder import default_folder, load_embedder
from retrieval.index import Index
from retrieval.requests import Options
from retrieval.results import Hit
from tandem.settings import RetrievalConfig
from tandem.statistics import Estimate, estimate

DATA: Final = Path(os.environ.get("TANDEM_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
DEPTH: Final = 100
RRF_K: Final = 60
PASSAGES: Final = 60
"""Hits that are taken of the index, so that ten documents are among them."""
BEST: Final = 10

WINDOWS: Final = (0, 1)
"""Neighbouring passages that are read on each side."""

Ranking = list[str]
"""Ids of documents, best first, each once."""


@dataclass(frozen=True)
class Questions:
    """One set: documents by id with title and text, questions with the ids of their documents."""

    name: str
    language: str
    """ISO 639-1."""
    documents: Mapping[str, tuple[str, str]]
    questions: Sequence[tuple[str, frozenset[str]]]


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines, packed or not."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def paragraphs(name: str, folder: Path, language: str) -> Questions:
    """A set in the form of corpus.jsonl and qa.jsonl."""
    documents = {row["id"]: (row.get("title", ""), row["text"]) for row in read_lines(folder / "corpus.jsonl")}
    rows = list(read_lines(folder / "qa.jsonl"))
    asked = [(row["question"], frozenset(row.get("doc_ids") or [row["doc_id"]])) for row in rows]
    return Questions(name, language, documents, [pair for pair in asked if pair[1] <= documents.keys()])


def scifact(folder: Path) -> Questions:
    """Claims and the abstracts that are relevant to them."""
    documents = {row["id"]: (row["title"], row["text"]) for row in read_lines(folder / "corpus.jsonl.gz")}
    texts = {row["id"]: row["text"] for row in read_lines(folder / "queries.jsonl")}
    relevant: dict[str, set[str]] = {}
    for line in (folder / "qrels" / "train.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, score = line.split("\t")
        if int(score) > 0 and document in documents:
            relevant.setdefault(query, set()).add(document)
    return Questions("scifact", "en", documents, [(texts[query], frozenset(ids)) for query, ids in relevant.items()])


SETS: Final[Mapping[str, tuple[str, Callable[[Path], Questions]]]] = {
    "squad": ("squad-v1.1-dev", lambda folder: paragraphs("squad", folder, "en")),
    "scifact": ("beir-scifact", scifact),
    "spanish": ("xquad/es", lambda folder: paragraphs("spanish", folder, "es")),
    "hotpotqa": ("hotpotqa", lambda folder: paragraphs("hotpotqa", folder, "en")),
}


def plain(asked: Questions) -> dict[str, list[Ranking]]:
    """The twin's rankings: by vectors, by words, fused."""
    import bm25s
    import faiss
    import Stemmer
    from sentence_transformers import SentenceTransformer

    ids = list(asked.documents)
    texts = [f"{title}\n{text}" for title, text in asked.documents.values()]
    queries = [question for question, _ in asked.questions]
    depth = min(DEPTH, len(ids))
    model = SentenceTransformer(str(default_folder()), local_files_only=True)
    vectors, wanted = (
        model.encode(given, normalize_embeddings=True, show_progress_bar=False) for given in (texts, queries)
    )
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    by_vectors = index.search(wanted, depth)[1].tolist()
    language = {"en": "english", "es": "spanish"}[asked.language]
    tokenize = {"stopwords": [], "stemmer": Stemmer.Stemmer(language), "show_progress": False}
    words = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    words.index(bm25s.tokenize(texts, **tokenize), show_progress=False)
    by_words, scores = words.retrieve(bm25s.tokenize(queries, **tokenize), k=depth, show_progress=False)
    # What has no word of the question is no hit.
    by_words = [
        [int(n) for n, score in zip(*both, strict=True) if score > 0] for both in zip(by_words, scores, strict=True)
    ]
    fused = [reciprocal_rank(pair) for pair in zip(by_vectors, by_words, strict=True)]
    found = {"vectors": by_vectors, "words": by_words, "fused": fused}
    return {how: [[ids[number] for number in ranked] for ranked in lists] for how, lists in found.items()}


def reciprocal_rank(rankings: Sequence[Sequence[int]]) -> list[int]:
    """One ranking of several, by the sum of 1 / (RRF_K + rank)."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, number in enumerate(ranking, 1):
            scores[number] = scores.get(number, 0.0) + 1 / (RRF_K + rank)
    return sorted(scores, key=lambda number: -scores[number])


def ours(asked: Questions) -> dict[str, list[Ranking]]:
    """The index's rankings by its two searches alone, and as it fuses them by default."""
    weights = {
        "vectors": {"lexical_weight": 0.0},
        "words": {"dense_weight": 0.0},
        "fused": {},
    }
    embedder, found = load_embedder(), {}
    with tempfile.TemporaryDirectory() as folder:
        for how, changed in weights.items():
            settings = RetrievalConfig.model_validate({"lexical_language": asked.language, **changed})
            with Index.open(Path(folder) / "index", embedder, settings) as index:
                index.add([Document(name, title, text) for name, (title, text) in asked.documents.items()])
                results = index.search_all([question for question, _ in asked.questions], PASSAGES)
                found[how] = [list(dict.fromkeys(hit.document for hit in result.hits)) for result in results]
    return found


def within_ten_passages(asked: Questions) -> dict[str, float]:
    """The shares of the questions that find each of their documents, and all text of each, in ten passages."""
    with tempfile.TemporaryDirectory() as folder:
        settings = RetrievalConfig.model_validate({"lexical_language": asked.language})
        with Index.open(Path(folder) / "index", load_embedder(), settings) as index:
            index.add([Document(name, title, text) for name, (title, text) in asked.documents.items()])
            found = {}
            for window in WINDOWS:
                options = Options(neighbours=window)
                hits = [index.search(question, BEST, options=options).hits for question, _ in asked.questions]
                pairs = [(own, wanted) for own, (_, wanted) in zip(hits, asked.questions, strict=True)]
                found["a passage of each"] = mean(wanted <= {hit.document for hit in own} for own, wanted in pairs)
                found[f"all text of each, window {window}"] = mean(
                    all(has_all(own, name, asked.documents[name][1]) for name in wanted) for own, wanted in pairs
                )
    return found


def has_all(hits: Sequence[Hit], name: str, text: str) -> bool:
    """Whether every word of a document's text is in a hit or beside it."""
    read: set[int] = set()
    for hit in hits:
        if hit.document == name:
            read.update(range(hit.start - len(hit.before), hit.end + len(hit.after)))
    return all(place in read for place, character in enumerate(text) if not character.isspace())


def recall(found: Ranking, wanted: frozenset[str], depth: int) -> float:
    """1.0 where all wanted documents are among the first `depth`, else 0.0."""
    return float(wanted <= set(found[:depth]))


def ndcg(found: Ranking, wanted: frozenset[str]) -> float:
    """Discounted gain of the first ten, 1.0 where the wanted ones come first."""
    gain = sum(1 / math.log2(place + 2) for place, name in enumerate(found[:BEST]) if name in wanted)
    return gain / sum(1 / math.log2(place + 2) for place in range(min(BEST, len(wanted))))


MEASURES: Final[Mapping[str, Callable[[Ranking, frozenset[str]], float]]] = {
    "R@1": lambda found, wanted: recall(found, wanted, 1),
    "R@10": lambda found, wanted: recall(found, wanted, BEST),
    "nDCG@10": ndcg,
}


def compare(asked: Questions) -> dict[str, Any]:
    """Search by search and measure by measure: both means, and the paired difference (ours less the twin's)."""
    found = {"ours": ours(asked), "plain": plain(asked)}
    lines = []
    for how in ("vectors", "words", "fused"):
        for name, measure in MEASURES.items():
            values = {
                who: [measure(r, wanted) for r, (_, wanted) in zip(lists[how], asked.questions, strict=True)]
                for who, lists in found.items()
            }
            pairs = zip(values["ours"], values["plain"], strict=True)
            difference = estimate([mine - theirs for mine, theirs in pairs], (-1.0, 1.0))
            means = {who: sum(own) / len(own) for who, own in values.items()}
            lines.append({"search": how, "measure": name, **means, "difference": vars(difference)})
    return {
        "set": asked.name,
        "documents": len(asked.documents),
        "questions": len(asked.questions),
        "results": lines,
        "within_ten_passages": within_ten_passages(asked) if any(len(ids) > 1 for _, ids in asked.questions) else {},
    }


def show(compared: Mapping[str, Any]) -> str:
    """A line for each search and measure."""
    lines = [f"{compared['set']}: {compared['documents']} documents, {compared['questions']} questions"]
    for one in compared["results"]:
        difference = Estimate(**one["difference"])
        spread = f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
        lines.append(f"  {one['search']:>8} {one['measure']:>8}: {one['ours']:.3f}, plain {one['plain']:.3f}, {spread}")
    lines += [f"  ten passages: {what}: {share:.3f}" for what, share in compared["within_ten_passages"].items()]
    return "\n".join(lines)


def main() -> None:
    parser = arguments("finding", "What is found, beside a plain twin.", 1)
    parser.add_argument("--set", choices=list(SETS), help="this set alone (default: all that are there)")
    parser.add_argument("--questions", type=int, help="questions of each set at most")
    options = parser.parse_args()
    for name, (folder, read) in SETS.items():
        if options.set not in (None, name):
            continue
        if not (DATA / folder).is_dir():
            print(f"{DATA / folder} is not there: set TANDEM_TEST_DATA to its parent. {name} was not measured.")
            continue
        asked = read(DATA / folder)
        if options.questions and options.questions < len(asked.questions):
            drawn = random.Random(SEED).sample(list(asked.questions), options.questions)
            asked = Questions(asked.name, asked.language, asked.documents, drawn)
        compared = compare(asked)
        print(
            json.dumps({"benchmark": "finding", "machine": machine(), **compared}) if options.json else show(compared)
        )


if __name__ == "__main__":
    main()
