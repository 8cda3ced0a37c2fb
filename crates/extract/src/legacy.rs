//! Word and PowerPoint files of before 2007, which `undoc` takes apart.

use lectern_domain::{BlockKind, DocumentKind, Extraction};
use undoc::model::{Block, Document, ListType, Paragraph, RevisionType, Table};

use crate::ReadError;
use crate::compose::{Composer, DraftBlock, collapse, table_text};
use crate::xml::damaged;

pub(crate) fn read_doc(bytes: Vec<u8>) -> Result<Extraction, ReadError> {
    let parsed = undoc::doc::DocParser::from_bytes(bytes).and_then(|mut parser| parser.parse());
    compose(&parsed.map_err(refused)?, DocumentKind::Doc)
}

/// Slides are the pages.
pub(crate) fn read_ppt(bytes: Vec<u8>) -> Result<Extraction, ReadError> {
    let parsed = undoc::ppt::PptParser::from_bytes(bytes).and_then(|mut parser| parser.parse());
    compose(&parsed.map_err(refused)?, DocumentKind::Ppt)
}

fn refused(error: undoc::Error) -> ReadError {
    match error {
        undoc::Error::Encrypted => ReadError::PasswordNeeded,
        error => damaged(error),
    }
}

fn compose(document: &Document, kind: DocumentKind) -> Result<Extraction, ReadError> {
    let mut composer = Composer::default();
    composer.title = document.metadata.title.as_deref().map(collapse);
    let mut margins: Vec<String> = Vec::new();
    for (number, section) in (1..).zip(&document.sections) {
        if kind == DocumentKind::Ppt {
            composer.begin_page(number, None);
        }
        for block in &section.content {
            match block {
                Block::Paragraph(paragraph) => add_paragraph(&mut composer, paragraph),
                Block::Table(table) => add_table(&mut composer, table),
                Block::Note { label, content } => {
                    let text = format!("[{label}] {}", join(content));
                    composer.block(&DraftBlock::new(BlockKind::Paragraph, text));
                }
                _ => {}
            }
        }
        for paragraph in section.notes.iter().flatten() {
            add_paragraph(&mut composer, paragraph);
        }
        let margin = section.header.iter().chain(&section.footer).map(|part| join(part));
        for text in margin {
            if text.chars().any(char::is_alphabetic) && !margins.contains(&text) {
                margins.push(text);
            }
        }
    }
    if kind == DocumentKind::Doc {
        for text in margins {
            composer.block(&DraftBlock::new(BlockKind::Paragraph, text));
        }
    }
    composer.finish(kind)
}

fn add_paragraph(composer: &mut Composer, paragraph: &Paragraph) {
    let text = text_of(paragraph);
    let level = paragraph.heading.level();
    let block = if level > 0 {
        DraftBlock::new(BlockKind::Heading(level.min(6)), collapse(&text))
    } else if let Some(list) = &paragraph.list_info {
        let number = list.number.filter(|_| list.list_type == ListType::Numbered);
        let label = number.map(|number| format!("{number}. ")).unwrap_or_default();
        DraftBlock::new(BlockKind::ListItem, label + text.trim_start())
    } else {
        DraftBlock::new(BlockKind::Paragraph, text)
    };
    composer.block(&block);
}

fn add_table(composer: &mut Composer, table: &Table) {
    let rows = table.rows.iter().map(|row| {
        row.cells
            .iter()
            .map(|cell| {
                let nested = cell.nested_tables.iter().map(|table| table.plain_text());
                join(&cell.content) + " " + &nested.collect::<Vec<_>>().join(" ")
            })
            .collect()
    });
    let rows: Vec<Vec<String>> = rows.collect();
    composer.block(&DraftBlock::new(BlockKind::Table, table_text(&rows)));
}

fn join(paragraphs: &[Paragraph]) -> String {
    paragraphs.iter().map(text_of).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// The text as it stands after all revisions are accepted.
fn text_of(paragraph: &Paragraph) -> String {
    let mut text = String::new();
    for run in &paragraph.runs {
        if run.revision == RevisionType::Deleted {
            continue;
        }
        match &run.note {
            Some(label) => text.push_str(&format!("[{label}]")),
            None => text.push_str(&run.text),
        }
        if run.line_break {
            text.push('\n');
        }
    }
    text
}
