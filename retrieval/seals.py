"""Checksums over what says whose a passage is: a document's id, title and metadata as they are stored."""

import hashlib
import json
import sqlite3


def seal(number: int, name: str, title: str, metadata: str) -> bytes:
    """16 bytes over a document's row as far as hits show it; the digest beside it covers the text."""
    return hashlib.blake2b(json.dumps([number, name, title, metadata]).encode(), digest_size=16).digest()


def seal_all(connection: sqlite3.Connection) -> None:
    """Seal the documents of a database that had no seals yet; part of a migration."""
    unsealed = connection.execute(
        "SELECT number, id, title, metadata FROM documents WHERE number NOT IN (SELECT document FROM seals)"
    ).fetchall()
    connection.executemany(
        "INSERT INTO seals (document, value) VALUES (?, ?)", [(row[0], seal(*row)) for row in unsealed]
    )
