//! Excel workbooks of all versions.

use std::collections::HashMap;
use std::io::Cursor;

use calamine::{
    Data, DataRef, Dimensions, ExcelDateTime, Reader as _, Xls, XlsError, Xlsb, Xlsx, XlsxError,
};
use lectern_domain::{BlockKind, DocumentKind, Extraction};

use crate::ReadError;
use crate::chart::chart_table;
use crate::compose::{Composer, DraftBlock, collapse};
use crate::package::Package;
use crate::xml::{attribute, damaged, name, parse, texts};

/// Rows of a region are handed on in pieces of this many, so that few are in memory at once.
const REGION_ROWS: usize = 1000;

/// More empty cells in a row than this are written as one.
const MAX_GAP: u32 = 8;

/// In sheets larger than this merged cells are not looked for.
const MAX_MERGED_SHEET: u64 = 16 << 20;

/// More merged cells than this in one table are not looked at.
const MAX_MERGED: usize = 2000;

/// A merged cell with a longer text, in bytes, is read once.
const MAX_SPREAD: usize = 80;

/// Sheets are the pages; a sheet's name is a heading, and its regions are tables whose anchors
/// are rows. Values are read as they are stored, dates as ISO 8601 writes them.
pub(crate) fn read_xlsx(bytes: Vec<u8>) -> Result<Extraction, ReadError> {
    let mut package = Package::open(bytes.clone())?;
    let mut composer = Composer::default();
    composer.title = package.title("docProps/core.xml");
    if package.has("xl/workbook.bin") {
        read_binary(bytes, &mut composer)?;
        return composer.finish(DocumentKind::Xlsx);
    }
    let main = package.main_part("xl/workbook.xml")?;
    let parts = sheet_parts(&mut package, &main)?;
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(|error| match error {
        XlsxError::Password => ReadError::PasswordNeeded,
        error => damaged(error),
    })?;
    for (number, sheet) in (1..).zip(book.sheet_names()) {
        composer.begin_page(number, None);
        composer.heading(1, &sheet);
        let mut rows = Rows::new(&mut composer);
        // Looking for them reads the whole sheet once more.
        if parts.get(&sheet).is_some_and(|part| package.size(part) <= MAX_MERGED_SHEET) {
            rows.merged = book.merge_cells_by_sheet_name(&sheet).unwrap_or_default();
        }
        // Sheets that are charts have no cells.
        if let Ok(mut cells) = book.worksheet_cells_reader(&sheet) {
            loop {
                match cells.next_cell() {
                    Ok(Some(cell)) => rows.cell(cell.get_position(), &value(cell.get_value())),
                    Ok(None) => break,
                    Err(error) => {
                        rows.composer.warnings.push(format!("sheet {sheet}: {error}"));
                        break;
                    }
                }
                if rows.composer.is_full() {
                    rows.composer.truncate();
                    break;
                }
            }
        }
        rows.flush();
        if let Some(part) = parts.get(&sheet) {
            remarks(&mut package, part, &mut composer)?;
        }
    }
    composer.finish(DocumentKind::Xlsx)
}

fn read_binary(bytes: Vec<u8>, composer: &mut Composer) -> Result<(), ReadError> {
    let mut book = Xlsb::new(Cursor::new(bytes)).map_err(damaged)?;
    for (number, sheet) in (1..).zip(book.sheet_names()) {
        composer.begin_page(number, None);
        composer.heading(1, &sheet);
        let mut rows = Rows::new(composer);
        let Ok(mut cells) = book.worksheet_cells_reader(&sheet) else { continue };
        while let Some(cell) = cells.next_cell().map_err(damaged)? {
            rows.cell(cell.get_position(), &value(cell.get_value()));
            if rows.composer.is_full() {
                rows.composer.truncate();
                break;
            }
        }
        rows.flush();
    }
    Ok(())
}

