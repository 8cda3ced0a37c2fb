//! What happened in the library.

use chrono::{DateTime, Local, SecondsFormat};
use lectern_catalog::HistoryKind as Kind;

use crate::{App, HistoryEntry, HistoryKind, Result, reason};

/// The most entries that are given at once.
const MOST: u32 = 1000;

impl App {
    /// What happened to the files of the library, the latest first: at most `limit` entries, and
    /// only those before the entry `before`, where that is given.
    pub fn history(&self, before: Option<i64>, limit: u32) -> Result<Vec<HistoryEntry>> {
        let entries = self.catalog().history(before, limit.min(MOST))?;
        Ok(entries
            .into_iter()
            .map(|entry| {
                let mut told = HistoryEntry {
                    id: entry.id,
                    at: DateTime::from_timestamp(entry.at, 0)
                        .unwrap_or_default()
                        .with_timezone(&Local)
                        .to_rfc3339_opts(SecondsFormat::Secs, true),
                    kind: entry.kind.into(),
                    path: entry.path,
                    from: None,
                    files: None,
                    reason: None,
                    reason_code: None,
                    reason_detail: None,
                };
                match entry.kind {
                    Kind::Moved => told.from = entry.detail,
                    Kind::Forgotten => told.files = entry.detail.and_then(|n| n.parse().ok()),
                    Kind::Failed => {
                        let named = entry.detail.as_deref().and_then(reason::name);
                        let (code, detail) = named.unzip();
                        told.reason_code = code;
                        told.reason_detail = detail.flatten();
                        told.reason = entry.detail;
                    }
                    Kind::Added | Kind::Changed | Kind::Removed => {}
                }
                told
            })
            .collect())
    }
}

impl From<Kind> for HistoryKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Added => Self::Added,
            Kind::Changed => Self::Changed,
            Kind::Moved => Self::Moved,
            Kind::Removed => Self::Removed,
            Kind::Failed => Self::Failed,
            Kind::Forgotten => Self::Forgotten,
        }
    }
}
