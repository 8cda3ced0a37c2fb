//! A document's text, for reading and for showing.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use lectern_catalog::{DocumentRecord, Line};
use lectern_domain::{
    CharRange, DocumentId, DocumentKind, ErrorCode, LineUnit, Page, PageUnit, char_slice,
};
use lectern_extract::{RecognisedPage, archive_of, detect};
use lectern_ingest::modified_nanoseconds;

use crate::{
    App, AppError, DocumentText, PageText, Place, Quoted, Rect, Result, Source, SourceBlock,
    SourceNow, SourceState, TextRange, error, filter::absolute, library::now_seconds, locked,
};

/// The most bytes of a file that are read at once.
const LONGEST_READ: u64 = 8 << 20;

/// A member of an archive that is larger when unpacked is not shown as it looks.
const LARGEST_SHOWN: usize = 256 << 20;

/// A member of an archive, in memory while it is shown.
pub(crate) struct Unpacked {
    path: String,
    /// Of the archive.
    size: u64,
    modified: i64,
    bytes: Arc<Vec<u8>>,
}

impl App {
    /// The text of the document at `path`: as the library holds it, or, where it
    /// does not, as it is read now, which takes seconds for every page that is a picture.
    pub async fn text(&self, path: &Path) -> Result<DocumentText> {
        let path = absolute(path)?;
        let name = path.to_string_lossy().into_owned();
        let known = self.catalog().document_at(&name)?;
        let text = known.as_ref().map(|document| self.catalog().text(document.id)).transpose()?;
        // One without text waits for OCR.
        let text = text.flatten().filter(|text| !text.is_empty());
        if let (Some(document), Some(text)) = (known, text) {
            let pages = self.catalog().pages(document.id)?;
            return Ok(DocumentText {
                path: name,
                kind: document.kind.as_str().to_owned(),
                pages: split_pages(&text, &pages),
                warnings: document.warnings,
            });
        }
        let is_member = archive_of(&path).is_some();
        if !is_member && !path.exists() {
            return Err(error::not_found(&path));
        }
        let mut reader = (self.inner.parts.reader)();
        let kind = if is_member {
            reader.identify(&path).await?.kind
        } else {
            detect(&path)
                .map_err(|failure| AppError::new(ErrorCode::Unreadable, failure.to_string(), ""))?
        };
        let mut read = reader.read(&path, kind, Vec::new()).await?;
        if !read.extraction.scans.is_empty() && reader.can_recognise() {
            let mut pages = Vec::new();
            for number in read.extraction.scans {
                let page = reader.recognise(&path, kind, number).await;
                pages.push(
                    page.unwrap_or_else(|failure| RecognisedPage::failed(number, failure.message)),
                );
            }
            read = reader.read(&path, kind, pages).await?;
        } else if read.extraction.text.is_empty() {
            return Err(AppError::new(
                ErrorCode::Unreadable,
                "the file holds pictures of pages only, and the model for OCR is not installed",
                "Run `make models` to install it.",
            ));
        }
        Ok(DocumentText {
            path: name,
            kind: kind.as_str().to_owned(),
            pages: split_pages(&read.extraction.text, &read.extraction.pages),
            warnings: read.extraction.warnings,
        })
    }

