-- From version 5 of the schema to version 6.
-- What a model found in a document, of one question; it goes with the document.
CREATE TABLE finding (
    document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE,
    asked    TEXT NOT NULL, -- the question and all else that it depends on
    said     TEXT NOT NULL,
    PRIMARY KEY (document, asked)
) STRICT, WITHOUT ROWID;
ALTER TABLE document ADD COLUMN language TEXT;
CREATE INDEX document_without_language ON document (id) WHERE language IS NULL;
CREATE TABLE tag (
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (path, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_by_name ON tag (name);
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
CREATE TABLE member (
    document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE,
    ord      INTEGER NOT NULL,
    path     TEXT NOT NULL,
    failure  TEXT,
    PRIMARY KEY (document, ord)
) STRICT, WITHOUT ROWID;
ALTER TABLE file ADD COLUMN archive INTEGER REFERENCES file ON DELETE CASCADE;
CREATE INDEX file_by_archive ON file (archive, state);
DROP TRIGGER history_added;
DROP TRIGGER history_changed;
DROP TRIGGER history_moved_here;
DROP TRIGGER history_removed;
CREATE TRIGGER history_added AFTER INSERT ON file
WHEN new.state <> 'skipped' AND new.archive IS NULL BEGIN
    INSERT INTO history (kind, path) VALUES ('added', new.path);
END;
CREATE TRIGGER history_changed AFTER UPDATE OF document ON file
WHEN new.archive IS NULL AND (SELECT hash FROM document WHERE id = old.document)
  <> (SELECT hash FROM document WHERE id = new.document) BEGIN
    INSERT INTO history (kind, path) VALUES ('changed', new.path);
END;
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
