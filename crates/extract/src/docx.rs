//! Office Open XML text documents (Word), in the transitional and the strict form.
//!
//! Elements are told apart by their local names only: both forms use the same ones in
//! different name spaces.

use std::collections::{HashMap, HashSet};
use std::io::{Cursor, Read as _};

use lectern_domain::{BlockKind, DocumentKind, Extraction};
use roxmltree::{Document, Node, ParsingOptions};
use zip::ZipArchive;

use crate::ReadError;
use crate::compose::{Composer, DraftBlock, collapse, table_text};
use crate::numbering::NumberFormat;

/// A part of the package larger than this when unpacked is taken for a zip bomb.
const MAX_PART_BYTES: u64 = 256 << 20;

/// More nodes than this in one part are not read, which bounds the memory.
const MAX_NODES: u32 = 20_000_000;

/// Elements nested deeper than this are left out, so that the stack suffices.
const MAX_DEPTH: usize = 200;

pub(crate) fn read(bytes: Vec<u8>) -> Result<Extraction, ReadError> {
    // An encrypted document is not a zip file but an OLE container with a package inside.
    if bytes.starts_with(b"\xD0\xCF\x11\xE0") {
        let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let encrypted = bytes.windows(name.len()).any(|window| window == name);
        return Err(if encrypted { ReadError::PasswordNeeded } else { ReadError::Unsupported });
    }
    let mut package = Package::open(bytes)?;
    let main = package.main_part()?;
    let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let part =
        |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };

    let body_source = package.part(&main)?.ok_or_else(|| damaged("the main part is missing"))?;
    let styles_source = package.part(&part("styles.xml"))?;
    let numbering_source = package.part(&part("numbering.xml"))?;
    let footnotes_source = package.part(&part("footnotes.xml"))?;
    let endnotes_source = package.part(&part("endnotes.xml"))?;
    let file = main.rsplit('/').next().unwrap_or_default().to_owned();
    let charts = package.relationships(&part(&format!("_rels/{file}.rels")), "/chart")?;
    let core_source = package.part("docProps/core.xml")?;

    let body = parse(&body_source)?;
    let mut reader = Reader::default();
    if let Some(source) = &styles_source {
        reader.styles = styles(&parse(source)?);
    }
    if let Some(source) = &numbering_source {
        reader.numbering = numbering(&parse(source)?);
    }
    let notes = [("footnote", &footnotes_source), ("endnote", &endnotes_source)];
    for (kind, source) in notes {
        if let Some(source) = source {
            reader.read_notes(kind, &parse(source)?);
        }
    }
    for (id, target) in charts {
        let source = package.part(&part(&target))?.unwrap_or_default();
        // A broken chart is no reason to refuse the document.
        if let Ok(chart) = parse(&source) {
            reader.charts.insert(id, chart_table(&chart));
        }
    }
    let root = child(body.root_element(), "body").unwrap_or(body.root_element());
    reader.blocks_of(root, 0);

    let mut composer = Composer::default();
    if let Some(source) = &core_source {
        composer.title = parse(source).ok().and_then(|core| {
            let title = core.descendants().find(|node| name(*node) == "title")?;
            title.text().map(collapse)
        });
    }
    composer.blocks(&reader.blocks);
    composer.finish(DocumentKind::Docx)
}

fn damaged(reason: impl ToString) -> ReadError {
    ReadError::Damaged(reason.to_string())
}

struct Package(ZipArchive<Cursor<Vec<u8>>>);

impl Package {
    fn open(bytes: Vec<u8>) -> Result<Self, ReadError> {
        ZipArchive::new(Cursor::new(bytes)).map(Self).map_err(damaged)
    }

