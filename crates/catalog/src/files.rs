//! Files, and the queue of those to be read.

use std::path::Path;

use lectern_domain::{DocumentId, DocumentKind, FileId, FolderId};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params, params};

use crate::{Catalog, CatalogError, Result, documents::from_json, folders::excluded_inside};

/// A file that changes again within so many seconds is being worked on.
const SOON: i64 = 60;

/// So many changes, one soon after the other, are somebody saving a file. More are a
/// program, and reading after each of them would do nothing else.
const PATIENT_ATTEMPTS: u32 = 5;

/// After so many attempts, in about an hour, a file that cannot be reached waits for the next look.
const MOST_ATTEMPTS: u32 = 12;

/// The longest time, in seconds, that a file waits for its next attempt.
const LONGEST_WAIT: i64 = 600;

/// Reading a file was called off.
const CANCELLED: &str = "Reading it was called off; it can be tried again.";

/// In `file.needs`: somebody to ask for it.
const ASKING: &str = "asking";

/// In `file.needs`: another rule, or that the file grows or shrinks.
const RULE: &str = "rule";

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

/// A file as a look at the disk found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Absolute path.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Last change, nanoseconds since 1970.
    pub modified: i64,
    /// Differs from an earlier one once the file has changed; never 0.
    pub stamp: i64,
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
    /// The time, in seconds since 1970.
    pub now: i64,
    /// Somebody has just changed these files: what is new comes before all others.
    pub urgent: bool,
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
    /// [`FoundFile::stamp`], or 0 where it is to be taken for changed at the next look.
    pub stamp: i64,
    /// Somebody edits it or looks at it.
    pub urgent: bool,
    /// The archive that it is a member of.
    pub archive: Option<ArchiveFile>,
}

/// An archive on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Its id.
    pub id: FileId,
    /// Absolute path.
    pub path: String,
}

/// A file that has been read, and its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The file as it was taken.
    pub file: QueuedFile,
    /// Its content.
    pub document: DocumentId,
    /// A later change is sure to show in [`FoundFile::stamp`]. A change at the same tick
    /// of the clock as the one before would not.
    pub settled: bool,
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
    /// it before stays searchable. The next look queues it again, and without one it is
    /// tried again after a while, each time a longer one.
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
    /// How many of its pages are pictures that wait for OCR.
    pub unrecognised: u32,
    /// It lies on a drive that is not there at the moment.
    pub away: bool,
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
    /// Its language as an ISO 639-1 code, where that can be told.
    pub language: Option<String>,
    /// Its tags and those of the folders above it, by name.
    pub tags: Vec<String>,
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
    /// Not at and not below any of these absolute paths.
    pub without: Vec<String>,
    /// With all of these in their path, in lower case.
    pub named: Vec<String>,
    /// Of one of these kinds.
    pub kinds: Vec<String>,
    /// In one of these languages, as ISO 639-1 codes.
    pub languages: Vec<String>,
    /// With all of these tags.
    pub tags: Vec<String>,
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
pub(crate) fn below(column: &str, parameter: &str) -> String {
    let separator = std::path::MAIN_SEPARATOR;
    let after = char::from(separator as u8 + 1);
    let stem = format!("rtrim({parameter}, '{separator}')");
    format!(
        "({column} = {parameter} OR ({column} >= {stem} || '{separator}' AND {column} < {stem} || '{after}'))"
    )
}

