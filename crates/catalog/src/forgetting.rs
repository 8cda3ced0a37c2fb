//! That what is forgotten is really gone.

use std::collections::HashSet;

use lectern_domain::ChunkId;
use rusqlite::{Connection, Transaction};

use crate::{Catalog, Result, files::below};

/// The setting that is there while something was forgotten that may still lie, unseen, in a
/// file of the library. It counts how often that happened.
const PURGE_SETTING: &str = "purge";

/// The file is made smaller when more than this part of it is empty.
const EMPTY_PART: f64 = 0.5;

/// What the catalogue still holds of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remains {
    /// Files at or below it, and tags of such.
    pub files: u64,
    /// Documents that no file holds, of whatever path: they go when the indexer has
    /// nothing else to do.
    pub documents: u64,
    /// Documents whose rows may still be in the index.
    pub indexed: u64,
    /// Something was forgotten, and the files of the library were not cleaned since.
    pub unpurged: bool,
    /// It is left out on purpose, which has to be remembered.
    pub excluded: bool,
    /// How often the history names it: once it was removed by the person, not at all.
    pub history: u64,
    /// Answers that name it. They are the person's own and stay.
    pub answers: u64,
}

impl Catalog {
    /// What is left of what was forgotten.
    pub fn remains(&self, path: &str) -> Result<Remains> {
        let connection = self.lock();
        let count = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| {
            connection.query_row(sql, parameters, |row| row.get::<_, u64>(0))
        };
        let files = format!(
            "SELECT (SELECT count(*) FROM file WHERE {0}) + (SELECT count(*) FROM tag WHERE {0})",
            below("path", "?1")
        );
        let quoted = serde_json::to_string(path).unwrap_or_default();
        let quoted = quoted.trim_matches('"');
        Ok(Remains {
            files: count(&files, &[&path])?,
            documents: count(
                "SELECT count(*) FROM document
                 WHERE id NOT IN (SELECT document FROM file WHERE document IS NOT NULL)
                   AND id NOT IN (SELECT incoming FROM file WHERE incoming IS NOT NULL)",
                &[],
            )?,
            indexed: count("SELECT count(*) FROM garbage", &[])?,
            unpurged: purge_is_asked(&connection)?,
            excluded: count(
                &format!("SELECT count(*) FROM exclusion WHERE {}", below("path", "?1")),
                &[&path],
            )? > 0,
            history: count(
                &format!(
                    "SELECT count(*) FROM history WHERE {} OR {}",
                    below("path", "?1"),
                    below("detail", "?1")
                ),
                &[&path],
            )?,
            answers: count("SELECT count(*) FROM turn WHERE instr(answer, ?1) > 0", &[&quoted])?,
        })
    }

    /// Every chunk that the catalogue holds.
    pub fn chunk_ids(&self) -> Result<HashSet<ChunkId>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT id FROM chunk")?;
        let rows = statement.query_map([], |row| Ok(ChunkId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Whether something was forgotten since the last [`Catalog::purge`].
    pub fn is_purge_asked(&self) -> Result<bool> {
        purge_is_asked(&self.lock())
    }

    /// Whether the index and the files of the library agree with the catalogue: nothing that
    /// was forgotten is left in them, and nothing that is known lacks in the lexical index.
    pub fn is_followed(&self) -> Result<bool> {
        let connection = self.lock();
        let waits: bool = connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM loose) OR EXISTS (SELECT 1 FROM garbage)
                 OR EXISTS (SELECT 1 FROM chunk WHERE indexed = 0
                     AND EXISTS (SELECT 1 FROM file WHERE file.document = chunk.document))",
            [],
            |row| row.get(0),
        )?;
        Ok(!waits && !purge_is_asked(&connection)?)
    }

    /// Leaves nothing of what was forgotten in the catalogue's files. To be called when
    /// the index is clean and there is nothing else to do: searches wait meanwhile.
    pub fn purge(&self) -> Result<()> {
        let Some(asked) = self.setting(PURGE_SETTING)? else { return Ok(()) };
        {
            let connection = self.lock();
            let pages: f64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
            let empty: f64 = connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
            if empty > pages * EMPTY_PART {
                connection.execute("VACUUM", [])?;
            }
            // The log holds pages as they were.
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        if self.copied().is_some() {
            self.keep_copy()?;
        }
        // Unless more was forgotten meanwhile.
        self.lock().execute(
            "DELETE FROM setting WHERE name = ?1 AND value = ?2",
            [PURGE_SETTING, &asked],
        )?;
        Ok(())
    }
}

/// Has the library's files cleaned when there is nothing else to do.
pub(crate) fn ask_to_purge(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute(
        "INSERT INTO setting (name, value) VALUES (?1, '1')
         ON CONFLICT (name) DO UPDATE SET value = value + 1",
        [PURGE_SETTING],
    )?;
    Ok(())
}

fn purge_is_asked(connection: &Connection) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM setting WHERE name = ?1)";
    Ok(connection.query_row(sql, [PURGE_SETTING], |row| row.get(0))?)
}