pub(crate) fn read_xls(bytes: Vec<u8>) -> Result<Extraction, ReadError> {
    let mut book = Xls::new(Cursor::new(bytes)).map_err(|error| match error {
        XlsError::Password => ReadError::PasswordNeeded,
        error => damaged(error),
    })?;
    let mut composer = Composer::default();
    for (number, sheet) in (1..).zip(book.sheet_names()) {
        composer.begin_page(number, None);
        composer.heading(1, &sheet);
        let Ok(range) = book.worksheet_range(&sheet) else { continue };
        let (top, left) = range.start().unwrap_or_default();
        let mut rows = Rows::new(&mut composer);
        rows.merged = book.merge_cells_by_sheet_name(&sheet).unwrap_or_default();
        for (row, column, cell) in range.used_cells() {
            rows.cell((top + row as u32, left + column as u32), &value(&borrowed(cell)));
        }
        rows.flush();
    }
    composer.finish(DocumentKind::Xls)
}

/// The part of each sheet by the sheet's name.
fn sheet_parts(package: &mut Package, main: &str) -> Result<HashMap<String, String>, ReadError> {
    let targets: HashMap<String, String> =
        package.relationships(main)?.into_iter().map(|r| (r.id, r.target)).collect();
    let source = package.part(main)?.unwrap_or_default();
    let Ok(book) = parse(&source) else { return Ok(HashMap::new()) };
    let sheets = book.descendants().filter(|node| name(*node) == "sheet");
    Ok(sheets
        .filter_map(|sheet| {
            let target = targets.get(attribute(sheet, "id")?)?;
            Some((attribute(sheet, "name")?.to_owned(), target.clone()))
        })
        .collect())
}

/// What a sheet has besides its cells: comments, and the texts and charts drawn on it.
fn remarks(package: &mut Package, sheet: &str, composer: &mut Composer) -> Result<(), ReadError> {
    let persons = package.part("xl/persons/person.xml")?.unwrap_or_default();
    let persons: HashMap<String, String> = parse(&persons)
        .ok()
        .map(|part| {
            let persons = part.descendants().filter_map(|node| {
                Some((
                    attribute(node, "id")?.to_owned(),
                    attribute(node, "displayName")?.to_owned(),
                ))
            });
            persons.collect()
        })
        .unwrap_or_default();
    for relationship in package.relationships(sheet)? {
        let source = match relationship.kind.as_str() {
            "comments" | "threadedComment" | "drawing" => package.part(&relationship.target)?,
            _ => continue,
        };
        let source = source.unwrap_or_default();
        let Ok(part) = parse(&source) else { continue };
        if relationship.kind == "drawing" {
            for graphic in package.relationships(&relationship.target)? {
                if graphic.kind != "chart" {
                    continue;
                }
                let source = package.part(&graphic.target)?.unwrap_or_default();
                if let Ok(chart) = parse(&source) {
                    composer.block(&DraftBlock::new(BlockKind::Table, chart_table(&chart)));
                }
            }
            for shape in part.descendants().filter(|node| name(*node) == "txBody") {
                let lines = shape.children().filter(|node| name(*node) == "p");
                let text = lines.map(|line| texts(line, "t")).collect::<Vec<_>>().join("\n");
                composer.block(&DraftBlock::new(BlockKind::Paragraph, text));
            }
            continue;
        }
        let authors: Vec<&str> = part
            .descendants()
            .filter(|node| name(*node) == "author")
            .map(|node| node.text().unwrap_or_default())
            .collect();
        for comment in part.descendants() {
            let (author, text) = match name(comment) {
                "comment" => {
                    let author =
                        attribute(comment, "authorId").and_then(|id| id.parse::<usize>().ok());
                    let author = author.and_then(|id| authors.get(id)).copied().unwrap_or_default();
                    // A threaded comment is kept a second time, with a text about new versions.
                    if author.starts_with("tc=") {
                        continue;
                    }
                    (author, texts(comment, "t"))
                }
                "threadedComment" => {
                    let author = attribute(comment, "personId").and_then(|id| persons.get(id));
                    (author.map_or("", String::as_str), texts(comment, "text"))
                }
                _ => continue,
            };
            let cell = attribute(comment, "ref").unwrap_or_default();
            let date = attribute(comment, "dT").map(day).unwrap_or_default();
            let head = [cell, author, date].into_iter().filter(|part| !part.is_empty());
            let head = head.collect::<Vec<_>>().join(", ");
            let text = format!("[{head}: {}]", collapse(&text));
            composer.block(&DraftBlock::new(BlockKind::Paragraph, text));
        }
    }
    Ok(())
}

