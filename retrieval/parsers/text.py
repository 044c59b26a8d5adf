"""Plain text and Markdown."""

import re
from typing import Any, Final

import yaml

from retrieval.documents import UnreadableDocument, clean_text, count_invisible
from retrieval.parsers.parsed import Parsed
from retrieval.structure import front_heading

_FRONT_MATTER: Final = re.compile(r"---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_ALLOW: Final = re.compile(r"^\s*[\"']?allow\b", re.IGNORECASE | re.MULTILINE)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def parse_text(data: bytes) -> Parsed:
    """Plain text; a short first line that stands alone is the title."""
    source = decode(data)
    text = clean_text(source)
    return Parsed(text, front_heading(text) or _first_line(text), hidden=count_invisible(source))


def parse_markdown(data: bytes) -> Parsed:
    """Markdown; YAML front matter becomes metadata and leaves the text."""
    source = decode(data)
    text, metadata = _split_front_matter(clean_text(source))
    title = metadata.pop("title", None)
    return Parsed(
        text, front_heading(text) or (str(title) if title else None), metadata, hidden=count_invisible(source)
    )


def decode(data: bytes) -> str:
    """UTF-8 with or without a byte-order mark; raises UnreadableDocument for anything else."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableDocument("The file is UTF-16 text; save it as UTF-8.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if is_binary(data.decode("latin-1")):
            raise UnreadableDocument("The file is binary, not text.") from None
        raise UnreadableDocument(
            f"The file is not UTF-8 text (byte 0x{data[error.start]:02x} at offset {error.start:,}); save it as UTF-8."
        ) from None
    if is_binary(text):
        raise UnreadableDocument("The file is binary, not text.")
    return text


def is_binary(text: str) -> bool:
    """Whether control characters are more than a slip: above 5 % of the beginning."""
    sample = text[:8192]
    return len(_CONTROL.findall(sample)) > len(sample) * 0.05


def _first_line(text: str) -> str | None:
    first, _, rest = text.strip().partition("\n")
    alone = rest.startswith("\n") and len(first) <= 100 and not first.rstrip().endswith((".", ",", ";", ":"))
    return first.strip() if alone else None


def _split_front_matter(text: str) -> tuple[str, dict[str, Any]]:
    """Text without its front matter, and the front matter's plain values.

    Raises UnreadableDocument where it says who may see the document in a way that cannot be read.
    """
    match = _FRONT_MATTER.match(text)
    if match is None:
        return text, {}
    try:
        values = yaml.safe_load(match[1])
    except yaml.YAMLError:
        values = None
    if not isinstance(values, dict):
        if _ALLOW.search(match[1]):
            raise UnreadableDocument("The front matter has `allow` and is no YAML: who may see this is not known.")
        return text, {}
    if "allow" in values and values["allow"] is None:
        raise UnreadableDocument("`allow` is empty: name users and groups, or write [] for nobody.")
    return text[match.end() :], {str(key): _plain(value) for key, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    """Values that filters can compare; dates and mappings as text."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool) else str(value)
