//! OCR: the work that comes after all other, one page at a time.
//!
//! Its queue is `scan` in the catalogue, which keeps what was found by the content of the file: a
//! process that is killed loses the page it was at. When the last page of a file is done, the file is
//! read once more, with all that was recognised, and the new text replaces the old one as that of an
//! edited file does.

use std::path::{Path, PathBuf};

use lectern_catalog::{Catalog, QueuedScan};
use lectern_domain::{DocumentKind, ErrorCode, ModelError};
use lectern_extract::{
    RecognisedPage, archive_of,
    worker::{ReadFailure, ReadFailureReason},
};

use crate::discover::stamp;
use crate::indexer::{DocumentReader, Indexer, IngestError, blocking, identify, stirred};

/// A file that was found to be what the catalogue says, so that its next page need not be preceded by
/// reading all of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Verified {
    path: PathBuf,
    hash: Vec<u8>,
    kind: DocumentKind,
    size: u64,
    stamp: i64,
}

/// The state of OCR between two pages.
#[derive(Default)]
pub(crate) struct Recognition {
    /// The reader whose child holds the model.
    reader: Option<Box<dyn DocumentReader>>,
    verified: Option<Verified>,
    /// The model does not work; pages wait until somebody rings.
    pub(crate) broken: bool,
}

/// What was recognised on the pages of this content before.
pub(crate) fn recognised(
    catalog: &Catalog,
    hash: &[u8],
) -> Result<Vec<RecognisedPage>, IngestError> {
    let pages = catalog.recognised(hash)?;
    // What cannot be understood any more was written by a later version.
    Ok(pages.iter().filter_map(|page| serde_json::from_str(page).ok()).collect())
}

impl Indexer {
    /// Recognises the next page that waits for it. Returns whether there was any.
    pub(crate) async fn recognise(&mut self) -> Result<bool, IngestError> {
        let Some(scan) = self.parts.catalog.next_scan()?.filter(|_| !self.recognition.broken)
        else {
            // Its child holds much memory.
            self.recognition.reader = None;
            return Ok(false);
        };
        let reader = self.recognition.reader.take();
        let mut reader = reader.unwrap_or_else(|| (self.parts.reader)());
        if !reader.can_recognise() {
            return Ok(false);
        }
        self.let_the_person_pass().await;
        let path = PathBuf::from(&scan.path);
        let cancel = self.cancel.clone();
        let verified = tokio::select! {
            verified = self.verify(reader.as_mut(), &path, &scan) => verified,
            () = cancel.cancelled() => return Ok(false),
        };
        let Some(kind) = verified else {
            self.parts.catalog.read_again(&scan.path)?;
            return Ok(true);
        };
        let result = {
            let mut recognising = reader.recognise(&path, kind, scan.page);
            loop {
                tokio::select! {
                    result = &mut recognising => break result,
                    () = self.cancel.cancelled() => return Ok(false),
                    () = stirred(self.watch.as_mut()) => self.serve().await?,
                }
            }
        };
        let page = match result {
            Ok(page) => page,
            Err(failure) if failure.reason == ReadFailureReason::NeedsOcr => {
                tracing::error!("{failure}");
                self.recognition.broken = true;
                let hint = "Fetch it again with `make models`.";
                let error = ModelError::new(ErrorCode::ModelInvalid, failure.message, hint);
                (self.parts.problem)(Some(error));
                return Ok(false);
            }
            Err(failure) if is_of_the_file(&failure) => {
                self.recognition.verified = None;
                self.parts.catalog.read_again(&scan.path)?;
                return Ok(true);
            }
            Err(failure) => {
                tracing::info!("{}, page {}: {failure}", scan.path, scan.page);
                RecognisedPage::failed(scan.page, failure.message)
            }
        };
        self.recognition.reader = Some(reader);
        let page = serde_json::to_string(&page).unwrap_or_else(|_| "{}".to_owned());
        self.parts.catalog.keep_recognised(&scan.hash, scan.page, &page)?;
        Ok(true)
    }

    /// Whether pages wait that can be recognised now.
    pub(crate) fn can_go_on_recognising(&self) -> Result<bool, IngestError> {
        let waits = !self.recognition.broken && self.parts.catalog.next_scan()?.is_some();
        Ok(waits && (self.parts.reader)().can_recognise())
    }

    /// The kind of the file at `path`, where its content is the one that was read.
    async fn verify(
        &mut self,
        reader: &mut dyn DocumentReader,
        path: &Path,
        scan: &QueuedScan,
    ) -> Option<DocumentKind> {
        let archive = archive_of(path);
        let metadata = std::fs::symlink_metadata(archive.unwrap_or(path)).ok()?;
        let now = (metadata.len(), stamp(&metadata));
        let known = self.recognition.verified.take().filter(|known| {
            (known.size, known.stamp) == now && known.path == path && known.hash == scan.hash
        });
        let verified = match known {
            Some(known) => known,
            None => {
                let (kind, hash) = match archive {
                    Some(_) => reader.identify(path).await.ok().map(|m| (m.kind, m.hash))?,
                    None => {
                        let file = path.to_owned();
                        let identity = blocking(move || identify(&file)).await.ok()?;
                        (identity.kind, identity.hash)
                    }
                };
                let (size, stamp) = now;
                Verified { path: path.to_owned(), hash, kind, size, stamp }
            }
        };
        let same = verified.hash == scan.hash;
        let kind = verified.kind;
        self.recognition.verified = Some(verified);
        same.then_some(kind)
    }
}

/// Whether a failure says nothing about the page: the file cannot be had.
fn is_of_the_file(failure: &ReadFailure) -> bool {
    use ReadFailureReason::{AccessDenied, Missing, Unreadable};
    matches!(failure.reason, Missing | AccessDenied | Unreadable)
}