impl Catalog {
    /// Whether the library holds a file at exactly this path.
    pub fn has_file(&self, path: &str) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM file WHERE path = ?1)";
        Ok(self.lock().query_row(sql, [path], |row| row.get(0))?)
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
            let mut known = transaction.prepare_cached(
                "SELECT size, modified, stamp, needs, reason, attempts, document IS NOT NULL
                 FROM file WHERE path = ?1 AND archive IS NULL",
            )?;
            let mut insert = transaction.prepare_cached(
                "INSERT INTO file (folder, path, size, modified, stamp, state, reason, needs, urgent, attempts, retry_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                 ON CONFLICT (path) DO UPDATE SET folder = excluded.folder, size = excluded.size,
                     modified = excluded.modified, stamp = excluded.stamp, state = excluded.state,
                     reason = excluded.reason, needs = excluded.needs, urgent = excluded.urgent,
                     attempts = excluded.attempts, retry_at = excluded.retry_at, archive = NULL,
                     document = iif(excluded.state = 'skipped', NULL, document), incoming = NULL",
            )?;
            let mut empty = transaction.prepare_cached(
                "DELETE FROM file WHERE archive = (SELECT id FROM file WHERE path = ?1)",
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
                let before = known.query_row([&file.path], Known::from_row).optional()?;
                if before.as_ref().is_some_and(|before| before.is(file)) {
                    continue;
                }
                added += u64::from(before.is_none());
                let state =
                    if file.skip.is_some() { FileState::Skipped } else { FileState::Pending };
                let attempts = before
                    .as_ref()
                    .filter(|before| {
                        file.modified.abs_diff(before.modified) < SOON as u64 * 1_000_000_000
                    })
                    .map_or(0, |before| before.attempts.saturating_add(1));
                // Only what is searchable already can wait.
                let waits =
                    attempts > PATIENT_ATTEMPTS && before.is_some_and(|before| before.has_document);
                insert.execute(params![
                    folder.0,
                    file.path,
                    file.size,
                    file.modified,
                    file.stamp,
                    state.as_str(),
                    file.skip,
                    file.skip.as_ref().map(|_| RULE),
                    if look.urgent && file.skip.is_none() && !waits { look.now } else { 0 },
                    attempts,
                    waits.then(|| look.now + wait(attempts - PATIENT_ATTEMPTS)),
                ])?;
                if file.skip.is_some() {
                    // With what it held, if it was an archive.
                    empty.execute([&file.path])?;
                }
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
                    "DELETE FROM file WHERE {} AND folder = ?2 AND id <= ?3 AND archive IS NULL
                     AND path NOT IN (SELECT path FROM seen)",
                    below("path", "?1")
                ),
                params![look.root, folder.0, look.newest.0],
            )?;
            // The documents stay a while: what is gone here may turn up elsewhere.
        }
        transaction.commit()?;
        Ok(added)
    }

    /// Takes the next file to be read and marks it so: what somebody edits or looks at
    /// first, the latest of it before the rest, and small before large. Files that wait
    /// for their next attempt longer than `until` (seconds since 1970) are left, and
    /// those of folders that are paused. With `urgent`, only what somebody edits or looks
    /// at is taken.
    pub fn take_file(&self, until: i64, urgent: bool) -> Result<Option<QueuedFile>> {
        take(
            &self.lock(),
            &format!(
                "{READABLE} AND urgent >= ?2 AND (retry_at IS NULL OR retry_at <= ?1)
                 AND folder NOT IN (SELECT id FROM folder WHERE paused)
                 ORDER BY urgent DESC, size LIMIT 1"
            ),
            [until, i64::from(urgent)],
        )
    }

    /// As [`Catalog::take_file`], the next member of this archive that is read as the archive
    /// goes.
    pub fn take_member(&self, archive: FileId, until: i64) -> Result<Option<QueuedFile>> {
        take(
            &self.lock(),
            &format!(
                "archive = ?2 AND {READABLE} AND (retry_at IS NULL OR retry_at <= ?1)
                 AND folder NOT IN (SELECT id FROM folder WHERE paused)
                 ORDER BY id LIMIT 1"
            ),
            [until, archive.0],
        )
    }

    /// Has what is at `path` come before all others, and first the archive that it is in. Returns
    /// whether anything of it is still to be done.
    pub fn hurry(&self, path: &str, now: i64) -> Result<bool> {
        let changed = self.lock().execute(
            "UPDATE file SET urgent = ?2 WHERE path IN (?1, (SELECT above.path FROM file JOIN
                 file AS above ON above.id = file.archive WHERE file.path = ?1)) AND (state = 'pending' OR EXISTS
             (SELECT 1 FROM chunk WHERE chunk.document = file.document AND embedded = 0))",
            params![path, now],
        )?;
        Ok(changed > 0)
    }

    /// Ends the hurry of files of which all is done.
    pub fn clear_urgency(&self) -> Result<()> {
        self.lock().execute(
            "UPDATE file SET urgent = 0 WHERE urgent > 0 AND state NOT IN ('pending', 'reading')",
            [],
        )?;
        Ok(())
    }

    /// Queues files whose next attempt is due at `now` (seconds since 1970). Returns
    /// whether there were any.
    pub fn queue_due(&self, now: i64) -> Result<bool> {
        let connection = self.lock();
        let due = connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM file WHERE retry_at <= ?1)")?
            .query_row([now], |row| row.get(0))?;
        if due {
            connection.execute(
                "UPDATE file SET retry_at = NULL,
                     stamp = iif(state = 'failed' AND archive IS NULL, 0, stamp),
                     state = iif(state = 'failed', 'pending', state) WHERE retry_at <= ?1",
                [now],
            )?;
        }
        Ok(due)
    }

    /// Whether a file is being read or can be read at `now` (seconds since 1970).
    pub fn has_work(&self, now: i64) -> Result<bool> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM file WHERE state = 'reading'
                 AND folder NOT IN (SELECT id FROM folder WHERE paused))
             OR EXISTS (SELECT 1 FROM file WHERE {READABLE}
                 AND (retry_at IS NULL OR retry_at <= ?1)
                 AND folder NOT IN (SELECT id FROM folder WHERE paused))"
        );
        Ok(self.lock().prepare_cached(&sql)?.query_row([now], |row| row.get(0))?)
    }

    /// How many files wait or are being read.
    pub fn pending_files(&self) -> Result<u64> {
        Ok(self.lock().query_row(
            "SELECT count(*) FROM file WHERE state IN ('pending', 'reading')",
            [],
            |row| row.get(0),
        )?)
    }

    /// Whether a file that somebody edits or looks at waits to be read.
    pub fn has_urgent_files(&self) -> Result<bool> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM file WHERE {READABLE} AND urgent > 0
                 AND retry_at IS NULL AND folder NOT IN (SELECT id FROM folder WHERE paused))"
        );
        Ok(self.lock().prepare_cached(&sql)?.query_row([], |row| row.get(0))?)
    }

    /// Puts files back that a process took and did not finish. Only for the one
    /// process that reads.
    pub fn release_files(&self) -> Result<()> {
        self.lock().execute("UPDATE file SET state = 'pending' WHERE state = 'reading'", [])?;
        Ok(())
    }

    /// Queues the files at or below `path` that failed or were called off once more; all
    /// of them where `path` is `None`.
    pub fn retry(&self, path: Option<&str>) -> Result<u64> {
        let changed = self.lock().execute(
            &format!(
                "UPDATE file SET state = 'pending', reason = NULL, needs = NULL, retry_at = NULL
                 WHERE (state = 'failed' OR needs = '{ASKING}') AND (?1 IS NULL OR {})",
                below("path", "?1")
            ),
            [path],
        )?;
        Ok(changed as u64)
    }

    /// Calls off the reading of what waits at or below `path`, or of all. What was read
    /// before stays searchable. Returns how many files it were.
    pub fn call_off(&self, path: Option<&str>) -> Result<u64> {
        let changed = self.lock().execute(
            &format!(
                "UPDATE file SET state = iif(document IS NULL, 'skipped', 'ready'),
                     reason = ?2, needs = '{ASKING}', urgent = 0, retry_at = NULL
                 WHERE state = 'pending' AND (?1 IS NULL OR {})",
                below("path", "?1")
            ),
            params![path, CANCELLED],
        )?;
        Ok(changed as u64)
    }

    /// Notes how the reading of a file ended without a document, at `now` (seconds since
    /// 1970). A file that was removed or found changed meanwhile is left as it is now.
    pub fn finish_without_document(
        &self,
        file: &QueuedFile,
        outcome: &ReadOutcome,
        now: i64,
    ) -> Result<()> {
        let (state, reason) = match outcome {
            ReadOutcome::Skipped(reason) => (FileState::Skipped, Some(reason)),
            ReadOutcome::Failed(reason)
            | ReadOutcome::PasswordNeeded(reason)
            | ReadOutcome::Unreachable(reason) => (FileState::Failed, Some(reason)),
            ReadOutcome::Again => (FileState::Pending, None),
        };
        let needs = matches!(outcome, ReadOutcome::PasswordNeeded(_)).then_some(PASSWORD);
        let unreachable = matches!(outcome, ReadOutcome::Unreachable(_));
        let keep = unreachable || *outcome == ReadOutcome::Again;
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let attempts: u32 = transaction
            .query_row("SELECT attempts FROM file WHERE id = ?1", [file.id.0], |row| row.get(0))
            .optional()?
            .unwrap_or(0);
        let finished = transaction.execute(
            "UPDATE file SET state = :state, reason = :reason, needs = :needs,
                 document = iif(:keep, document, NULL), incoming = NULL,
                 stamp = iif(:unreachable AND archive IS NULL, 0, stamp),
                 attempts = attempts + :unreachable, retry_at = :retry_at
             WHERE id = :id AND state = 'reading' AND modified = :modified AND size = :size
                 AND stamp = :stamp",
            named_params! {
                ":state": state.as_str(), ":reason": reason, ":needs": needs, ":id": file.id.0,
                ":keep": keep,
                ":unreachable": unreachable,
                ":retry_at": (unreachable && attempts < MOST_ATTEMPTS)
                    .then(|| now + wait(attempts.saturating_add(2))),
                ":modified": file.modified, ":size": file.size, ":stamp": file.stamp,
            },
        )?;
        if finished > 0 && !keep {
            // What it held, if it was an archive.
            transaction.execute("DELETE FROM file WHERE archive = ?1", [file.id.0])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Makes documents the contents of files, and the files ready, or skipped where a document has no
    /// text as long as its pictures are not recognised. The members of an archive become files, and
    /// those that it holds no more go. A file that was
    /// removed or found changed meanwhile is left as it is now.
    pub fn attach(&self, attached: &[Attached]) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        {
            let mut before =
                transaction.prepare_cached("SELECT document FROM file WHERE id = ?1")?;
            let mut statement = transaction.prepare_cached(
                // There is nothing to find in pictures that are not recognised.
                "UPDATE file SET
                     state = (SELECT iif(text = '', 'skipped', 'ready') FROM document WHERE id = ?1),
                     reason = NULL, needs = NULL, document = ?1,
                     incoming = NULL, stamp = iif(?6, stamp, 0)
                 WHERE id = ?2 AND state = 'reading' AND modified = ?3 AND size = ?4 AND stamp = ?5",
            )?;
            for Attached { file, document, settled } in attached {
                let QueuedFile { id, modified, size, stamp, .. } = file;
                let held: Option<Option<i64>> =
                    before.query_row([id.0], |row| row.get(0)).optional()?;
                let attached =
                    statement.execute(params![document.0, id.0, modified, size, stamp, settled])?;
                if attached > 0 && file.archive.is_none() {
                    follow_archive(&transaction, file, *document, held == Some(Some(document.0)))?;
                }
            }
        }
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
                    file.state = 'failed' AND file.needs IS '{PASSWORD}',
                    folder.missing OR EXISTS (SELECT 1 FROM mount WHERE away AND {}),
                    document.kind,
                    (SELECT count(*) FROM document JOIN scan ON scan.hash = document.hash
                     WHERE document.id = file.document AND scan.lines IS NULL),
                    nullif(document.language, ''),
                    (SELECT json_group_array(name) FROM
                     (SELECT DISTINCT name FROM tag WHERE {} ORDER BY name))
             FROM file JOIN folder ON folder.id = file.folder
             LEFT JOIN sums ON sums.document = file.document
             LEFT JOIN document ON document.id = file.document
             WHERE ?1 IS NULL OR {} ORDER BY file.path",
            below("file.path", "mount.path"),
            below("file.path", "tag.path"),
            below("file.path", "?1")
        ))?;
        let rows = statement.query_map([path], |row| {
            let path: String = row.get(0)?;
            let kind: Option<String> = row.get(9)?;
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
                    away: row.get(8)?,
                    unrecognised: row.get(10)?,
                    language: row.get(11)?,
                    tags: Vec::new(),
                },
                row.get::<_, String>(1)?,
                row.get::<_, String>(12)?,
            ))
        })?;
        rows.map(|row| {
            let (file, state, tags) = row?;
            Ok(FileRecord { state: FileState::parse(&state)?, tags: from_json(&tags)?, ..file })
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

    /// The files in scope that wait to be read, are being read or could not be, by path. The kind
    /// of what was not read is not known, so `filter` leaves none of them out by it.
    pub fn unread_in(&self, filter: &ScopeFilter) -> Result<Vec<(String, FileState)>> {
        let filter = ScopeFilter { kinds: Vec::new(), ..filter.clone() };
        let (condition, parameters) = scope_condition(&filter);
        let connection = self.lock();
        let mut statement = connection.prepare(&format!(
            "SELECT file.path, file.state FROM file
             WHERE file.state IN ('pending', 'reading', 'failed') AND {condition}
             ORDER BY file.path"
        ))?;
        let rows = statement.query_map(rusqlite::params_from_iter(parameters), |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?))
        })?;
        rows.map(|row| {
            let (path, state) = row?;
            Ok((path, FileState::parse(&state)?))
        })
        .collect()
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

