//! A document's text, for reading and for showing.

use std::path::Path;

use lectern_catalog::Line;
use lectern_domain::{CharRange, DocumentId, ErrorCode, Page, char_slice};
use lectern_extract::detect;

use crate::{
    App, AppError, DocumentText, PageText, Place, Result, Source, SourceBlock, error,
    filter::absolute, library::now_seconds,
};

impl App {
    /// The text of the document at `path`: as the library holds it, or, where it
    /// does not, as it is read now.
    pub async fn text(&self, path: &Path) -> Result<DocumentText> {
        let path = absolute(path)?;
        let name = path.to_string_lossy().into_owned();
        if let Some(document) = self.catalog().document_at(&name)? {
            let text = self.catalog().text(document.id)?.unwrap_or_default();
            let pages = self.catalog().pages(document.id)?;
            return Ok(DocumentText {
                path: name,
                kind: document.kind.as_str().to_owned(),
                pages: split_pages(&text, &pages),
                warnings: document.warnings,
            });
        }
        if !path.exists() {
            return Err(error::not_found(&path));
        }
        let kind = detect(&path)
            .map_err(|failure| AppError::new(ErrorCode::Unreadable, failure.to_string(), ""))?;
        let mut reader = (self.inner.parts.reader)();
        let read = reader.read(&path, kind).await?;
        Ok(DocumentText {
            path: name,
            kind: kind.as_str().to_owned(),
            pages: split_pages(&read.extraction.text, &read.extraction.pages),
            warnings: read.extraction.warnings,
        })
    }

    /// The document at `path`, to be shown beside an answer.
    pub fn source(&self, path: &str) -> Result<Source> {
        let document = self.catalog().document_at(path)?.ok_or_else(|| {
            AppError::new(
                ErrorCode::NotFound,
                format!("{path} is no longer in the library"),
                "It was removed, renamed or cannot be read any more.",
            )
        })?;
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
        let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
        Ok(Source {
            path: path.to_owned(),
            title: document.title.unwrap_or_else(|| name.into_owned()),
            kind: document.kind.as_str().to_owned(),
            page_count: pages.iter().filter_map(|page| page.number).max(),
            missing: !Path::new(path).exists(),
            blocks,
        })
    }
}

impl App {
    /// The page that holds a character of a document, from 1.
    pub(crate) fn page_of(&self, document: DocumentId, character: u32) -> Result<Option<u32>> {
        Ok(page_at(&self.catalog().pages(document)?, character))
    }
}

impl App {
    /// What the page that holds a character is, and the character's line in the file.
    pub(crate) fn place_of(&self, document: DocumentId, at: u32) -> Result<Option<Place>> {
        let found = self.catalog().line_at(document, at)?;
        Ok(found.map(|Line { kind, line, column }| Place {
            unit: kind.unit(),
            line,
            line_unit: kind.line_unit(),
            cell: column.zip(line).map(|(column, row)| format!("{}{row}", column_letters(column))),
        }))
    }
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
    fn slices_follow_each_other() {
        let ranges =
            [(0, 2), (2, 2), (3, 5), (5, 9)].map(|(start, end)| CharRange::new(start, end));
        assert_eq!(slices("甲乙 ab尾", &ranges), ["甲乙", "", "ab", "尾"]);
    }
}
