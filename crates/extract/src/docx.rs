//! Office Open XML text documents (Word), in the transitional and the strict form.
//!
//! Elements are told apart by their local names only: both forms use the same ones in
//! different name spaces.

use std::collections::{HashMap, HashSet};

use lectern_domain::{BlockKind, DocumentKind, Extraction};
use roxmltree::{Document, Node};

use crate::ReadError;
use crate::chart::chart_table;
use crate::compose::{Composer, DraftBlock, collapse, table_text};
use crate::numbering::NumberFormat;
use crate::package::Package;
use crate::xml::{MAX_DEPTH, attribute, child, damaged, name, parse, texts};

pub(crate) fn read(bytes: Vec<u8>) -> Result<Extraction, ReadError> {
    let mut package = Package::open(bytes)?;
    let main = package.main_part("word/document.xml")?;
    let relationships = package.relationships(&main)?;
    let mut sources: HashMap<String, String> = HashMap::new();
    for relationship in &relationships {
        const KINDS: [&str; 9] = [
            "styles",
            "numbering",
            "footnotes",
            "endnotes",
            "comments",
            "header",
            "footer",
            "chart",
            "diagramData",
        ];
        if KINDS.contains(&relationship.kind.as_str())
            && let Some(source) = package.part(&relationship.target)?
        {
            sources.insert(relationship.target.clone(), source);
        }
    }
    let body_source = package.part(&main)?.ok_or_else(|| damaged("the main part is missing"))?;
    let body = parse(&body_source)?;

    let mut reader = Reader::default();
    // A broken side part is no reason to refuse the document. Styles and numbers come first,
    // because all others use them.
    let parts = |kinds: &'static [&str]| {
        relationships.iter().filter(|r| kinds.contains(&r.kind.as_str())).filter_map(|r| {
            let source = sources.get(&r.target)?;
            Some((r, parse(source).ok()?))
        })
    };
    for (relationship, part) in parts(&["styles", "numbering"]) {
        match relationship.kind.as_str() {
            "styles" => reader.styles = styles(&part),
            _ => reader.numbering = numbering(&part),
        }
    }
    for (relationship, part) in
        parts(&["footnotes", "endnotes", "comments", "chart", "diagramData"])
    {
        match relationship.kind.as_str() {
            "footnotes" => reader.read_notes("footnote", &part),
            "endnotes" => reader.read_notes("endnote", &part),
            "comments" => reader.read_notes("comment", &part),
            "chart" => {
                reader
                    .graphics
                    .insert(relationship.id.clone(), (BlockKind::Table, chart_table(&part)));
            }
            _ => {
                let text = diagram_text(&part);
                reader.graphics.insert(relationship.id.clone(), (BlockKind::Paragraph, text));
            }
        }
    }
    let root = child(body.root_element(), "body").unwrap_or(body.root_element());
    reader.blocks_of(root, 0);
    // The first page's, the even pages' and each section's headers mostly say the same.
    let mut seen = HashSet::new();
    for (_, part) in parts(&["header", "footer"]) {
        let text = reader.flat_text(part.root_element(), 0);
        if text.chars().any(char::is_alphabetic) && seen.insert(text.clone()) {
            reader.blocks.push(DraftBlock::new(BlockKind::Paragraph, text));
        }
    }

    let mut composer = Composer::default();
    composer.title = package.title("docProps/core.xml");
    composer.blocks(&reader.blocks);
    composer.finish(DocumentKind::Docx)
}

