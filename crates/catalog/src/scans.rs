//! Pages that are pictures: the queue of OCR, and what it found.
//!
//! It is kept by content and page: OCR takes seconds a page, so that neither the end of the process
//! nor a new version of the readers may cost what was done.

use rusqlite::{OptionalExtension, params};

use crate::{Catalog, Result};

/// A page that waits to be recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedScan {
    /// Absolute path of a file that holds it.
    pub path: String,
    /// The file's size in bytes, when it was read.
    pub size: u64,
    /// SHA-256 of the file's bytes.
    pub hash: Vec<u8>,
    /// The page, from 1.
    pub page: u32,
}

/// What joins a scan that waits with the files that it can be recognised from. `CROSS` keeps SQLite
/// from beginning with the files: this is asked every second, and most libraries have no scan.
const WAITING: &str = "scan CROSS JOIN document ON document.hash = scan.hash
    CROSS JOIN file ON file.document = document.id
    CROSS JOIN folder ON folder.id = file.folder
    WHERE scan.lines IS NULL AND file.state IN ('ready', 'skipped')
      AND NOT folder.paused AND NOT folder.missing";

impl Catalog {
    /// The next page to be recognised: those of small files first, and all pages of one file after
    /// each other.
    pub fn next_scan(&self) -> Result<Option<QueuedScan>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT file.path, file.size, scan.hash, scan.page FROM {WAITING}
             ORDER BY file.size, scan.hash, scan.page LIMIT 1"
        ))?;
        let scan = statement.query_row([], |row| {
            Ok(QueuedScan {
                path: row.get(0)?,
                size: row.get(1)?,
                hash: row.get(2)?,
                page: row.get(3)?,
            })
        });
        Ok(scan.optional()?)
    }

    /// How many pages wait to be recognised.
    pub fn waiting_scans(&self) -> Result<u64> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT count(*) FROM (SELECT DISTINCT scan.hash, scan.page FROM {WAITING})"
        ))?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// What was recognised on the pages of this content, by page, as [`Catalog::keep_recognised`]
    /// was given it.
    pub fn recognised(&self, hash: &[u8]) -> Result<Vec<String>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT lines FROM scan WHERE hash = ?1 AND lines IS NOT NULL ORDER BY page",
        )?;
        let rows = statement.query_map([hash], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Keeps what was recognised on a page. With the last page that waited, the files of this
    /// content are queued to be read once more; what is known of them stays searchable until then.
    pub fn keep_recognised(&self, hash: &[u8], page: u32, lines: &str) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        transaction.execute(
            "UPDATE scan SET lines = ?3 WHERE hash = ?1 AND page = ?2",
            params![hash, page, lines],
        )?;
        let waits: bool = transaction.query_row(
            "SELECT EXISTS (SELECT 1 FROM scan WHERE hash = ?1 AND lines IS NULL)",
            [hash],
            |row| row.get(0),
        )?;
        if !waits {
            // Read by readers that know less: no version is negative, and no two documents share one.
            transaction.execute("UPDATE document SET reader = -id WHERE hash = ?1", [hash])?;
            transaction.execute(
                "UPDATE file SET state = 'pending', reason = NULL
                 WHERE state IN ('ready', 'skipped')
                   AND document IN (SELECT id FROM document WHERE hash = ?1)",
                [hash],
            )?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Queues a file to be read once more, because it is not what it was when it was read.
    pub fn read_again(&self, path: &str) -> Result<()> {
        self.lock().execute(
            "UPDATE file SET state = 'pending', reason = NULL
             WHERE path = ?1 AND state IN ('ready', 'skipped')",
            [path],
        )?;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rusqlite::Connection;

    use super::WAITING;

    #[test]
    fn where_no_page_waits_no_file_is_looked_at() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("schema.sql")).unwrap();
        let sql = format!("EXPLAIN QUERY PLAN SELECT file.path FROM {WAITING}");
        let first: String = connection.query_row(&sql, [], |row| row.get(3)).unwrap();
        assert_eq!(first, "SCAN scan USING INDEX scan_queue");
    }
}