    /// The document at `path`, to be shown beside an answer.
    pub async fn source(&self, path: &str) -> Result<Source> {
        let document = self.document(path)?;
        // Whoever looks at it asks about it next.
        if !self.inner.read_only && self.catalog().hurry(path, now_seconds())? {
            self.inner.wake.notify_one();
        }
        let text = self.catalog().text(document.id)?.unwrap_or_default();
        let pages = self.catalog().pages(document.id)?;
        let blocks = self.catalog().blocks(document.id)?;
        let ranges: Vec<CharRange> = blocks.iter().map(|block| block.range).collect();
        let blocks = blocks
            .iter()
            .zip(slices(&text, &ranges))
            .map(|(block, text)| SourceBlock {
                kind: block.kind,
                page: page_at(&pages, block.range.start),
                start: block.range.start,
                text: text.to_owned(),
            })
            .collect();
        let metadata = on_disk(path);
        let bytes = match &metadata {
            Some(metadata) if archive_of(Path::new(path)).is_none() => metadata.len(),
            // Only what is shown as it looks is asked for by its bytes.
            Some(_) if matches!(document.kind, DocumentKind::Pdf | DocumentKind::Image) => {
                self.unpacked(path).await.map_or(0, |bytes| bytes.len() as u64)
            }
            _ => 0,
        };
        let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
        Ok(Source {
            path: path.to_owned(),
            title: document.title.unwrap_or_else(|| name.into_owned()),
            kind: document.kind.as_str().to_owned(),
            page_count: pages.iter().filter_map(|page| page.number).max(),
            missing: metadata.is_none(),
            changed: match &metadata {
                Some(metadata) => {
                    self.catalog().modified_at(path)? != Some(modified_nanoseconds(metadata))
                }
                None => false,
            },
            bytes,
            content: self.content_of(document.id)?.unwrap_or_default(),
            blocks,
        })
    }
}

/// What is known of where a character of a document stands.
pub(crate) struct Whereabouts {
    /// Its page, from 1.
    pub page: Option<u32>,
    /// What the document itself calls that page.
    pub label: Option<String>,
    /// What the page is, and the line in the file.
    pub place: Option<Place>,
}

impl App {
    /// Where a character of a document stands.
    pub(crate) fn whereabouts(&self, document: DocumentId, at: u32) -> Result<Whereabouts> {
        let page = self.catalog().page_at(document, at)?;
        let found = self.catalog().line_at(document, at)?;
        Ok(Whereabouts {
            page: page.as_ref().and_then(|page| page.number),
            label: page.and_then(|page| page.label),
            place: found.map(|Line { kind, line, column }| Place {
                unit: kind.unit(),
                line,
                line_unit: kind.line_unit(),
                cell: column
                    .zip(line)
                    .map(|(column, row)| format!("{}{row}", column_letters(column))),
            }),
        })
    }

    /// Where parts of the document at `path` stand on its pages, in the order of `ranges`.
    pub fn places(&self, path: &str, ranges: &[TextRange]) -> Result<Vec<Vec<Rect>>> {
        let document = self.document(path)?.id;
        ranges.iter().map(|range| self.rects(document, CharRange::from(*range))).collect()
    }

