"""How the state of a source is named, so that an unchanged one is not read, parsed or fetched again."""

import hashlib

from retrieval.parsers import PARSER_VERSION

_MANNER_CHARACTERS = 16


def content_digest(kind: str, data: bytes, rules: bytes) -> str:
    """Of the bytes, of what decides how they are parsed, and of what the rules add."""
    person = f"{PARSER_VERSION}{kind}".encode()
    key = hashlib.blake2b(rules, digest_size=64).digest() if rules else b""
    return hashlib.blake2b(data, digest_size=20, person=person, key=key).hexdigest()


def with_validator(content: str, rules: bytes, validator: str) -> str:
    """A content's digest with a server's name for it, which counts as long as it would be read in the same manner."""
    return f"{content} {_manner(rules)} {validator}"


def validator_of(content: str, rules: bytes) -> str:
    """The server's name in what `with_validator` made; empty where there is none, or it would be read otherwise now."""
    manner, _, validator = content.partition(" ")[2].partition(" ")
    return validator if manner == _manner(rules) else ""


def _manner(rules: bytes) -> str:
    return content_digest("", b"", rules)[:_MANNER_CHARACTERS]
