//! Folders and files, and the queue of files to be read.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use lectern_domain::{DocumentId, DocumentKind, FileId, FolderId};
use rusqlite::{Connection, OptionalExtension, named_params, params};

use crate::{Catalog, CatalogError, Result, documents};

/// Where a file is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Waiting to be read.
    Pending,
    /// Being read.
    Reading,
    /// Searchable.
    Ready,
    /// Left out, with a reason.
    Skipped,
    /// Could not be read, with a reason.
    Failed,
}

impl FileState {
    const ALL: [Self; 5] = [Self::Pending, Self::Reading, Self::Ready, Self::Skipped, Self::Failed];

    /// The name used in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Reading => "reading",
            Self::Ready => "ready",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }

    fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or_else(|| CatalogError::Corrupt(format!("file state {name:?}")))
    }
}

/// In `file.needs`: a password.
const PASSWORD: &str = "password";

/// A folder or single file that the person named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderRecord {
    /// Its id.
    pub id: FolderId,
    /// Absolute path.
    pub path: String,
    /// It could not be found when it was last looked at.
    pub missing: bool,
}

/// A file as a look at the disk found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Absolute path.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Last change, nanoseconds since 1970.
    pub modified: i64,
    /// Why it is not to be read, if so.
    pub skip: Option<String>,
}

/// What a look at the disk saw at and below a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look<'a> {
    /// The path, inside a folder.
    pub root: &'a str,
    /// The files there.
    pub found: &'a [FoundFile],
    /// Paths that could not be looked at: what lies there is as it was.
    pub unreadable: &'a [String],
    /// [`Catalog::newest_file`] when the look began: what was found by somebody
    /// else since then is not gone.
    pub newest: FileId,
}

/// A file that waits to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedFile {
    /// Its id.
    pub id: FileId,
    /// Absolute path.
    pub path: String,
    /// Bytes, when it was found.
    pub size: u64,
    /// Last change, when it was found.
    pub modified: i64,
}

/// How the reading of a file ended without a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Left out, with the reason.
    Skipped(String),
    /// Could not be read, with the reason.
    Failed(String),
    /// Cannot be read before the person gives its password, with the reason.
    PasswordNeeded(String),
    /// Could not be reached, with the reason: it may be tomorrow. What was read of
    /// it before stays searchable, and the next look queues it again.
    Unreachable(String),
    /// To be read once more: it changed meanwhile or the program is stopping.
    Again,
}

/// A file of the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRecord {
    /// Absolute path.
    pub path: String,
    /// Where it is on its way.
    pub state: FileState,
    /// Why it was skipped or failed.
    pub reason: Option<String>,
    /// It failed because it opens with a password only.
    pub needs_password: bool,
    /// Pages, for kinds that have them.
    pub pages: Option<u32>,
    /// Searchable chunks.
    pub chunks: u32,
    /// Chunks with a vector.
    pub embedded_chunks: u32,
    /// Last change, nanoseconds since 1970.
    pub modified: i64,
    /// What it was read as, or, where it was not, what its name stands for.
    pub kind: Option<DocumentKind>,
}

/// Numbers of files and chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Files that are ready.
    pub ready: u64,
    /// Files waiting or being read.
    pub pending: u64,
    /// Files left out.
    pub skipped: u64,
    /// Files that could not be read.
    pub failed: u64,
    /// Chunks searchable by their words.
    pub chunks: u64,
    /// Chunks with a vector as well.
    pub embedded_chunks: u64,
}

/// Which files a search may use. Empty lists and `None` do not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScopeFilter {
    /// At or below one of these absolute paths.
    pub within: Vec<String>,
    /// Of one of these kinds.
    pub kinds: Vec<String>,
    /// Changed at or after, nanoseconds since 1970.
    pub since: Option<i64>,
    /// Changed before, nanoseconds since 1970.
    pub before: Option<i64>,
}

