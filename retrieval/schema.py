"""The tables of `index.db`.

Everything an answer is made of lies here; what is searched in memory is derived from `passages`.
A passage's `number` is never used twice, so that derived indexes can be brought up to date by
what is newer than their snapshot and by `removals`.
"""

from typing import Final

SCHEMA_VERSION: Final = 1

SCHEMA: Final = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,              -- embedder, embedder_digest
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
    number INTEGER PRIMARY KEY,        -- 0 is the empty index
    token TEXT NOT NULL,               -- random: tells this state from one of the same number elsewhere
    time REAL NOT NULL,                -- seconds since 1970, UTC
    documents INTEGER NOT NULL,        -- totals in this state
    passages INTEGER NOT NULL
) STRICT;

CREATE TABLE documents (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    text TEXT NOT NULL,                -- as retrieval.documents.clean_text leaves it
    metadata TEXT NOT NULL,            -- JSON object
    digest TEXT NOT NULL,              -- of title, text and metadata; checked when read
    cut TEXT NOT NULL,                 -- key of the splitter that made its passages
    snapshot INTEGER NOT NULL REFERENCES snapshots (number)
) STRICT;

CREATE TABLE passages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
    position INTEGER NOT NULL,         -- 1 for the first of its document
    start INTEGER NOT NULL,            -- characters
    stop INTEGER NOT NULL,
    text TEXT NOT NULL,
    section TEXT NOT NULL,             -- heading path
    context TEXT NOT NULL,             -- put above the text for searching
    vector BLOB NOT NULL,              -- little-endian float32
    checksum BLOB NOT NULL,            -- over all of the above but `document`; checked when read
    snapshot INTEGER NOT NULL REFERENCES snapshots (number),
    UNIQUE (document, position)
) STRICT;
CREATE INDEX passages_snapshot ON passages (snapshot);

CREATE TABLE removals (                -- passages that are gone, for derived indexes to follow
    number INTEGER PRIMARY KEY,
    snapshot INTEGER NOT NULL REFERENCES snapshots (number)
) STRICT;
CREATE INDEX removals_snapshot ON removals (snapshot);

CREATE TABLE attributes (              -- metadata, one row for each value, for filters
    document INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,               -- JSON scalar
    PRIMARY KEY (key, value, document)
) STRICT, WITHOUT ROWID;
CREATE INDEX attributes_document ON attributes (document);

CREATE TABLE sources (                 -- files that sync has indexed
    document INTEGER PRIMARY KEY REFERENCES documents (number) ON DELETE CASCADE,
    root TEXT NOT NULL,                -- absolute path of the folder, or of the file itself
    path TEXT NOT NULL,                -- absolute path of the file
    content TEXT NOT NULL              -- digest of its bytes and of the parser's version
) STRICT;
CREATE INDEX sources_root ON sources (root);

CREATE TABLE deletions (               -- ids deleted by name: sync does not bring them back, add does
    id TEXT PRIMARY KEY,
    snapshot INTEGER NOT NULL REFERENCES snapshots (number),
    time REAL NOT NULL
) STRICT, WITHOUT ROWID;
"""
