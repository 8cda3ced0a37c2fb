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
//! are joined by a line break, cells by ` | `. It carries no markup: documents are read as what
//! a person sees. Numbers of numbered lists are kept, because people refer to them; bullets are
//! not.
//!
//! # Places
//!
//! What a document is divided into (pages, slides, sheets, chapters, messages, members) are its
//! pages, and what these are called is [`DocumentKind::unit`]. Names of sheets, members and the
//! like are headings. Where people know a place by its line, row or second,
//! [`Extraction::anchors`] have those of blocks. `docs/reading.md` has a table of all kinds.
//!
//! # PDF
//!
//! A [`pdf::PdfEngine`] finds the glyphs of the pages: `pdfium` where its library is there, else
//! `hayro`. Where the text of a page looks broken, the next engine is tried for that page;
//! `pdf-extract`, which knows no places, is the last. Running heads and feet are kept once, page
//! numbers not at all.
//!
//! # Scans
//!
//! Pages that are pictures are [`Extraction::scans`]. [`recognise`] finds the lines of one of them, which
//! takes seconds; [`read_recognised`] reads the document once more with all that was found.
//!
//! # Isolation
//!
//! Readers of foreign formats can run away, crash and eat memory. [`worker`] runs [`read`] in
//! a child process with limits; the application itself should only use [`worker::Reader`].

mod archive;
mod chart;
mod chunk;
mod code;
mod compose;
mod csv;
mod detect;
mod docx;
mod epub;
mod html;
mod json;
mod legacy;
mod mail;
mod markdown;
mod markup;
mod msg;
mod nested;
mod numbering;
mod ocr;
mod odf;
mod office_lock;
mod package;
pub mod pdf;
mod place;
mod rtf;
mod sheets;
mod slides;
mod subtitles;
mod tex;
mod text;
pub mod worker;
mod xml;
mod xml_text;

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use lectern_domain::{DocumentKind, Extraction};
use sha2::{Digest as _, Sha256};

use archive::Shelf;
use compose::Composer;
use nested::Budget;

pub use archive::{Member, archive_of, is_archive};
pub use chunk::{CHUNK_TOKENS, chunk, chunk_by, estimate_tokens};
pub use detect::detect;
pub use ocr::{OcrError, RecognisedLine, RecognisedPage, Recogniser};
pub use place::rects;

/// Files larger than this are not read: 512 MiB. Plain text, mailboxes and archives are read in
/// pieces and may be larger.
pub const MAX_FILE_BYTES: u64 = 512 << 20;

/// Text beyond this is not read, which a warning says: 64 MiB, about thirty thousand pages.
pub const MAX_TEXT_BYTES: usize = 64 << 20;

/// How many times its size what is packed in a file may be.
const MAX_RATIO: u64 = 100;

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
    /// There is no text on its pictures either.
    #[error("the file holds pictures only, and no text was found on them")]
    NoWords,
    /// OCR itself failed.
    #[error("{0}")]
    Ocr(String),
    /// The file is beyond [`MAX_FILE_BYTES`], or unpacks to more than is allowed.
    #[error("the file is too big to be read")]
    TooBig,
    /// The document lies in too many others, one inside of the other.
    #[error("the file lies too deep inside of other files")]
    TooDeep,
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

/// Reads the document at `path` as one of `kind`: a file, or a member of an archive (see
/// [`archive_of`]). Of an archive it lists the members. Blocks for the whole time.
///
/// # Errors
///
/// A document without any text is an error ([`ReadError::Empty`]), because nothing can be found in
/// it, unless it has [`Extraction::scans`].
pub fn read(path: &Path, kind: DocumentKind) -> Result<Extraction, ReadError> {
    read_recognised(path, kind, &[])
}

/// Reads a document as [`read`] does, with what was recognised on its pictures before.
///
/// # Errors
///
/// As [`read`]; and [`ReadError::NoWords`] where all was recognised and there is no text.
pub fn read_recognised(
    path: &Path,
    kind: DocumentKind,
    recognised: &[RecognisedPage],
) -> Result<Extraction, ReadError> {
    Ok(read_from(&mut Shelf::default(), path, kind, recognised)?.extraction)
}

/// What was read.
struct ReadFile {
    extraction: Extraction,
    /// The members, where it is an archive.
    members: Vec<Member>,
}

impl From<Extraction> for ReadFile {
    fn from(extraction: Extraction) -> Self {
        Self { extraction, members: Vec::new() }
    }
}

impl From<(Extraction, Vec<Member>)> for ReadFile {
    fn from((extraction, members): (Extraction, Vec<Member>)) -> Self {
        Self { extraction, members }
    }
}