impl ScopeFilter {
    /// Whether every file passes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `path` itself and all below it, as a SQL condition on `column`. The range is
/// what an index can use: everything that starts with `path/` sorts between
/// `path/` and `path0`, `0` being the character after `/`. The root ends with a
/// separator already.
fn below(column: &str, parameter: &str) -> String {
    let separator = std::path::MAIN_SEPARATOR;
    let after = char::from(separator as u8 + 1);
    let stem = format!("rtrim({parameter}, '{separator}')");
    format!(
        "({column} = {parameter} OR ({column} >= {stem} || '{separator}' AND {column} < {stem} || '{after}'))"
    )
}

impl Catalog {
    /// Every named place, by path.
    pub fn folders(&self) -> Result<Vec<FolderRecord>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT id, path, missing FROM folder ORDER BY path")?;
        let rows = statement.query_map([], |row| {
            Ok(FolderRecord { id: FolderId(row.get(0)?), path: row.get(1)?, missing: row.get(2)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Adds a place. A place inside one that is already there only lifts its
    /// exclusion, and inside one that is excluded it becomes a place of its own;
    /// places inside the new one become part of it. Returns the folder that now
    /// covers `path`.
    pub fn add_folder(&self, path: &str, now: i64) -> Result<FolderRecord> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        transaction
            .execute(&format!("DELETE FROM exclusion WHERE {}", below("path", "?1")), [path])?;
        let covering: Option<FolderRecord> = transaction
            .query_row(
                &format!(
                    "SELECT id, path, missing FROM folder WHERE {}
                     AND NOT EXISTS (SELECT 1 FROM exclusion
                                     WHERE {} AND {} AND exclusion.path <> folder.path)
                     ORDER BY length(path) DESC",
                    below("?1", "path"),
                    below("?1", "exclusion.path"),
                    below("exclusion.path", "folder.path")
                ),
                [path],
                |row| {
                    Ok(FolderRecord {
                        id: FolderId(row.get(0)?),
                        path: row.get(1)?,
                        missing: row.get(2)?,
                    })
                },
            )
            .optional()?;
        let folder = match covering {
            Some(folder) => folder,
            None => {
                transaction.execute(
                    "INSERT INTO folder (path, added) VALUES (?1, ?2)",
                    params![path, now],
                )?;
                let id = FolderId(transaction.last_insert_rowid());
                transaction.execute(
                    &format!(
                        "UPDATE file SET folder = ?2 WHERE folder IN
                         (SELECT id FROM folder WHERE id <> ?2 AND {})",
                        below("path", "?1")
                    ),
                    params![path, id.0],
                )?;
                transaction.execute(
                    &format!("DELETE FROM folder WHERE id <> ?2 AND {}", below("path", "?1")),
                    params![path, id.0],
                )?;
                FolderRecord { id, path: path.to_owned(), missing: false }
            }
        };
        transaction.commit()?;
        Ok(folder)
    }

    /// Forgets `path` and all below it: a named place is no longer watched, and a
    /// path inside one is excluded from now on. Returns whether anything in the
    /// library was at or below it.
    pub fn remove_path(&self, path: &str) -> Result<bool> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let mut changed = transaction
            .execute(&format!("DELETE FROM file WHERE {}", below("path", "?1")), [path])?;
        changed += transaction
            .execute(&format!("DELETE FROM folder WHERE {}", below("path", "?1")), [path])?;
        let inside: bool = transaction.query_row(
            &format!("SELECT EXISTS (SELECT 1 FROM folder WHERE {})", below("?1", "path")),
            [path],
            |row| row.get(0),
        )?;
        if inside {
            changed += transaction
                .execute("INSERT OR IGNORE INTO exclusion (path) VALUES (?1)", [path])?;
        }
        documents::drop_unused(&transaction)?;
        transaction.commit()?;
        Ok(changed > 0)
    }

    /// The excluded paths inside `folder`.
    pub fn exclusions(&self, folder: FolderId) -> Result<HashSet<PathBuf>> {
        excluded_inside(&self.lock(), folder)
    }

    /// Whether the library holds a file at exactly this path.
    pub fn has_file(&self, path: &str) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM file WHERE path = ?1)";
        Ok(self.lock().query_row(sql, [path], |row| row.get(0))?)
    }

    /// Notes whether a place can be found at the moment.
    pub fn set_missing(&self, folder: FolderId, missing: bool) -> Result<()> {
        self.lock().execute(
            "UPDATE folder SET missing = ?2 WHERE id = ?1 AND missing <> ?2",
            params![folder.0, missing],
        )?;
        Ok(())
    }

    /// The latest file that was found.
    pub fn newest_file(&self) -> Result<FileId> {
        Ok(self.lock().query_row("SELECT coalesce(max(id), 0) FROM file", [], |row| {
            Ok(FileId(row.get(0)?))
        })?)
    }

