//! The catalogue: folders, files, texts, chunks and conversations in SQLite.
//!
//! It is the truth. The search index is a cache of it and can be made again from
//! it. Every change is one transaction, so a process that is killed leaves either
//! all of a change or nothing. Several processes may have the catalogue open
//! (write-ahead log); [`Catalog::change_counter`] tells one that another wrote.

mod conversations;
mod documents;
mod files;

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use documents::{ChunkRecord, DocumentRecord, Line, NewDocument, PageRecord, QueuedChunk};
pub use files::{
    Counts, FileRecord, FileState, FolderRecord, FoundFile, Look, QueuedFile, ReadOutcome,
    ScopeFilter,
};
use rusqlite::{Connection, OpenFlags};

/// The version of the schema, in SQLite's `user_version`.
const SCHEMA_VERSION: i32 = 2;

/// Why the catalogue did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// SQLite refused.
    #[error("the library's catalogue failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The library was written by a later version of Lectern.
    #[error(
        "this library was written by a newer version of Lectern (schema {found}, this one knows {SCHEMA_VERSION})"
    )]
    TooNew {
        /// The version found.
        found: i32,
    },
    /// A stored value cannot be understood.
    #[error("the library's catalogue holds a value that cannot be read: {0}")]
    Corrupt(String),
}

type Result<T> = std::result::Result<T, CatalogError>;

/// One connection to a library's catalogue.
#[derive(Debug)]
pub struct Catalog {
    connection: Mutex<Connection>,
}

impl Catalog {
    /// Opens the catalogue at `path`, making it where there is none.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        // Another process may hold the write lock for the length of a batch.
        connection.busy_timeout(Duration::from_secs(30))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // In WAL mode this survives a killed process; a power cut may lose the
        // last moments, which the next look at the disk brings back.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // A transaction that reads before it writes would fail at once, without
        // waiting, where another connection wrote in between.
        connection.set_transaction_behavior(rusqlite::TransactionBehavior::Immediate);
        let transaction = connection.transaction()?;
        let found: i32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match found {
            0 => {
                transaction.execute_batch(include_str!("schema.sql"))?;
                transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            }
            1 => {
                transaction.execute_batch(include_str!("schema_2.sql"))?;
                transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            }
            SCHEMA_VERSION => {}
            _ => return Err(CatalogError::TooNew { found }),
        }
        transaction.commit()?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// A number that differs from an earlier call's when another connection has
    /// changed the catalogue in between. Costs next to nothing.
    pub fn change_counter(&self) -> Result<i64> {
        Ok(self.lock().query_row("PRAGMA data_version", [], |row| row.get(0))?)
    }

    /// A setting's value.
    pub fn setting(&self, name: &str) -> Result<Option<String>> {
        use rusqlite::OptionalExtension;
        Ok(self
            .lock()
            .query_row("SELECT value FROM setting WHERE name = ?1", [name], |row| row.get(0))
            .optional()?)
    }

    /// Keeps a setting.
    pub fn set_setting(&self, name: &str, value: &str) -> Result<()> {
        self.lock().execute(
            "INSERT INTO setting (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [name, value],
        )?;
        Ok(())
    }

    /// A panic while the lock was held has rolled its transaction back, so the
    /// connection is still good.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