/// What can be read now: a member not before its archive, which may hold another one by then.
const READABLE: &str = "state = 'pending' AND (archive IS NULL OR
    (SELECT state FROM file AS above WHERE above.id = file.archive) NOT IN ('pending', 'reading'))";

/// Marks the first file that `condition` finds as being read.
fn take(
    connection: &Connection,
    condition: &str,
    parameters: [i64; 2],
) -> Result<Option<QueuedFile>> {
    let mut statement = connection.prepare_cached(&format!(
        "UPDATE file SET state = 'reading', reason = NULL, retry_at = NULL WHERE id =
             (SELECT id FROM file WHERE {condition})
         RETURNING id, path, size, modified, stamp, urgent > 0, archive,
             (SELECT above.path FROM file AS above WHERE above.id = file.archive)"
    ))?;
    let file = statement.query_row(parameters, |row| {
        let archive: Option<i64> = row.get(6)?;
        Ok(QueuedFile {
            id: FileId(row.get(0)?),
            path: row.get(1)?,
            size: row.get(2)?,
            modified: row.get(3)?,
            stamp: row.get(4)?,
            urgent: row.get(5)?,
            archive: match archive {
                Some(id) => Some(ArchiveFile { id: FileId(id), path: row.get(7)? }),
                None => None,
            },
        })
    });
    Ok(file.optional()?)
}

