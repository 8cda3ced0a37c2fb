-- From version 5 of the schema to version 6.
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
