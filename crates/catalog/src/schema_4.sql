-- From version 3 of the schema to version 4.
CREATE TABLE scan (
    hash  BLOB NOT NULL,
    page  INTEGER NOT NULL,
    lines TEXT,
    PRIMARY KEY (hash, page)
) STRICT, WITHOUT ROWID;
CREATE INDEX scan_queue ON scan (hash) WHERE lines IS NULL;