/// The day of a moment that ISO 8601 writes.
pub(crate) fn day(moment: &str) -> &str {
    moment.split('T').next().unwrap_or(moment)
}

/// Gathers cells, which come row by row, into the tables of a sheet: an empty row ends one.
struct Rows<'a> {
    composer: &'a mut Composer,
    /// Row and column, from 0, of the cells that are not handed on yet.
    cells: Vec<(u32, u32, String)>,
    first: u32,
    /// The areas of cells that are shown as one.
    merged: Vec<Dimensions>,
}

impl<'a> Rows<'a> {
    fn new(composer: &'a mut Composer) -> Self {
        Self { composer, cells: Vec::new(), first: 0, merged: Vec::new() }
    }

    fn cell(&mut self, (row, column): (u32, u32), value: &str) {
        let value = collapse(value);
        if value.is_empty() {
            return;
        }
        if let Some((last, ..)) = self.cells.last() {
            // Some programs write rows out of order; each such row starts a table.
            let next = *last != row;
            if next && (row != last + 1 || (row - self.first) as usize >= REGION_ROWS) {
                self.flush();
            }
        }
        if self.cells.is_empty() {
            self.first = row;
        }
        self.cells.push((row, column, value));
    }

    /// Writes the value of merged cells into each of them, so that every row says by itself what
    /// it is about. A title that is merged across an otherwise empty row stays one.
    fn spread(&mut self) {
        let Some(last) = self.cells.last().map(|(row, ..)| *row) else { return };
        let mut copies = Vec::new();
        let here = |area: &&Dimensions| (self.first..=last).contains(&area.start.0);
        for area in self.merged.iter().filter(here).take(MAX_MERGED) {
            let start = self.cells.binary_search_by_key(&area.start, |(r, c, _)| (*r, *c));
            let Ok(value) = start.map(|at| &self.cells[at].2) else { continue };
            if value.len() > MAX_SPREAD {
                continue;
            }
            let columns = area.start.1..=area.end.1.min(area.start.1 + MAX_GAP);
            for row in area.start.0..=area.end.0.min(last) {
                let from = self.cells.partition_point(|(r, ..)| *r < row);
                let to = self.cells.partition_point(|(r, ..)| *r <= row);
                if self.cells[from..to].iter().all(|(_, column, _)| columns.contains(column)) {
                    continue;
                }
                let empty = columns.clone().filter(|column| (row, *column) != area.start);
                copies.extend(empty.map(|column| (row, column, value.clone())));
            }
        }
        self.cells.extend(copies);
        self.cells.sort_by_key(|(row, column, _)| (*row, *column));
        self.cells.dedup_by_key(|(row, column, _)| (*row, *column));
    }

    fn flush(&mut self) {
        self.spread();
        let left = self.cells.iter().map(|(_, column, _)| *column).min().unwrap_or(0);
        let mut text = String::new();
        let mut last = (self.first, left);
        for (row, column, value) in self.cells.drain(..) {
            if row != last.0 {
                text.push('\n');
                last = (row, left);
            }
            let gap = column.saturating_sub(last.1).min(MAX_GAP + 1);
            text.push_str(&" | ".repeat(gap as usize));
            text.push_str(&value);
            last.1 = column;
        }
        if !text.is_empty() {
            self.composer.block(&DraftBlock::new(BlockKind::Table, text).at(self.first + 1));
        }
    }
}

