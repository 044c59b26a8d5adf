"""Documents from the web: fetched within limits, only where the operator allows it, and only if they changed."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from retrieval.addresses import Allowed, FoundUrl, checked_url
from retrieval.documents import UnreadableDocument
from retrieval.parsers import FORMATS, MAX_FILE_BYTES

SECONDS: Final = 60
"""For one address, redirects and all."""
MAX_REDIRECTS: Final = 5
AT_ONCE: Final = 8

_HEADERS: Final = {"User-Agent": "tandem-index", "Accept-Encoding": "identity"}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_GONE: Final = frozenset({404, 410})
_KINDS: Final = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/markdown": "markdown",
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/json": "json",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came back: `data` is None where the server says that nothing changed since `validator`."""

    data: bytes | None
    kind: str
    """One of `FORMATS`' values."""
    validator: str
    """The server's name for this state, to be asked with the next time; empty where it gives none."""


class Fetcher:
    """Fetches addresses, a few at a time."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed

    def fetch_all(
        self, wanted: Sequence[tuple[FoundUrl, str]]
    ) -> Iterator[tuple[FoundUrl, Fetched | UnreadableDocument]]:
        """Each address with what came of it, in order; given are the validators of the states that are known.

        An error has the code `unreadable_file` where the document may well be there still.
        """
        for first in range(0, len(wanted), AT_ONCE):
            part = wanted[first : first + AT_ONCE]
            yield from zip([found for found, _ in part], asyncio.run(self._fetch_some(part)), strict=True)

    async def _fetch_some(self, wanted: Sequence[tuple[FoundUrl, str]]) -> list[Fetched | UnreadableDocument]:
        return list(await asyncio.gather(*(self._fetch(found.url, validator) for found, validator in wanted)))

    async def _fetch(self, url: URL, validator: str) -> Fetched | UnreadableDocument:
        try:
            async with asyncio.timeout(SECONDS):
                return await self._followed(url, validator)
        except UnreadableDocument as error:
            return error
        except TimeoutError:
            return _not_now(f"The address did not answer in {SECONDS} seconds.")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _not_now(f"The address cannot be fetched: {str(error) or type(error).__name__}.")

    async def _followed(self, url: URL, validator: str) -> Fetched:
        for _ in range(MAX_REDIRECTS + 1):
            self._allowed.require(url)
            resolver = None if self._allowed.may_be_private(url) else PublicOnly()
            connector = aiohttp.TCPConnector(resolver=resolver)
            async with (
                aiohttp.ClientSession(connector=connector, headers=_HEADERS, trust_env=False) as session,
                session.get(url, headers=_condition(validator), allow_redirects=False) as response,
            ):
                if response.status not in _REDIRECTS:
                    return await _read(response, validator)
                url = checked_url(str(url.join(URL(response.headers.get("Location", "")))))
        raise _not_now(f"The address was redirected more than {MAX_REDIRECTS} times.")


class PublicOnly(AbstractResolver):
    """Finds no address inside a private network; what it finds is what is connected to."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host`; raises OSError where one of them is not public."""
        found = await self._resolver.resolve(host, port, family)
        if not all(ipaddress.ip_address(one["host"].partition("%")[0]).is_global for one in found):
            raise OSError(f"{host} leads into a private network, which is allowed over https only")
        return found

    async def close(self) -> None:
        """Nothing is held."""
        await self._resolver.close()


async def _read(response: Any, validator: str) -> Fetched:
    if response.status == 304 and validator:
        return Fetched(None, "", "")
    if response.status in _GONE:
        raise UnreadableDocument(f"The address is gone (status {response.status}).", code="gone")
    if response.status != 200:
        raise _not_now(f"The address answered with status {response.status}.")
    kind = _kind(response)
    pieces, size = [], 0
    async for piece in response.content.iter_chunked(1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_FILE_BYTES:
            raise UnreadableDocument(f"The document has more than {MAX_FILE_BYTES:,} bytes, which is the limit.")
    return Fetched(b"".join(pieces), kind, _validator(response.headers))


def _kind(response: Any) -> str:
    """By the content type, or by the suffix where that says little."""
    if response.content_type in _KINDS:
        return _KINDS[response.content_type]
    suffix = PurePosixPath(response.url.path).suffix.lower()
    if response.content_type in {"text/plain", "application/octet-stream"}:
        if suffix and suffix in FORMATS:
            return FORMATS[suffix]
        if response.content_type == "text/plain":
            return "text"
    raise UnreadableDocument(f"The document is of type {response.content_type}, which is not read.")


def _validator(headers: Any) -> str:
    if tag := headers.get("ETag"):
        return f"ETag {tag}"
    return f"Modified {headers['Last-Modified']}" if "Last-Modified" in headers else ""


def _condition(validator: str) -> dict[str, str]:
    name, _, value = validator.partition(" ")
    return {"ETag": {"If-None-Match": value}, "Modified": {"If-Modified-Since": value}}.get(name, {})


def _not_now(reason: str) -> UnreadableDocument:
    return UnreadableDocument(reason, code="unreadable_file")
