"""Lists of web addresses: what a `.urls` file names, and which of it the operator lets the indexer fetch."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from yarl import URL

from retrieval.documents import UnreadableDocument
from retrieval.results import Failure

SUFFIX: Final = ".urls"
MAX_ADDRESSES: Final = 10_000
SETTING: Final = "retrieval.allow_urls"


@dataclass(frozen=True, slots=True)
class FoundUrl:
    """An address, the folder (or list) it was found for, and its document's id: the address without its scheme."""

    id: str
    url: URL
    root: Path

    @property
    def place(self) -> str:
        """Where the document comes from."""
        return str(self.url)


def read_list(path: Path, root: Path) -> tuple[list[FoundUrl], list[Failure]]:
    """The addresses in a list, one a line, each once; blank lines and those with `#` before them are passed over.

    Raises OSError and UnicodeDecodeError where the list cannot be read.
    """
    found: dict[str, FoundUrl] = {}
    failures: list[Failure] = []
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            one = FoundUrl(id_of(url := checked_url(text)), url, root)
        except UnreadableDocument as error:
            failures.append(Failure(f"{path.name}:{number}", error.message))
            continue
        found.setdefault(one.id, one)
    if len(found) > MAX_ADDRESSES:
        reason = f"The list names {len(found):,} addresses; the limit is {MAX_ADDRESSES:,}, and the rest was left out."
        failures.append(Failure(path.name, reason))
    return list(found.values())[:MAX_ADDRESSES], failures


def checked_url(text: str) -> URL:
    """An address of the web without its fragment, `..` in its path followed; raises UnreadableDocument."""
    try:
        url = URL(text).with_fragment(None)
        whole = url.scheme in {"http", "https"} and bool(url.host) and url.port is not None
    except (ValueError, TypeError):
        whole = False
    if not whole:
        raise UnreadableDocument(f"{text[:200]!r} is no address that begins with https:// or http:// and a host.")
    if url.user is not None or url.password is not None:
        raise UnreadableDocument(f"The address of {url.host} carries a user or a password, which is not supported.")
    return url


def id_of(url: URL) -> str:
    """Host, path and query."""
    port = "" if url.is_default_port() else f":{url.port}"
    query = f"?{url.raw_query_string}" if url.raw_query_string else ""
    return f"{url.raw_host}{port}{url.raw_path.rstrip('/')}{query}"


class Allowed:
    """The addresses that may be fetched, by how they begin."""

    def __init__(self, prefixes: Sequence[str]) -> None:
        self._prefixes = [checked_url(prefix) for prefix in prefixes]

    def require(self, url: URL) -> None:
        """Raise UnreadableDocument (`url_not_allowed`) unless one of the prefixes holds `url`."""
        if not any(_holds(prefix, url) for prefix in self._prefixes):
            allowed = ", ".join(map(str, self._prefixes)) or "none"
            raise UnreadableDocument(
                f"The address {url} is not to be fetched: `{SETTING}` allows {allowed}.", code="url_not_allowed"
            )

    def may_be_private(self, url: URL) -> bool:
        """Whether its host may lead into a private network.

        Over https the certificate proves who answers. Over http a name could lead anywhere, so that only what the
        operator spelled out counts: `localhost` or the very number.
        """
        return url.scheme == "https" or url.host == "localhost" or _is_number(url.host or "")


def _holds(prefix: URL, url: URL) -> bool:
    if (prefix.scheme, prefix.host, prefix.port) != (url.scheme, url.host, url.port):
        return False
    folder = prefix.raw_path.rstrip("/")
    return url.raw_path == folder or url.raw_path.startswith(f"{folder}/")


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