fn borrowed(data: &Data) -> DataRef<'_> {
    match data {
        Data::Int(value) => DataRef::Int(*value),
        Data::Float(value) => DataRef::Float(*value),
        Data::String(value) => DataRef::SharedString(value),
        Data::Bool(value) => DataRef::Bool(*value),
        Data::DateTime(value) => DataRef::DateTime(*value),
        Data::DateTimeIso(value) | Data::DurationIso(value) => DataRef::SharedString(value),
        Data::Error(error) => DataRef::Error(error.clone()),
        Data::Empty => DataRef::Empty,
    }
}

fn value(data: &DataRef<'_>) -> String {
    match data {
        DataRef::Int(value) => value.to_string(),
        DataRef::Float(value) => number(*value),
        DataRef::String(value) | DataRef::DateTimeIso(value) | DataRef::DurationIso(value) => {
            value.clone()
        }
        DataRef::SharedString(value) => (*value).to_owned(),
        DataRef::Bool(value) => if *value { "TRUE" } else { "FALSE" }.to_owned(),
        DataRef::DateTime(value) => moment(value),
        DataRef::Error(error) => error.to_string(),
        DataRef::Empty => String::new(),
    }
}

/// A number with the fifteen digits that Excel keeps, so that 0.1 + 0.2 is 0.3.
fn number(value: f64) -> String {
    let rounded: f64 = format!("{value:.14e}").parse().unwrap_or(value);
    rounded.to_string()
}