/// So many members are urgent where their archive is. More were not put there by hand.
const FEW_MEMBERS: usize = 32;

/// Has the members that `document` names, and no others, be files of the library below `archive`.
/// Where it held the same document before, only what was missing is read.
fn follow_archive(
    transaction: &Transaction<'_>,
    archive: &QueuedFile,
    document: DocumentId,
    same: bool,
) -> Result<()> {
    let separator = std::path::MAIN_SEPARATOR;
    let path = format!("above.path || '{separator}' || member.path");
    let mut vanished = transaction.prepare_cached(&format!(
        "DELETE FROM file WHERE archive = ?1 AND path NOT IN
         (SELECT {path} FROM member, file AS above WHERE member.document = ?2 AND above.id = ?1)"
    ))?;
    vanished.execute(params![archive.id.0, document.0])?;
    let mut follow = transaction.prepare_cached(&format!(
        "INSERT INTO file (folder, path, size, modified, stamp, state, reason, urgent, archive)
         SELECT above.folder, {path}, above.size, above.modified, ?3,
                iif(failure IS NULL, 'pending', 'failed'), failure,
                iif((SELECT count(*) FROM member WHERE member.document = ?2) > {FEW_MEMBERS}, 0, above.urgent),
                above.id
         FROM member, file AS above
         WHERE member.document = ?2 AND above.id = ?1 AND NOT EXISTS
             (SELECT 1 FROM exclusion, folder WHERE folder.id = above.folder
                  AND exclusion.path <> folder.path AND {} AND {})
         ORDER BY ord
         ON CONFLICT (path) DO UPDATE SET folder = excluded.folder, size = excluded.size,
             modified = excluded.modified, stamp = excluded.stamp, archive = excluded.archive,
             document = iif(excluded.state = 'failed', NULL, document), incoming = NULL,
             state = iif(?4 AND archive IS excluded.archive AND state <> 'reading', state,
                         excluded.state),
             reason = iif(?4 AND archive IS excluded.archive, reason, excluded.reason),
             needs = iif(?4 AND archive IS excluded.archive, needs, NULL),
             urgent = max(urgent, excluded.urgent), attempts = 0",
        below("exclusion.path", "folder.path"),
        below(&format!("({path})"), "exclusion.path"),
    ))?;
    follow.execute(params![archive.id.0, document.0, archive.stamp, same])?;
    Ok(())
}

