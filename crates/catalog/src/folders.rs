//! The places that the person named, what inside them belongs to the library, and
//! the drives they lie on.

use std::{collections::HashSet, path::PathBuf};

use lectern_domain::FolderId;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use crate::{
    Catalog, Result,
    documents::{self, from_json, to_json},
    files::below,
    forgetting, history,
};

/// A folder or single file that the person named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderRecord {
    /// Its id.
    pub id: FolderId,
    /// Absolute path.
    pub path: String,
    /// It could not be found when it was last looked at.
    pub missing: bool,
    /// What inside it belongs to the library.
    pub rules: FolderRules,
    /// Its files wait until the person resumes it.
    pub paused: bool,
    /// Why it is looked at from time to time: the system does not tell of changes there.
    pub polled: Option<String>,
}

/// What inside a folder belongs to the library, besides what never does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FolderRules {
    /// Patterns of what is left out, in the syntax of `.gitignore`.
    pub ignore: Vec<String>,
    /// Hidden files and folders belong to it.
    pub hidden: bool,
    /// Kinds by name; none is every kind.
    pub kinds: Vec<String>,
    /// Larger files are left out.
    pub max_bytes: Option<u64>,
}

/// A place where another file system is, or was, mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Absolute path.
    pub path: String,
    /// Nothing was mounted there when it was last looked at.
    pub away: bool,
}

/// The columns of a [`FolderRecord`].
const FOLDER: &str =
    "folder.id, folder.path, folder.missing, folder.rules, folder.paused, folder.polled";

fn folder(row: &Row<'_>) -> rusqlite::Result<(FolderRecord, String)> {
    let folder = FolderRecord {
        id: FolderId(row.get(0)?),
        path: row.get(1)?,
        missing: row.get(2)?,
        rules: FolderRules::default(),
        paused: row.get(4)?,
        polled: row.get(5)?,
    };
    Ok((folder, row.get(3)?))
}

fn with_rules((folder, rules): (FolderRecord, String)) -> Result<FolderRecord> {
    Ok(FolderRecord { rules: from_json(&rules)?, ..folder })
}

