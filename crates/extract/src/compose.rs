//! Composes the canonical text of a document from its blocks. Offsets exist only from here on.

use lectern_domain::{
    Anchor, Block, BlockKind, CharRange, ColumnAnchor, DocumentKind, Extraction, Page, Rect,
    Section, TextBox,
};

use crate::{MAX_TEXT_BYTES, ReadError};

/// A block of text before it has a place in the canonical text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DraftBlock {
    pub kind: BlockKind,
    pub text: String,
    /// Where it begins in its file; see [`Anchor`].
    pub line: Option<u32>,
    /// The column of its first cell; see [`ColumnAnchor`].
    pub column: Option<u32>,
}

impl DraftBlock {
    pub(crate) fn new(kind: BlockKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), line: None, column: None }
    }

    /// The block with the line that it begins at.
    pub(crate) fn at(self, line: u32) -> Self {
        Self { line: Some(line), ..self }
    }

    /// The table with the column that its rows begin at.
    pub(crate) fn in_column(self, column: u32) -> Self {
        Self { column: Some(column), ..self }
    }
}

/// A rectangle for the characters `start..end` of the block it belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct DraftBox {
    pub start: u32,
    pub end: u32,
    pub rect: Rect,
}

#[derive(Debug, Default)]
pub(crate) struct Composer {
    text: String,
    chars: u32,
    blocks: Vec<Block>,
    sections: Vec<Section>,
    /// Which of the sections are open; of one without a name, none.
    open: Vec<Option<usize>>,
    anchors: Vec<Anchor>,
    columns: Vec<ColumnAnchor>,
    boxes: Vec<TextBox>,
    /// Whether text was left out because there is too much.
    truncated: bool,
    /// How much deeper than they say headings are, because the document is part of another.
    shift: u8,
    /// Page number, label and, once the page has a block, its first character.
    pages: Vec<(u32, Option<String>, Option<u32>)>,
    pub(crate) title: Option<String>,
    pub(crate) warnings: Vec<String>,
    /// See [`Extraction::scans`].
    pub(crate) scans: Vec<u32>,
}

impl Composer {
    /// What follows stands on the page with this number, and with the name that the document
    /// gives it.
    pub(crate) fn begin_page(&mut self, number: u32, label: Option<String>) {
        self.pages.push((number, label, None));
    }

    /// Whether no more text is taken, so that reading on is in vain.
    pub(crate) fn is_full(&self) -> bool {
        self.text.len() >= MAX_TEXT_BYTES
    }

    /// Notes that text was left out because there is too much of it.
    pub(crate) fn truncate(&mut self) {
        self.truncated = true;
    }

    /// Adds a block; its text is cleaned of control characters and outer white space.
    pub(crate) fn block(&mut self, block: &DraftBlock) {
        let text = clean(&block.text, block.kind);
        let start = self.blocks.len();
        self.clean_block(block.kind, &text, &[]);
        if let Some(added) = self.blocks.get(start) {
            let start = added.range.start;
            self.anchors.extend(block.line.map(|line| Anchor { start, line }));
            self.columns.extend(block.column.map(|column| ColumnAnchor { start, column }));
        }
    }

    /// Adds a heading.
    pub(crate) fn heading(&mut self, level: u8, text: &str) {
        self.block(&DraftBlock::new(BlockKind::Heading(level), collapse(text)));
    }

    /// What follows is a section with this name, where it has one, until it is closed.
    pub(crate) fn open_section(&mut self, title: &str) {
        let named = !title.is_empty();
        self.open.push(named.then_some(self.sections.len()));
        if named {
            let range = CharRange::new(u32::MAX, u32::MAX);
            self.sections.push(Section { range, title: title.to_owned() });
        }
    }

    /// Ends the section that was opened last.
    pub(crate) fn close_section(&mut self) {
        let Some(Some(at)) = self.open.pop() else { return };
        if self.sections[at].range.start == u32::MAX {
            // Nothing is in it, nor in those in it.
            self.sections.truncate(at);
        } else {
            self.sections[at].range.end = self.chars;
        }
    }

    /// Whether there is no text yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Adds blocks whose headings are below the open one of `level`.
    pub(crate) fn blocks_below(&mut self, level: u8, blocks: &[DraftBlock]) {
        let outer = std::mem::replace(&mut self.shift, level);
        self.blocks(blocks);
        self.shift = outer;
    }

