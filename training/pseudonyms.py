"""What stands in the place of personal data: a mask, or a value of the same shape that is nobody's."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, Self

from tandem.errors import ConfigError

KEY: Final = "TANDEM_PSEUDONYM_KEY"
LEAST_KEY_CHARACTERS: Final = 16

_BEGINNINGS: Final = "Bal|Bre|Dor|Fen|Gal|Hul|Jor|Kel|Lom|Mav|Nor|Pel|Quo|Rin|Sov|Tav|Ulm|Vel|Wex|Yar|Zel|Cor|Dru|Gri"
_MIDDLES: Final = "abr|edd|ilv|omp|urk|anst|elth|ingr|osk|umb"
_ENDINGS: Final = "ory|ewin|amsel|ockle|ifer|undy|arro|etch"
INVENTED: Final = tuple(
    a + b + c for a in _BEGINNINGS.split("|") for b in _MIDDLES.split("|") for c in _ENDINGS.split("|")
)
"""Words that nobody is called by, for names and streets."""

_INVENTED: Final = f"(?:{_BEGINNINGS})(?:{_MIDDLES})(?:{_ENDINGS})"
OURS: Final = re.compile(
    r"\[(?:NAME|ADDRESS|EMAIL|PHONE|CARD|IBAN|IP|ID|OWN)\]"
    r"|(?<![\w.+%-])person-[0-9a-f]{10}@example\.com(?!\w)"
    r"|(?<!\w)\+1 [2-79]\d\d 555 01\d\d(?!\d)|\([2-79]\d\d\) 555-01\d\d(?!\d)"
    r"|(?<!\w)0000(?: \d{4}){3}(?!\w)|(?<!\w)XX00(?: \d{4}){4}(?!\w)|(?<!\w)(?:ID|OWN)00-[0-9a-f]{10}(?!\w)"
    r"|(?<![\w.])198\.1[89]\.\d{1,3}\.\d{1,3}(?![\w])|(?<![\w:])2001:db8:(?::[0-9a-f]{1,4}){4}(?![\w:])"
    rf"|(?<!\w)\d{{1,2}} {_INVENTED} Street(?!\w)|(?<!\w){_INVENTED}(?: {_INVENTED})*(?!\w)"
)
"""What this module writes, which is not personal data: what matches is left as it is."""


class Masks:
    """Each value becomes the name of its kind in brackets."""

    def replacement(self, kind: str, value: str) -> str:  # noqa: ARG002 (the interface of Pseudonyms)
        """`[EMAIL]` and the like."""
        return f"[{kind.upper()}]"


@dataclass(frozen=True)
class Pseudonyms:
    """The same value becomes the same replacement under the same key (HMAC-SHA-256); no mapping is kept anywhere.

    Who has the key can test a guess; who has not learns only that two values were equal.
    """

    key: bytes
    random: bool
    """Whether the key was drawn for this run, so that another run gives other pseudonyms."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """The key of TANDEM_PSEUDONYM_KEY, or of the file that TANDEM_PSEUDONYM_KEY_FILE names, or a random one.

        Raises ConfigError: a key under 16 characters, an unreadable file, both set.
        """
        key, file = environment.get(KEY), environment.get(f"{KEY}_FILE")
        if key is not None and file is not None:
            raise ConfigError(f"Both {KEY} and {KEY}_FILE are set; keep one.")
        source = KEY
        if file is not None:
            source = file
            try:
                key = Path(file).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError, ValueError) as error:
                raise ConfigError(f"{KEY}_FILE names {file}, which cannot be read ({error}).") from error
        if key is None:
            return cls(secrets.token_bytes(32), random=True)
        if len(key.strip()) < LEAST_KEY_CHARACTERS:
            raise ConfigError(
                f"The key in {source} has {len(key.strip())} characters, and pseudonyms need at least "
                f"{LEAST_KEY_CHARACTERS} that nobody can guess: make one with `openssl rand -hex 32`."
            )
        return cls(key.strip().encode(), random=False)

    def replacement(self, kind: str, value: str) -> str:
        """The pseudonym of a value; values that differ in case, blanks or separators only have the same one."""
        if kind == "name":
            # Word by word, so that `Mrs Smith` and `Anna Smith` keep their surname in common.
            return " ".join(self._word("name", word) for word in value.split() if word[0].isupper())
        plain = re.sub(r"[\s().,/-]", "", value).casefold() if kind != "own" else " ".join(value.casefold().split())
        number, digest = self._number(kind, plain), self._digest(kind, plain)
        if kind == "address":
            return f"{1 + number % 99} {self._word(kind, plain)} Street"
        if kind == "phone":
            area = f"{'2345679'[number % 7]}{number // 7 % 100:02}"
            last = f"01{number // 700 % 100:02}"
            return f"+1 {area} 555 {last}" if plain.startswith("+") else f"({area}) 555-{last}"
        if kind == "ip":
            if ":" in value:
                return "2001:db8::" + ":".join(f"{number >> shift & 0xFFFF:x}" for shift in (0, 16, 32, 48))
            return str(IPv4Address("198.18.0.0") + number % 2**17)
        digits = f"{number % 10**16:016}"
        groups = [digits[start : start + 4] for start in range(0, 16, 4)]
        return {
            "email": f"person-{digest}@example.com",
            "card": " ".join(["0000", *groups[:3]]),
            "iban": " ".join(["XX00", *groups]),
            "id": f"ID00-{digest}",
            "own": f"OWN00-{digest}",
        }[kind]

    def _word(self, kind: str, word: str) -> str:
        return INVENTED[self._number(kind, word.strip(".").casefold()) % len(INVENTED)]

    def _digest(self, kind: str, value: str) -> str:
        return self._hmac(kind, value).hex()[:10]

    def _number(self, kind: str, value: str) -> int:
        return int.from_bytes(self._hmac(kind, value)[:16])

    def _hmac(self, kind: str, value: str) -> bytes:
        return hmac.new(self.key, f"{kind}\0{value}".encode(), hashlib.sha256).digest()
