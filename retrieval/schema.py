"""The tables of `index.db`.

Everything an answer is made of lies here; what is searched in memory is derived from `passages`.
A passage's `number` is never used twice, so that derived indexes can be brought up to date by
what is newer than their snapshot and by `removals`.
"""

from collections.abc import Mapping
from typing import Final

SCHEMA_VERSION: Final = 2
PAIR_MODULUS: Final = 1_000_000_007
"""A passage's number times its document's, modulo this prime: sums of it stay far below 64 bits."""


def _counted(table: str, kind: str, key: str, value: str, number: str, pair: str = "0", when: str = "TRUE") -> str:
    """Triggers that keep `totals` of `table`; in the arguments `row.` stands for the row that comes or goes."""
    triggers = ""
    for event, row, sign in (("INSERT", "new.", 1), ("DELETE", "old.", -1)):
        trigger = f"""
CREATE TRIGGER {kind}_{event.lower()} AFTER {event} ON {table} WHEN {when} BEGIN
    INSERT INTO totals (kind, key, value, count, numbers, pairs)
    VALUES ('{kind}', {key}, {value}, {sign}, {sign} * {number}, {sign} * {pair})
    ON CONFLICT (kind, key, value) DO UPDATE SET
        count = count + excluded.count, numbers = numbers + excluded.numbers, pairs = pairs + excluded.pairs;
    DELETE FROM totals WHERE kind = '{kind}' AND key = {key} AND value = {value} AND count = 0;
END;
"""  # noqa: S608 - only constants
        triggers += trigger.replace("row.", row)
    return triggers


_TOTALS_SO_FAR: Final = f"""
INSERT INTO totals SELECT 'attribute', key, value, count(*), sum(document), 0 FROM attributes GROUP BY key, value;
INSERT INTO totals SELECT 'passage', '', '', count(*), sum(number), sum(number * document % {PAIR_MODULUS})
    FROM passages HAVING count(*) > 0;
"""  # noqa: S608 - only constants

# Version 1; what came later is in MIGRATIONS, so that a new database and an old one end alike.
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

MIGRATIONS: Final[Mapping[int, str]] = {
    2: """
ALTER TABLE documents ADD COLUMN allow TEXT;                         -- JSON list of names; NULL: everybody
ALTER TABLE documents ADD COLUMN language TEXT NOT NULL DEFAULT '';  -- ISO 639-1; empty: not known
ALTER TABLE documents ADD COLUMN pages TEXT;                         -- JSON list: characters at which pages begin
ALTER TABLE passages ADD COLUMN pages TEXT;                          -- JSON list: its page, then where further begin

CREATE TABLE permissions (             -- who may see a document whose `allow` is not NULL
    document INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
    principal TEXT NOT NULL,           -- a user or a group
    PRIMARY KEY (document, principal)
) STRICT, WITHOUT ROWID;
CREATE INDEX permissions_principal ON permissions (principal, document);
-- A document's row may be megabytes long, and both come after its text.
CREATE INDEX documents_restricted ON documents (id) WHERE allow IS NOT NULL;
CREATE INDEX documents_language ON documents (language);

CREATE TABLE purges (                  -- texts that left the tables; their bytes have to leave the files too
    number INTEGER PRIMARY KEY,
    snapshot INTEGER NOT NULL,         -- derived files older than this may still hold them
    reason TEXT NOT NULL,              -- deleted (by name) or collected
    documents INTEGER NOT NULL,
    asked_at REAL NOT NULL,            -- seconds since 1970, UTC
    purged_at REAL                     -- NULL: still to be done
) STRICT;

CREATE TABLE history (                 -- one row
    oldest INTEGER NOT NULL            -- the oldest snapshot that can still be read
) STRICT;
INSERT INTO history SELECT max(number) FROM snapshots;

CREATE TABLE erasures (                -- every deletion by name there ever was: a restored backup is to follow them
    id TEXT NOT NULL,
    time REAL NOT NULL,
    PRIMARY KEY (id, time)
) STRICT, WITHOUT ROWID;
INSERT INTO erasures SELECT id, time FROM deletions;

CREATE TABLE seals (                   -- one row for each document
    document INTEGER PRIMARY KEY REFERENCES documents (number) ON DELETE CASCADE,
    value BLOB NOT NULL,               -- over its row but for the text; checked when read
    name INTEGER NOT NULL              -- 64 bits of its id, by which one that is not found is looked for again
) STRICT;
CREATE INDEX seals_name ON seals (name);

CREATE TABLE totals (                  -- how many rows a condition has to find, so that a lost one is noticed
    kind TEXT NOT NULL,                -- attribute, permission (its key is the principal), restricted, passage
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    count INTEGER NOT NULL,
    numbers INTEGER NOT NULL,          -- sum of their documents' numbers; of passages: of their own
    pairs INTEGER NOT NULL,            -- passages only: sum of number times document, modulo a prime
    PRIMARY KEY (kind, key, value)
) STRICT, WITHOUT ROWID;
"""  # noqa: S608 - only constants
    + _counted("attributes", "attribute", "row.key", "row.value", "row.document")
    + _counted("permissions", "permission", "row.principal", "''", "row.document")
    + _counted("documents", "restricted", "''", "''", "row.number", when="row.allow IS NOT NULL")
    + _counted("passages", "passage", "''", "''", "row.number", f"(row.number * row.document % {PAIR_MODULUS})")
    + _TOTALS_SO_FAR,
}
"""What each version adds to the one before it; `retrieval.history.mirror` then adds the tables of old rows."""