/// The texts of a diagram's points, a line each.
pub(crate) fn diagram_text(diagram: &Document<'_>) -> String {
    let points = diagram.descendants().filter(|node| name(*node) == "pt");
    points
        .map(|point| texts(point, "t"))
        .filter(|text| !text.trim().is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The `val` attribute of the child element `key`.
fn value<'a>(node: Node<'a, '_>, key: &str) -> Option<&'a str> {
    child(node, key).and_then(|node| attribute(node, "val"))
}

/// Whether a switch such as `vanish` or `del` is there and not turned off.
fn is_on(node: Option<Node<'_, '_>>, key: &str) -> bool {
    node.and_then(|node| child(node, key))
        .is_some_and(|node| !matches!(attribute(node, "val"), Some("0" | "false" | "off")))
}

#[derive(Debug, Clone, Default)]
struct Style {
    /// 1 to 9 for headings; 0 where the style says that it is none.
    outline: Option<u8>,
    based_on: Option<String>,
    number: Option<String>,
    level: Option<usize>,
}

fn styles(document: &Document<'_>) -> HashMap<String, Style> {
    let styles = document.descendants().filter(|node| name(*node) == "style");
    styles
        .filter_map(|node| {
            let id = attribute(node, "styleId")?;
            let properties = child(node, "pPr");
            let outline = properties
                .and_then(|properties| value(properties, "outlineLvl"))
                .and_then(|level| level.parse::<u8>().ok())
                .map(|level| if level < 9 { level + 1 } else { 0 });
            let numbers = properties.and_then(|properties| child(properties, "numPr"));
            let style = Style {
                outline: value(node, "name").and_then(outline_by_name).or(outline),
                based_on: value(node, "basedOn").map(str::to_owned),
                number: numbers.and_then(|node| value(node, "numId")).map(str::to_owned),
                level: numbers.and_then(|node| value(node, "ilvl")?.parse().ok()),
            };
            Some((id.to_owned(), style))
        })
        .collect()
}

/// The level of a built-in heading style. Word stores English names for these whatever its own
/// language; other programs write theirs.
fn outline_by_name(name: &str) -> Option<u8> {
    const NAMES: [&str; 8] =
        ["heading", "überschrift", "titre", "título", "titolo", "заголовок", "标题", "見出し"];
    let name = name.to_lowercase();
    if name == "title" {
        return Some(1);
    }
    let rest = NAMES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    rest.trim().parse().ok().filter(|level| (1..=9).contains(level))
}

#[derive(Debug, Clone)]
struct Level {
    start: u32,
    format: NumberFormat,
    /// The label with `%1` … `%9` for the numbers of the levels.
    text: String,
    style: Option<String>,
}

#[derive(Debug, Default)]
struct Numbering {
    levels: HashMap<String, Vec<Level>>,
    /// The abstract numbering, and the starts that a list sets anew, by the list's number.
    lists: HashMap<String, (String, HashMap<usize, u32>)>,
    /// The last number given, by abstract numbering and level.
    counters: HashMap<String, Vec<Option<u32>>>,
    restarted: HashSet<(String, usize)>,
}

fn numbering(document: &Document<'_>) -> Numbering {
    let mut numbering = Numbering::default();
    for node in document.root_element().children() {
        match name(node) {
            "abstractNum" => {
                let Some(id) = attribute(node, "abstractNumId") else { continue };
                let levels = node.children().filter(|node| name(*node) == "lvl");
                let levels = levels
                    .map(|node| Level {
                        start: value(node, "start")
                            .and_then(|start| start.parse().ok())
                            .unwrap_or(1),
                        format: NumberFormat::parse(value(node, "numFmt").unwrap_or("decimal")),
                        text: value(node, "lvlText").unwrap_or_default().to_owned(),
                        style: value(node, "pStyle").map(str::to_owned),
                    })
                    .collect();
                numbering.levels.insert(id.to_owned(), levels);
            }
            "num" => {
                let Some(id) = attribute(node, "numId") else { continue };
                let Some(base) = value(node, "abstractNumId") else { continue };
                let overrides = node.children().filter(|node| name(*node) == "lvlOverride");
                let starts = overrides.filter_map(|node| {
                    let level = attribute(node, "ilvl")?.parse().ok()?;
                    Some((level, value(node, "startOverride")?.parse().ok()?))
                });
                numbering.lists.insert(id.to_owned(), (base.to_owned(), starts.collect()));
            }
            _ => {}
        }
    }
    numbering
}

impl Numbering {
    /// The level that a list ties to a paragraph style.
    fn level_of_style(&self, list: &str, style: &str) -> Option<usize> {
        let (base, _) = self.lists.get(list)?;
        self.levels.get(base)?.iter().position(|level| level.style.as_deref() == Some(style))
    }

    /// Counts one paragraph of `list` at `level`, and gives its label with a space behind;
    /// empty for bullets.
    fn next(&mut self, list: &str, level: usize) -> Option<String> {
        let (base, starts) = self.lists.get(list)?;
        let levels = self.levels.get(base)?;
        let own = levels.get(level)?;
        let counters =
            self.counters.entry(base.clone()).or_insert_with(|| vec![None; levels.len()]);
        if let Some(start) = starts.get(&level)
            && self.restarted.insert((list.to_owned(), level))
        {
            counters[level] = start.checked_sub(1);
        }
        counters[level] = Some(counters[level].map_or(own.start, |last| last.saturating_add(1)));
        counters[level + 1..].fill(None);
        if own.format == NumberFormat::None {
            return Some(String::new());
        }
        let mut label = own.text.clone();
        for (index, other) in levels.iter().enumerate().take(level + 1) {
            let number = counters[index].unwrap_or(other.start);
            label = label.replace(&format!("%{}", index + 1), &other.format.write(number));
        }
        let label = label.trim();
        Some(if label.is_empty() { String::new() } else { format!("{label} ") })
    }
}

#[derive(Default)]
struct Reader {
    blocks: Vec<DraftBlock>,
    styles: HashMap<String, Style>,
    numbering: Numbering,
    /// The text of footnotes, endnotes and comments, by kind and id.
    notes: HashMap<(&'static str, String), String>,
    /// The figures of charts and the texts of diagrams, by relationship.
    graphics: HashMap<String, (BlockKind, String)>,
}

/// What belongs to a paragraph but is shown elsewhere: text boxes, charts and notes.
#[derive(Default)]
struct Asides<'a, 'i> {
    boxes: Vec<Node<'a, 'i>>,
    /// The relationships of charts and diagrams.
    graphics: Vec<&'a str>,
    notes: Vec<String>,
}

impl Reader {
    fn read_notes(&mut self, kind: &'static str, document: &Document<'_>) {
        for note in document.root_element().children().filter(|node| name(*node) == kind) {
            // The separator lines above the notes are stored as notes of a type.
            if attribute(note, "type").is_some_and(|kind| kind != "normal") {
                continue;
            }
            let Some(id) = attribute(note, "id") else { continue };
            let mut text = self.flat_text(note, 0);
            if let Some(author) = attribute(note, "author").filter(|_| kind == "comment") {
                text = format!("{author}: {text}");
            }
            self.notes.insert((kind, id.to_owned()), text);
        }
    }

    /// Reads the block elements in `node` one after another.
    fn blocks_of(&mut self, node: Node<'_, '_>, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        for node in node.children() {
            match name(node) {
                "p" => self.paragraph(node, depth),
                "tbl" => self.table(node, depth),
                "AlternateContent" => {
                    if let Some(choice) = alternative(node) {
                        self.blocks_of(choice, depth + 1);
                    }
                }
                "del" | "moveFrom" | "sdtPr" | "sectPr" => {}
                _ if node.is_element() => self.blocks_of(node, depth + 1),
                _ => {}
            }
        }
    }

    fn paragraph(&mut self, node: Node<'_, '_>, depth: usize) {
        let mut text = String::new();
        let mut asides = Asides::default();
        self.inline(node, &mut text, &mut asides, depth);
        let text = crate::compose::clean(&text, BlockKind::Paragraph);
        if !text.is_empty() {
            let (kind, label) = self.kind(node);
            let text = if matches!(kind, BlockKind::Heading(_)) { collapse(&text) } else { text };
            self.blocks.push(DraftBlock::new(kind, label + &text));
        }
        for text_box in asides.boxes {
            self.blocks_of(text_box, depth + 1);
        }
        for (kind, text) in asides.graphics.iter().filter_map(|id| self.graphics.get(*id)) {
            self.blocks.push(DraftBlock::new(*kind, text.as_str()));
        }
        for note in asides.notes {
            self.blocks.push(DraftBlock::new(BlockKind::Paragraph, note));
        }
    }

    /// What a paragraph is by its properties and its style, and the label it is numbered with.
    fn kind(&mut self, paragraph: Node<'_, '_>) -> (BlockKind, String) {
        let properties = child(paragraph, "pPr");
        let style_id = properties.and_then(|p| value(p, "pStyle")).unwrap_or_default();
        let numbers = properties.and_then(|p| child(p, "numPr"));
        let mut outline = properties
            .and_then(|p| value(p, "outlineLvl"))
            .and_then(|level| level.parse::<u8>().ok())
            .map(|level| if level < 9 { level + 1 } else { 0 });
        let mut list = numbers.and_then(|node| value(node, "numId")).map(str::to_owned);
        let mut level = numbers.and_then(|node| value(node, "ilvl")?.parse::<usize>().ok());
        // Properties come from the nearest style that sets them; a chain of styles is short
        // unless it is a circle.
        let mut next = Some(style_id.to_owned());
        for _ in 0..16 {
            let Some(id) = next.take() else { break };
            let Some(style) = self.styles.get(&id) else { break };
            outline = outline.or(style.outline);
            if list.is_none() && style.number.is_some() {
                list.clone_from(&style.number);
                let tied =
                    list.as_deref().and_then(|list| self.numbering.level_of_style(list, &id));
                level = level.or(tied).or(style.level);
            }
            next = style.based_on.clone();
        }
        let label = list
            .filter(|list| list != "0")
            .and_then(|list| self.numbering.next(&list, level.unwrap_or(0)));
        let kind = match outline {
            Some(outline @ 1..) => BlockKind::Heading(outline.min(6)),
            _ if label.is_some() => BlockKind::ListItem,
            _ => BlockKind::Paragraph,
        };
        (kind, label.unwrap_or_default())
    }

    /// Collects the text of a paragraph as it stands after all revisions are accepted.
    fn inline<'a, 'i>(
        &self,
        node: Node<'a, 'i>,
        out: &mut String,
        asides: &mut Asides<'a, 'i>,
        depth: usize,
    ) {
        if depth > MAX_DEPTH {
            return;
        }
        for node in node.children().filter(Node::is_element) {
            match name(node) {
                "t" => out.push_str(node.text().unwrap_or_default()),
                "tab" | "ptab" => out.push('\t'),
                "br" | "cr" => out.push('\n'),
                "noBreakHyphen" => out.push('-'),
                "sym" => out.extend(symbol(node)),
                "r" if is_on(child(node, "rPr"), "vanish") => {}
                "footnoteReference" => self.note("footnote", node, out, asides),
                "endnoteReference" => self.note("endnote", node, out, asides),
                "txbxContent" => asides.boxes.push(node),
                "AlternateContent" => {
                    if let Some(choice) = alternative(node) {
                        self.inline(choice, out, asides, depth + 1);
                    }
                }
                // Deleted text, the codes of fields, and properties, which are not text.
                "del" | "moveFrom" | "delText" | "instrText" | "pPr" | "rPr" | "sdtPr"
                | "fldData" | "rt" => {}
                "chart" => asides.graphics.extend(attribute(node, "id")),
                "relIds" => asides.graphics.extend(attribute(node, "dm")),
                "commentReference" => self.comment(node, asides),
                kind @ ("f" | "sSup" | "sSub" | "sSubSup" | "rad" | "d" | "nary") => {
                    self.math(kind, node, out, asides, depth + 1);
                }
                _ => self.inline(node, out, asides, depth + 1),
            }
        }
    }

    /// Writes a formula on one line, as a/b, x^2, x_i, √(x); its parts would else run together.
    fn math<'a, 'i>(
        &self,
        kind: &str,
        node: Node<'a, 'i>,
        out: &mut String,
        asides: &mut Asides<'a, 'i>,
        depth: usize,
    ) {
        let properties = child(node, &format!("{kind}Pr"));
        let sign = |key: &str, usual: &'static str| {
            let sign = properties.and_then(|properties| child(properties, key));
            sign.map_or(usual, |sign| attribute(sign, "val").unwrap_or_default()).to_owned()
        };
        let (before, after) = match kind {
            "rad" => ("√(".to_owned(), ")".to_owned()),
            "d" => (sign("begChr", "("), sign("endChr", ")")),
            "nary" => (sign("chr", "∫"), String::new()),
            _ => (String::new(), String::new()),
        };
        out.push_str(&before);
        let mut first = true;
        for part in node.children().filter(Node::is_element) {
            let mark = match name(part) {
                "sub" => "_",
                "sup" => "^",
                "den" => "/",
                "e" if kind == "d" && !first => ",",
                "e" if kind == "nary" => " ",
                "num" | "e" => "",
                _ => continue,
            };
            let from = out.len();
            self.inline(part, out, asides, depth);
            if out.len() > from {
                out.insert_str(from, mark);
            }
            first = false;
        }
        out.push_str(&after);
    }

    fn note<'a, 'i>(
        &self,
        kind: &'static str,
        reference: Node<'a, 'i>,
        out: &mut String,
        asides: &mut Asides<'a, 'i>,
    ) {
        let Some(id) = attribute(reference, "id") else { return };
        if let Some(text) = self.notes.get(&(kind, id.to_owned())).filter(|text| !text.is_empty()) {
            out.push_str(&format!("[{id}]"));
            asides.notes.push(format!("[{id}] {text}"));
        }
    }

    fn comment(&self, reference: Node<'_, '_>, asides: &mut Asides<'_, '_>) {
        let Some(id) = attribute(reference, "id") else { return };
        if let Some(text) = self.notes.get(&("comment", id.to_owned())) {
            asides.notes.push(format!("[{text}]"));
        }
    }

    /// All text in `node` on one line, for notes and the cells of tables.
    fn flat_text(&self, node: Node<'_, '_>, depth: usize) -> String {
        let mut inner = Self { styles: self.styles.clone(), ..Self::default() };
        inner.notes.clone_from(&self.notes);
        inner.blocks_of(node, depth + 1);
        join(&inner.blocks)
    }

    fn table(&mut self, table: Node<'_, '_>, depth: usize) {
        let mut rows = Vec::new();
        self.rows(table, &mut rows, depth);
        // A table of one cell is a frame around text.
        if let [row] = rows.as_slice()
            && let [cell] = row.as_slice()
        {
            self.blocks.extend(cell.iter().cloned());
            return;
        }
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| join(cell)).collect()).collect();
        self.blocks.push(DraftBlock::new(BlockKind::Table, table_text(&rows)));
    }

    fn rows(&mut self, node: Node<'_, '_>, rows: &mut Vec<Vec<Vec<DraftBlock>>>, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        for node in node.children().filter(Node::is_element) {
            match name(node) {
                "tr" if is_on(child(node, "trPr"), "del") => {}
                "tr" => {
                    rows.push(Vec::new());
                    self.rows(node, rows, depth + 1);
                }
                "tc" => {
                    // The cell is read with the same counters, so that its lists count on.
                    let outer = std::mem::take(&mut self.blocks);
                    self.blocks_of(node, depth + 1);
                    let cell = std::mem::replace(&mut self.blocks, outer);
                    if let Some(row) = rows.last_mut() {
                        row.push(cell);
                    }
                }
                "del" | "moveFrom" => {}
                _ => self.rows(node, rows, depth + 1),
            }
        }
    }
}

