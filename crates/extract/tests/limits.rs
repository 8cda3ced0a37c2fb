//! Files that are made to break a reader, or are simply too large: each ends soon, with what
//! could be read of it or with a reason.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use lectern_domain::Extraction;
use lectern_extract::{MAX_TEXT_BYTES, ReadError, chunk, detect, read};
use zip::write::SimpleFileOptions;

fn read_file(path: &Path) -> Result<Extraction, ReadError> {
    read(path, detect(path)?)
}

/// The name of a part and what writes it, so that it need not be in memory.
type Part<'a> = (&'a str, &'a dyn Fn(&mut dyn Write));

fn package(path: &Path, parts: &[Part<'_>]) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, write) in parts {
        zip.start_file(*name, SimpleFileOptions::default().large_file(true)).unwrap();
        write(&mut zip);
    }
    zip.finish().unwrap();
}

fn text(text: &str) -> impl Fn(&mut dyn Write) {
    let text = text.to_owned();
    move |out| out.write_all(text.as_bytes()).unwrap()
}

#[test]
fn of_a_text_of_two_gigabytes_the_beginning_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.log");
    let mut file = File::create(&path).unwrap();
    let line = format!("{}\n", "a line of a log ".repeat(64));
    let lines = line.repeat((MAX_TEXT_BYTES / line.len()) + 2);
    file.write_all(lines.as_bytes()).unwrap();
    // The rest is a hole in the file, which takes no room on the disk.
    file.seek(SeekFrom::Start(2 << 30)).unwrap();
    file.write_all(b"end").unwrap();
    let extraction = read_file(&path).unwrap();
    assert!(extraction.text.len() <= MAX_TEXT_BYTES);
    assert!(extraction.text.len() > MAX_TEXT_BYTES / 2);
    assert!(extraction.text.ends_with("a line of a log"));
    assert_eq!(extraction.warnings, ["only the first 64 MiB of the text are read"]);
}

#[test]
fn a_workbook_of_a_million_rows_is_read_as_far_as_text_may_go() {
    const MAIN: &str = "xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main' \
        xmlns:r='http://schemas.openxmlformats.org/officeDocument/2006/relationships'";
    let relationships = |kind: &str, target: &str| {
        format!(
            "<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>\
             <Relationship Id='r1' Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}' Target='{target}'/></Relationships>"
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.xlsx");
    let rows = |out: &mut dyn Write| {
        write!(out, "<worksheet {MAIN}><sheetData>").unwrap();
        for row in 1..=1_000_000 {
            write!(
                out,
                "<row r='{row}'><c r='A{row}'><v>{row}</v></c><c r='B{row}' t='inlineStr'><is><t>Item number {row} of the stock, \
                 counted again in the spring by two people of the house</t></is></c></row>"
            )
            .unwrap();
        }
        write!(out, "</sheetData></worksheet>").unwrap();
    };
    package(
        &path,
        &[
            ("[Content_Types].xml", &text("<Types/>")),
            ("_rels/.rels", &text(&relationships("officeDocument", "xl/workbook.xml"))),
            (
                "xl/workbook.xml",
                &text(&format!(
                    "<workbook {MAIN}><sheets><sheet name='Stock' sheetId='1' r:id='r1'/></sheets></workbook>"
                )),
            ),
            (
                "xl/_rels/workbook.xml.rels",
                &text(&relationships("worksheet", "worksheets/sheet1.xml")),
            ),
            ("xl/worksheets/sheet1.xml", &rows),
        ],
    );
    let extraction = read_file(&path).unwrap();
    assert!(extraction.text.starts_with("Stock\n\n1 | Item number 1 of"));
    assert!(extraction.text.len() <= MAX_TEXT_BYTES);
    assert!(extraction.anchors.last().unwrap().line > 500_000);
    assert_eq!(extraction.warnings, ["only the first 64 MiB of the text are read"]);
}

#[test]
fn a_document_that_unpacks_to_gigabytes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let zeros = |out: &mut dyn Write| {
        let block = vec![b' '; 1 << 20];
        for _ in 0..600 {
            out.write_all(&block).unwrap();
        }
    };
    for (name, part) in [
        ("bomb.docx", "word/document.xml"),
        ("bomb.xlsx", "xl/workbook.xml"),
        ("bomb.pptx", "ppt/presentation.xml"),
        ("bomb.odt", "content.xml"),
        ("bomb.epub", "book.opf"),
    ] {
        let path = folder.path().join(name);
        package(&path, &[(part, &zeros), ("_rels/.rels", &text("<Relationships/>"))]);
        assert!(path.metadata().unwrap().len() < 2 << 20);
        assert!(matches!(read_file(&path), Err(ReadError::TooBig)), "{name}");
    }
    // Of an archive the members that fit the limits are kept.
    let path = folder.path().join("bomb.zip");
    package(&path, &[("first.txt", &text("kept")), ("zeros.txt", &zeros)]);
    let extraction = read_file(&path).unwrap();
    assert_eq!(extraction.text, "first.txt\n\nkept");
    assert!(extraction.warnings[0].contains("too big"), "{:?}", extraction.warnings);
}

#[test]
fn a_zip_of_a_zip_of_a_zip_ends_at_the_depth_that_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep.zip");
    let mut inner = b"the core".to_vec();
    let mut name = "core.txt".to_owned();
    for _ in 0..20 {
        let bytes = std::mem::take(&mut inner);
        package(&path, &[(&name, &move |out: &mut dyn Write| out.write_all(&bytes).unwrap())]);
        inner = std::fs::read(&path).unwrap();
        name = "inner.zip".to_owned();
    }
    let extraction = read_file(&path).unwrap();
    assert!(!extraction.text.contains("core"));
    assert!(extraction.warnings[0].contains("too deep"), "{:?}", extraction.warnings);
    assert!(!chunk(&extraction).is_empty());
}
