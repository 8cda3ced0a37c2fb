-- From version 4 of the schema to version 5.
CREATE TABLE history (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL DEFAULT (unixepoch()),
    kind     TEXT NOT NULL,
    path     TEXT,
    detail   TEXT,
    document INTEGER
) STRICT;
CREATE INDEX history_by_path ON history (path) WHERE path IS NOT NULL;
CREATE INDEX history_by_document ON history (document) WHERE document IS NOT NULL;
CREATE TRIGGER history_bounded AFTER INSERT ON history BEGIN
    DELETE FROM history WHERE id <= new.id - 5000;
END;
CREATE TRIGGER history_added AFTER INSERT ON file WHEN new.state <> 'skipped' BEGIN
    INSERT INTO history (kind, path) VALUES ('added', new.path);
END;
CREATE TRIGGER history_changed AFTER UPDATE OF document ON file
WHEN (SELECT hash FROM document WHERE id = old.document)
  <> (SELECT hash FROM document WHERE id = new.document) BEGIN
    INSERT INTO history (kind, path) VALUES ('changed', new.path);
END;
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
CREATE TRIGGER history_moved_here AFTER DELETE ON file
WHEN EXISTS (SELECT 1 FROM file JOIN history ON history.path = file.path AND kind = 'added'
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
WHEN old.state <> 'skipped' AND NOT EXISTS
    (SELECT 1 FROM file JOIN history ON history.path = file.path AND kind = 'added'
     WHERE file.document = old.document AND at > unixepoch() - 60) BEGIN
    INSERT INTO history (kind, path, document) VALUES ('removed', old.path, old.document);
END;
CREATE TRIGGER history_failed AFTER UPDATE OF state ON file
WHEN new.state = 'failed' AND old.state <> 'failed' BEGIN
    DELETE FROM history WHERE path = new.path AND kind = 'failed' AND detail IS new.reason;
    INSERT INTO history (kind, path, detail) VALUES ('failed', new.path, new.reason);
END;
