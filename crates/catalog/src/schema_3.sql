-- From version 2 of the schema to version 3.
ALTER TABLE folder ADD COLUMN rules TEXT NOT NULL DEFAULT '{}';
ALTER TABLE folder ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE folder ADD COLUMN polled TEXT;
CREATE TABLE mount (
    path TEXT PRIMARY KEY,
    away INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
ALTER TABLE file ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
ALTER TABLE file ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE file ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE file ADD COLUMN retry_at INTEGER;
DROP INDEX file_by_state;
CREATE INDEX file_queue ON file (state, urgent DESC, size);
CREATE INDEX file_urgent ON file (urgent) WHERE urgent > 0;
CREATE INDEX file_retry ON file (retry_at) WHERE retry_at IS NOT NULL;
DROP TRIGGER file_deleted;
DROP TRIGGER file_changed;
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
