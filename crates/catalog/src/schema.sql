-- Places that the person named: a folder, or one file.
CREATE TABLE folder (
    id       INTEGER PRIMARY KEY,
    path     TEXT NOT NULL UNIQUE,
    missing  INTEGER NOT NULL DEFAULT 0,
    added    INTEGER NOT NULL,
    rules    TEXT NOT NULL DEFAULT '{}', -- what inside it belongs to the library
    paused   INTEGER NOT NULL DEFAULT 0,
    polled   TEXT -- why it is looked at from time to time, where the system does not tell of changes
) STRICT;

-- Pages that are pictures, by the content of the file. `lines`, what OCR found there, is its queue: a
-- page without waits.
CREATE TABLE scan (
    hash  BLOB NOT NULL,
    page  INTEGER NOT NULL,
    lines TEXT,
    PRIMARY KEY (hash, page)
) STRICT, WITHOUT ROWID;
CREATE INDEX scan_queue ON scan (hash) WHERE lines IS NULL;

-- Places at and below folders where other file systems were mounted. Once such a place is
-- empty and no mount point any more, its drive is away and its files are not gone.
CREATE TABLE mount (
    path TEXT PRIMARY KEY,
    away INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Paths below a folder that the person has forgotten on purpose.
CREATE TABLE exclusion (
    path TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- One content, read by one version of the readers. Ids are never used again,
-- because the index may still hold rows of ids that are gone.
CREATE TABLE document (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    hash     BLOB NOT NULL,
    kind     TEXT NOT NULL,
    reader   INTEGER NOT NULL,
    title    TEXT,
    text     TEXT NOT NULL,
    blocks   BLOB NOT NULL,
    warnings TEXT NOT NULL,
    UNIQUE (hash, kind, reader)
) STRICT;

CREATE TABLE page (
    document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE,
    ord      INTEGER NOT NULL,
    number   INTEGER,
    label    TEXT,
    start    INTEGER NOT NULL,
    end      INTEGER NOT NULL,
    boxes    BLOB NOT NULL,
    PRIMARY KEY (document, ord)
) STRICT, WITHOUT ROWID;

-- `indexed` and `embedded` are the queues of the two indices.
CREATE TABLE chunk (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE,
    start    INTEGER NOT NULL,
    end      INTEGER NOT NULL,
    page     INTEGER,
    heading  TEXT NOT NULL,
    text     TEXT NOT NULL,
    indexed  INTEGER NOT NULL DEFAULT 0,
    embedded INTEGER NOT NULL DEFAULT 0
) STRICT;
-- Covers the counting of a status, which must not read the texts.
CREATE INDEX chunk_by_document ON chunk (document, indexed, embedded);
CREATE INDEX chunk_to_index ON chunk (id) WHERE indexed = 0;
CREATE INDEX chunk_to_embed ON chunk (id) WHERE embedded = 0;

-- The state is the queue: what is pending waits to be read. A file that has
-- changed keeps its old document until the new one, `incoming`, is searchable.
CREATE TABLE file (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    folder   INTEGER NOT NULL REFERENCES folder ON DELETE CASCADE,
    path     TEXT NOT NULL UNIQUE,
    size     INTEGER NOT NULL,
    modified INTEGER NOT NULL, -- nanoseconds since 1970
    state    TEXT NOT NULL,
    reason   TEXT,
    needs    TEXT, -- what the person could give, where the state is failed
    document INTEGER REFERENCES document,
    incoming INTEGER REFERENCES document,
    stamp    INTEGER NOT NULL DEFAULT 0, -- differs once the file has changed; 0 where that is not known
    urgent   INTEGER NOT NULL DEFAULT 0, -- seconds since 1970: somebody edits it or looks at it
    attempts INTEGER NOT NULL DEFAULT 0, -- to read it, one soon after the other
    retry_at INTEGER -- seconds since 1970: not to be read before
) STRICT;
CREATE INDEX file_by_folder ON file (folder);
CREATE INDEX file_by_document ON file (document);
CREATE INDEX file_by_incoming ON file (incoming) WHERE incoming IS NOT NULL;
CREATE INDEX file_queue ON file (state, urgent DESC, size);
CREATE INDEX file_urgent ON file (urgent) WHERE urgent > 0;
CREATE INDEX file_retry ON file (retry_at) WHERE retry_at IS NOT NULL;

-- Documents that a file has let go of: perhaps no other file holds them.
CREATE TABLE loose (
    document INTEGER PRIMARY KEY
) STRICT;
-- The statement that fires a trigger decides what a conflict does, so there must be none.
CREATE TRIGGER file_deleted AFTER DELETE ON file BEGIN
    INSERT INTO loose SELECT old.document
        WHERE old.document IS NOT NULL AND old.document NOT IN (SELECT document FROM loose);
    INSERT INTO loose SELECT old.incoming
        WHERE old.incoming IS NOT NULL AND old.incoming NOT IN (SELECT document FROM loose);
END;
CREATE TRIGGER file_changed AFTER UPDATE OF document, incoming ON file BEGIN
    INSERT INTO loose SELECT old.document
        WHERE old.document IS NOT new.document AND old.document IS NOT NULL
          AND old.document NOT IN (SELECT document FROM loose);
    INSERT INTO loose SELECT old.incoming
        WHERE old.incoming IS NOT new.incoming AND old.incoming IS NOT NULL
          AND old.incoming NOT IN (SELECT document FROM loose);
END;

-- Documents whose rows are still in the index.
CREATE TABLE garbage (
    document INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE conversation (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    title   TEXT NOT NULL,
    updated INTEGER NOT NULL -- seconds since 1970
) STRICT;

CREATE TABLE turn (
    id           INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversation ON DELETE CASCADE,
    answer       TEXT NOT NULL
) STRICT;
CREATE INDEX turn_by_conversation ON turn (conversation);

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
