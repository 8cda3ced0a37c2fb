//! The catalogue: folders, files, texts, jobs and conversations in SQLite.
