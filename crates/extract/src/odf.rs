//! OpenDocument texts, spreadsheets and presentations, as packages and as single XML files.

use lectern_domain::{BlockKind, DocumentKind, Extraction};
use roxmltree::{Document, Node};

use crate::compose::{Composer, DraftBlock, clean, collapse, table_text};
use crate::package::Package;
use crate::sheets::MAX_SPREAD;
use crate::xml::{MAX_DEPTH, attribute, child, damaged, name, parse};
use crate::{ReadError, text};

/// A cell or row that says it is repeated more often than this is there for its colour only.
const MAX_REPEATS: usize = 64;

/// Sheets and slides are the pages.
pub(crate) fn read(bytes: Vec<u8>, kind: DocumentKind) -> Result<Extraction, ReadError> {
    let mut composer = Composer::default();
    if !bytes.starts_with(b"PK") {
        let source = text::decode(&bytes, None)?;
        let document = parse(&source)?;
        composer.title = title(&document);
        body(&document, &mut composer);
        return composer.finish(kind);
    }
    let mut package = Package::open(bytes)?;
    // An encrypted package says so in its list of parts, and the parts look like noise.
    let manifest = package.part("META-INF/manifest.xml")?.unwrap_or_default();
    if manifest.contains("encryption-data") {
        return Err(ReadError::PasswordNeeded);
    }
    let source = package.part("content.xml")?.ok_or_else(|| damaged("the content is missing"))?;
    let document = parse(&source)?;
    let meta = package.part("meta.xml")?.unwrap_or_default();
    composer.title = parse(&meta).ok().and_then(|meta| title(&meta));
    body(&document, &mut composer);
    if kind == DocumentKind::Odt {
        let styles = package.part("styles.xml")?.unwrap_or_default();
        if let Ok(styles) = parse(&styles) {
            page_margins(&styles, &mut composer);
        }
    }
    composer.finish(kind)
}

fn title(meta: &Document<'_>) -> Option<String> {
    let title = meta.descendants().find(|node| name(*node) == "title")?;
    title.text().map(collapse)
}

/// Headers and footers, each text once.
fn page_margins(styles: &Document<'_>, composer: &mut Composer) {
    let mut seen: Vec<String> = Vec::new();
    for part in styles.descendants().filter(|node| {
        matches!(
            name(*node),
            "header" | "footer" | "header-first" | "footer-first" | "header-left" | "footer-left"
        )
    }) {
        let mut walker = Walker::default();
        walker.blocks_of(part, 0);
        let texts: Vec<_> = walker.blocks.into_iter().map(|block| block.text).collect();
        let text = texts.join(" ");
        if text.chars().any(char::is_alphabetic) && !seen.contains(&text) {
            composer.block(&DraftBlock::new(BlockKind::Paragraph, text.as_str()));
            seen.push(text);
        }
    }
}

fn body(document: &Document<'_>, composer: &mut Composer) {
    let root = document.descendants().find(|node| name(*node) == "body");
    let root = root.unwrap_or(document.root_element());
    let content = root.children().find(Node::is_element).unwrap_or(root);
    match name(content) {
        "spreadsheet" => {
            let sheets = content.children().filter(|node| name(*node) == "table");
            for (number, sheet) in (1..).zip(sheets) {
                composer.begin_page(number, None);
                composer.heading(1, attribute(sheet, "name").unwrap_or_default());
                sheet_rows(sheet, composer);
            }
        }
        "presentation" | "drawing" => {
            let slides = content.children().filter(|node| name(*node) == "page");
            for (number, slide) in (1..).zip(slides) {
                composer.begin_page(number, None);
                let mut walker = Walker { slides: true, ..Walker::default() };
                walker.blocks_of(slide, 0);
                walker.blocks.sort_by_key(|block| block.kind != BlockKind::Heading(1));
                composer.blocks(&walker.blocks);
            }
        }
        _ => {
            let mut walker = Walker::default();
            walker.blocks_of(content, 0);
            composer.blocks(&walker.blocks);
        }
    }
}