    /// Adds the blocks of a document that is part of this one, below the open headings of
    /// `level` and above. Its pages and boxes are left behind: they are places in another file.
    pub(crate) fn part(&mut self, level: u8, part: &Extraction) {
        let outer = std::mem::replace(&mut self.shift, level);
        let mut at = 0u32;
        let mut rest = part.text.as_str();
        let first = self.blocks.len();
        for block in &part.blocks {
            let skip = lectern_domain::char_slice(rest, CharRange::new(0, block.range.start - at));
            rest = &rest[skip.len()..];
            let text = lectern_domain::char_slice(rest, CharRange::new(0, block.range.len()));
            rest = &rest[text.len()..];
            at = block.range.end;
            self.clean_block(block.kind, text, &[]);
        }
        self.shift = outer;
        // The blocks follow each other here as they do there.
        if let (Some(here), Some(there)) = (self.blocks.get(first), part.blocks.first()) {
            let offset = here.range.start - there.range.start;
            self.sections.extend(part.sections.iter().map(|section| Section {
                range: CharRange::new(section.range.start + offset, section.range.end + offset),
                title: section.title.clone(),
            }));
        }
        self.warnings.extend(part.warnings.iter().cloned());
    }

    pub(crate) fn blocks(&mut self, blocks: &[DraftBlock]) {
        for block in blocks {
            self.block(block);
        }
    }

    /// Adds a block whose text is clean already, with boxes that count from its start.
    pub(crate) fn clean_block(&mut self, kind: BlockKind, text: &str, boxes: &[DraftBox]) {
        if text.is_empty() {
            return;
        }
        let left = MAX_TEXT_BYTES.saturating_sub(self.text.len() + 2);
        let (text, boxes) = if text.len() > left {
            self.truncated = true;
            let end = (0..=left).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            (text[..end].trim_end(), &[][..])
        } else {
            (text, boxes)
        };
        if text.is_empty() {
            return;
        }
        let kind = match kind {
            BlockKind::Heading(level) => BlockKind::Heading((level + self.shift).min(6)),
            kind => kind,
        };
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
            self.chars += 2;
        }
        let start = self.chars;
        for section in self.open.iter().flatten() {
            let range = &mut self.sections[*section].range;
            range.start = range.start.min(start);
        }
        self.text.push_str(text);
        self.chars += text.chars().count() as u32;
        self.blocks.push(Block { kind, range: CharRange::new(start, self.chars) });
        self.boxes.extend(boxes.iter().map(|b| TextBox {
            range: CharRange::new(start + b.start, start + b.end),
            rect: b.rect,
        }));
        if let Some((.., first @ None)) = self.pages.last_mut() {
            *first = Some(start);
        }
    }

    /// # Errors
    ///
    /// A document without text is [`ReadError::Empty`], unless there are pictures whose text is not
    /// recognised yet. Of one with too much the beginning is kept, with a warning.
    pub(crate) fn finish(mut self, kind: DocumentKind) -> Result<Extraction, ReadError> {
        if self.scans.is_empty() && !self.text.chars().any(|c| !c.is_whitespace()) {
            return Err(ReadError::Empty);
        }
        if self.truncated {
            let limit = MAX_TEXT_BYTES >> 20;
            self.warnings.push(format!("only the first {limit} MiB of the text are read"));
        }
        let title =
            self.title.take().map(|title| title.trim().to_owned()).filter(|t| !t.is_empty());
        let title = title.or_else(|| self.leading_heading());
        Ok(Extraction {
            kind,
            title,
            pages: self.tile_pages(),
            text: self.text,
            blocks: self.blocks,
            sections: self.sections,
            anchors: self.anchors,
            columns: self.columns,
            boxes: self.boxes,
            warnings: self.warnings,
            scans: self.scans,
        })
    }

    /// A heading of level 1 that opens the document (after its front matter) is as good as a
    /// title.
    fn leading_heading(&self) -> Option<String> {
        let first = self.blocks.iter().find(|block| block.kind != BlockKind::Code)?;
        if first.kind != BlockKind::Heading(1) {
            return None;
        }
        Some(lectern_domain::char_slice(&self.text, first.range).replace('\n', " "))
    }

    /// The pages as ranges that cover the whole text: one begins where its first block does,
    /// so the separator before belongs to the page before.
    fn tile_pages(&self) -> Vec<Page> {
        if self.pages.is_empty() {
            let range = CharRange::new(0, self.chars);
            return vec![Page { number: None, label: None, range }];
        }
        let mut pages = Vec::with_capacity(self.pages.len());
        let mut end = self.chars;
        for (index, (number, label, first)) in self.pages.iter().enumerate().rev() {
            let start = if index == 0 { 0 } else { first.unwrap_or(end) };
            let range = CharRange::new(start, end);
            pages.push(Page { number: Some(*number), label: label.clone(), range });
            end = start;
        }
        pages.reverse();
        pages
    }
}

/// Whether a character is shown as nothing and means nothing, so that no reader needs it.
pub(crate) fn is_noise(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{FEFF}' | '\u{00AD}' | '\u{200B}' | '\u{2060}' | '\u{FFFE}')
}

