"""Lists of web addresses: fetched where the operator allows it, only when they changed, and from nowhere else."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from yarl import URL

from retrieval import fetching
from retrieval.addresses import Allowed, checked_url, id_of, read_list
from retrieval.documents import UnreadableDocument
from retrieval.fetching import PublicOnly
from retrieval.results import Commit
from tandem.errors import UserError
from tests.http_server import Asked, Reply, http_server
from tests.retrieval.helpers import SMALL, CountingEmbedder, open_index

PAGES = {
    "/docs/kettle": (
        b"<html><title>Kettle</title><body><main><p>The kettle boils.</p></main></body></html>",
        "text/html",
    ),
    "/docs/lamp.md": (b"# Lamp\n\nThe lamp shines.", "text/plain"),
    "/docs/rows": (b'{"id": "one", "text": "The ferry leaves."}\n', "application/x-ndjson"),
}


class Site:
    """A web site that can be changed, and what was asked of it."""

    def __init__(self) -> None:
        self.pages = dict(PAGES)
        self.replies: dict[str, Reply] = {}
        self.asked: list[tuple[str, int]] = []
        self.url = ""

    def respond(self, asked: Asked) -> Reply:
        reply = self.replies.get(asked.path) or self._page(asked)
        self.asked.append((asked.path, reply[0]))
        return reply

    def _page(self, asked: Asked) -> Reply:
        if asked.path not in self.pages:
            return 404, b"", {}
        data, kind = self.pages[asked.path]
        tag = f'"{hash(data)}"'
        if asked.headers.get("If-None-Match") == tag:
            return 304, b"", {"ETag": tag}
        return 200, data, {"Content-Type": kind, "ETag": tag}

    def sync(
        self, folder: Path, *paths: str, allow: str = "/docs/", embedder: CountingEmbedder | None = None
    ) -> Commit:
        """Index a list of these paths."""
        (folder / "docs").mkdir(exist_ok=True)
        (folder / "docs" / "web.urls").write_text("# pages\n\n" + "".join(f"{self.url}{path}#top\n" for path in paths))
        settings = SMALL.model_copy(update={"allow_urls": [f"{self.url}{allow}"] if allow else []})
        self.asked.clear()
        with open_index(folder / "index", embedder, settings) as index:
            commit = index.sync([folder / "docs"])
            self.found = {info.id.partition("/")[2]: index.document(info.id) for info in index.documents()}
        return commit


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    with http_server(made.respond) as made.url:
        yield made


def test_what_a_list_names_is_indexed_by_its_content_type_with_its_address_as_source(
    site: Site, tmp_path: Path
) -> None:
    commit = site.sync(tmp_path, *PAGES)
    assert commit.failed == []
    assert {name: document.title for name, document in site.found.items()} == {
        "docs/kettle": "Kettle",
        "docs/lamp.md": "Lamp",
        "docs/rows#one": "Rows one",
    }
    assert site.found["docs/kettle"].metadata["source"] == f"{site.url}/docs/kettle"


def test_an_unchanged_page_is_not_sent_again_and_a_changed_one_is_replaced(site: Site, tmp_path: Path) -> None:
    embedder = CountingEmbedder()
    site.sync(tmp_path, "/docs/kettle", "/docs/lamp.md", embedder=embedder)
    site.pages["/docs/lamp.md"] = (b"# Lamp\n\nThe lamp glows.", "text/plain")
    embedder.texts.clear()
    commit = site.sync(tmp_path, "/docs/kettle", "/docs/lamp.md", embedder=embedder)
    assert sorted(site.asked) == [("/docs/kettle", 304), ("/docs/lamp.md", 200)]
    assert (len(commit.replaced), len(commit.unchanged), len(embedder.texts)) == (1, 1, 1)
    assert "glows" in site.found["docs/lamp.md"].text


def test_a_server_that_says_unchanged_unasked_is_not_believed(site: Site, tmp_path: Path) -> None:
    site.replies["/docs/kettle"] = (304, b"", {})
    commit = site.sync(tmp_path, "/docs/kettle", "/docs/lamp.md")
    assert set(site.found) == {"docs/lamp.md"}
    assert [failure.reason for failure in commit.failed] == ["The address answered with status 304."]


def test_a_page_that_is_gone_leaves_the_index_and_one_that_fails_stays(site: Site, tmp_path: Path) -> None:
    site.sync(tmp_path, *PAGES)
    site.replies = {"/docs/kettle": (410, b"", {}), "/docs/lamp.md": (503, b"", {}), "/docs/rows": (503, b"", {})}
    commit = site.sync(tmp_path, *PAGES)
    assert set(site.found) == {"docs/lamp.md", "docs/rows#one"}
    assert [failure.reason for failure in commit.failed] == [
        "The address is gone (status 410).",
        "The address answered with status 503.",
        "The address answered with status 503.",
    ]
    site.replies.clear()
    assert site.sync(tmp_path, "/docs/rows").removed == [f"{site.url.removeprefix('http://')}/docs/lamp.md"]


@pytest.mark.parametrize("allow", ["", "/other/", "/doc"])
def test_nothing_is_fetched_that_the_operator_does_not_allow(site: Site, tmp_path: Path, allow: str) -> None:
    commit = site.sync(tmp_path, "/docs/kettle", allow=allow)
    assert site.asked == []
    assert "`retrieval.allow_urls` allows" in commit.failed[0].reason


def test_a_redirect_leads_nowhere_else(site: Site, tmp_path: Path) -> None:
    with http_server(lambda _: (200, b"secret", {"Content-Type": "text/plain"})) as other:
        for place, target in enumerate(
            [f"{other}/docs/x", f"{site.url}/private", "file:///etc/passwd", "//u:p@a/docs"]
        ):
            site.replies[f"/docs/{place}"] = (302, b"", {"Location": target})
        site.replies["/docs/loop"] = (302, b"", {"Location": "/docs/loop"})
        site.replies["/docs/old"] = (301, b"", {"Location": "kettle"})
        commit = site.sync(tmp_path, *(f"/docs/{place}" for place in range(4)), "/docs/loop", "/docs/old")
    assert set(site.found) == {"docs/old"}
    assert len(commit.failed) == 5
    assert "redirected more than 5 times" in commit.failed[-1].reason


def test_sizes_and_times_are_bounded(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_FILE_BYTES", 1000)
    monkeypatch.setattr(fetching, "SECONDS", 0.2)
    site.pages["/docs/long"] = (b"word " * 1000, "text/plain")
    site.pages["/docs/picture"] = (b"\x89PNG", "image/png")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs" / "slow.urls").write_text(address)
        settings = SMALL.model_copy(update={"allow_urls": [address]})
        with open_index(tmp_path / "other", None, settings) as index:
            assert "did not answer" in index.sync([tmp_path / "docs"]).failed[0].reason
    (tmp_path / "docs" / "slow.urls").unlink()
    reasons = [failure.reason for failure in site.sync(tmp_path, "/docs/long", "/docs/picture").failed]
    assert "more than 1,000 bytes" in reasons[0]
    assert "image/png" in reasons[1]


def test_plain_http_never_leads_a_name_into_a_private_network(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(address: str) -> None:
        async def found(*_: object) -> list[dict[str, object]]:
            return [{"host": "93.184.216.34"}, {"host": address}]

        resolver = PublicOnly()
        monkeypatch.setattr(resolver._resolver, "resolve", found)
        await resolver.resolve("docs.example.org")

    asyncio.run(resolve("93.184.216.34"))
    for address in ("127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1", "fe80::1%eth0"):
        with pytest.raises(OSError, match="private network"):
            asyncio.run(resolve(address))
    allowed = Allowed(["http://docs.example.org/", "http://127.0.0.1/", "https://wiki.example.org"])
    assert [
        allowed.may_be_private(URL(url))
        for url in ("http://docs.example.org/a", "http://127.0.0.1/a", "https://wiki.example.org/a")
    ] == [False, True, True]


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("https://docs.example.org/guide", True),
        ("https://DOCS.example.org:443/guide/a?b=c", True),
        ("https://docs.example.org/guidebook", False),
        ("https://docs.example.org.evil.example/guide/a", False),
        ("https://docs.example.org:8443/guide/a", False),
        ("http://docs.example.org/guide/a", False),
        ("https://docs.example.org/guide/../secret", False),
        ("https://docs.example.org/guide/%2e%2e/secret", False),
    ],
)
def test_a_prefix_ends_where_a_name_ends(url: str, is_allowed: bool) -> None:
    allowed = Allowed(["https://docs.example.org/guide/"])
    if is_allowed:
        allowed.require(checked_url(url))
    else:
        with pytest.raises(UnreadableDocument, match="allows https://docs.example.org/guide/"):
            allowed.require(checked_url(url))


@pytest.mark.parametrize(
    "line",
    [
        "ftp://a/b",
        "https://",
        "just words",
        "https://user:key@a/b",
        "/etc/passwd",
    ],
)
def test_what_is_no_plain_address_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "web.urls"
    path.write_text(f"https://a.example/one#part\nhttps://a.example/one/\n{line}\n")
    found, failures = read_list(path, tmp_path)
    assert [one.id for one in found] == ["a.example/one"]
    assert [failure.id for failure in failures] == ["web.urls:3"]


def test_ids_are_addresses_without_their_scheme() -> None:
    ids = [
        id_of(checked_url(url)) for url in ("https://A.example:443/b/?q=1", "http://a.example:81", "http://a.example/é")
    ]
    assert ids == ["a.example/b?q=1", "a.example:81", "a.example/%C3%A9"]


def test_a_list_without_any_document_replaces_nothing(site: Site, tmp_path: Path) -> None:
    site.sync(tmp_path, "/docs/kettle")
    site.replies["/docs/kettle"] = (404, b"", {})
    settings = SMALL.model_copy(update={"allow_urls": [site.url]})
    with open_index(tmp_path / "index", None, settings) as index:
        with pytest.raises(UserError, match="nothing was replaced"):
            index.sync([tmp_path / "docs" / "web.urls"], replace=True)
        assert len(index.documents()) == 1