/// What is known of a file that a look found.
struct Known {
    size: u64,
    modified: i64,
    stamp: i64,
    /// It was left out by a rule, and not for what it holds.
    ruled_out: bool,
    reason: Option<String>,
    attempts: u32,
    has_document: bool,
}

impl Known {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            size: row.get(0)?,
            modified: row.get(1)?,
            stamp: row.get(2)?,
            ruled_out: row.get::<_, Option<String>>(3)?.as_deref() == Some(RULE),
            reason: row.get(4)?,
            attempts: row.get(5)?,
            has_document: row.get(6)?,
        })
    }

    /// Whether nothing has changed, neither the file nor the rule for it.
    fn is(&self, file: &FoundFile) -> bool {
        let same = (self.size, self.modified, self.stamp) == (file.size, file.modified, file.stamp);
        same && self.ruled_out == file.skip.is_some()
            && (file.skip.is_none() || self.reason == file.skip)
    }
}

/// Seconds to wait after so many attempts.
fn wait(attempts: u32) -> i64 {
    (1 << attempts.min(30)).min(LONGEST_WAIT)
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
    for path in &filter.without {
        conditions.push(format!("NOT {}", below("file.path", &parameter(path.clone().into()))));
    }
    for name in &filter.named {
        // SQLite lowers ASCII letters only, so the others are found as they are written.
        conditions.push(format!("instr(lower(file.path), {}) > 0", parameter(name.clone().into())));
    }
    if !filter.kinds.is_empty() {
        let kinds: Vec<String> =
            filter.kinds.iter().map(|kind| parameter(kind.clone().into())).collect();
        conditions.push(format!("document.kind IN ({})", kinds.join(", ")));
    }
    if !filter.languages.is_empty() {
        let codes: Vec<String> =
            filter.languages.iter().map(|code| parameter(code.clone().into())).collect();
        conditions.push(format!("document.language IN ({})", codes.join(", ")));
    }
    for tag in &filter.tags {
        conditions.push(format!(
            "EXISTS (SELECT 1 FROM tag WHERE tag.name = {} AND {})",
            parameter(tag.clone().into()),
            below("file.path", "tag.path")
        ));
    }
    if let Some(since) = filter.since {
        conditions.push(format!("file.modified >= {}", parameter(since.into())));
    }
    if let Some(before) = filter.before {
        conditions.push(format!("file.modified < {}", parameter(before.into())));
    }
    (conditions.join(" AND "), parameters)
}