    /// At most `length` bytes, and no more than [`LONGEST_READ`], of the file behind the
    /// document at `path`, from byte `start`; fewer where the file ends before. Only files
    /// of the library, and members of archives that are, are read.
    pub async fn document_bytes(&self, path: &str, start: u64, length: u64) -> Result<Vec<u8>> {
        self.document(path)?;
        if archive_of(Path::new(path)).is_some() {
            let bytes = self.unpacked(path).await?;
            let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
            let end = start.saturating_add(length.min(LONGEST_READ));
            return Ok(bytes[at(start)..at(end)].to_vec());
        }
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.take(length.min(LONGEST_READ)).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|error| {
            AppError::new(
                ErrorCode::Unreadable,
                format!("{path} cannot be opened: {error}"),
                "Check that the file is still there and that you may read it.",
            )
        })
    }

    /// The bytes of a member of an archive, which are kept until another one is asked for.
    async fn unpacked(&self, path: &str) -> Result<Arc<Vec<u8>>> {
        let (size, modified) = on_disk(path)
            .map_or((0, 0), |metadata| (metadata.len(), modified_nanoseconds(&metadata)));
        {
            let mut shown = locked(&self.inner.shown);
            let same = |shown: &&Unpacked| {
                (shown.path.as_str(), shown.size, shown.modified) == (path, size, modified)
            };
            if let Some(shown) = shown.as_ref().filter(same) {
                return Ok(shown.bytes.clone());
            }
            *shown = None;
        }
        let mut reader = (self.inner.parts.reader)();
        let bytes = Arc::new(reader.unpack(Path::new(path)).await?);
        if bytes.len() > LARGEST_SHOWN {
            return Err(AppError::new(
                ErrorCode::Unreadable,
                format!("{path} is too large to be shown out of its archive"),
                "Open the archive with another program.",
            ));
        }
        let unpacked = Unpacked { path: path.to_owned(), size, modified, bytes: bytes.clone() };
        *locked(&self.inner.shown) = Some(unpacked);
        Ok(bytes)
    }

    /// The file on the disk that another program can open to see the document at `path`: itself,
    /// or the archive that it is in. Only for documents of the library.
    pub fn file_to_open(&self, path: &str) -> Result<PathBuf> {
        self.document(path)?;
        let path = Path::new(path);
        Ok(archive_of(path).unwrap_or(path).to_owned())
    }

    /// What became of sources since they were quoted, in the order of `quoted`.
    pub fn sources_now(&self, quoted: &[Quoted]) -> Result<Vec<SourceNow>> {
        quoted.iter().map(|quoted| self.source_now(quoted)).collect()
    }

    pub(crate) fn source_now(&self, quoted: &Quoted) -> Result<SourceNow> {
        let Quoted { document: path, content, quote } = quoted;
        let now = |state| Ok(SourceNow { state, document: path.clone() });
        let Some(document) = self.catalog().document_at(path)? else {
            let content = content.as_deref().and_then(from_hexadecimal);
            let elsewhere =
                content.map(|content| self.catalog().path_with(&content)).transpose()?;
            return match elsewhere.flatten() {
                Some(document) => Ok(SourceNow { state: SourceState::Moved, document }),
                None => now(SourceState::Removed),
            };
        };
        if content.is_some() && self.content_of(document.id)? == *content {
            return match on_disk(path) {
                None => now(SourceState::Missing),
                // It is another one on the disk already, and will soon be read.
                Some(found)
                    if self.catalog().modified_at(path)? != Some(modified_nanoseconds(&found)) =>
                {
                    now(SourceState::Changed)
                }
                Some(_) => now(SourceState::Same),
            };
        }
        let text = self.catalog().text(document.id)?.unwrap_or_default();
        match (text.contains(quote.as_str()), content) {
            (false, _) => now(SourceState::QuoteGone),
            (true, Some(_)) => now(SourceState::Changed),
            // Answers did not always keep what file they quoted.
            (true, None) => now(SourceState::Same),
        }
    }

    /// SHA-256 of a document's file, in hexadecimal.
    pub(crate) fn content_of(&self, document: DocumentId) -> Result<Option<String>> {
        let content = self.catalog().content_of(document)?;
        Ok(content.map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    pub(crate) fn document(&self, path: &str) -> Result<DocumentRecord> {
        self.catalog().document_at(path)?.ok_or_else(|| {
            AppError::new(
                ErrorCode::NotFound,
                format!("{path} is no longer in the library"),
                "It was removed, renamed or cannot be read any more.",
            )
        })
    }
}

/// What the disk says of the file at `path`, or of the archive that it is in.
fn on_disk(path: &str) -> Option<Metadata> {
    let path = Path::new(path);
    fs::metadata(archive_of(path).unwrap_or(path)).ok()
}

impl From<TextRange> for CharRange {
    fn from(TextRange { start, end }: TextRange) -> Self {
        Self::new(start, end.max(start))
    }
}

/// Where something stands, in English words: `page 3`, `sheet 2, row 14`, `line 120`,
/// `0:01:35`; empty where nothing is known.
pub fn place_in_words(page: Option<u32>, label: Option<&str>, place: Option<&Place>) -> String {
    let unit = place.and_then(|place| place.unit);
    let page = page.map(|number| {
        let name = match unit {
            Some(PageUnit::Page) | None => "page",
            Some(PageUnit::Slide) => "slide",
            Some(PageUnit::Sheet) => "sheet",
            Some(PageUnit::Chapter) => "chapter",
            Some(PageUnit::Message) => "message",
            Some(PageUnit::Member) => "file",
            Some(PageUnit::Cell) => "cell",
        };
        match label {
            Some(label) if unit == Some(PageUnit::Page) => format!("page {label}"),
            _ => format!("{name} {number}"),
        }
    });
    let line = place.and_then(|place| {
        let line = place.line?;
        Some(match place.line_unit {
            LineUnit::Line => format!("line {line}"),
            LineUnit::Row => format!("row {line}"),
            LineUnit::Second => {
                format!("{}:{:02}:{:02}", line / 3600, line / 60 % 60, line % 60)
            }
        })
    });
    [page, line].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn from_hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
}

/// The letters of a sheet's column, counted from 1: after Z comes AA.
fn column_letters(mut column: u32) -> String {
    let mut letters = String::new();
    while column > 0 {
        letters.insert(0, char::from(b'A' + ((column - 1) % 26) as u8));
        column = (column - 1) / 26;
    }
    letters
}

fn page_at(pages: &[Page], character: u32) -> Option<u32> {
    pages.iter().rev().find(|page| page.range.start <= character)?.number
}

fn split_pages(text: &str, pages: &[Page]) -> Vec<PageText> {
    let ranges: Vec<CharRange> = pages.iter().map(|page| page.range).collect();
    pages
        .iter()
        .zip(slices(text, &ranges))
        .map(|(page, text)| PageText {
            page: page.number,
            label: page.label.clone(),
            text: text.to_owned(),
        })
        .collect()
}

/// The parts of `text` at `ranges`, which are in order and do not overlap, in one
/// walk through it.
fn slices<'a>(text: &'a str, ranges: &[CharRange]) -> Vec<&'a str> {
    let mut rest = text;
    let mut at = 0;
    ranges
        .iter()
        .map(|range| {
            rest =
                &rest[char_slice(rest, CharRange::new(0, range.start.saturating_sub(at))).len()..];
            let slice = char_slice(rest, CharRange::new(0, range.len()));
            rest = &rest[slice.len()..];
            at = range.end;
            slice
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_letters_of_sheets() {
        let cases = [
            (1, "A"),
            (26, "Z"),
            (27, "AA"),
            (52, "AZ"),
            (702, "ZZ"),
            (703, "AAA"),
            (16_384, "XFD"),
        ];
        for (column, letters) in cases {
            assert_eq!(column_letters(column), letters);
        }
    }

    #[test]
    fn places_are_said_in_the_words_of_their_kind() {
        let place = |unit, line, line_unit| Some(Place { unit, line, line_unit, cell: None });
        let line = LineUnit::Line;
        let cases = [
            (Some(3), None, place(Some(PageUnit::Page), None, line), "page 3"),
            (Some(3), Some("iv"), place(Some(PageUnit::Page), None, line), "page iv"),
            (
                Some(2),
                None,
                place(Some(PageUnit::Sheet), Some(14), LineUnit::Row),
                "sheet 2, row 14",
            ),
            (Some(7), None, place(Some(PageUnit::Member), None, line), "file 7"),
            (None, None, place(None, Some(120), line), "line 120"),
            (None, None, place(None, Some(3_695), LineUnit::Second), "1:01:35"),
            (Some(4), None, None, "page 4"),
            (None, None, None, ""),
        ];
        for (page, label, place, expected) in cases {
            assert_eq!(place_in_words(page, label, place.as_ref()), expected);
        }
    }

    #[test]
    fn slices_follow_each_other() {
        let ranges =
            [(0, 2), (2, 2), (3, 5), (5, 9)].map(|(start, end)| CharRange::new(start, end));
        assert_eq!(slices("甲乙 ab尾", &ranges), ["甲乙", "", "ab", "尾"]);
    }
}
