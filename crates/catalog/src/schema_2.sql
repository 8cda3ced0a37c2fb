-- From version 1 of the schema to version 2.
ALTER TABLE page ADD COLUMN label TEXT;
ALTER TABLE file ADD COLUMN needs TEXT;
