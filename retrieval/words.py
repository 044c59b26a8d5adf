"""Texts → the words that are counted: lowercased, without accents, stemmed as their language is.

Scripts that write no spaces are cut into pairs of characters (a tokeniser of words makes one word
of a whole Chinese sentence). Tokeniser, folding and stemmers (Snowball's) are tantivy's.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

import tantivy

STEMMERS: Final[Mapping[str, str]] = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "nb": "norwegian",
    "nn": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
}
"""ISO 639-1 code → stemmer. Every other language, and an unknown one (""), is left unstemmed."""

MAX_WORD_BYTES: Final = 64
# Thai and Lao, Burmese, Khmer, kana, Chinese characters.
_UNSPACED: Final = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


def words_of(text: str, language: str) -> Sequence[str]:
    """The words of `text` in order, as an index counts them; `language` is an ISO 639-1 code or ""."""
    words: Sequence[str] = _analyzer(STEMMERS.get(language, "")).analyze(_spaced(text))
    return words


@cache
def _analyzer(stemmer: str) -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    filters = [tantivy.Filter.remove_long(MAX_WORD_BYTES), tantivy.Filter.lowercase(), tantivy.Filter.ascii_fold()]
    for each in [*filters, tantivy.Filter.stemmer(stemmer)] if stemmer else filters:
        builder = builder.filter(each)
    return builder.build()


def _spaced(text: str) -> str:
    """`text` with the runs of unspaced scripts as overlapping pairs: 東京都 → 東京 京都."""
    return text if text.isascii() else _UNSPACED.sub(lambda run: _pairs(run[0]), text)


def _pairs(run: str) -> str:
    pairs = [run[first : first + 2] for first in range(len(run) - 1)]
    return f" {' '.join(pairs or [run])} "