/// The tables of a sheet: an empty row ends one. Anchors are rows.
fn sheet_rows(sheet: Node<'_, '_>, composer: &mut Composer) {
    let mut row_number = 1u32;
    let mut first = 1;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut remarks: Vec<DraftBlock> = Vec::new();
    let mut flush = |rows: &mut Vec<Vec<String>>, first: u32| {
        let rows = std::mem::take(rows);
        if !rows.is_empty() {
            // The rows of a sheet begin in its first column.
            let even = !rows.iter().flatten().any(|cell| cell.contains('|'));
            let table = DraftBlock::new(BlockKind::Table, table_text(&rows)).at(first);
            composer.block(&if even { table.in_column(1) } else { table });
        }
    };
    for row in sheet.descendants().filter(|node| name(*node) == "table-row") {
        let repeated = repeats(row, "number-rows-repeated");
        let mut cells: Vec<String> = Vec::new();
        for cell in row.children().filter(Node::is_element) {
            let mut walker = Walker::default();
            walker.blocks_of(cell, 0);
            let texts: Vec<_> = walker.blocks.into_iter().map(|block| block.text).collect();
            let times = repeats(cell, "number-columns-repeated").min(MAX_REPEATS);
            cells.extend(std::iter::repeat_n(texts.join(" "), times));
            for remark in cell.children().filter(|node| name(*node) == "annotation") {
                remarks.push(annotation(remark));
            }
        }
        while cells.last().is_some_and(|cell| cell.trim().is_empty()) {
            cells.pop();
        }
        if cells.is_empty() {
            flush(&mut rows, first);
        } else {
            if rows.is_empty() {
                first = row_number;
            }
            rows.extend(std::iter::repeat_n(cells, repeated.min(MAX_REPEATS)));
        }
        row_number = row_number.saturating_add(u32::try_from(repeated).unwrap_or(u32::MAX));
    }
    flush(&mut rows, first);
    composer.blocks(&remarks);
}

fn repeats(node: Node<'_, '_>, key: &str) -> usize {
    attribute(node, key).and_then(|times| times.parse().ok()).unwrap_or(1).max(1)
}

/// A comment, with who wrote it.
fn annotation(node: Node<'_, '_>) -> DraftBlock {
    let author = child(node, "creator").and_then(|node| node.text()).unwrap_or_default();
    let mut walker = Walker::default();
    walker.blocks_of(node, 0);
    let texts: Vec<_> = walker.blocks.into_iter().map(|block| block.text).collect();
    let author = if author.is_empty() { String::new() } else { format!("{author}: ") };
    DraftBlock::new(BlockKind::Paragraph, format!("[{author}{}]", texts.join(" ")))
}

#[derive(Default)]
struct Walker {
    blocks: Vec<DraftBlock>,
    slides: bool,
    /// Whether the next paragraph is the first of a list item.
    item: bool,
    /// Whether the paragraphs are a slide's title.
    title: bool,
    /// Footnotes and comments of the paragraph that is being read.
    notes: Vec<DraftBlock>,
}

impl Walker {
    fn blocks_of(&mut self, node: Node<'_, '_>, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        for node in node.children().filter(Node::is_element) {
            match name(node) {
                "h" => {
                    let level = attribute(node, "outline-level").and_then(|l| l.parse().ok());
                    let level: u8 = level.unwrap_or(1);
                    self.paragraph(node, BlockKind::Heading(level.clamp(1, 6)), depth);
                }
                "p" => {
                    let kind = if self.title {
                        BlockKind::Heading(1)
                    } else if std::mem::take(&mut self.item) {
                        BlockKind::ListItem
                    } else {
                        BlockKind::Paragraph
                    };
                    self.paragraph(node, kind, depth);
                }
                "list-item" | "list-header" => {
                    self.item = true;
                    self.blocks_of(node, depth + 1);
                    self.item = false;
                }
                "table" => self.table(node, depth),
                "frame" => self.frame(node, depth),
                "notes" if self.slides => {
                    // The page of notes has a picture of the slide and the notes in frames.
                    let mut notes = Self::default();
                    notes.blocks_of(node, depth + 1);
                    self.blocks.extend(notes.blocks);
                }
                // Forms, changes that were deleted, sources of indices, and what other places read.
                "forms"
                | "tracked-changes"
                | "sequence-decls"
                | "variable-decls"
                | "creator"
                | "date"
                | "annotation"
                | "object"
                | "object-ole"
                | "settings"
                | "master-page"
                | "index-title-template" => {
                    if name(node) == "annotation" && self.slides {
                        self.blocks.push(annotation(node));
                    }
                }
                _ => self.blocks_of(node, depth + 1),
            }
        }
    }

