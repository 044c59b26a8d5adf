"""Checksums over what says whose a passage is: a document's id, title, metadata and permissions as they are stored."""

import hashlib
import json
import sqlite3


def seal(number: int, name: str, title: str, metadata: str, allow: str | None, language: str) -> bytes:
    """16 bytes over a document's row but for its text, which the digest beside it covers."""
    # Damage may turn a text into bytes, which SQLite hands on.
    row = json.dumps([number, name, title, metadata, allow, language], default=repr)
    return hashlib.blake2b(row.encode(), digest_size=16).digest()


def name_mark(name: str) -> int:
    """64 bits of an id, by which it is known apart from SQLite's index of ids, should that be damaged."""
    return int.from_bytes(hashlib.blake2b(str(name).encode(), digest_size=8).digest(), "big", signed=True)


def seal_all(connection: sqlite3.Connection) -> None:
    """Seal the documents of a database that had no seals yet; part of a migration."""
    unsealed = connection.execute(
        """SELECT number, id, title, metadata, allow, language FROM documents
           WHERE number NOT IN (SELECT document FROM seals)"""
    ).fetchall()
    connection.executemany(
        "INSERT INTO seals (document, value, name) VALUES (?, ?, ?)",
        [(row[0], seal(*row), name_mark(row[1])) for row in unsealed],
    )
