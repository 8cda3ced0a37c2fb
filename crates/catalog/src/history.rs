//! What happened to the files of the library, by triggers of the schema.

use rusqlite::{Row, Transaction, params};

use crate::{Catalog, CatalogError, Result, files::below};

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryKind {
    /// It was found.
    Added,
    /// Its content became another one.
    Changed,
    /// It was found again under another path.
    Moved,
    /// It is no longer on the disk, or rules leave it out.
    Removed,
    /// It could not be read.
    Failed,
    /// The person had it forgotten.
    Forgotten,
}

impl HistoryKind {
    fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "added" => Self::Added,
            "changed" => Self::Changed,
            "moved" => Self::Moved,
            "removed" => Self::Removed,
            "failed" => Self::Failed,
            "forgotten" => Self::Forgotten,
            _ => return Err(CatalogError::Corrupt(format!("history {name:?}"))),
        })
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its id; later entries have larger ones.
    pub id: i64,
    /// When, in seconds since 1970.
    pub at: i64,
    /// What.
    pub kind: HistoryKind,
    /// The file; `None` for what was forgotten.
    pub path: Option<String>,
    /// From where it was moved, why it failed, or how many files were forgotten.
    pub detail: Option<String>,
}

impl Catalog {
    /// What happened, the latest first: at most `limit` entries, and of those before the entry
    /// `before` only, where that is given. The latest few thousand are kept.
    pub fn history(&self, before: Option<i64>, limit: u32) -> Result<Vec<HistoryEntry>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, at, kind, path, detail FROM history WHERE id < ?1
             ORDER BY id DESC LIMIT ?2",
        )?;
        let entries = statement
            .query_map(params![before.unwrap_or(i64::MAX), limit], entry)?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        entries
            .into_iter()
            .map(|(kind, entry)| Ok(HistoryEntry { kind: HistoryKind::parse(&kind)?, ..entry }))
            .collect()
    }

    /// Forgets what happened.
    pub fn clear_history(&self) -> Result<()> {
        self.lock().execute("DELETE FROM history", [])?;
        Ok(())
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<(String, HistoryEntry)> {
    let entry = HistoryEntry {
        id: row.get(0)?,
        at: row.get(1)?,
        kind: HistoryKind::Added,
        path: row.get(3)?,
        detail: row.get(4)?,
    };
    Ok((row.get(2)?, entry))
}

/// Leaves no name of what the person has forgotten at and below `path`, only that it was so many
/// files. Returns how many entries named it.
pub(crate) fn forget(transaction: &Transaction<'_>, path: &str, files: usize) -> Result<usize> {
    let named = format!("{} OR {}", below("path", "?1"), below("detail", "?1"));
    let told = transaction.execute(&format!("DELETE FROM history WHERE {named}"), [path])?;
    if files > 0 {
        transaction.execute(
            "INSERT INTO history (kind, detail) VALUES ('forgotten', ?1)",
            [files.to_string()],
        )?;
    }
    Ok(told)
}