fn read_from(
    shelf: &mut Shelf,
    path: &Path,
    kind: DocumentKind,
    recognised: &[RecognisedPage],
) -> Result<ReadFile, ReadError> {
    let name = file_name(path);
    if let Some(archive) = archive_of(path) {
        let bytes = shelf.member(path, archive, None)?;
        return Ok(read_loaded(&name, bytes, kind, recognised)?.into());
    }
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(ReadError::Unsupported);
    }
    let mut file = File::open(path)?;
    if is_archive(kind) {
        return Ok(archive::list(file, &name, kind, None)?.into());
    }
    if kind == DocumentKind::Mbox {
        let mut budget = Budget::new(metadata.len());
        return Ok(mail::read_mailbox(BufReader::new(file), &mut budget)?.into());
    }
    let mut bytes = Vec::new();
    if text_reader(kind).is_some() {
        // One byte more tells that there is more.
        file.take(MAX_TEXT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    } else if metadata.len() > MAX_FILE_BYTES {
        return Err(ReadError::TooBig);
    } else {
        file.read_to_end(&mut bytes)?;
    }
    Ok(read_loaded(&name, bytes, kind, recognised)?.into())
}

fn read_loaded(
    name: &str,
    bytes: Vec<u8>,
    kind: DocumentKind,
    recognised: &[RecognisedPage],
) -> Result<Extraction, ReadError> {
    match kind {
        DocumentKind::Pdf => pdf::read(bytes, recognised),
        DocumentKind::Image => pdf::read_pictures(&bytes, recognised),
        _ => {
            let mut budget = Budget::new(bytes.len() as u64);
            read_bytes(name, bytes, kind, &mut budget)
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The whole content of a document.
fn load(shelf: &mut Shelf, path: &Path) -> Result<Vec<u8>, ReadError> {
    if let Some(archive) = archive_of(path) {
        return shelf.member(path, archive, None);
    }
    if std::fs::metadata(path)?.len() > MAX_FILE_BYTES {
        return Err(ReadError::TooBig);
    }
    Ok(std::fs::read(path)?)
}

/// What the member of an archive at `path` is, and the SHA-256 of its bytes.
fn identify(shelf: &mut Shelf, path: &Path) -> Result<(DocumentKind, Vec<u8>), ReadError> {
    let bytes = load(shelf, path)?;
    let kind = detect::detect_bytes(&file_name(path), &bytes)?;
    Ok((kind, Sha256::digest(&bytes).to_vec()))
}

/// Whether [`unlock`] knows how documents of `kind` are encrypted.
pub fn can_unlock(kind: DocumentKind) -> bool {
    use DocumentKind::{Docx, Pdf, Pptx, SevenZ, Xlsx, Zip};
    matches!(kind, Docx | Pdf | Pptx | SevenZ | Xlsx | Zip)
}

/// Reads a document that opens with a password only. Pages that are pictures are left out: they
/// are recognised later, when the password is not known any more. The member of an archive may be
/// locked itself or by its archive; of what kind it is, is then found here.
///
/// # Errors
///
/// As [`read`]; [`ReadError::PasswordNeeded`] where it is the wrong one, and
/// [`ReadError::Unsupported`] for kinds that [`can_unlock`] does not name.
pub fn unlock(path: &Path, kind: DocumentKind, password: &str) -> Result<Extraction, ReadError> {
    Ok(unlock_from(&mut Shelf::default(), path, kind, password)?.extraction)
}

fn unlock_from(
    shelf: &mut Shelf,
    path: &Path,
    kind: DocumentKind,
    password: &str,
) -> Result<ReadFile, ReadError> {
    let name = file_name(path);
    let read = match archive_of(path) {
        Some(archive) => {
            let bytes = shelf.member(path, archive, Some(password))?;
            let kind = detect::detect_bytes(&name, &bytes)?;
            unlock_bytes(&name, bytes, kind, password)?
        }
        None if is_archive(kind) => {
            return Ok(archive::list(File::open(path)?, &name, kind, Some(password))?.into());
        }
        None if !can_unlock(kind) => return Err(ReadError::Unsupported),
        None => unlock_bytes(&name, load(shelf, path)?, kind, password)?,
    };
    Ok(without_scans(read)?.into())
}

fn unlock_bytes(
    name: &str,
    bytes: Vec<u8>,
    kind: DocumentKind,
    password: &str,
) -> Result<Extraction, ReadError> {
    use DocumentKind::{Docx, Pdf, Pptx, Xlsx};
    match kind {
        Pdf => pdf::unlock(bytes, password),
        Docx | Pptx | Xlsx if bytes.starts_with(detect::OLE) => {
            let plain = office_lock::decrypt(bytes, password)?;
            read_loaded(name, plain, kind, &[])
        }
        _ => read_loaded(name, bytes, kind, &[]),
    }
}

fn without_scans(mut extraction: Extraction) -> Result<Extraction, ReadError> {
    let scans = std::mem::take(&mut extraction.scans);
    if extraction.text.is_empty() {
        return Err(ReadError::NeedsOcr);
    }
    if !scans.is_empty() {
        let warning = format!("{} pages are pictures and were left out", scans.len());
        extraction.warnings.push(warning);
    }
    Ok(extraction)
}

/// Recognises the text of one page, counted from 1, of a PDF or an image.
///
/// # Errors
///
/// As [`read`]; [`ReadError::Damaged`] where the page cannot be painted, and
/// [`ReadError::Unsupported`] for other kinds.
pub fn recognise(
    path: &Path,
    kind: DocumentKind,
    page: u32,
    recogniser: &Recogniser,
) -> Result<RecognisedPage, ReadError> {
    recognise_from(&mut Shelf::default(), path, kind, page, recogniser)
}

fn recognise_from(
    shelf: &mut Shelf,
    path: &Path,
    kind: DocumentKind,
    page: u32,
    recogniser: &Recogniser,
) -> Result<RecognisedPage, ReadError> {
    let bytes = load(shelf, path)?;
    let (picture, unit) = match kind {
        DocumentKind::Pdf => pdf::render(bytes, page)?,
        DocumentKind::Image => (ocr::read_frame(&bytes, page)?, 1.0),
        _ => return Err(ReadError::Unsupported),
    };
    let lines = recogniser.lines(&picture).map_err(|error| ReadError::Ocr(error.to_string()))?;
    let lines = lines.into_iter().map(|line| line.scaled(unit)).collect();
    Ok(RecognisedPage { number: page, lines, failure: None })
}

/// Whether files of `kind` are read in pieces, so that they may be larger than [`MAX_FILE_BYTES`].
pub fn is_read_in_pieces(kind: DocumentKind) -> bool {
    is_archive(kind) || kind == DocumentKind::Mbox || text_reader(kind).is_some()
}

type TextReader = fn(&str, &[u8], Composer) -> Result<Extraction, ReadError>;

/// The reader of a kind of which the beginning alone can be read. It takes the file's name too.
fn text_reader(kind: DocumentKind) -> Option<TextReader> {
    Some(match kind {
        DocumentKind::Txt => |_, bytes, composer| text::read(bytes, composer),
        DocumentKind::Md => |_, bytes, composer| markdown::read(bytes, composer),
        DocumentKind::Csv => |_, bytes, composer| csv::read(bytes, composer),
        DocumentKind::Json => |_, bytes, composer| json::read(bytes, composer),
        DocumentKind::Code => code::read,
        DocumentKind::Tex => |_, bytes, composer| tex::read(bytes, composer),
        DocumentKind::Adoc => |_, bytes, composer| markup::read_asciidoc(bytes, composer),
        DocumentKind::Rst => |_, bytes, composer| markup::read_rst(bytes, composer),
        _ => return None,
    })
}

/// Reads a document with the file name `name` from memory.
fn read_bytes(
    name: &str,
    mut bytes: Vec<u8>,
    kind: DocumentKind,
    budget: &mut Budget,
) -> Result<Extraction, ReadError> {
    if bytes.is_empty() {
        return Err(ReadError::Empty);
    }
    if let Some(read) = text_reader(kind) {
        let mut composer = Composer::default();
        if bytes.len() > MAX_TEXT_BYTES {
            // At the end of a line, which is the end of a character too.
            let end = bytes[..MAX_TEXT_BYTES].iter().rposition(|byte| *byte == b'\n');
            bytes.truncate(end.unwrap_or(MAX_TEXT_BYTES & !1));
            composer.truncate();
        }
        return read(name, &bytes, composer);
    }
    let office = matches!(kind, DocumentKind::Docx | DocumentKind::Pptx | DocumentKind::Xlsx);
    if office && bytes.starts_with(detect::OLE) {
        // An encrypted package lies in a container of the old kind.
        return Err(ReadError::PasswordNeeded);
    }
    // Their readers hold many times their size in memory.
    let held = matches!(
        kind,
        DocumentKind::Html
            | DocumentKind::Xml
            | DocumentKind::Ipynb
            | DocumentKind::Srt
            | DocumentKind::Vtt
    );
    if held && bytes.len() > MAX_TEXT_BYTES {
        return Err(ReadError::TooBig);
    }
    match kind {
        DocumentKind::Html => html::read(&bytes),
        DocumentKind::Docx => docx::read(bytes),
        DocumentKind::Pptx => slides::read(bytes),
        DocumentKind::Xlsx => sheets::read_xlsx(bytes),
        DocumentKind::Doc => legacy::read_doc(bytes),
        DocumentKind::Ppt => legacy::read_ppt(bytes),
        DocumentKind::Xls => sheets::read_xls(bytes),
        DocumentKind::Odt | DocumentKind::Ods | DocumentKind::Odp => odf::read(bytes, kind),
        DocumentKind::Epub => epub::read(bytes),
        DocumentKind::Rtf => rtf::read(&bytes),
        DocumentKind::Ipynb => json::read_notebook(&bytes),
        DocumentKind::Xml => xml_text::read(&bytes),
        DocumentKind::Eml => mail::read(&bytes, budget),
        DocumentKind::Mbox => mail::read_mailbox(bytes.as_slice(), budget),
        DocumentKind::Msg => msg::read(bytes, budget),
        DocumentKind::Srt | DocumentKind::Vtt => subtitles::read(&bytes, kind),
        DocumentKind::Zip | DocumentKind::Tar | DocumentKind::SevenZ => {
            archive::read(bytes, name, kind, budget)
        }
        DocumentKind::Pdf => pdf::read(bytes, &[]),
        // The kinds of `text_reader`.
        _ => Err(ReadError::Unsupported),
    }
}