/// The text as it goes into the canonical text: no control characters, line breaks as `\n`, no
/// white space at the ends of lines, no empty lines at the ends. Outside of code, runs of blanks
/// are one space.
pub(crate) fn clean(text: &str, kind: BlockKind) -> String {
    let text = text
        .replace("\r\n", "\n")
        .replace(['\r', '\u{2028}', '\u{2029}', '\u{0B}', '\u{0C}'], "\n");
    let mut out = String::with_capacity(text.len());
    for line in text.split('\n') {
        let from = out.len();
        if kind == BlockKind::Code {
            out.extend(line.chars().filter(|c| !is_noise(*c)));
        } else {
            for word in line.split(char::is_whitespace) {
                let before = out.len();
                out.extend(word.chars().filter(|c| !is_noise(*c)));
                if out.len() > before && before > from {
                    out.insert(before, ' ');
                }
            }
        }
        out.truncate(from + out[from..].trim_end().len());
        out.push('\n');
    }
    out.trim_end().trim_start_matches('\n').to_owned()
}

/// `text` with every run of white space as one space and none at the ends.
pub(crate) fn collapse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Rows of cells as the text of a table block; cells hold no line breaks.
pub(crate) fn table_text(rows: &[Vec<String>]) -> String {
    rows.iter()
        .filter(|row| row.iter().any(|cell| !cell.trim().is_empty()))
        .map(|row| row.iter().map(|cell| collapse(cell)).collect::<Vec<_>>().join(" | "))
        .map(|row| row.trim().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The lines of `text` in groups that blank lines separate, each with the number of its first
/// line, from `first` on.
pub(crate) fn groups(text: &str, first: u32) -> Vec<(u32, Vec<&str>)> {
    let mut groups: Vec<(u32, Vec<&str>)> = Vec::new();
    let mut open = false;
    for (number, line) in (first..).zip(text.lines()) {
        if line.trim().is_empty() {
            open = false;
        } else if let Some((_, lines)) = groups.last_mut().filter(|_| open) {
            lines.push(line);
        } else {
            groups.push((number, vec![line]));
            open = true;
        }
    }
    groups
}

/// The blocks of an extraction with a sign for their kinds, for tests.
#[cfg(test)]
pub(crate) fn sketch(extraction: &Extraction) -> String {
    extraction
        .blocks
        .iter()
        .map(|block| {
            let sign = match block.kind {
                BlockKind::Heading(level) => "#".repeat(level.into()),
                BlockKind::Paragraph => "¶".to_owned(),
                BlockKind::ListItem => "-".to_owned(),
                BlockKind::Table => "▦".to_owned(),
                BlockKind::Code => "⌘".to_owned(),
            };
            format!("{sign} {}", lectern_domain::char_slice(&extraction.text, block.range))
        })
        .collect::<Vec<_>>()
        .join("\n\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn page(number: u32, start: u32, end: u32) -> Page {
        Page { number: Some(number), label: None, range: CharRange::new(start, end) }
    }

    #[test]
    fn pages_tile_the_text_and_the_separator_belongs_to_the_earlier_one() {
        let mut composer = Composer::default();
        composer.begin_page(1, None);
        composer.begin_page(2, None);
        composer.block(&DraftBlock::new(BlockKind::Paragraph, "一二三"));
        composer.begin_page(3, None);
        composer.begin_page(4, None);
        composer.block(&DraftBlock::new(BlockKind::Paragraph, "four"));
        let extraction = composer.finish(DocumentKind::Pdf).unwrap();
        assert_eq!(extraction.text, "一二三\n\nfour");
        assert_eq!(extraction.pages, [page(1, 0, 0), page(2, 0, 5), page(3, 5, 5), page(4, 5, 9)]);
    }

    #[test]
    fn cleaning_keeps_what_is_seen() {
        let cases = [
            (BlockKind::Paragraph, "a\r\nb  c\td \n\n", "a\nb c d"),
            (BlockKind::Paragraph, "soft\u{AD}ly \u{200B} \u{0} there", "softly there"),
            (BlockKind::Code, "\n  if x:\n    y  \n", "  if x:\n    y"),
            (BlockKind::Paragraph, " \n\t", ""),
        ];
        for (kind, text, expected) in cases {
            assert_eq!(clean(text, kind), expected, "{text:?}");
        }
    }

    #[test]
    fn a_document_of_white_space_is_empty() {
        let mut composer = Composer::default();
        composer.block(&DraftBlock::new(BlockKind::Paragraph, " \n "));
        assert!(matches!(composer.finish(DocumentKind::Txt), Err(ReadError::Empty)));
    }
}