fn join(blocks: &[DraftBlock]) -> String {
    let texts: Vec<_> = blocks.iter().map(|block| block.text.replace('\n', " ")).collect();
    texts.join(" ")
}

/// Word writes some things twice, for new programs (`Choice`) and for old ones (`Fallback`).
fn alternative<'a, 'i>(node: Node<'a, 'i>) -> Option<Node<'a, 'i>> {
    let has_text = |node: &Node<'a, 'i>| node.descendants().any(|node| name(node) == "t");
    let choice = child(node, "Choice");
    choice.filter(has_text).or_else(|| child(node, "Fallback").filter(has_text)).or(choice)
}

/// A character of a symbol font; those that are in the private use area mean nothing as text,
/// but for the common check boxes.
fn symbol(node: Node<'_, '_>) -> Option<char> {
    let code = u32::from_str_radix(attribute(node, "char")?, 16).ok()?;
    match code {
        0xF0FE | 0xF052 | 0xF0FD => Some('☒'),
        0xF0A8 | 0xF06F | 0xF0A3 => Some('☐'),
        0xF0FC => Some('✓'),
        0xF0B7 | 0xF0A7 => Some('•'),
        0xF0E0 => Some('→'),
        0xE000..=0xF8FF => None,
        code => char::from_u32(code),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;
    use crate::package::package;

    const NAMESPACES: &str = concat!(
        "xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main' ",
        "xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006' ",
        "xmlns:m='http://schemas.openxmlformats.org/officeDocument/2006/math'",
    );

    fn document(body: &str) -> String {
        format!("<w:document {NAMESPACES}><w:body>{body}</w:body></w:document>")
    }

    fn read_body(body: &str, more: &[(&str, &str)]) -> Extraction {
        let main = document(body);
        let mut parts = vec![("word/document.xml", main.as_str())];
        parts.extend_from_slice(more);
        let named = |(part, _): &(&str, &str)| {
            let file = part.strip_prefix("word/").filter(|file| !file.starts_with("_rels"))?;
            let kind = file.rsplit('/').next()?.trim_end_matches(|c: char| !c.is_alphabetic());
            let kind = kind.trim_end_matches("xml").trim_end_matches(|c: char| !c.is_alphabetic());
            Some(format!("<r:Relationship Id='{kind}' Type='x/{kind}' Target='{file}'/>"))
        };
        let named: String = parts.iter().skip(1).filter_map(named).collect();
        let relationships = format!("<r:s xmlns:r='r'>{named}</r:s>");
        parts.push(("word/_rels/document.xml.rels", &relationships));
        read(package(&parts)).unwrap()
    }

    #[test]
    fn reads_what_word_shows() {
        let cases: &[(&str, &str)] = &[
            (
                "<w:p><w:r><w:t>One </w:t></w:r><w:r><w:t>two</w:t><w:br/><w:t>three</w:t></w:r></w:p>",
                "¶ One two\nthree",
            ),
            ("<w:p><w:hyperlink><w:r><w:t>link</w:t></w:r></w:hyperlink></w:p>", "¶ link"),
            (
                "<w:p><w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del></w:p>",
                "¶ new",
            ),
            (
                "<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:t>seen</w:t></w:r></w:p>",
                "¶ seen",
            ),
            (
                "<w:p><w:r><w:t>before</w:t><mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p></w:txbxContent></mc:Choice>\
                 <mc:Fallback><w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p></w:txbxContent></mc:Fallback></mc:AlternateContent></w:r></w:p>",
                "¶ before\n\n¶ box",
            ),
            (
                "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p><w:p><w:r><w:t>c</w:t></w:r></w:p></w:tc></w:tr>\
                 <w:tr><w:tc><w:p/></w:tc><w:tc><w:p><w:r><w:t>d</w:t></w:r></w:p></w:tc></w:tr></w:tbl>",
                "▦ a | b c\n| d",
            ),
            (
                "<w:sdt><w:sdtPr><w:t>not</w:t></w:sdtPr><w:sdtContent><w:p><w:r><w:t>content</w:t></w:r></w:p></w:sdtContent></w:sdt>",
                "¶ content",
            ),
            (
                "<w:p><m:oMath><m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:r><m:t>b</m:t></m:r></m:den></m:f></m:oMath></w:p>",
                "¶ a/b",
            ),
            (
                "<w:p><m:oMath><m:rad><m:deg/><m:e><m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:e></m:rad></m:oMath></w:p>",
                "¶ √(x^2)",
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(sketch(&read_body(body, &[])), *expected, "{body}");
        }
    }

    #[test]
    fn headings_are_found_by_style_in_any_language() {
        let styles = format!(
            "<w:styles {NAMESPACES}>\
             <w:style w:styleId='1'><w:name w:val='heading 1'/></w:style>\
             <w:style w:styleId='a3'><w:name w:val='二级'/><w:pPr><w:outlineLvl w:val='1'/></w:pPr></w:style>\
             <w:style w:styleId='x'><w:name w:val='Mine'/><w:basedOn w:val='1'/></w:style>\
             <w:style w:styleId='t'><w:name w:val='Title'/></w:style></w:styles>"
        );
        let paragraph = |style: &str| {
            format!(
                "<w:p><w:pPr><w:pStyle w:val='{style}'/></w:pPr><w:r><w:t>{style}</w:t></w:r></w:p>"
            )
        };
        let body: String = ["t", "1", "a3", "x", "other"].map(paragraph).concat();
        let extraction = read_body(&body, &[("word/styles.xml", &styles)]);
        assert_eq!(sketch(&extraction), "# t\n\n# 1\n\n## a3\n\n# x\n\n¶ other");
        assert_eq!(extraction.title.as_deref(), Some("t"));
    }

    #[test]
    fn numbers_of_lists_are_counted() {
        let numbering = format!(
            "<w:numbering {NAMESPACES}><w:abstractNum w:abstractNumId='0'>\
             <w:lvl w:ilvl='0'><w:start w:val='1'/><w:numFmt w:val='chineseCounting'/><w:lvlText w:val='第%1条'/></w:lvl>\
             <w:lvl w:ilvl='1'><w:start w:val='1'/><w:numFmt w:val='lowerLetter'/><w:lvlText w:val='(%2)'/></w:lvl></w:abstractNum>\
             <w:abstractNum w:abstractNumId='1'><w:lvl w:ilvl='0'><w:numFmt w:val='bullet'/><w:lvlText w:val='o'/></w:lvl></w:abstractNum>\
             <w:num w:numId='5'><w:abstractNumId w:val='0'/></w:num><w:num w:numId='6'><w:abstractNumId w:val='1'/></w:num></w:numbering>"
        );
        let item = |(list, level): (u8, u8)| {
            format!(
                "<w:p><w:pPr><w:numPr><w:ilvl w:val='{level}'/><w:numId w:val='{list}'/></w:numPr></w:pPr><w:r><w:t>x</w:t></w:r></w:p>"
            )
        };
        let body: String = [(5, 0), (5, 1), (5, 1), (5, 0), (5, 1), (6, 0)].map(item).concat();
        let extraction = read_body(&body, &[("word/numbering.xml", &numbering)]);
        let expected = "- 第一条 x\n\n- (a) x\n\n- (b) x\n\n- 第二条 x\n\n- (a) x\n\n- x";
        assert_eq!(sketch(&extraction), expected);
    }

    #[test]
    fn notes_follow_their_paragraph() {
        let notes = format!(
            "<w:footnotes {NAMESPACES}><w:footnote w:type='separator' w:id='0'><w:p/></w:footnote>\
             <w:footnote w:id='2'><w:p><w:r><w:t>The note.</w:t></w:r></w:p></w:footnote></w:footnotes>"
        );
        let body = "<w:p><w:r><w:t>Text</w:t><w:footnoteReference w:id='2'/></w:r></w:p><w:p><w:r><w:t>Next</w:t></w:r></w:p>";
        let extraction = read_body(body, &[("word/footnotes.xml", &notes)]);
        assert_eq!(sketch(&extraction), "¶ Text[2]\n\n¶ [2] The note.\n\n¶ Next");
    }

    #[test]
    fn charts_are_read_as_tables() {
        let series = |name: &str, value: &str| {
            format!(
                "<c:ser><c:tx><c:v>{name}</c:v></c:tx><c:cat><c:pt><c:v>2023</c:v></c:pt></c:cat>\
                 <c:val><c:pt><c:v>{value}</c:v></c:pt></c:val></c:ser>"
            )
        };
        let chart = format!(
            "<c:chart xmlns:c='c'><c:bar3DChart>{}{}</c:bar3DChart></c:chart>",
            series("Tea", "4"),
            series("Milk", "5")
        );
        let body = "<w:p><w:r><w:drawing><c:chart xmlns:c='c' xmlns:r='r' r:id='chart'/></w:drawing></w:r></w:p>";
        let more = [("word/charts/chart1.xml", chart.as_str())];
        assert_eq!(sketch(&read_body(body, &more)), "▦ (bar chart)\n| Tea | Milk\n2023 | 4 | 5");
    }

    #[test]
    fn comments_headers_and_diagrams_are_read() {
        let paragraph = |text: &str| format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>");
        let part = |name: &str, inside: &str| format!("<w:{name} {NAMESPACES}>{inside}</w:{name}>");
        let comments = part(
            "comments",
            &format!("<w:comment w:id='7' w:author='Ana'>{}</w:comment>", paragraph("Too dear?")),
        );
        let header = part("hdr", &paragraph("Draft of May"));
        let footer = part("ftr", &paragraph("3"));
        let diagram = "<d:m xmlns:d='d' xmlns:a='a'><d:pt><a:t>Plan</a:t></d:pt><d:pt/><d:pt><a:t>Do</a:t></d:pt></d:m>";
        let body = "<w:p><w:r><w:t>Price</w:t><w:commentReference w:id='7'/></w:r></w:p>\
                    <w:p><w:r><w:drawing><g:relIds xmlns:g='g' xmlns:r='r' r:dm='diagramData'/></w:drawing></w:r></w:p>";
        let extraction = read_body(
            body,
            &[
                ("word/comments.xml", &comments),
                ("word/header1.xml", &header),
                ("word/header2.xml", &header),
                ("word/footer1.xml", &footer),
                ("word/diagramData1.xml", diagram),
            ],
        );
        assert_eq!(
            sketch(&extraction),
            "¶ Price\n\n¶ [Ana: Too dear?]\n\n¶ Plan\nDo\n\n¶ Draft of May"
        );
    }

    #[test]
    fn entities_that_expand_without_end_are_refused() {
        let mut bomb = String::from("<!DOCTYPE d [<!ENTITY a0 'ha'>");
        for level in 1..30 {
            let below = format!("&a{};", level - 1);
            bomb += &format!("<!ENTITY a{level} '{below}{below}'>");
        }
        bomb += "]>";
        bomb += &document("<w:p><w:r><w:t>&a29;</w:t></w:r></w:p>");
        assert!(matches!(
            read(package(&[("word/document.xml", bomb)])),
            Err(ReadError::Damaged(_))
        ));
    }

    #[test]
    fn what_is_no_document_is_said_to_be_so() {
        assert!(matches!(read(b"PK\x03\x04 cut".to_vec()), Err(ReadError::Damaged(_))));
        assert!(matches!(
            read(package(&[("word/document.xml", "<w:doc")])),
            Err(ReadError::Damaged(_))
        ));
        assert!(matches!(read(package(&[("a.xml", "<a/>")])), Err(ReadError::Damaged(_))));
        let empty = package(&[("word/document.xml", &document("<w:p/>"))]);
        assert!(matches!(read(empty), Err(ReadError::Empty)));
    }
}