    /// The text of a part; `None` where the package has none of that name.
    fn part(&mut self, name: &str) -> Result<Option<String>, ReadError> {
        let file = match self.0.by_name(name) {
            Ok(file) => file,
            Err(zip::result::ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(damaged(error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_PART_BYTES + 1).read_to_end(&mut bytes).map_err(damaged)?;
        if bytes.len() as u64 > MAX_PART_BYTES {
            return Err(ReadError::TooBig);
        }
        // XML parts are UTF-8 or, rarely, UTF-16 with a byte order mark.
        let (text, _, _) = encoding_rs::UTF_8.decode(&bytes);
        Ok(Some(text.into_owned()))
    }

    /// The relationships of a type: id and target.
    fn relationships(
        &mut self,
        part: &str,
        kind: &str,
    ) -> Result<Vec<(String, String)>, ReadError> {
        let source = self.part(part)?.unwrap_or_default();
        let Ok(document) = parse(&source) else { return Ok(Vec::new()) };
        let nodes = document.descendants();
        let wanted = nodes.filter(|node| node.attribute("Type").is_some_and(|t| t.ends_with(kind)));
        Ok(wanted
            .filter_map(|node| {
                Some((node.attribute("Id")?.to_owned(), node.attribute("Target")?.to_owned()))
            })
            .collect())
    }

    /// The name of the part that the package's relationships call the document.
    fn main_part(&mut self) -> Result<String, ReadError> {
        let main = self.relationships("_rels/.rels", "/officeDocument")?;
        let target = main.first().map(|(_, target)| target.trim_start_matches('/').to_owned());
        Ok(target.unwrap_or_else(|| "word/document.xml".to_owned()))
    }
}

/// The figures that a chart shows, as rows: the series' names, then each category's values.
fn chart_table(chart: &Document<'_>) -> String {
    let values = |node: Option<Node<'_, '_>>| -> Vec<String> {
        let points = node.into_iter().flat_map(|node| node.descendants());
        points
            .filter(|node| name(*node) == "v")
            .map(|node| node.text().unwrap_or_default().trim().to_owned())
            .collect()
    };
    let title = chart.descendants().find(|node| name(*node) == "title");
    let title: String = title
        .into_iter()
        .flat_map(|title| title.descendants())
        .filter(|node| name(*node) == "t")
        .filter_map(|node| node.text())
        .collect();
    let series: Vec<_> = chart.descendants().filter(|node| name(*node) == "ser").collect();
    let part = |series: &Node<'_, '_>, keys: [&str; 2]| {
        values(keys.iter().find_map(|key| child(*series, key)))
    };
    let names: Vec<String> =
        series.iter().map(|series| part(series, ["tx", "tx"]).join(" ")).collect();
    let categories = series.first().map(|series| part(series, ["cat", "xVal"])).unwrap_or_default();
    let columns: Vec<_> = series.iter().map(|series| part(series, ["val", "yVal"])).collect();
    let mut rows = vec![vec![title]];
    rows.push(std::iter::once(String::new()).chain(names).collect());
    let length = columns.iter().map(Vec::len).max().unwrap_or(0);
    for row in 0..length {
        let cells = std::iter::once(&categories).chain(&columns);
        rows.push(cells.map(|column| column.get(row).cloned().unwrap_or_default()).collect());
    }
    table_text(&rows)
}

fn parse(source: &str) -> Result<Document<'_>, ReadError> {
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(source, options).map_err(|error| match error {
        roxmltree::Error::NodesLimitReached => ReadError::TooBig,
        error => damaged(error),
    })
}

fn name<'a>(node: Node<'a, '_>) -> &'a str {
    node.tag_name().name()
}

fn child<'a, 'i>(node: Node<'a, 'i>, child: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|node| name(*node) == child)
}

/// The attribute with this local name, in any name space.
fn attribute<'a>(node: Node<'a, '_>, key: &str) -> Option<&'a str> {
    node.attributes().find(|attribute| attribute.name() == key).map(|attribute| attribute.value())
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
    /// The text of footnotes and endnotes, by kind and id.
    notes: HashMap<(&'static str, String), String>,
    /// The figures of charts, by relationship.
    charts: HashMap<String, String>,
}

/// What belongs to a paragraph but is shown elsewhere: text boxes, charts and notes.
#[derive(Default)]
struct Asides<'a, 'i> {
    boxes: Vec<Node<'a, 'i>>,
    /// The relationships of charts.
    charts: Vec<&'a str>,
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
            let text = self.flat_text(note, 0);
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
        for chart in asides.charts.iter().filter_map(|id| self.charts.get(*id)) {
            self.blocks.push(DraftBlock::new(BlockKind::Table, chart.as_str()));
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
                "chart" => asides.charts.extend(attribute(node, "id")),
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
    use std::io::Write as _;

    const NAMESPACES: &str = concat!(
        "xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main' ",
        "xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006' ",
        "xmlns:m='http://schemas.openxmlformats.org/officeDocument/2006/math'",
    );

    fn package(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, source) in parts {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(source.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn document(body: &str) -> String {
        format!("<w:document {NAMESPACES}><w:body>{body}</w:body></w:document>")
    }

    fn read_body(body: &str, more: &[(&str, &str)]) -> Extraction {
        let main = document(body);
        let mut parts = vec![("word/document.xml", main.as_str())];
        parts.extend_from_slice(more);
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
        let chart =
            format!("<c:chart xmlns:c='c'>{}{}</c:chart>", series("Tea", "4"), series("Milk", "5"));
        let relationships = "<r:s xmlns:r='r'><r:Relationship Id='rId4' Type='x/chart' Target='charts/c.xml'/></r:s>";
        let body = "<w:p><w:r><w:drawing><c:chart xmlns:c='c' xmlns:r='r' r:id='rId4'/></w:drawing></w:r></w:p>";
        let more = [
            ("word/charts/c.xml", chart.as_str()),
            ("word/_rels/document.xml.rels", relationships),
        ];
        assert_eq!(sketch(&read_body(body, &more)), "▦ | Tea | Milk\n2023 | 4 | 5");
    }

    #[test]
    fn what_is_no_document_is_said_to_be_so() {
        let encrypted: Vec<u8> = b"\xD0\xCF\x11\xE0"
            .iter()
            .copied()
            .chain("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
        assert!(matches!(read(encrypted), Err(ReadError::PasswordNeeded)));
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
