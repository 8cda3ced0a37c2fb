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
CREATE TRIGGER tag_follows AFTER DELETE ON file BEGIN
    INSERT INTO tag SELECT DISTINCT file.path, tag.name FROM tag
        JOIN file ON file.document = old.document AND file.id > old.id
        WHERE tag.path = old.path AND NOT EXISTS
            (SELECT 1 FROM tag AS known WHERE known.path = file.path AND known.name = tag.name);
    DELETE FROM tag WHERE path = old.path;
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
