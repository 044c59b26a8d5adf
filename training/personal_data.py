"""Where personal data stands in a text: what has a form of its own, checked by that form's rules.

Names and addresses, which have none, are in `training.personal_names`. No model is used: nothing is found by meaning.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

KINDS: Final = ("email", "iban", "card", "id", "ip", "phone", "address", "name")
"""In the order in which they win where two claim the same characters."""
OWN: Final = "own"
"""The kind of an operator's own words and patterns; these win over all others."""


@dataclass(frozen=True, order=True)
class Span:
    """Characters `start` to `end` (excluded) of a text, and what they are."""

    start: int
    end: int
    kind: str


Finder = Callable[[str], Iterator[Span]]

_EMAIL: Final = re.compile(
    r"(?<![\w.+%-])[^\W_][\w.+%'-]{0,63}@(?:[^\W_](?:[\w-]{0,62}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w@])"
)
_IBAN: Final = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?!\w)", re.IGNORECASE)
_CARD: Final = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){11,18}(?![\w-])")
# First digits and lengths of Visa, Mastercard, American Express, Discover, Diners, JCB and Maestro (ISO/IEC 7812).
_ISSUER: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12,15}|3(?:0[0-5]|[689]\d)\d{11,16}|(?:2131|1800)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|(?:5[06-8]|6\d)\d{10,17}"
)
_IP4: Final = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)")
_IP6: Final = re.compile(r"(?<![\w:.])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?![\w:])", re.IGNORECASE)
_VERSION: Final = re.compile(
    r"(?:\bv|version|release|firmware|build|chapter|section|update|driver)\W{0,3}$", re.IGNORECASE
)
_DIGITS: Final = re.compile(r"\d")
_FORMED_IDS: Final = (
    # The form alone says what it is: US SSN, British NI number, Spanish DNI and NIE, Italian codice fiscale, Swiss AHV
    # number, Brazilian CPF, Finnish HETU.
    (re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"), "us.ssn"),
    (
        re.compile(
            r"(?<!\w)(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D](?!\w)"
        ),
        "",
    ),
    (re.compile(r"(?<!\w)\d{8}-?[A-Z](?!\w)"), "es.dni"),
    (re.compile(r"(?<!\w)[XYZ]-?\d{7}-?[A-Z](?!\w)"), "es.nie"),
    (re.compile(r"(?<!\w)[A-Z]{6}[A-Z0-9]{2}[A-Z][A-Z0-9]{2}[A-Z][A-Z0-9]{3}[A-Z](?!\w)"), "it.codicefiscale"),
    (re.compile(r"(?<![\w.])756\.\d{4}\.\d{4}\.\d{2}(?![\w.])"), "ch.ssn"),
    (re.compile(r"(?<![\w.])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\w-])"), "br.cpf"),
    (re.compile(r"(?<!\w)\d{6}[-+A-FYXWVU]\d{3}[0-9A-Y](?!\w)"), "fi.hetu"),
)
# Forms that other numbers share are believed only behind a word that says so.
_CUED_ID: Final = re.compile(
    r"\b(?:ssn|social security|national id(?:entity|entification)?|identity card|id card|personal id|personal number"
    r"|personnummer|cpr|bsn|pesel|nhs|nir|nif|nie|dni|aadhaar|tax id|tax(?:payer)? (?:identification|number)"
    r"|steuer-?id|passport|driver'?s? licen[cs]e|driving licen[cs]e|insurance number)"
    r"(?:[ \t]*(?:numbers?|no\.?|nr\.?|id|card|is|was|:|#|=|-)){0,4}[ \t]*"
    r"(?P<id>(?=[A-Z0-9]*\d)[A-Z0-9]+(?:[ .-](?=[A-Z0-9]*\d)[A-Z0-9]+){0,5})",
    re.IGNORECASE,
)
_LEAST_ID_DIGITS: Final = 5


def find_emails(text: str) -> Iterator[Span]:
    """Addresses of e-mail: a local part, `@`, and a domain with a top level of letters."""
    if "@" in text:
        for match in _EMAIL.finditer(text):
            if ".." not in match[0] and ".@" not in match[0]:
                yield Span(match.start(), match.end(), "email")


def find_ibans(text: str) -> Iterator[Span]:
    """IBANs, blanks allowed, whose country, length and check digits are right (ISO 13616, by python-stdnum)."""
    for match in _IBAN.finditer(text):
        end = _longest_iban(match[0])
        if end:
            yield Span(match.start(), match.start() + end, "iban")


def _longest_iban(candidate: str) -> int:
    """Length of the longest beginning that is an IBAN and ends with a word: the next word may have come along."""
    from stdnum import iban

    # The standard's arithmetic gives 02 to 98; these three pass its check all the same, by chance.
    if re.sub(r"\s", "", candidate)[2:4] in {"00", "01", "99"}:
        return 0
    ends = [len(candidate), *(match.start() for match in re.finditer(" ", candidate))]
    return max((end for end in ends if iban.is_valid(candidate[:end])), default=0)


def find_cards(text: str) -> Iterator[Span]:
    """Payment cards: an issuer's first digits and length, and the check digit of Luhn (ISO/IEC 7812)."""
    from stdnum import luhn

    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if _ISSUER.fullmatch(digits) and luhn.is_valid(digits):
            yield Span(match.start(), match.end(), "card")


def find_ids(text: str) -> Iterator[Span]:
    """National numbers of persons: those of a form of their own by their check digits, others behind a word."""
    if not _DIGITS.search(text):
        return
    for pattern, check in _FORMED_IDS:
        for match in pattern.finditer(text):
            if not check or _is_valid(check, match[0]):
                yield Span(match.start(), match.end(), "id")
    for match in _CUED_ID.finditer(text):
        if len(_DIGITS.findall(match["id"])) >= _LEAST_ID_DIGITS:
            yield Span(*match.span("id"), "id")


def _is_valid(check: str, value: str) -> bool:
    """Whether python-stdnum's module `check`, such as `us.ssn`, holds a value for valid."""
    from importlib import import_module

    return bool(import_module(f"stdnum.{check}").is_valid(value))


def find_ips(text: str) -> Iterator[Span]:
    """Public addresses of IPv4 and IPv6; private, reserved and example ones lead to nobody."""
    for pattern in (_IP4, _IP6):
        for match in pattern.finditer(text):
            if _is_public(match[0]) and not _VERSION.search(text[: match.start()]):
                yield Span(match.start(), match.end(), "ip")


def _is_public(candidate: str) -> bool:
    try:
        return ipaddress.ip_address(candidate).is_global
    except ValueError:
        return False


def phone_finder(regions: Sequence[str]) -> Finder:
    """Finds phone numbers in international form, and in the national form of `regions` (ISO 3166, two letters).

    Valid by the numbering plans of libphonenumber; behind words such as `call me on` any 7 to 15 digits count.
    """

    def find(text: str) -> Iterator[Span]:
        if len(_DIGITS.findall(text)) < 7:
            return
        import phonenumbers

        for region in regions or (None,):
            for match in phonenumbers.PhoneNumberMatcher(text, region):
                # A bare run of digits is as often an order's number, and one behind letters and a hyphen a serial.
                before = text[: match.start]
                is_plain = match.raw_string.isdigit() or _SERIAL.search(before)
                if not is_plain or _PHONE_CUE.search(before):
                    yield Span(match.start, match.end, "phone")
        for cued in _CUED_PHONE.finditer(text):
            yield Span(*cued.span("phone"), "phone")

    return find


_CUE: Final = r"\b(?:phone|mobile|cell|tel|call|ring|dial|text|sms|fax|whatsapp|reach (?:me|us|him|her)|number is)\b"
_PHONE_CUE: Final = re.compile(rf"{_CUE}[^\d\n]{{0,30}}$", re.IGNORECASE)
_SERIAL: Final = re.compile(r"[^\W\d_]-$")
_CUED_PHONE: Final = re.compile(
    rf"{_CUE}[^\d\n+(]{{0,20}}(?P<phone>\+?\(?\d(?:[ ()./-]{{0,3}}\d){{6,14}})(?![\w-])", re.IGNORECASE
)


def own_finder(words: Sequence[str], patterns: Sequence[str]) -> Finder:
    """Finds an operator's own words (whole, in any case) and regular expressions."""
    parts = [rf"(?<!\w){re.escape(word.strip())}(?!\w)" for word in words]
    expressions = [re.compile(part, re.IGNORECASE) for part in parts] + [re.compile(pattern) for pattern in patterns]

    def find(text: str) -> Iterator[Span]:
        for expression in expressions:
            yield from (Span(*match.span(), OWN) for match in expression.finditer(text) if match[0].strip())

    return find


def without_overlaps(spans: Iterable[Span], taken: Sequence[Span] = ()) -> list[Span]:
    """The spans in their order in the text, none over another nor over one that is `taken`.

    Of two that overlap, the one whose kind is earlier in `KINDS` wins, then the longer one, then the first.
    """
    rank = {OWN: -1, **{kind: number for number, kind in enumerate(KINDS)}}
    ordered = sorted(spans, key=lambda span: (rank[span.kind], span.start - span.end, span.start))
    covered = [(span.start, span.end) for span in taken]
    kept = []
    for span in ordered:
        if all(span.end <= start or end <= span.start for start, end in covered):
            covered.append((span.start, span.end))
            kept.append(span)
    return sorted(kept)


def finders(kinds: Iterable[str], regions: Sequence[str]) -> Mapping[str, Finder]:
    """The finder of each kind."""
    from training.personal_names import find_addresses, find_names

    every: dict[str, Finder] = {
        "email": find_emails,
        "iban": find_ibans,
        "card": find_cards,
        "id": find_ids,
        "ip": find_ips,
        "phone": phone_finder(regions),
        "address": find_addresses,
        "name": find_names,
    }
    return {kind: every[kind] for kind in KINDS if kind in set(kinds)}
