"""How large an index is, and what it was made with."""

import contextlib
import os
from pathlib import Path

from retrieval import history, rows
from retrieval.embedder import Embedder
from retrieval.purge import DELAYS
from retrieval.results import IndexStats
from retrieval.store import Store
from tandem.errors import ConfigError
from tandem.settings import RetrievalConfig


def read_stats(store: Store, folder: Path, embedder: Embedder, settings: RetrievalConfig) -> IndexStats:
    """The sizes of the newest snapshot, and of the files in `folder`."""
    with store.reading() as connection:
        state = rows.current_state(connection)
        pending = rows.pending_purge(connection, DELAYS)
        oldest = history.oldest(connection)
        purged_at = rows.last_purge(connection)
        characters = connection.execute("SELECT coalesce(sum(length(text)), 0) FROM documents").fetchone()[0]
    return IndexStats(
        snapshot=state.snapshot,
        documents=state.documents,
        passages=state.passages,
        characters=characters,
        bytes=_size(folder),
        embedder=embedder.name,
        embedder_digest=embedder.digest,
        dimension=embedder.dimension,
        passage_tokens=settings.passage_tokens,
        overlap_tokens=settings.overlap_tokens,
        unpurged=pending.documents if pending else 0,
        purged_at=purged_at,
        oldest_snapshot=oldest,
    )


def check_embedder(store: Store, embedder: Embedder) -> None:
    """Note which embedder a new index is made with; raises ConfigError (`embedder_mismatch`) for another one."""
    mine = {"embedder": embedder.name, "embedder_digest": embedder.digest}
    with store.reading() as connection:
        stored = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    if not stored:
        with store.writing() as connection:
            connection.executemany("INSERT OR IGNORE INTO meta (key, value) VALUES (?, ?)", list(mine.items()))
            stored = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    if not stored.keys() >= mine.keys():
        raise rows.damaged("name of the embedder")
    if stored["embedder_digest"] != embedder.digest:
        folder = store.path.parent
        raise ConfigError(
            f"The index {folder} was made with the embedder {stored['embedder']!r}"
            f" ({stored['embedder_digest'][:8]}) and cannot be searched with {embedder.name!r}"
            f" ({embedder.digest[:8]}); set the embedder back, or run"
            f" `tandem index {folder.name} --reembed`, which embeds its documents anew.",
            code="embedder_mismatch",
        )


def _size(folder: Path) -> int:
    total = 0
    # A file or folder may be gone again by the time it is asked about: then `os.walk` goes on without it.
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += Path(place, name).stat().st_size
    return total
