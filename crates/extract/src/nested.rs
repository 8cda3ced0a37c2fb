//! Documents inside of documents: members of archives and attachments of messages.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lectern_domain::{BlockKind, DocumentKind, Extraction};

use crate::compose::{Composer, DraftBlock};
use crate::{MAX_RATIO, ReadError, detect, read_bytes};

/// Documents inside of documents are read to this depth.
pub(crate) const MAX_NESTING: usize = 4;

/// How many bytes all documents inside of one file may be together when they are unpacked.
pub(crate) const MAX_UNPACKED: u64 = 512 << 20;

/// How many bytes the members of an archive, which are read one by one, may be together.
const MAX_MEMBERS_BYTES: u64 = 16 << 30;

/// So much may be unpacked whatever the ratio to the file's size.
const HARMLESS_BYTES: u64 = 64 << 20;

/// Warnings about single members beyond this many say nothing new.
const MAX_WARNINGS: usize = 20;

/// What documents inside of one file may still cost.
#[derive(Debug)]
pub(crate) struct Budget {
    nesting: usize,
    bytes: u64,
}

impl Budget {
    /// For a file of `size` bytes.
    pub(crate) fn new(size: u64) -> Self {
        let Self { bytes, .. } = Self::of_archive(size);
        Self { nesting: 0, bytes: bytes.min(MAX_UNPACKED) }
    }

    /// For an archive of `size` bytes whose members are read one by one.
    pub(crate) fn of_archive(size: u64) -> Self {
        let bytes = HARMLESS_BYTES.max(size.saturating_mul(MAX_RATIO)).min(MAX_MEMBERS_BYTES);
        Self { nesting: 0, bytes }
    }

    /// What may be unpacked into memory at once.
    pub(crate) fn in_memory(&self) -> Self {
        Self { nesting: self.nesting, bytes: self.bytes.min(MAX_UNPACKED) }
    }

    /// How many bytes may still be unpacked.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes what is to be unpacked from what is left; nothing is taken where it is too much.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooBig`] where not so much is left.
    pub(crate) fn afford(&mut self, bytes: u64) -> Result<(), ReadError> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(ReadError::TooBig)?;
        Ok(())
    }

    /// Takes what was unpacked from what is left.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooBig`] where not so much is left.
    pub(crate) fn spend(&mut self, bytes: u64) -> Result<(), ReadError> {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.unwrap_or(0);
        left.map(|_| ()).ok_or(ReadError::TooBig)
    }
}

/// Adds the document `bytes` with the file name `name` below a heading of `level`. One that
/// cannot be read costs a warning.
pub(crate) fn add(
    composer: &mut Composer,
    level: u8,
    name: &str,
    bytes: Vec<u8>,
    budget: &mut Budget,
) {
    match document(name, bytes, budget) {
        Ok(part) => {
            composer.heading(level, name);
            composer.part(level, &part);
        }
        // Pictures, programs and the like: their names are all there is to find.
        Err(ReadError::Unsupported | ReadError::Empty | ReadError::NotText) => {
            composer.block(&DraftBlock::new(BlockKind::ListItem, name));
        }
        Err(error) => {
            composer.block(&DraftBlock::new(BlockKind::ListItem, name));
            warn(composer, format!("{name}: {error}"));
        }
    }
}

pub(crate) fn warn(composer: &mut Composer, warning: String) {
    if composer.warnings.len() < MAX_WARNINGS {
        composer.warnings.push(warning);
    }
}

fn document(name: &str, bytes: Vec<u8>, budget: &mut Budget) -> Result<Extraction, ReadError> {
    if bytes.is_empty() {
        return Err(ReadError::Empty);
    }
    let kind = detect::detect_bytes(name, &bytes)?;
    if kind == DocumentKind::Image {
        return Err(ReadError::Unsupported);
    }
    if budget.nesting >= MAX_NESTING {
        return Err(ReadError::TooDeep);
    }
    budget.nesting += 1;
    // A reader that breaks on one member must not take the others with it.
    let read = catch_unwind(AssertUnwindSafe(|| read_bytes(name, bytes, kind, budget)));
    budget.nesting -= 1;
    let read =
        read.unwrap_or_else(|_| Err(ReadError::Damaged("its reader broke off".to_owned())))?;
    // Places are found again by page, and these pages are not the file's.
    if read.text.is_empty() { Err(ReadError::NeedsOcr) } else { Ok(read) }
}
