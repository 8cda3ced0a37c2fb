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
    language TEXT, -- ISO 639-1, '' where it cannot be told, NULL before anybody has looked
    UNIQUE (hash, kind, reader)
) STRICT;
CREATE INDEX document_without_language ON document (id) WHERE language IS NULL;

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

-- What an archive holds: its members, each a file of the library while the archive is one.
CREATE TABLE member (
    document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE,
    ord      INTEGER NOT NULL,
    path     TEXT NOT NULL, -- below the archive's
    failure  TEXT, -- why it cannot be read
    PRIMARY KEY (document, ord)
) STRICT, WITHOUT ROWID;

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
    retry_at INTEGER, -- seconds since 1970: not to be read before
    -- The archive on the disk that it is a member of: its path leads into that file, whose size,
    -- times and stamp are its own.
    archive  INTEGER REFERENCES file ON DELETE CASCADE
) STRICT;
CREATE INDEX file_by_archive ON file (archive, state);
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

-- What a model found in a document, of one question; it goes with the document.
CREATE TABLE finding (
    document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE,
    asked    TEXT NOT NULL, -- the question and all else that it depends on
    said     TEXT NOT NULL,
    PRIMARY KEY (document, asked)
) STRICT, WITHOUT ROWID;

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What happened to files, the latest 5000 times.
CREATE TABLE history (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL DEFAULT (unixepoch()), -- seconds since 1970
    kind     TEXT NOT NULL,
    path     TEXT, -- nothing names what the person has forgotten
    detail   TEXT, -- from where it was moved, why it failed, or how many files were forgotten
    document INTEGER -- of what was removed, to know it again where it turns up
) STRICT;
CREATE INDEX history_by_path ON history (path) WHERE path IS NOT NULL;
CREATE INDEX history_by_document ON history (document) WHERE document IS NOT NULL;
CREATE TRIGGER history_bounded AFTER INSERT ON history BEGIN
    DELETE FROM history WHERE id <= new.id - 5000;
END;
-- Of what is in an archive only failures are told, besides what happened to the archive.
CREATE TRIGGER history_added AFTER INSERT ON file
WHEN new.state <> 'skipped' AND new.archive IS NULL BEGIN
    INSERT INTO history (kind, path) VALUES ('added', new.path);
END;
-- The same content read by a later reader, or with what OCR has found, is no change.
CREATE TRIGGER history_changed AFTER UPDATE OF document ON file
WHEN new.archive IS NULL AND (SELECT hash FROM document WHERE id = old.document)
  <> (SELECT hash FROM document WHERE id = new.document) BEGIN
    INSERT INTO history (kind, path) VALUES ('changed', new.path);
END;
-- What was missed here turns up there.
CREATE TRIGGER history_found_again AFTER UPDATE OF document ON file
WHEN old.document IS NULL AND EXISTS
    (SELECT 1 FROM history WHERE document = new.document AND kind = 'removed') BEGIN
    INSERT INTO history (kind, path, detail) VALUES ('moved', new.path,
        (SELECT path FROM history WHERE document = new.document AND kind = 'removed'
         ORDER BY id DESC LIMIT 1));
    DELETE FROM history WHERE id = (SELECT max(id) FROM history
        WHERE document = new.document AND kind = 'removed');
    DELETE FROM history WHERE id = (SELECT max(id) FROM history
        WHERE path = new.path AND kind = 'added');
END;
-- It was found elsewhere just now, and read, before it was missed here.
CREATE TRIGGER history_moved_here AFTER DELETE ON file
WHEN old.archive IS NULL AND EXISTS (SELECT 1 FROM file JOIN history ON history.path = file.path AND kind = 'added'
    WHERE file.document = old.document AND at > unixepoch() - 60) BEGIN
    INSERT INTO history (kind, path, detail)
        SELECT 'moved', file.path, old.path FROM file
        JOIN history ON history.path = file.path AND kind = 'added'
        WHERE file.document = old.document AND at > unixepoch() - 60
        ORDER BY history.id DESC LIMIT 1;
    DELETE FROM history WHERE kind = 'added'
        AND path = (SELECT path FROM history ORDER BY id DESC LIMIT 1);
END;
CREATE TRIGGER history_removed AFTER DELETE ON file
WHEN old.archive IS NULL AND old.state <> 'skipped' AND NOT EXISTS
    (SELECT 1 FROM file JOIN history ON history.path = file.path AND kind = 'added'
     WHERE file.document = old.document AND at > unixepoch() - 60) BEGIN
    INSERT INTO history (kind, path, document) VALUES ('removed', old.path, old.document);
END;
-- A file that fails again and again for one reason is told once.
CREATE TRIGGER history_failed AFTER UPDATE OF state ON file
WHEN new.state = 'failed' AND old.state <> 'failed' BEGIN
    DELETE FROM history WHERE path = new.path AND kind = 'failed' AND detail IS new.reason;
    INSERT INTO history (kind, path, detail) VALUES ('failed', new.path, new.reason);
END;

-- What a person calls files, or all files below a folder.
CREATE TABLE tag (
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (path, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_by_name ON tag (name);
-- A file that was moved is missed at its old path before or after it is read at the new one: what it was called
-- waits with its document until then, and goes with that where nothing takes it.
CREATE TABLE tag_left (
    document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE,
    name     TEXT NOT NULL,
    PRIMARY KEY (document, name)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER tag_leaves AFTER DELETE ON file BEGIN
    INSERT INTO tag SELECT DISTINCT file.path, tag.name FROM tag
        JOIN file ON file.document = old.document AND file.id > old.id
        WHERE tag.path = old.path AND NOT EXISTS
            (SELECT 1 FROM tag AS known WHERE known.path = file.path AND known.name = tag.name);
    INSERT INTO tag_left SELECT old.document, name FROM tag
        WHERE path = old.path AND old.document IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM file WHERE document = old.document)
        AND NOT EXISTS (SELECT 1 FROM tag_left AS known
            WHERE known.document = old.document AND known.name = tag.name);
    DELETE FROM tag WHERE path = old.path;
END;
CREATE TRIGGER tag_follows AFTER UPDATE OF document ON file
WHEN old.document IS NULL AND new.document IS NOT NULL BEGIN
    INSERT INTO tag SELECT new.path, name FROM tag_left
        WHERE document = new.document AND NOT EXISTS
            (SELECT 1 FROM tag AS known WHERE path = new.path AND known.name = tag_left.name);
    DELETE FROM tag_left WHERE document = new.document;
END;
CREATE TRIGGER tag_of_folder AFTER DELETE ON folder BEGIN
    DELETE FROM tag WHERE path = old.path
        OR (path >= rtrim(old.path, '/') || '/' AND path < rtrim(old.path, '/') || '0')
        OR (path >= rtrim(old.path, '\') || '\' AND path < rtrim(old.path, '\') || ']');
END;
CREATE TRIGGER tag_of_exclusion AFTER INSERT ON exclusion BEGIN
    DELETE FROM tag WHERE path = new.path
        OR (path >= rtrim(new.path, '/') || '/' AND path < rtrim(new.path, '/') || '0')
        OR (path >= rtrim(new.path, '\') || '\' AND path < rtrim(new.path, '\') || ']');
END;
