"""What is indexed: a document, the form its text is kept in, and how a file becomes one."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tandem.errors import UserError

MAX_TEXT_CHARACTERS: Final = 10_000_000
MAX_ID_CHARACTERS: Final = 1_024
MAX_METADATA_CHARACTERS: Final = 100_000

# C0 controls but tab and line feed, DEL and C1: they show nothing and break terminals and prompts.
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f]")
# What shows nothing and can hide or turn around what is read: zero-width spaces, controls of the direction of writing
# (marks of single characters stay), tags. Joiners stay, as Persian, Hindi and emoji need them.
_INVISIBLE: Final = re.compile("[\u200b\u2060-\u2064\u202a-\u202e\u2066-\u206f\ufeff\U000e0000-\U000e007f]")
_LINE_ENDS: Final = re.compile(r"\r\n|[\r\x0c\x85\u2028\u2029]")
_SURROGATES: Final = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Document:
    """One indexed unit; passage offsets count characters of `text` as the index keeps it.

    `metadata` holds values for filters: strings, numbers, booleans, or lists of these.
    """

    id: str
    title: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    allow: tuple[str, ...] | None = None
    """Names of the users and groups that may see it; None: everybody, empty: nobody but the operator."""
    language: str = ""
    """ISO 639-1 code; empty where it is not known."""
    pages: tuple[int, ...] = ()
    """Character at which each page begins; empty for formats without pages."""
    hidden: int = field(default=0, compare=False)
    """Characters left out because no reader sees them; known when it is read, and not kept."""


class UnreadableDocument(UserError):
    """This one document cannot be indexed; the message is one sentence that says why."""

    code = "unreadable_document"


def count_invisible(text: str) -> int:
    """How many characters `clean_text` takes out of `text` because they hide or turn around what is read."""
    return 0 if text.isascii() else len(_INVISIBLE.findall(text.removeprefix("\ufeff")))


def clean_text(text: str) -> str:
    """The one form in which texts are kept, cut, quoted and compared.

    Unicode NFC, `\\n` line ends, no byte-order mark, no control characters, nothing invisible that hides or turns
    around text, no lone surrogates (JSON may carry them, UTF-8 cannot).
    """
    if text.isascii() and text.isprintable():
        return text
    text = _SURROGATES.sub("\ufffd", text)
    text = _INVISIBLE.sub("", _CONTROLS.sub("", _LINE_ENDS.sub("\n", text)))
    return unicodedata.normalize("NFC", text)


def checked(document: Document) -> Document:
    """`document` as the index will keep it; raises UnreadableDocument where it cannot."""
    check_id(document.id)
    text = clean_text(document.text)
    if not text.strip():
        raise UnreadableDocument("The document has no text.")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise UnreadableDocument(f"The document has {len(text):,} characters; the limit is {MAX_TEXT_CHARACTERS:,}.")
    title = " ".join(clean_text(document.title).split())[:300] or document.id
    metadata, allow = _checked_metadata(document.metadata), _checked_names(document.allow)
    hidden = document.hidden + count_invisible(document.text)
    return replace(document, title=title, text=text, metadata=metadata, allow=allow, hidden=hidden)


def _checked_names(allow: Sequence[str] | None) -> tuple[str, ...] | None:
    if allow is None:
        return None
    if isinstance(allow, str) or not all(isinstance(name, str) and name.strip() for name in allow):
        raise UnreadableDocument(f"`allow` is {allow!r}; it has to be a list of names of users and groups.")
    return tuple(sorted({clean_text(name).strip() for name in allow}))


def check_id(name: object) -> None:
    """Raise UnreadableDocument unless `name` can be a document's id."""
    if not isinstance(name, str) or not name.strip():
        raise UnreadableDocument("The document has no id.")
    if len(name) > MAX_ID_CHARACTERS:
        raise UnreadableDocument(f"The document's id has {len(name):,} characters; the limit is {MAX_ID_CHARACTERS:,}.")
    if _CONTROLS.search(name) or _SURROGATES.search(name) or "\n" in name or "\t" in name:
        raise UnreadableDocument("The document's id holds characters that cannot be shown.")


def _checked_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in metadata.items():
        values = value if isinstance(value, list | tuple) else [value]
        if not isinstance(key, str) or not all(isinstance(item, str | int | float | bool) for item in values):
            raise UnreadableDocument(
                f"The metadata value of {key!r} is not a string, a number, a boolean or a list of these."
            )
    try:
        encoded = json.dumps(dict(metadata), allow_nan=False)
    except ValueError:
        raise UnreadableDocument("The metadata holds a number that is not finite.") from None
    if len(encoded) > MAX_METADATA_CHARACTERS:
        raise UnreadableDocument(
            f"The metadata is {len(encoded):,} characters; the limit is {MAX_METADATA_CHARACTERS:,}."
        )
    # Strings are cleaned, so that a filter's value and a stored one are the same characters.
    decoded: dict[str, Any] = json.loads(encoded, object_hook=_cleaned_strings)
    return decoded


def _cleaned_strings(mapping: dict[str, Any]) -> dict[str, Any]:
    def clean(value: Any) -> Any:
        if isinstance(value, list):
            return [clean(item) for item in value]
        return clean_text(value) if isinstance(value, str) else value

    return {clean_text(key): clean(value) for key, value in mapping.items()}


def document_digest(document: Document) -> str:
    """Hexadecimal digest of everything but the id: equal digests need no new indexing."""
    parts: list[Any] = [document.title, document.text, dict(document.metadata)]
    # Only where they are set: digests that were made without these fields stay valid.
    extra = {"allow": document.allow, "language": document.language or None, "pages": document.pages or None}
    if given := {name: value for name, value in extra.items() if value is not None}:
        parts.append(given)
    # Damage may turn a stored text into bytes.
    content = json.dumps(parts, sort_keys=True, default=repr)
    return hashlib.blake2b(content.encode(), digest_size=20).hexdigest()
