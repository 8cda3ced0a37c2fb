//! Excel workbooks of all versions.

use std::collections::HashMap;
use std::io::Cursor;

use calamine::{
    Data, DataRef, Dimensions, ExcelDateTime, Reader as _, Style, Xls, XlsError, Xlsb, Xlsx,
    XlsxError,
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

/// No percentage has more digits behind the point.
const MAX_DIGITS: usize = 15;

/// A merged cell with a longer text, in bytes, is read once.
pub(crate) const MAX_SPREAD: usize = 80;

/// Sheets are the pages; a sheet's name is a heading, and its regions are tables whose anchors
/// are rows. Values are read as they are stored, but for shares, which are shown as percentages, and
/// dates and times, which are written as ISO 8601 does with as much of them as the sheet shows.
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
            let formats: Vec<Format> = cells.styles().iter().map(Format::of).collect();
            loop {
                match cells.next_cell_with_style_id() {
                    Ok(Some((cell, style))) => {
                        let format = formats.get(style).copied().unwrap_or_default();
                        rows.cell(cell.get_position(), &value(cell.get_value(), format));
                    }
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
            rows.cell(cell.get_position(), &value(cell.get_value(), Format::default()));
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
            let value = value(&borrowed(cell), Format::default());
            rows.cell((top + row as u32, left + column as u32), &value);
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
        // Whether every bar is one between two columns.
        let mut even = true;
        for (row, column, value) in self.cells.drain(..) {
            if row != last.0 {
                text.push('\n');
                last = (row, left);
            }
            let gap = column.saturating_sub(last.1);
            even &= gap <= MAX_GAP && !value.contains('|');
            let gap = gap.min(MAX_GAP + 1);
            text.push_str(&" | ".repeat(gap as usize));
            text.push_str(&value);
            last.1 = column;
        }
        if !text.is_empty() {
            let table = DraftBlock::new(BlockKind::Table, text).at(self.first + 1);
            self.composer.block(&if even { table.in_column(left + 1) } else { table });
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

/// What a cell's number format says about it, as far as it is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Format {
    /// Whether it shows years, months or days, and whether hours, minutes or seconds.
    date: bool,
    time: bool,
    /// Of a number that is shown as a percentage, the digits behind the point.
    percent: Option<usize>,
}

impl Format {
    fn of(style: &Style) -> Self {
        style
            .number_format
            .as_ref()
            .map_or(Self::default(), |format| Self::parse(&format.format_code))
    }

    /// Reads the first section of a format code (ECMA-376 part 1, 18.8.31). A code in which `m` is
    /// alone shows months.
    fn parse(code: &str) -> Self {
        let (mut format, mut months, mut digits) = (Self::default(), false, None);
        let mut chars = code.chars();
        while let Some(c) = chars.next() {
            match c.to_ascii_lowercase() {
                ';' => break,
                // What follows is shown as it is, or is a width.
                '\\' | '_' | '*' => drop(chars.next()),
                '"' => drop(chars.by_ref().find(|c| *c == '"')),
                // Colours and languages; elapsed hours are no time of a day.
                '[' => drop(chars.by_ref().find(|c| *c == ']')),
                'y' | 'd' => format.date = true,
                'h' | 's' => format.time = true,
                'm' => months = true,
                '.' => digits = Some(0),
                '0' | '#' | '?' => digits = digits.map(|count| count + 1),
                '%' => format.percent = Some(digits.unwrap_or(0).min(MAX_DIGITS)),
                _ => {}
            }
        }
        format.date |= months && !format.time;
        format
    }
}

fn value(data: &DataRef<'_>, format: Format) -> String {
    match (data, format.percent) {
        (DataRef::Float(value), Some(digits)) => {
            return format!("{:.digits$}%", value * 100.0);
        }
        (DataRef::Int(value), Some(_)) => return format!("{}%", value.saturating_mul(100)),
        _ => {}
    }
    match data {
        DataRef::Int(value) => value.to_string(),
        DataRef::Float(value) => number(*value),
        DataRef::String(value) | DataRef::DateTimeIso(value) | DataRef::DurationIso(value) => {
            value.clone()
        }
        DataRef::SharedString(value) => (*value).to_owned(),
        DataRef::Bool(value) => if *value { "TRUE" } else { "FALSE" }.to_owned(),
        DataRef::DateTime(value) => moment(value, format),
        DataRef::Error(error) => error.to_string(),
        DataRef::Empty => String::new(),
    }
}

/// A number with the fifteen digits that Excel keeps, so that 0.1 + 0.2 is 0.3.
fn number(value: f64) -> String {
    let rounded: f64 = format!("{value:.14e}").parse().unwrap_or(value);
    rounded.to_string()
}

fn moment(value: &ExcelDateTime, format: Format) -> String {
    let days = value.as_f64();
    if value.is_duration() {
        let seconds = (days * 86_400.0).round() as i64;
        return format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, _) = value.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    // Midnight is a time only where the sheet shows it as one.
    let has_time = days.fract() != 0.0 || format.time;
    let has_date = days >= 1.0 || (format.date && !format.time);
    match (has_date, has_time) {
        (true, true) => format!("{date} {time}"),
        (false, true) => time,
        (_, false) => date,
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
        // The bar in a cell of the first table would be taken for the next column.
        let columns = extraction.columns.iter().map(|anchor| (anchor.start, anchor.column));
        assert_eq!(columns.collect::<Vec<_>>(), [(extraction.anchors[1].start, 1)]);
        let pages: Vec<_> = extraction.pages.iter().map(|page| page.number).collect();
        assert_eq!(pages, [Some(1), Some(2)]);
    }

    #[test]
    fn values_say_what_the_sheet_shows() {
        let format = |date, time, percent| Format { date, time, percent };
        let codes = [
            ("General", Format::default()),
            ("0.00", Format::default()),
            ("0%", format(false, false, Some(0))),
            ("#,##0.0\\ %;[Red]-0.00%", format(false, false, Some(1))),
            ("\"100%\" 0", Format::default()),
            ("[$-409]mmm\\-yy;@", format(true, false, None)),
            ("mmm", format(true, false, None)),
            ("yyyy\\-mm\\-dd\\ h:mm:ss", format(true, true, None)),
            ("h:mm AM/PM", format(false, true, None)),
            ("_(* #,##0_)", Format::default()),
        ];
        for (code, expected) in codes {
            assert_eq!(Format::parse(code), expected, "{code}");
        }
        let day = |days: f64| {
            let kind = calamine::ExcelDateTimeType::DateTime;
            DataRef::DateTime(ExcelDateTime::new(days, kind, false))
        };
        let cases = [
            (DataRef::Float(0.1538), "0%", "15%"),
            (DataRef::Float(0.1538), "0.0%", "15.4%"),
            (DataRef::Int(1), "0.00%", "100%"),
            (DataRef::Float(0.1538), "General", "0.1538"),
            (day(45292.0), "yyyy-mm-dd", "2024-01-01"),
            (day(45292.0), "yyyy-mm-dd h:mm", "2024-01-01 00:00:00"),
            (day(45292.5), "yyyy-mm-dd", "2024-01-01 12:00:00"),
            (day(0.0), "h:mm", "00:00:00"),
            (day(0.5), "h:mm", "12:00:00"),
        ];
        for (data, code, expected) in cases {
            assert_eq!(value(&data, Format::parse(code)), expected, "{data:?} as {code}");
        }
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
        let columns: Vec<_> = extraction.columns.iter().map(|anchor| anchor.column).collect();
        assert_eq!(columns, [16_384]);
        assert_eq!(extraction.anchors.last().map(|anchor| anchor.line), Some(1_048_576));
    }

    #[test]
    fn what_is_no_workbook_is_said_to_be_so() {
        assert!(matches!(read_xlsx(b"PK\x03\x04 cut".to_vec()), Err(ReadError::Damaged(_))));
        assert!(matches!(read_xls(b"\xD0\xCF\x11\xE0 cut".to_vec()), Err(ReadError::Damaged(_))));
    }
}