    fn frame(&mut self, frame: Node<'_, '_>, depth: usize) {
        let class = attribute(frame, "class").unwrap_or_default();
        if self.slides && matches!(class, "page-number" | "date-time" | "footer" | "header") {
            return;
        }
        let outer = std::mem::replace(&mut self.title, self.slides && class == "title");
        self.blocks_of(frame, depth + 1);
        self.title = outer;
        for key in ["title", "desc"] {
            let text = child(frame, key).and_then(|node| node.text()).unwrap_or_default();
            self.blocks.push(DraftBlock::new(BlockKind::Paragraph, text));
        }
    }

    fn paragraph(&mut self, node: Node<'_, '_>, kind: BlockKind, depth: usize) {
        let mut text = String::new();
        let mut frames = Vec::new();
        self.inline(node, &mut text, &mut frames, depth);
        let text = clean(&text, BlockKind::Paragraph);
        if !text.is_empty() {
            let text = if matches!(kind, BlockKind::Heading(_)) { collapse(&text) } else { text };
            self.blocks.push(DraftBlock::new(kind, text));
        }
        for frame in frames {
            self.frame(frame, depth + 1);
        }
        let notes = std::mem::take(&mut self.notes);
        self.blocks.extend(notes);
    }

    fn inline<'a, 'i>(
        &mut self,
        node: Node<'a, 'i>,
        out: &mut String,
        frames: &mut Vec<Node<'a, 'i>>,
        depth: usize,
    ) {
        if depth > MAX_DEPTH {
            return;
        }
        for node in node.children() {
            if node.is_text() {
                out.push_str(&collapse_ends(node.text().unwrap_or_default()));
                continue;
            }
            match name(node) {
                "s" => out.push(' '),
                "tab" => out.push('\t'),
                "line-break" => out.push('\n'),
                "note" => {
                    let label = child(node, "note-citation").and_then(|node| node.text());
                    let label = label.unwrap_or("*");
                    let mut inner = Self::default();
                    if let Some(body) = child(node, "note-body") {
                        inner.blocks_of(body, depth + 1);
                    }
                    let texts: Vec<_> = inner.blocks.into_iter().map(|block| block.text).collect();
                    out.push_str(&format!("[{label}]"));
                    let text = format!("[{label}] {}", texts.join(" "));
                    self.notes.push(DraftBlock::new(BlockKind::Paragraph, text));
                }
                "annotation" => {
                    let remark = annotation(node);
                    self.notes.push(remark);
                }
                "frame" | "custom-shape" | "text-box" | "g" => frames.push(node),
                "ruby-text" => {}
                _ => self.inline(node, out, frames, depth + 1),
            }
        }
    }

