-- From version 5 of the schema to version 6.
-- What a model found in a document, of one question; it goes with the document.
CREATE TABLE finding (
    document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE,
    asked    TEXT NOT NULL, -- the question and all else that it depends on
    said     TEXT NOT NULL,
    PRIMARY KEY (document, asked)
) STRICT, WITHOUT ROWID;
