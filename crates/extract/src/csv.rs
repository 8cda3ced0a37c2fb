//! Tables as text: values separated by commas, semicolons, tabs or bars.

use csv::{ReaderBuilder, Trim};
use lectern_domain::{BlockKind, DocumentKind, Extraction};

use crate::compose::{Composer, DraftBlock, table_text};
use crate::xml::damaged;
use crate::{ReadError, text};

/// Records are handed on in tables of this many.
const TABLE_RECORDS: usize = 1000;

/// One table; anchors are records, counted from 1 with the header.
pub(crate) fn read(bytes: &[u8], mut composer: Composer) -> Result<Extraction, ReadError> {
    let source = text::decode(bytes, None)?;
    let delimiter = delimiter(&source);
    // Spreadsheet programs write a line that tells the separator.
    let source = match source.split_once('\n') {
        Some((first, rest)) if first.to_ascii_lowercase().starts_with("sep=") => rest,
        _ => &source,
    };
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(source.as_bytes());
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut first = 1u32;
    for (number, record) in (1u32..).zip(reader.records()) {
        let record = record.map_err(damaged)?;
        let cells: Vec<String> = record.iter().map(str::to_owned).collect();
        let blank = cells.iter().all(String::is_empty);
        if (blank || rows.len() >= TABLE_RECORDS) && !rows.is_empty() {
            let table = table_text(&std::mem::take(&mut rows));
            composer.block(&DraftBlock::new(BlockKind::Table, table).at(first));
            if composer.is_full() {
                composer.truncate();
                break;
            }
        }
        if blank {
            continue;
        }
        if rows.is_empty() {
            first = number;
        }
        rows.push(cells);
    }
    composer.block(&DraftBlock::new(BlockKind::Table, table_text(&rows)).at(first));
    composer.finish(DocumentKind::Csv)
}

/// The separator that cuts most lines of the beginning into equally many cells, and into the
/// most.
fn delimiter(source: &str) -> u8 {
    if let Some(named) =
        source.get(..5).filter(|head| head.to_ascii_lowercase().starts_with("sep="))
    {
        return named.as_bytes()[4];
    }
    let mut best = (0, 0, b',');
    for candidate in [b',', b';', b'\t', b'|'] {
        let mut reader = ReaderBuilder::new()
            .delimiter(candidate)
            .has_headers(false)
            .flexible(true)
            .from_reader(source.as_bytes());
        let widths: Vec<usize> =
            reader.records().take(30).map_while(Result::ok).map(|record| record.len()).collect();
        let width = widths.first().copied().unwrap_or(0);
        if width < 2 {
            continue;
        }
        let same = widths.iter().filter(|other| **other == width).count();
        best = best.max((same, width, candidate));
    }
    best.2
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::sketch;

    #[test]
    fn the_separator_is_found() {
        let cases = [
            ("a,b\n1,\"x, y\"\n", "▦ a | b\n1 | x, y"),
            ("a;b\n1,5;2,5\n", "▦ a | b\n1,5 | 2,5"),
            ("a\tb\n1\t2\n", "▦ a | b\n1 | 2"),
            ("a|b|c\n1|2|3\n", "▦ a | b | c\n1 | 2 | 3"),
            ("sep=;\na;b\n", "▦ a | b"),
            ("name\nAda\n", "▦ name\nAda"),
            ("a,b\n1\n2,3,4\n", "▦ a | b\n1\n2 | 3 | 4"),
            ("a,b\n\"two\nlines\",2\n,\nc,d\n", "▦ a | b\ntwo lines | 2\n\n▦ c | d"),
        ];
        for (source, expected) in cases {
            let extraction = read(source.as_bytes(), Composer::default()).unwrap();
            assert_eq!(sketch(&extraction), expected, "{source}");
        }
    }

    #[test]
    fn anchors_are_records() {
        let source = "a,b\n".repeat(2500);
        let extraction = read(source.as_bytes(), Composer::default()).unwrap();
        let records: Vec<u32> = extraction.anchors.iter().map(|anchor| anchor.line).collect();
        assert_eq!(records, [1, 1001, 2001]);
    }
}