    /// Makes the library agree with what a look saw inside `folder`: new and changed
    /// files are queued, files that are gone are forgotten. What was forgotten or
    /// excluded while the look was under way stays so. Returns how many files are
    /// new.
    pub fn reconcile(&self, folder: FolderId, look: &Look<'_>) -> Result<u64> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let named: bool = transaction.query_row(
            "SELECT EXISTS (SELECT 1 FROM folder WHERE id = ?1)",
            [folder.0],
            |row| row.get(0),
        )?;
        if !named {
            return Ok(0);
        }
        let mut added = 0;
        {
            // Files that another place inside this folder holds are that place's.
            let mut known = transaction
                .prepare_cached("SELECT size, modified, state, reason FROM file WHERE path = ?1")?;
            let mut insert = transaction.prepare_cached(
                "INSERT INTO file (folder, path, size, modified, state, reason)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (path) DO UPDATE SET folder = excluded.folder, size = excluded.size,
                     modified = excluded.modified, state = excluded.state, reason = excluded.reason,
                     document = iif(excluded.state = 'skipped', NULL, document), incoming = NULL",
            )?;
            transaction.execute_batch(
                "CREATE TEMP TABLE IF NOT EXISTS seen (path TEXT PRIMARY KEY) WITHOUT ROWID;
                 DELETE FROM seen;",
            )?;
            let mut see =
                transaction.prepare_cached("INSERT OR IGNORE INTO seen (path) VALUES (?1)")?;
            let excluded = excluded_inside(&transaction, folder)?;
            for file in look.found {
                if Path::new(&file.path).ancestors().any(|above| excluded.contains(above)) {
                    continue;
                }
                see.execute([&file.path])?;
                let before: Option<(u64, i64, String, Option<String>)> = known
                    .query_row([&file.path], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                    })
                    .optional()?;
                let state =
                    if file.skip.is_some() { FileState::Skipped } else { FileState::Pending };
                if let Some((size, modified, old_state, reason)) = &before {
                    let same = (*size, *modified) == (file.size, file.modified);
                    let same_rule = match &file.skip {
                        Some(_) => old_state == FileState::Skipped.as_str() && *reason == file.skip,
                        None => true,
                    };
                    if same && same_rule {
                        continue;
                    }
                } else {
                    added += 1;
                }
                insert.execute(params![
                    folder.0,
                    file.path,
                    file.size,
                    file.modified,
                    state.as_str(),
                    file.skip
                ])?;
            }
            let mut keep = transaction.prepare_cached(&format!(
                "INSERT OR IGNORE INTO seen SELECT path FROM file WHERE {}",
                below("path", "?1")
            ))?;
            for path in look.unreadable {
                keep.execute([path])?;
            }
            transaction.execute(
                &format!(
                    "DELETE FROM file WHERE {} AND folder = ?2 AND id <= ?3
                     AND path NOT IN (SELECT path FROM seen)",
                    below("path", "?1")
                ),
                params![look.root, folder.0, look.newest.0],
            )?;
            documents::drop_unused(&transaction)?;
        }
        transaction.commit()?;
        Ok(added)
    }

    /// Takes the next files to be read, small before large, and marks them so.
    pub fn take_files(&self, limit: usize) -> Result<Vec<QueuedFile>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "UPDATE file SET state = 'reading', reason = NULL WHERE id IN
             (SELECT id FROM file WHERE state = 'pending' ORDER BY size LIMIT ?1)
             RETURNING id, path, size, modified",
        )?;
        let rows = statement.query_map([limit as i64], |row| {
            Ok(QueuedFile {
                id: FileId(row.get(0)?),
                path: row.get(1)?,
                size: row.get(2)?,
                modified: row.get(3)?,
            })
        })?;
        let mut files = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        files.sort_by(|a, b| (a.size, &a.path).cmp(&(b.size, &b.path)));
        Ok(files)
    }

    /// How many files wait or are being read.
    pub fn pending_files(&self) -> Result<u64> {
        Ok(self.lock().query_row(
            "SELECT count(*) FROM file WHERE state IN ('pending', 'reading')",
            [],
            |row| row.get(0),
        )?)
    }

    /// Whether a file waits to be read.
    pub fn has_pending_files(&self) -> Result<bool> {
        Ok(self.lock().query_row(
            "SELECT EXISTS (SELECT 1 FROM file WHERE state = 'pending')",
            [],
            |row| row.get(0),
        )?)
    }

    /// Puts files back that a process took and did not finish. Only for the one
    /// process that reads.
    pub fn release_files(&self) -> Result<()> {
        self.lock().execute("UPDATE file SET state = 'pending' WHERE state = 'reading'", [])?;
        Ok(())
    }

    /// Queues the files at or below `path` that failed once more; all of them
    /// where `path` is `None`.
    pub fn retry(&self, path: Option<&str>) -> Result<u64> {
        let connection = self.lock();
        let changed = match path {
            Some(path) => connection.execute(
                &format!(
                    "UPDATE file SET state = 'pending', reason = NULL
                     WHERE state = 'failed' AND {}",
                    below("path", "?1")
                ),
                [path],
            )?,
            None => connection.execute(
                "UPDATE file SET state = 'pending', reason = NULL WHERE state = 'failed'",
                [],
            )?,
        };
        Ok(changed as u64)
    }

    /// Notes how the reading of a file ended without a document. A file that was
    /// removed or found changed meanwhile is left as it is now.
    pub fn finish_without_document(&self, file: &QueuedFile, outcome: &ReadOutcome) -> Result<()> {
        let (state, reason) = match outcome {
            ReadOutcome::Skipped(reason) => (FileState::Skipped, Some(reason)),
            ReadOutcome::Failed(reason)
            | ReadOutcome::PasswordNeeded(reason)
            | ReadOutcome::Unreachable(reason) => (FileState::Failed, Some(reason)),
            ReadOutcome::Again => (FileState::Pending, None),
        };
        let needs = matches!(outcome, ReadOutcome::PasswordNeeded(_)).then_some(PASSWORD);
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        transaction.execute(
            "UPDATE file SET state = :state, reason = :reason, needs = :needs,
                 document = iif(:keep, document, NULL), incoming = NULL,
                 modified = iif(:look_again, -1, modified)
             WHERE id = :id AND state = 'reading' AND modified = :modified AND size = :size",
            named_params! {
                ":state": state.as_str(), ":reason": reason, ":needs": needs, ":id": file.id.0,
                ":keep": matches!(outcome, ReadOutcome::Again | ReadOutcome::Unreachable(_)),
                ":look_again": matches!(outcome, ReadOutcome::Unreachable(_)),
                ":modified": file.modified, ":size": file.size,
            },
        )?;
        documents::drop_unused(&transaction)?;
        transaction.commit()?;
        Ok(())
    }

    /// Makes `document` the content of `file` and the file ready. A file that was
    /// removed or found changed meanwhile is left as it is now.
    pub fn attach(&self, attached: &[(QueuedFile, DocumentId)]) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        {
            let mut statement = transaction.prepare_cached(
                "UPDATE file SET state = 'ready', reason = NULL, document = ?1, incoming = NULL
                 WHERE id = ?2 AND state = 'reading' AND modified = ?3 AND size = ?4",
            )?;
            for (file, document) in attached {
                statement.execute(params![document.0, file.id.0, file.modified, file.size])?;
            }
        }
        documents::drop_unused(&transaction)?;
        transaction.commit()?;
        Ok(())
    }

    /// Queues every file whose document was read by an older version of the
    /// readers. It stays searchable until it was read again.
    pub fn queue_outdated(&self, reader: u32) -> Result<u64> {
        let changed = self.lock().execute(
            "UPDATE file SET state = 'pending' WHERE state = 'ready' AND document IN
             (SELECT id FROM document WHERE reader < ?1)",
            [reader],
        )?;
        Ok(changed as u64)
    }

    /// The time of the last change, in nanoseconds since 1970, that the file at `path` had when
    /// it was last looked at.
    pub fn modified_at(&self, path: &str) -> Result<Option<i64>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT modified FROM file WHERE path = ?1")?;
        Ok(statement.query_row([path], |row| row.get(0)).optional()?)
    }

    /// The files at or below `path`, or all, by path.
    pub fn files(&self, path: Option<&str>) -> Result<Vec<FileRecord>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "WITH sums AS (SELECT document, sum(indexed) AS chunks, sum(indexed AND embedded) AS embedded
                           FROM chunk GROUP BY document)
             SELECT file.path, file.state, file.reason,
                    (SELECT max(number) FROM page WHERE page.document = file.document),
                    coalesce(sums.chunks, 0), coalesce(sums.embedded, 0), file.modified,
                    file.state = 'failed' AND file.needs IS '{PASSWORD}', document.kind
             FROM file LEFT JOIN sums ON sums.document = file.document
                       LEFT JOIN document ON document.id = file.document
             WHERE ?1 IS NULL OR {} ORDER BY file.path",
            below("file.path", "?1")
        ))?;
        let rows = statement.query_map([path], |row| {
            let path: String = row.get(0)?;
            let kind: Option<String> = row.get(8)?;
            Ok((
                FileRecord {
                    kind: kind.as_deref().map_or_else(|| kind_of(&path), DocumentKind::parse),
                    path,
                    state: FileState::Pending,
                    reason: row.get(2)?,
                    pages: row.get(3)?,
                    chunks: row.get(4)?,
                    embedded_chunks: row.get(5)?,
                    modified: row.get(6)?,
                    needs_password: row.get(7)?,
                },
                row.get::<_, String>(1)?,
            ))
        })?;
        rows.map(|row| {
            let (file, state) = row?;
            Ok(FileRecord { state: FileState::parse(&state)?, ..file })
        })
        .collect()
    }

    /// Numbers of the files at or below `path`, or of all. A document that lies at
    /// several paths is counted once.
    pub fn counts(&self, path: Option<&str>) -> Result<Counts> {
        counts(&self.lock(), path)
    }

    /// The documents that pass `filter`.
    pub fn documents_in(&self, filter: &ScopeFilter) -> Result<Vec<DocumentId>> {
        let connection = self.lock();
        let (condition, parameters) = scope_condition(filter);
        let mut statement = connection.prepare(&format!(
            "SELECT DISTINCT file.document FROM file JOIN document ON document.id = file.document
             WHERE {condition}"
        ))?;
        let rows = statement
            .query_map(rusqlite::params_from_iter(parameters), |row| Ok(DocumentId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A path of the file that is read at the moment.
    pub fn reading(&self) -> Result<Option<String>> {
        Ok(self
            .lock()
            .query_row("SELECT path FROM file WHERE state = 'reading' LIMIT 1", [], |row| {
                row.get(0)
            })
            .optional()?)
    }
}

/// The exclusions that hold inside `folder`: not those above a place that was named
/// inside an excluded one.
fn excluded_inside(connection: &Connection, folder: FolderId) -> Result<HashSet<PathBuf>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT exclusion.path FROM exclusion, folder
         WHERE folder.id = ?1 AND exclusion.path <> folder.path AND {}",
        below("exclusion.path", "folder.path")
    ))?;
    let rows =
        statement.query_map([folder.0], |row| Ok(PathBuf::from(row.get::<_, String>(0)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The kind that a file's name stands for.
fn kind_of(path: &str) -> Option<DocumentKind> {
    DocumentKind::from_extension(Path::new(path).extension()?.to_str()?)
}

fn counts(connection: &Connection, path: Option<&str>) -> Result<Counts> {
    let mut counts = Counts::default();
    let condition = format!("(?1 IS NULL OR {})", below("file.path", "?1"));
    let mut statement = connection.prepare_cached(&format!(
        "SELECT state, count(*) FROM file WHERE {condition} GROUP BY state"
    ))?;
    let mut rows = statement.query([path])?;
    while let Some(row) = rows.next()? {
        let number: u64 = row.get(1)?;
        match FileState::parse(&row.get::<_, String>(0)?)? {
            FileState::Pending | FileState::Reading => counts.pending += number,
            FileState::Ready => counts.ready += number,
            FileState::Skipped => counts.skipped += number,
            FileState::Failed => counts.failed += number,
        }
    }
    let mut statement = connection.prepare_cached(&format!(
        "SELECT coalesce(sum(indexed), 0), coalesce(sum(indexed AND embedded), 0) FROM chunk
         WHERE document IN (SELECT document FROM file WHERE document IS NOT NULL AND {condition})"
    ))?;
    (counts.chunks, counts.embedded_chunks) =
        statement.query_row([path], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(counts)
}

/// A condition over `file` and `document`, and its parameters.
pub(crate) fn scope_condition(filter: &ScopeFilter) -> (String, Vec<rusqlite::types::Value>) {
    use rusqlite::types::Value;
    let mut conditions = vec!["TRUE".to_owned()];
    let mut parameters = Vec::new();
    let mut parameter = |value: Value| {
        parameters.push(value);
        format!("?{}", parameters.len())
    };
    if !filter.within.is_empty() {
        let paths: Vec<String> = filter
            .within
            .iter()
            .map(|path| below("file.path", &parameter(path.clone().into())))
            .collect();
        conditions.push(format!("({})", paths.join(" OR ")));
    }
    if !filter.kinds.is_empty() {
        let kinds: Vec<String> =
            filter.kinds.iter().map(|kind| parameter(kind.clone().into())).collect();
        conditions.push(format!("document.kind IN ({})", kinds.join(", ")));
    }
    if let Some(since) = filter.since {
        conditions.push(format!("file.modified >= {}", parameter(since.into())));
    }
    if let Some(before) = filter.before {
        conditions.push(format!("file.modified < {}", parameter(before.into())));
    }
    (conditions.join(" AND "), parameters)
}