    fn table(&mut self, table: Node<'_, '_>, depth: usize) {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut merged: Vec<Merged> = Vec::new();
        let mut pending: Vec<Node<'_, '_>> = vec![table];
        // Rows stand in the table or in its groups, and never below another table's cell.
        while let Some(node) = pending.pop() {
            if name(node) == "table-row" {
                let is_cell = |node: &Node<'_, '_>| {
                    matches!(name(*node), "table-cell" | "covered-table-cell")
                };
                let cells: Vec<_> = node.children().filter(is_cell).collect();
                // A title across a whole row stays one.
                let is_title = cells.len() > 1
                    && cells.iter().skip(1).all(|cell| name(*cell) == "covered-table-cell");
                let mut row: Vec<String> = Vec::new();
                for cell in cells {
                    if name(cell) == "covered-table-cell" {
                        let times = repeats(cell, "number-columns-repeated").min(MAX_REPEATS);
                        for _ in 0..times {
                            let covers = |area: &&Merged| area.covers(rows.len(), row.len());
                            let area = merged.iter().rev().find(covers);
                            let text = area.filter(|area| !is_title || area.row < rows.len());
                            row.push(text.map_or_else(String::new, |area| area.text.clone()));
                        }
                        continue;
                    }
                    let mut inner = Self::default();
                    inner.blocks_of(cell, depth + 1);
                    let texts: Vec<_> = inner.blocks.into_iter().map(|block| block.text).collect();
                    let times = repeats(cell, "number-columns-repeated").min(MAX_REPEATS);
                    let text = texts.join(" ");
                    let area = Merged {
                        row: rows.len(),
                        rows: repeats(cell, "number-rows-spanned").min(MAX_REPEATS),
                        column: row.len(),
                        columns: repeats(cell, "number-columns-spanned").min(MAX_REPEATS),
                        text: text.clone(),
                    };
                    if (area.rows > 1 || area.columns > 1) && text.len() <= MAX_SPREAD {
                        merged.retain(|area| area.row + area.rows > rows.len());
                        merged.push(area);
                    }
                    row.extend(std::iter::repeat_n(text, times));
                }
                while is_title && row.len() > 1 && row.last().is_some_and(String::is_empty) {
                    row.pop();
                }
                rows.push(row);
                continue;
            }
            let inner: Vec<_> = node.children().filter(Node::is_element).collect();
            pending.extend(inner.into_iter().rev());
        }
        self.blocks.push(DraftBlock::new(BlockKind::Table, table_text(&rows)));
    }
}

/// A cell of a table that goes over others: its text is that of each of them, so that every row
/// says by itself what it is about.
struct Merged {
    row: usize,
    rows: usize,
    column: usize,
    columns: usize,
    text: String,
}

impl Merged {
    fn covers(&self, row: usize, column: usize) -> bool {
        (self.row..self.row + self.rows).contains(&row)
            && (self.column..self.column + self.columns).contains(&column)
    }
}

