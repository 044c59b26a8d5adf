"""The language of each example, by a model that lies in the package of its library."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tandem.errors import ConfigError
from tandem.languages import detect, known_languages
from tandem.training_settings import LanguageConfig
from training.examples import Example
from training.leaving import LANGUAGE, Leaving

UNDETERMINED: Final = "und"
"""ISO 639's code for what cannot be told."""
SURE: Final = 0.5
"""The detector's confidence (0 to 1) from which its word is taken; a word or a number alone stays below."""


def detect_languages(examples: Sequence[Example]) -> dict[str, str]:
    """Example → ISO 639 code of the language of its question and answer together; `und` where it cannot be told."""
    detect = _detector()[0]
    return {example.id: language_of(f"{example.question}\n{example.answer}", detect) for example in examples}


def language_of(text: str, detect: Callable[[str], tuple[str, float]] | None = None) -> str:
    """The language of one text."""
    language, confidence = (detect or _detector()[0])(text)
    return language if confidence >= SURE else UNDETERMINED


def in_languages(
    examples: Sequence[Example], languages: Mapping[str, str], allowed: Sequence[str] | None
) -> tuple[list[Example], list[Leaving]]:
    """The examples in the allowed languages (None allows all), and those that leave; what cannot be told stays.

    Raises ConfigError for a code that the detector never gives.
    """
    if allowed is None:
        return list(examples), []
    check_codes(allowed)
    kept: list[Example] = []
    others: list[Leaving] = []
    for example in examples:
        language = languages[example.id]
        if language in (*allowed, UNDETERMINED):
            kept.append(example)
        else:
            reason = f"its language is {language}, and `training.languages.allowed` has {', '.join(allowed)}"
            others.append(Leaving(example.id, LANGUAGE, reason))
    return kept, others


def check_codes(allowed: Sequence[str]) -> None:
    """Raise ConfigError for a language that cannot be detected: all examples in it would leave."""
    known = _detector()[1]
    for code in allowed:
        if code not in known:
            raise ConfigError(
                f"`training.languages.allowed` has {code!r}, which is none of the {len(known)} languages that are "
                "detected: take codes of ISO 639, such as en, de or zh.",
                code="unknown_language",
            )


def languages_if_on(examples: Sequence[Example], settings: LanguageConfig) -> dict[str, str]:
    """What `detect_languages` gives, nothing where it is switched off."""
    return detect_languages(examples) if settings.detect else {}


def _detector() -> tuple[Callable[[str], tuple[str, float]], list[str]]:
    """What gives the likeliest language of a text with its confidence, and all languages it knows."""
    return detect, known_languages()
