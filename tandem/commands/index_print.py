"""How the commands of `tandem index` tell commits and numbers to people."""

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from tandem.commands.output import print_json

NAMED: Final = 3

if TYPE_CHECKING:
    from retrieval.results import Commit, IndexStats


def print_commit(domain: str, commit: "Commit", as_json: bool, documents: set[str] | None = None) -> int:
    """What a change did; returns the exit status, 2 if a document could not be indexed.

    `documents` are the ids of all that are there now, where the change was to bring the whole index up to date.
    """
    if as_json:
        print_json({"domain": domain, **({} if documents is None else {"documents": len(documents)}), **asdict(commit)})
        return 2 if commit.failed else 0
    changes = [f"{len(getattr(commit, kind))} {kind}" for kind in ("added", "replaced", "removed", "unchanged")]
    total = "" if documents is None else f", {len(documents)} documents"
    print(f"{domain}: snapshot {commit.snapshot}{total} ({', '.join(changes)})")
    named = {*commit.added, *commit.replaced, *commit.unchanged, *(one.id for one in commit.failed)}
    if others := (documents or set()) - named:
        print(f"  {len(others)} of them came from elsewhere (`--replace` removes such)")
    if commit.hidden:
        print(f"  {_hidden(commit.hidden)}")
    for warning in commit.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for failure in commit.failed:
        print(f"not indexed: {failure.id}: {failure.reason}", file=sys.stderr)
    return 2 if commit.failed else 0


def _hidden(counts: dict[str, int]) -> str:
    """A sentence on what was left out because no reader sees it."""
    named = [f"{name} ({count:,})" for name, count in counts.items()]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return f"{sum(counts.values()):,} characters that no reader sees were left out: {', '.join(named[:NAMED])}{more}"


def print_stats(domain: str, found: "IndexStats") -> None:
    """One line each."""
    print(f"{domain}: snapshot {found.snapshot}, {found.documents} documents, {found.passages} passages")
    print(f"  {found.characters:,} characters of text, {found.bytes:,} bytes on disk")
    print(f"  snapshots from {found.oldest_snapshot} on can be searched")
    print(f"  embedder {found.embedder} ({found.embedder_digest[:8]}, {found.dimension} dimensions)")
    purged = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(found.purged_at)) if found.purged_at else "never yet"
    print(f"  {found.unpurged} documents are still to be purged from the files; last purged: {purged}")