fn moment(value: &ExcelDateTime) -> String {
    let days = value.as_f64();
    if value.is_duration() {
        let seconds = (days * 86_400.0).round() as i64;
        return format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, _) = value.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    if days.fract() == 0.0 {
        date
    } else if days < 1.0 {
        time
    } else {
        format!("{date} {time}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;
    use crate::package::package;

    const MAIN: &str = "xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main' \
        xmlns:r='http://schemas.openxmlformats.org/officeDocument/2006/relationships'";
    const TYPES: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

    /// A workbook of sheets, each with its name and the XML of its rows.
    pub(crate) fn workbook(sheets: &[(&str, &str)], more: &[(&str, &str)]) -> Vec<u8> {
        let mut list = String::new();
        let mut targets = String::new();
        let mut parts: Vec<(String, String)> = Vec::new();
        for (index, (name, rows)) in sheets.iter().enumerate() {
            list += &format!("<sheet name='{name}' sheetId='{}' r:id='r{index}'/>", index + 1);
            targets += &format!(
                "<Relationship Id='r{index}' Type='{TYPES}/worksheet' Target='worksheets/s{index}.xml'/>"
            );
            let sheet = format!("<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>");
            parts.push((format!("xl/worksheets/s{index}.xml"), sheet));
        }
        targets += &format!("<Relationship Id='st' Type='{TYPES}/styles' Target='styles.xml'/>");
        let relationships = |inside: &str| {
            format!(
                "<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>{inside}</Relationships>"
            )
        };
        let main = format!(
            "<Relationship Id='m' Type='{TYPES}/officeDocument' Target='xl/workbook.xml'/>"
        );
        let styles = format!(
            "<styleSheet {MAIN}><cellXfs><xf numFmtId='0'/><xf numFmtId='14'/></cellXfs></styleSheet>"
        );
        parts.extend([
            ("[Content_Types].xml".to_owned(), "<Types/>".to_owned()),
            ("_rels/.rels".to_owned(), relationships(&main)),
            (
                "xl/workbook.xml".to_owned(),
                format!("<workbook {MAIN}><sheets>{list}</sheets></workbook>"),
            ),
            ("xl/_rels/workbook.xml.rels".to_owned(), relationships(&targets)),
            ("xl/styles.xml".to_owned(), styles),
        ]);
        parts.extend(more.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
        let parts: Vec<(&str, &String)> = parts.iter().map(|(n, t)| (n.as_str(), t)).collect();
        package(&parts)
    }

    #[test]
    fn regions_of_a_sheet_are_tables_that_know_their_rows() {
        let cell =
            |at: &str, text: &str| format!("<c r='{at}' t='inlineStr'><is><t>{text}</t></is></c>");
        let rows = format!(
            "<row r='2'>{}{}</row><row r='3'>{}<c r='D3'><v>0.30000000000000004</v></c></row>\
             <row r='7'><c r='A7' s='1'><v>45292</v></c><c r='B7' t='b'><v>1</v></c></row>",
            cell("B2", "Tea"),
            cell("C2", "Milk | cold"),
            cell("B3", "多 行"),
        );
        let comments = format!(
            "<comments {MAIN}><authors><author>Ana</author><author>tc=1</author></authors><commentList>\
             <comment ref='C2' authorId='1'><text><t>not</t></text></comment><comment ref='B2' authorId='0'><text><t>from Assam</t></text></comment></commentList></comments>"
        );
        let relationships = format!(
            "<Relationships><Relationship Id='c' Type='{TYPES}/comments' Target='../comments1.xml'/></Relationships>"
        );
        let bytes = workbook(
            &[("Stock", &rows), ("Empty", "")],
            &[("xl/comments1.xml", &comments), ("xl/worksheets/_rels/s0.xml.rels", &relationships)],
        );
        let extraction = read_xlsx(bytes).unwrap();
        assert_eq!(
            sketch(&extraction),
            "# Stock\n\n▦ Tea | Milk | cold\n多 行 | | 0.3\n\n▦ 2024-01-01 | TRUE\n\n¶ [B2, Ana: from Assam]\n\n# Empty"
        );
        let rows: Vec<u32> = extraction.anchors.iter().map(|anchor| anchor.line).collect();
        assert_eq!(rows, [2, 7]);
        let pages: Vec<_> = extraction.pages.iter().map(|page| page.number).collect();
        assert_eq!(pages, [Some(1), Some(2)]);
    }

    #[test]
    fn merged_cells_are_read_in_every_row_that_they_belong_to() {
        let cell =
            |at: &str, text: &str| format!("<c r='{at}' t='inlineStr'><is><t>{text}</t></is></c>");
        let rows = format!(
            "<row r='1'>{}</row><row r='2'>{}{}</row><row r='3'>{}{}</row><row r='4'>{}</row>",
            cell("A1", "The title"),
            cell("A2", "Group"),
            cell("B2", "Class"),
            cell("A3", "North"),
            cell("B3", "1"),
            cell("B4", "2"),
        );
        let merged = "</sheetData><mergeCells><mergeCell ref='A1:C1'/><mergeCell ref='B2:C2'/><mergeCell ref='A3:A4'/></mergeCells><sheetData>";
        let extraction = read_xlsx(workbook(&[("s", &(rows + merged))], &[])).unwrap();
        assert_eq!(
            sketch(&extraction),
            "# s\n\n▦ The title\nGroup | Class | Class\nNorth | 1\nNorth | 2"
        );
    }

    #[test]
    fn cells_far_apart_do_not_fill_the_text_with_bars() {
        let rows = "<row r='1'><c r='A1'><v>1</v></c><c r='XFD1'><v>2</v></c></row>\
                    <row r='1048576'><c r='XFD1048576'><v>3</v></c></row>";
        let extraction = read_xlsx(workbook(&[("s", rows)], &[])).unwrap();
        assert!(extraction.text.len() < 80, "{}", extraction.text);
        assert_eq!(extraction.anchors.last().map(|anchor| anchor.line), Some(1_048_576));
    }

    #[test]
    fn what_is_no_workbook_is_said_to_be_so() {
        assert!(matches!(read_xlsx(b"PK\x03\x04 cut".to_vec()), Err(ReadError::Damaged(_))));
        assert!(matches!(read_xls(b"\xD0\xCF\x11\xE0 cut".to_vec()), Err(ReadError::Damaged(_))));
    }
}
