//! Reads files into text with its place on the page, and cuts the text into chunks.
//!
//! [`read`] turns a file into an [`Extraction`]: one canonical text, and beside it sorted
//! tables of pages, blocks and word boxes that point into the text by character offsets
//! (Unicode scalar values). The text is composed once, de-hyphenated and cleaned on the way,
//! and never edited afterwards, so that an offset stays true for as long as the document
//! lives. [`chunk`] cuts it along headings, and [`rects`] finds the rectangles to highlight for any range of it.
//!
//! # The canonical text
//!
//! It is the texts of the blocks joined by an empty line; rows of a table and lines of code
//! are joined by a line break, cells by ` | `. It carries no markup: Markdown, HTML and Word
//! documents are read as what a person sees. Numbers of numbered lists are kept, because
//! people refer to them; bullets are not.
//!
//! # PDF
//!
//! A [`pdf::PdfEngine`] finds the glyphs of the pages: `pdfium` where its library is there, else
//! `hayro`. Where the text of a page looks broken, the next engine is tried for that page;
//! `pdf-extract`, which knows no places, is the last. Running heads and feet are kept once, page
//! numbers not at all. A page without any text gets a warning, a document without any is
//! [`ReadError::NeedsOcr`].
//!
//! # Isolation
//!
//! Readers of foreign formats can run away, crash and eat memory. [`worker`] runs [`read`] in
//! a child process with limits; the application itself should only use [`worker::Reader`].

mod chunk;
mod compose;
mod detect;
mod docx;
mod html;
mod markdown;
mod numbering;
pub mod pdf;
mod place;
mod text;
pub mod worker;

use std::path::Path;

use lectern_domain::{DocumentKind, Extraction};

pub use chunk::{CHUNK_TOKENS, chunk, estimate_tokens};
pub use detect::detect;
pub use place::rects;

/// Files larger than this are not read: 512 MiB.
pub const MAX_FILE_BYTES: u64 = 512 << 20;

/// Text beyond this is not read: 64 MiB, about thirty thousand pages.
pub const MAX_TEXT_BYTES: usize = 64 << 20;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no file at the path.
    #[error("the file is not there")]
    Missing,
    /// The operating system does not let us read the file.
    #[error("the file may not be read: access is denied")]
    AccessDenied,
    /// The operating system failed while reading the file.
    #[error("the file could not be read: {0}")]
    Io(std::io::Error),
    /// The file holds no text at all.
    #[error("the file is empty")]
    Empty,
    /// The file is said to be text but holds other bytes.
    #[error("the file is not text")]
    NotText,
    /// The file is of a kind that cannot be read.
    #[error("files of this kind cannot be read")]
    Unsupported,
    /// The file's structure is broken.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// The file opens with a password only.
    #[error("the file is protected by a password")]
    PasswordNeeded,
    /// All pages are pictures.
    #[error("the file holds pictures of pages only (a scan); its text is not recognised")]
    NeedsOcr,
    /// The file is beyond [`MAX_FILE_BYTES`] or its text beyond [`MAX_TEXT_BYTES`].
    #[error("the file is too big to be read")]
    TooBig,
}

impl From<std::io::Error> for ReadError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing,
            std::io::ErrorKind::PermissionDenied => Self::AccessDenied,
            _ => Self::Io(error),
        }
    }
}

/// Reads the file at `path` as a document of `kind`. Blocks for the whole time.
///
/// # Errors
///
/// A document without any text is an error ([`ReadError::Empty`], or [`ReadError::NeedsOcr`]
/// for a PDF of pictures), because nothing can be found in it.
pub fn read(path: &Path, kind: DocumentKind) -> Result<Extraction, ReadError> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(ReadError::Unsupported);
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(ReadError::TooBig);
    }
    let bytes = std::fs::read(path)?;
    if bytes.is_empty() {
        return Err(ReadError::Empty);
    }
    match kind {
        DocumentKind::Txt => text::read(&bytes),
        DocumentKind::Md => markdown::read(&bytes),
        DocumentKind::Html => html::read(&bytes),
        DocumentKind::Docx => docx::read(bytes),
        DocumentKind::Pdf => pdf::read(bytes),
    }
}