/// White space as OpenDocument reads it: a run is one space.
fn collapse_ends(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' | '\t' | '\r' | '\n' if out.ends_with(' ') => {}
            '\t' | '\r' | '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;
    use crate::package::package;

    const NAMESPACES: &str =
        "xmlns:o='o' xmlns:t='t' xmlns:b='b' xmlns:d='d' xmlns:p='p' xmlns:dc='dc'";

    fn document(content: &str) -> String {
        format!("<o:document-content {NAMESPACES}><o:body>{content}</o:body></o:document-content>")
    }

    fn read_content(content: &str, kind: DocumentKind) -> Extraction {
        read(package(&[("content.xml", document(content))]), kind).unwrap()
    }

    #[test]
    fn reads_what_a_text_shows() {
        let cases = [
            (
                "<t:h t:outline-level='2'>A <t:span>b</t:span></t:h><t:p>one<t:s/>two<t:line-break/>three</t:p>",
                "## A b\n\n¶ one two\nthree",
            ),
            (
                "<t:list><t:list-item><t:p>a</t:p><t:p>more</t:p><t:list><t:list-item><t:p>b</t:p></t:list-item></t:list></t:list-item></t:list>",
                "- a\n\n¶ more\n\n- b",
            ),
            (
                "<t:p>x<t:note><t:note-citation>1</t:note-citation><t:note-body><t:p>Note.</t:p></t:note-body></t:note> y</t:p>",
                "¶ x[1] y\n\n¶ [1] Note.",
            ),
            (
                "<t:p>x<o:annotation><dc:creator>Ana</dc:creator><t:p>Why?</t:p></o:annotation></t:p>",
                "¶ x\n\n¶ [Ana: Why?]",
            ),
            (
                "<b:table><b:table-row><b:table-cell b:number-columns-spanned='3'><t:p>Prices</t:p></b:table-cell><b:covered-table-cell b:number-columns-repeated='2'/></b:table-row>\
                 <b:table-row><b:table-cell b:number-rows-spanned='2'><t:p>Tea</t:p></b:table-cell><b:table-cell b:number-columns-spanned='2'><t:p>x</t:p></b:table-cell><b:covered-table-cell/></b:table-row>\
                 <b:table-row><b:covered-table-cell/><b:table-cell><t:p>1</t:p></b:table-cell><b:table-cell><t:p>2</t:p></b:table-cell></b:table-row></b:table>",
                "▦ Prices\nTea | x | x\nTea | 1 | 2",
            ),
            (
                "<b:table><b:table-header-rows><b:table-row><b:table-cell><t:p>a</t:p></b:table-cell><b:table-cell><t:p>b</t:p></b:table-cell></b:table-row></b:table-header-rows>\
              <b:table-row><b:table-cell/><b:table-cell><t:p>d</t:p></b:table-cell></b:table-row></b:table>",
                "▦ a | b\n| d",
            ),
            (
                "<t:tracked-changes><t:p>gone</t:p></t:tracked-changes><t:p>seen<d:frame><d:text-box><t:p>box</t:p></d:text-box></d:frame></t:p>",
                "¶ seen\n\n¶ box",
            ),
        ];
        for (content, expected) in cases {
            let extraction =
                read_content(&format!("<o:text>{content}</o:text>"), DocumentKind::Odt);
            assert_eq!(sketch(&extraction), expected, "{content}");
        }
    }

    #[test]
    fn sheets_are_pages_and_rows_are_counted() {
        let cell = |text: &str| format!("<b:table-cell><t:p>{text}</t:p></b:table-cell>");
        let content = format!(
            "<o:spreadsheet><b:table b:name='Stock'><b:table-row>{}{}</b:table-row>\
             <b:table-row b:number-rows-repeated='8'><b:table-cell b:number-columns-repeated='16384'/></b:table-row>\
             <b:table-row>{}<b:table-cell b:number-columns-repeated='2'><t:p>z</t:p></b:table-cell></b:table-row>\
             <b:table-row b:number-rows-repeated='1048566'><b:table-cell/></b:table-row></b:table>\
             <b:table b:name='Two'/></o:spreadsheet>",
            cell("a"),
            cell("b"),
            cell("c")
        );
        let extraction = read_content(&content, DocumentKind::Ods);
        assert_eq!(sketch(&extraction), "# Stock\n\n▦ a | b\n\n▦ c | z | z\n\n# Two");
        let rows: Vec<u32> = extraction.anchors.iter().map(|anchor| anchor.line).collect();
        assert_eq!(rows, [1, 10]);
        assert_eq!(extraction.pages.len(), 2);
    }

    #[test]
    fn slides_are_pages() {
        let content = "<o:presentation><d:page><d:frame><d:text-box><t:list><t:list-item><t:p>point</t:p></t:list-item></t:list></d:text-box></d:frame>\
             <d:frame p:class='title'><d:text-box><t:p>Title</t:p></d:text-box></d:frame>\
             <p:notes><d:frame><d:text-box><t:p>Say this.</t:p></d:text-box></d:frame></p:notes></d:page>\
             <d:page><d:custom-shape><t:p>shape</t:p></d:custom-shape></d:page></o:presentation>";
        let extraction = read_content(content, DocumentKind::Odp);
        assert_eq!(sketch(&extraction), "# Title\n\n- point\n\n¶ Say this.\n\n¶ shape");
        assert_eq!(extraction.pages.len(), 2);
    }

    #[test]
    fn a_flat_file_is_read_and_an_encrypted_package_is_not() {
        let flat = document("<o:text><t:p>flat</t:p></o:text>");
        assert_eq!(read(flat.into_bytes(), DocumentKind::Odt).unwrap().text, "flat");
        let locked = package(&[
            ("META-INF/manifest.xml", "<m><encryption-data/></m>"),
            ("content.xml", "noise"),
        ]);
        assert!(matches!(read(locked, DocumentKind::Odt), Err(ReadError::PasswordNeeded)));
    }
}