impl Catalog {
    /// Every named place, by path.
    pub fn folders(&self) -> Result<Vec<FolderRecord>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached(&format!("SELECT {FOLDER} FROM folder ORDER BY path"))?;
        let rows = statement.query_map([], folder)?;
        rows.map(|row| with_rules(row?)).collect()
    }

    /// Adds a place. A place inside one that is already there only lifts its
    /// exclusion, and inside one that is excluded it becomes a place of its own;
    /// places inside the new one become part of it. Returns the folder that now
    /// covers `path`.
    pub fn add_folder(&self, path: &str, now: i64) -> Result<FolderRecord> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        // An archive is asked again for members that were left out.
        transaction.execute(
            &format!(
                "UPDATE file SET stamp = 0 WHERE archive IS NULL AND EXISTS
                 (SELECT 1 FROM exclusion WHERE {} AND exclusion.path <> file.path AND {})",
                below("exclusion.path", "?1"),
                below("exclusion.path", "file.path")
            ),
            [path],
        )?;
        transaction
            .execute(&format!("DELETE FROM exclusion WHERE {}", below("path", "?1")), [path])?;
        let covering = transaction
            .query_row(
                &format!(
                    "SELECT {FOLDER} FROM folder WHERE {}
                     AND NOT EXISTS (SELECT 1 FROM exclusion
                                     WHERE {} AND {} AND exclusion.path <> folder.path)
                     ORDER BY length(folder.path) DESC",
                    below("?1", "folder.path"),
                    below("?1", "exclusion.path"),
                    below("exclusion.path", "folder.path")
                ),
                [path],
                folder,
            )
            .optional()?;
        let folder = match covering {
            Some(folder) => with_rules(folder)?,
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
                FolderRecord {
                    id,
                    path: path.to_owned(),
                    missing: false,
                    rules: FolderRules::default(),
                    paused: false,
                    polled: None,
                }
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
        // Counted before, for the members of an archive may go with it.
        let files: usize = transaction.query_row(
            &format!("SELECT count(*) FROM file WHERE {}", below("path", "?1")),
            [path],
            |row| row.get(0),
        )?;
        transaction.execute(&format!("DELETE FROM file WHERE {}", below("path", "?1")), [path])?;
        let mut changed = files;
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
        transaction.execute(&format!("DELETE FROM mount WHERE {}", below("path", "?1")), [path])?;
        documents::drop_unused(&transaction)?;
        changed += history::forget(&transaction, path, files)?;
        if changed > 0 {
            forgetting::ask_to_purge(&transaction)?;
        }
        transaction.commit()?;
        Ok(changed > 0)
    }

    /// The excluded paths inside `folder`.
    pub fn exclusions(&self, folder: FolderId) -> Result<HashSet<PathBuf>> {
        excluded_inside(&self.lock(), folder)
    }

    /// Notes whether a place can be found at the moment.
    pub fn set_missing(&self, folder: FolderId, missing: bool) -> Result<()> {
        self.lock().execute(
            "UPDATE folder SET missing = ?2 WHERE id = ?1 AND missing <> ?2",
            params![folder.0, missing],
        )?;
        Ok(())
    }

    /// The named place at exactly this path.
    pub fn folder_at(&self, path: &str) -> Result<Option<FolderRecord>> {
        let found = self
            .lock()
            .query_row(&format!("SELECT {FOLDER} FROM folder WHERE path = ?1"), [path], folder)
            .optional()?;
        found.map(with_rules).transpose()
    }

    /// Changes what inside a folder belongs to the library. The next look follows.
    pub fn set_rules(&self, folder: FolderId, rules: &FolderRules) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        transaction.execute(
            "UPDATE folder SET rules = ?2 WHERE id = ?1",
            params![folder.0, to_json(rules)?],
        )?;
        // What the rules leave out is forgotten as if it had been removed.
        forgetting::ask_to_purge(&transaction)?;
        transaction.commit()?;
        Ok(())
    }

    /// Holds a folder's files, or lets them go on.
    pub fn set_folder_paused(&self, folder: FolderId, paused: bool) -> Result<()> {
        self.lock()
            .execute("UPDATE folder SET paused = ?2 WHERE id = ?1", params![folder.0, paused])?;
        Ok(())
    }

    /// Notes why a folder is looked at from time to time, if it is.
    pub fn set_polled(&self, folder: FolderId, why: Option<&str>) -> Result<()> {
        self.lock().execute(
            "UPDATE folder SET polled = ?2 WHERE id = ?1 AND polled IS NOT ?2",
            params![folder.0, why],
        )?;
        Ok(())
    }

    /// The places where other file systems are, or were, mounted.
    pub fn mounts(&self) -> Result<Vec<Mount>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT path, away FROM mount ORDER BY path")?;
        let rows =
            statement.query_map([], |row| Ok(Mount { path: row.get(0)?, away: row.get(1)? }))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes what a look saw of a mount point; `None` forgets it.
    pub fn set_mount(&self, path: &str, away: Option<bool>) -> Result<()> {
        let connection = self.lock();
        match away {
            Some(away) => connection.execute(
                "INSERT INTO mount (path, away) VALUES (?1, ?2)
                 ON CONFLICT (path) DO UPDATE SET away = excluded.away WHERE away <> excluded.away",
                params![path, away],
            )?,
            None => connection.execute("DELETE FROM mount WHERE path = ?1", [path])?,
        };
        Ok(())
    }
}

/// The exclusions that hold inside `folder`: not those above a place that was named
/// inside an excluded one.
pub(crate) fn excluded_inside(
    connection: &Connection,
    folder: FolderId,
) -> Result<HashSet<PathBuf>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT exclusion.path FROM exclusion, folder
         WHERE folder.id = ?1 AND exclusion.path <> folder.path AND {}",
        below("exclusion.path", "folder.path")
    ))?;
    let rows =
        statement.query_map([folder.0], |row| Ok(PathBuf::from(row.get::<_, String>(0)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
