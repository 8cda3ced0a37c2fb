//! The catalogue: folders, files, texts, chunks and conversations in SQLite.
//!
//! It is the truth. The search index is a cache of it and can be made again from
//! it. Every change is one transaction, so a process that is killed leaves either
//! all of a change or nothing. Several processes may have the catalogue open
//! (write-ahead log); [`Catalog::change_counter`] tells one that another wrote.

mod conversations;
mod copies;
mod documents;
mod files;
mod folders;
mod forgetting;
mod history;
mod scans;
mod tags;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use copies::restore;
pub use documents::{
    ChunkRecord, DocumentRecord, Line, Member, NewDocument, PageRecord, QueuedChunk,
};
pub use files::{
    ArchiveFile, Attached, Counts, FileRecord, FileState, FoundFile, Look, QueuedFile, ReadOutcome,
    ScopeFilter,
};
pub use folders::{FolderRecord, FolderRules, Mount};
pub use forgetting::Remains;
pub use history::{HistoryEntry, HistoryKind};
use rusqlite::{Connection, ErrorCode, OpenFlags};
pub use scans::QueuedScan;
pub use tags::Tag;

/// The version of the schema, in SQLite's `user_version`.
const SCHEMA_VERSION: i32 = 6;

/// The steps from each version of the schema to the next, the first one's first.
const MIGRATIONS: [&str; 5] = [
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
];

/// Why the catalogue did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// SQLite refused.
    #[error("the library's catalogue failed: {0}")]
    Sqlite(rusqlite::Error),
    /// The file is damaged.
    #[error("the library's catalogue is damaged: {0}")]
    Damaged(rusqlite::Error),
    /// There is no room for more.
    #[error("the disk that holds the library is full")]
    Full,
    /// The library can be read but not changed.
    #[error("the library cannot be changed: its disk or folder is read-only")]
    ReadOnly,
    /// The copy of the catalogue cannot be made or put back.
    #[error("the copy of the library's catalogue failed: {0}")]
    Copy(std::io::Error),
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

impl CatalogError {
    /// Whether the disk does not take what would be written, so that the catalogue may still
    /// be read.
    pub fn is_of_the_disk(&self) -> bool {
        match self {
            Self::Full | Self::ReadOnly => true,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::CannotOpen
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::PermissionDenied
                )
            ),
            _ => false,
        }
    }
}

impl From<rusqlite::Error> for CatalogError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error),
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            _ => Self::Sqlite(error),
        }
    }
}

type Result<T> = std::result::Result<T, CatalogError>;

/// One connection to a library's catalogue.
#[derive(Debug)]
pub struct Catalog {
    connection: Mutex<Connection>,
    path: PathBuf,
}

impl Catalog {
    /// Opens the catalogue at `path`, making it where there is none. One of an older
    /// version is brought to this one, after [`Catalog::keep_copy`].
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
        // What is forgotten is overwritten, not only taken off the list.
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        // A transaction that reads before it writes would fail at once, without
        // waiting, where another connection wrote in between.
        connection.set_transaction_behavior(rusqlite::TransactionBehavior::Immediate);
        if (1..SCHEMA_VERSION).contains(&version(&connection)?) {
            copies::copy(path)?;
        }
        let transaction = connection.transaction()?;
        let found = version(&transaction)?;
        match found {
            0 => transaction.execute_batch(include_str!("schema.sql"))?,
            1..SCHEMA_VERSION => {
                for step in &MIGRATIONS[found as usize - 1..] {
                    transaction.execute_batch(step)?;
                }
            }
            SCHEMA_VERSION => {}
            _ => return Err(CatalogError::TooNew { found }),
        }
        if found != SCHEMA_VERSION {
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        transaction.commit()?;
        Ok(Self { connection: Mutex::new(connection), path: path.to_owned() })
    }

    /// Opens a catalogue that cannot be written to, such as one on a read-only disk.
    /// Whatever would change it fails with [`CatalogError::ReadOnly`].
    pub fn open_read_only(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let name = path.to_string_lossy();
        let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        let open = |options: &str| {
            let connection = Connection::open_with_flags(format!("file:{name}{options}"), flags)?;
            Ok::<_, CatalogError>((version(&connection)?, connection))
        };
        // Where SQLite cannot make the memory that it shares between processes, the
        // file has to be promised not to change.
        let (found, connection) = open("").or_else(|_| open("?immutable=1"))?;
        match found {
            SCHEMA_VERSION => {}
            0..SCHEMA_VERSION => return Err(CatalogError::ReadOnly),
            _ => return Err(CatalogError::TooNew { found }),
        }
        Ok(Self { connection: Mutex::new(connection), path: path.to_owned() })
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

fn version(connection: &Connection) -> Result<i32> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}
