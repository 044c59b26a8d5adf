"""How rules ask, by language: patterns of plain sentences and the questions they answer.

Each pattern reads a whole sentence and names its `subject` and its `value`; whatever says more, or otherwise, is passed
over. The questions are made so that no word has to be bent: what would need a lemma or a gender is not among them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Pattern:
    """`question` is filled with the named groups of `sentence`."""

    name: str
    sentence: re.Pattern[str]
    question: str


@dataclass(frozen=True)
class Wording:
    """The rules of one language."""

    fact: str
    """Asks for {key} of {title}, for lines such as `Power: 1800 watts`."""
    cell: str
    """Asks in a table for {column} of {row}."""
    patterns: tuple[Pattern, ...]
    articles: frozenset[str]
    """Words that are written small where a sentence does not begin with them."""
    not_subjects: frozenset[str]
    """First words of a sentence that do not name what it is about."""
    not_keys: frozenset[str]
    """Words before a colon that lead to a remark and name no property."""


_AMOUNT: Final = r"(?:[€$£] ?)?\d+(?:[.,]\d+)*(?:[  ]?(?:%|[€$£]|°(?: ?[CF])?|[^\W\d_]+(?:[ -]?[²³]|/[^\W\d_]+)?))?"
_SUBJECT: Final = r"(?P<subject>[^\W_][^,;:.!?()|\n]{1,80}?)"
_NAME: Final = r"(?P<value>[^\W\d_][^,;:.!?()|\n]{1,80}?)"
_REST: Final = r"(?P<value>[^;:!?|\n]{3,160}?)"


def _pattern(name: str, sentence: str, question: str) -> Pattern:
    return Pattern(name, re.compile(rf"{_SUBJECT} {sentence}[.!]?"), question)


def _amount(about: str = "") -> str:
    return rf"(?P<value>(?:(?:{about}) )?{_AMOUNT})" if about else rf"(?P<value>{_AMOUNT})"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EN: Final = _amount("up to|about|around|at least|at most|exactly|only")
_DE: Final = _amount("bis zu|etwa|rund|mindestens|höchstens|genau|nur")
_FR: Final = _amount("jusqu'à|environ|au moins|au plus|exactement|seulement")
_ES: Final = _amount("hasta|unos|unas|al menos|como máximo|exactamente|solo")

WORDINGS: Final[Mapping[str, Wording]] = {
    "en": Wording(
        fact='What is the "{key}" of "{title}"?',
        cell='In "{title}", what does the table give as "{column}" for "{row}"?',
        patterns=(
            _pattern("holds", rf"holds {_EN}(?: of [\w -]+)?", "How much does {subject} hold?"),
            _pattern("costs", rf"costs {_EN}", "How much does {subject} cost?"),
            _pattern("weighs", rf"weighs {_EN}", "How much does {subject} weigh?"),
            _pattern("lasts", rf"lasts(?: for)? {_EN}", "How long does {subject} last?"),
            _pattern("measures", rf"measures {_EN}", "How much does {subject} measure?"),
            _pattern(
                "size", rf"is {_EN} (?P<property>long|wide|high|deep|tall|thick|old)", "How {property} is {subject}?"
            ),
            _pattern(
                "has", rf"has an? (?P<property>[a-z][a-z -]{{1,30}}) of {_EN}", "What {property} does {subject} have?"
            ),
            _pattern(
                "by",
                rf"(?P<be>is|was) (?P<done>designed|made|written|founded|built|invented|led|owned|run) by {_NAME}",
                "By whom {be} {subject} {done}?",
            ),
            _pattern("means", rf"means (?:that )?{_REST}", "What does {subject} mean?"),
            _pattern("is", r"is (?P<value>(?:an?|the) [^,;:!?|\n]{6,120}?)", "What is {subject}?"),
        ),
        articles=_words("The A An Our Every Each"),
        not_subjects=_words(
            "It This That These Those They He She We You I There Here What Who If When While As Because Although But "
            "And Or So Then Please Note His Her Its Their Both One Another Such Which All Some Most Any Nothing "
            "Everything For On In At With Without After Before From By To Of During"
        ),
        not_keys=_words(
            "note tip warning example examples caution important remember hint see attention answer question"
        ),
    ),
    "de": Wording(
        fact="Was steht in „{title}“ unter „{key}“?",
        cell="Was nennt die Tabelle in „{title}“ als „{column}“ für „{row}“?",
        patterns=(
            _pattern("kostet", rf"kostet {_DE}", "Wie viel kostet {subject}?"),
            _pattern("wiegt", rf"wiegt {_DE}", "Wie viel wiegt {subject}?"),
            _pattern("fasst", rf"fasst {_DE}(?: [^\W\d_]+)?", "Wie viel fasst {subject}?"),
            _pattern("dauert", rf"dauert {_DE}", "Wie lange dauert {subject}?"),
            _pattern(
                "Maß", rf"ist {_DE} (?P<property>lang|breit|hoch|tief|schwer|dick|alt)", "Wie {property} ist {subject}?"
            ),
            _pattern(
                "von",
                rf"(?P<be>wird|wurde) von {_NAME} "
                r"(?P<done>entworfen|gebaut|gegründet|erfunden|geschrieben|geleitet|hergestellt|entwickelt)",
                "Von wem {be} {subject} {done}?",
            ),
            _pattern("bedeutet", rf"bedeutet,? (?:dass )?{_REST}", "Was bedeutet {subject}?"),
            _pattern("ist", r"ist (?P<value>(?:eine?|der|die|das) [^,;:!?|\n]{6,120}?)", "Was ist {subject}?"),
        ),
        articles=_words("Der Die Das Ein Eine Unser Unsere Jeder Jede Jedes"),
        not_subjects=_words(
            "Es Dies Diese Dieser Dieses Jene Sie Er Wir Ihr Ich Man Hier Dort Da Wenn Falls Weil Während Als Aber Und "
            "Oder So Dann Bitte Was Wer Sein Seine Ihre Beide Alle Einige Manche Nichts Alles Dabei "
            "Dafür Damit Für Bei Nach Vor Mit In Im Am An Auf Ohne"
        ),
        not_keys=_words("hinweis tipp warnung beispiel beispiele achtung wichtig siehe antwort frage"),
    ),
    "fr": Wording(
        fact="Qu'indique « {title} » sous « {key} » ?",
        cell="Dans « {title} », qu'indique le tableau comme « {column} » pour « {row} » ?",
        patterns=(
            _pattern("coûte", rf"coûte {_FR}", "Combien coûte {subject} ?"),
            _pattern("pèse", rf"pèse {_FR}", "Combien pèse {subject} ?"),
            _pattern("dure", rf"dure {_FR}", "Combien de temps dure {subject} ?"),
            _pattern(
                "par",
                rf"a été (?P<done>(?:conçu|fondé|inventé|écrit|construit|fabriqué)e?) par {_NAME}",
                "Par qui a été {done} {subject} ?",
            ),
            _pattern("signifie", rf"signifie (?:que )?{_REST}", "Que signifie {subject} ?"),
            _pattern("est", r"est (?P<value>(?:une? |le |la |l['’])[^,;:!?|\n]{6,120}?)", "Qu'est-ce que {subject} ?"),
        ),
        articles=_words("Le La Les Un Une Notre Chaque"),
        not_subjects=_words(
            "Il Elle Ils Elles Ce Cela Ceci Cet Cette Ces On Nous Vous Je Ici Si Quand Mais Et Ou Donc Alors Son Sa "
            "Leur"
        ),
        not_keys=_words("note remarque astuce attention exemple exemples important voir réponse question"),
    ),
    "es": Wording(
        fact="¿Qué indica «{title}» en «{key}»?",
        cell="En «{title}», ¿qué indica la tabla como «{column}» para «{row}»?",
        patterns=(
            _pattern("cuesta", rf"cuesta {_ES}", "¿Cuánto cuesta {subject}?"),
            _pattern("pesa", rf"pesa {_ES}", "¿Cuánto pesa {subject}?"),
            _pattern("dura", rf"dura {_ES}", "¿Cuánto dura {subject}?"),
            _pattern(
                "por",
                rf"fue (?P<done>(?:diseñad|fundad|inventad|escrit|construid|fabricad)[oa]) por {_NAME}",
                "¿Por quién fue {done} {subject}?",
            ),
            _pattern("significa", rf"significa (?:que )?{_REST}", "¿Qué significa {subject}?"),
            _pattern("es", r"es (?P<value>(?:una?|el|la) [^,;:!?|\n]{6,120}?)", "¿Qué es {subject}?"),
        ),
        articles=_words("El La Los Las Un Una Nuestro Nuestra Cada"),
        not_subjects=_words(
            "Este Esta Esto Estos Estas Ese Esa Eso Él Ella Ellos Ellas Usted Nosotros Aquí Si Cuando Pero Y O "
            "Entonces Su"
        ),
        not_keys=_words("nota consejo atención aviso ejemplo ejemplos importante véase respuesta pregunta"),
    ),
}
"""ISO 639 code → how its rules ask. In every other language only headings that are questions are taken."""
