"""Search by words: BM25 by tantivy, in memory, made from SQLite at opening.

Words are lowercased, stripped of accents and stemmed as English; scripts that write no spaces are
cut into pairs of characters (a tokeniser of words makes one word of a whole Chinese sentence).
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import tantivy

from retrieval.vectors import Numbers

MAX_QUERY_WORDS: Final = 256
# Below this many, the allowed passages are part of tantivy's query; above it, taking more hits
# and dropping the others is quicker. The answer is the same.
MAX_LISTED: Final = 1_000

_MEMORY_BYTES: Final = 32_000_000
_UNSPACED: Final = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


class LexicalIndex:
    """Passage number → words. Not safe against changes during a search: the caller holds the lock."""

    def __init__(self) -> None:
        self._analyzer = _analyzer()
        builder = tantivy.SchemaBuilder()
        builder.add_unsigned_field("number", indexed=True, fast=True)
        builder.add_text_field("text", tokenizer_name="tandem", index_option="freq")
        self._schema = builder.build()
        self._index = tantivy.Index(self._schema)
        self._index.register_tokenizer("tandem", self._analyzer)
        self.deleted = 0
        """Passages removed since the index was made; their words still count in its statistics."""

    def __len__(self) -> int:
        return int(self._index.searcher().num_docs)

    def update(self, removed: Sequence[int], added: Iterable[tuple[int, str]]) -> None:
        """Remove numbers, then add numbers with their texts."""
        before = len(self)
        writer = self._index.writer(_MEMORY_BYTES, 1)
        if removed:
            # By query: deletion by term does not match unsigned fields in this version.
            writer.delete_documents_by_query(tantivy.Query.term_set_query(self._schema, "number", list(removed)))
            writer.commit()
            self._index.reload()
            self.deleted += before - len(self)
        for number, text in added:
            document = tantivy.Document()
            document.add_unsigned("number", number)
            document.add_text("text", _spaced(text))
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def search(self, query: str, limit: int, allowed: Numbers | None = None) -> list[tuple[int, float]]:
        """The best `limit` numbers (of `allowed`, if given) with their BM25 scores, best first.

        Passages without a word of the query are not found. Equal scores come in the order of the numbers.
        """
        words = list(dict.fromkeys(self._analyzer.analyze(_spaced(query))))[:MAX_QUERY_WORDS]
        if not words or limit == 0 or (allowed is not None and not len(allowed)):
            return []
        terms = [tantivy.Query.term_query(self._schema, "text", word, "freq") for word in words]
        any_word = tantivy.Query.boolean_query([(tantivy.Occur.Should, term) for term in terms])
        if allowed is None:
            found = self._best(any_word, limit)
        elif len(allowed) <= MAX_LISTED:
            listed = tantivy.Query.term_set_query(self._schema, "number", allowed.tolist())
            unscored = tantivy.Query.boost_query(listed, 0.0)
            both = [(tantivy.Occur.Must, any_word), (tantivy.Occur.Must, unscored)]
            found = self._best(tantivy.Query.boolean_query(both), limit)
        else:
            found = self._best_of(any_word, limit, allowed)
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def _best(self, query: tantivy.Query, limit: int) -> list[tuple[int, float]]:
        searcher = self._index.searcher()
        hits = searcher.search(query, limit, count=False).hits
        numbers = searcher.fast_field_values("number", [address for _, address in hits])
        return [(int(number or 0), float(score)) for number, (score, _) in zip(numbers, hits, strict=True)]

    def _best_of(self, query: tantivy.Query, limit: int, allowed: Numbers) -> list[tuple[int, float]]:
        """Takes more and more hits until `limit` of them are allowed or there are no others."""
        permitted = set(allowed.tolist())
        total = len(self)
        taken = min(total, 2 * limit * max(1, total // len(permitted)))
        while True:
            hits = self._best(query, taken)
            found = [hit for hit in hits if hit[0] in permitted][:limit]
            if len(found) == limit or len(hits) < taken or taken >= total:
                return found
            taken = min(total, 4 * taken)


def _analyzer() -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    filters = [
        tantivy.Filter.remove_long(64),
        tantivy.Filter.lowercase(),
        tantivy.Filter.ascii_fold(),
        tantivy.Filter.stemmer("english"),
    ]
    for each in filters:
        builder = builder.filter(each)
    return builder.build()


def _spaced(text: str) -> str:
    """`text` with the runs of unspaced scripts as overlapping pairs: 東京都 → 東京 京都."""
    return _UNSPACED.sub(lambda run: _pairs(run[0]), text)


def _pairs(run: str) -> str:
    pairs = [run[first : first + 2] for first in range(len(run) - 1)]
    return f" {' '.join(pairs or [run])} "
