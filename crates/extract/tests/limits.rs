//! Files that are made to break a reader, or are simply too large: each ends as the table in
//! `docs/reading.md` says, read in a process with the usual limits of memory and output.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{Read as _, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use flate2::{Compression, write::GzEncoder};
use lectern_domain::Extraction;
use lectern_extract::worker::{Limits, ReadFailureReason, Reader, run_worker};
use lectern_extract::{MAX_TEXT_BYTES, Member, detect};
use zip::write::SimpleFileOptions;

/// The process that reads: this test binary, told to run only this "test".
#[test]
#[ignore = "is the child process of the other tests"]
fn worker() {
    let _ = run_worker(None);
}

fn read_file(path: &Path) -> Result<Extraction, ReadFailureReason> {
    let document =
        with_reader(async |reader| reader.read(path, detect(path).unwrap(), Vec::new()).await);
    let document = document.map_err(|failure| failure.reason)?;
    assert!(!document.chunks.is_empty());
    Ok(document.extraction)
}

/// What becomes of the members of an archive, which are read one by one.
fn read_members(path: &Path) -> Vec<String> {
    with_reader(async |reader| {
        let archive = reader.read(path, detect(path).unwrap(), Vec::new()).await.unwrap();
        let mut members = Vec::new();
        for Member { path: name, failure } in archive.members {
            let member = path.join(&name);
            let text = match failure {
                Some(failure) => failure,
                None => match reader.identify(&member).await {
                    Ok(is) => {
                        let read = reader.read(&member, is.kind, Vec::new()).await;
                        read.map_or_else(|failure| failure.message, |read| read.extraction.text)
                    }
                    Err(failure) => failure.message,
                },
            };
            members.push(format!("{name}: {text}"));
        }
        members.extend(archive.extraction.warnings);
        members
    })
}

fn with_reader<T>(work: impl AsyncFnOnce(&mut Reader) -> T) -> T {
    let arguments = ["--exact", "worker", "--ignored", "--nocapture"].map(Into::into).to_vec();
    let program = std::env::current_exe().unwrap();
    // How long it takes depends on what else the computer does.
    let limits = Limits { time: Duration::from_secs(900), ..Limits::default() };
    let mut reader = Reader::new(program, arguments, limits);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work(&mut reader))
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

fn text(text: &str) -> impl Fn(&mut dyn Write) + use<> {
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
        assert!(matches!(read_file(&path), Err(ReadFailureReason::TooBig)), "{name}");
    }
    // Of an archive the members that fit the limits are kept.
    let too_big = "the file is too big to be read";
    let path = folder.path().join("bomb.zip");
    let parts: [Part<'_>; 3] =
        [("first.txt", &text("kept")), ("zeros.txt", &zeros), ("last.txt", &text("kept"))];
    package(&path, &parts);
    let zeros = format!("zeros.txt: {too_big}");
    assert_eq!(read_members(&path), ["first.txt: kept", &zeros, "last.txt: kept"]);
    let path = folder.path().join("bomb.tgz");
    let file = File::create(&path).unwrap();
    let mut tape = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
    for (name, size) in [("first.txt", 4), ("zeros.txt", 600 << 20), ("last.txt", 4)] {
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        tape.append_data(&mut header, name, std::io::repeat(b'k').take(size)).unwrap();
    }
    tape.into_inner().unwrap().finish().unwrap();
    let warning = format!("not all members were read: {too_big}");
    assert_eq!(read_members(&path), ["first.txt: kkkk", &warning]);
}

#[test]
fn an_archive_of_more_members_than_are_read_is_read_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.zip");
    let names: Vec<String> = (0..10_010).map(|number| format!("{number}.txt")).collect();
    let word = text("word");
    let parts: Vec<Part<'_>> =
        names.iter().map(|name| (name.as_str(), &word as &dyn Fn(&mut dyn Write))).collect();
    package(&path, &parts);
    let archive = with_reader(async |reader| {
        reader.read(&path, detect(&path).unwrap(), Vec::new()).await.unwrap()
    });
    assert_eq!(archive.members.len(), 10_000);
    assert_eq!(archive.extraction.warnings, ["only the first 10000 members were read"]);
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
    let deepest = "inner.zip/inner.zip/inner.zip/inner.zip";
    let failure = "the file lies too deep inside of other files";
    assert_eq!(read_members(&path), [format!("{deepest}: {failure}")]);
}

/// Each entity is ten of the one before: nine levels of them are gigabytes.
fn entities() -> String {
    let mut declared = "<!DOCTYPE x [<!ENTITY e0 'billion laughs '>".to_owned();
    for level in 1..10 {
        let inner = format!("&e{};", level - 1).repeat(10);
        declared += &format!("<!ENTITY e{level} '{inner}'>");
    }
    declared + "]>"
}

#[test]
fn entities_that_multiply_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let bomb =
        |root: &str| text(&format!("<?xml version='1.0'?>{}<{root}>&e9;</{root}>", entities()));
    for (name, part) in [
        ("laughs.docx", "word/document.xml"),
        ("laughs.pptx", "ppt/presentation.xml"),
        ("laughs.xlsx", "xl/workbook.xml"),
        ("laughs.odt", "content.xml"),
    ] {
        let path = folder.path().join(name);
        package(
            &path,
            &[
                ("mimetype", &text("application/vnd.oasis.opendocument.text")),
                ("[Content_Types].xml", &text("<Types/>")),
                (part, &bomb("x")),
            ],
        );
        assert_eq!(read_file(&path), Err(ReadFailureReason::Damaged), "{name}");
    }
    let path = folder.path().join("laughs.xml");
    bomb("x")(&mut File::create(&path).unwrap());
    assert_eq!(read_file(&path), Err(ReadFailureReason::TooBig));
}

/// A PDF of these objects, from number 1 on, of which the first is the catalogue.
fn pdf(path: &Path, objects: &[&str]) {
    let mut file = File::create(path).unwrap();
    writeln!(file, "%PDF-1.7").unwrap();
    let mut places = Vec::new();
    for (number, object) in (1..).zip(objects) {
        places.push(file.stream_position().unwrap());
        writeln!(file, "{number} 0 obj\n{object}\nendobj").unwrap();
    }
    let table = file.stream_position().unwrap();
    let size = objects.len() + 1;
    write!(file, "xref\n0 {size}\n0000000000 65535 f \n").unwrap();
    for place in places {
        writeln!(file, "{place:010} 00000 n ").unwrap();
    }
    write!(file, "trailer <</Size {size}/Root 1 0 R>>\nstartxref\n{table}\n%%EOF").unwrap();
}

#[test]
fn a_pdf_that_leads_back_to_itself_is_read_once() {
    const CATALOGUE: &str = "<</Type/Catalog/Pages 2 0 R>>";
    const PAGES: &str = "<</Type/Pages/Kids[3 0 R]/Count 1>>";
    const FORM: &str =
        "<</Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</XObject<</X 6 0 R>>>>/Length";
    let harmless = format!("{FORM} 0>>stream\n\nendstream");
    let once = format!("{FORM} 5>>stream\n/X Do\nendstream");
    let twice = format!("{FORM} 11>>stream\n/X Do /X Do\nendstream");
    let outline = "<</Type/Catalog/Pages 2 0 R/Outlines 7 0 R>>";
    for (name, catalogue, pages, form) in [
        ("nothing", CATALOGUE, PAGES, &harmless),
        ("a form", CATALOGUE, PAGES, &once),
        ("a form, twice", CATALOGUE, PAGES, &twice),
        ("pages", CATALOGUE, "<</Type/Pages/Kids[3 0 R 2 0 R]/Count 1>>", &harmless),
        (
            "pages that are not there",
            CATALOGUE,
            "<</Type/Pages/Kids[3 0 R]/Count 900000>>",
            &harmless,
        ),
        ("outline", outline, PAGES, &harmless),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("circle.pdf");
        let words = "BT /F 12 Tf 72 700 Td (Read me once.) Tj ET /X Do";
        pdf(
            &path,
            &[
                catalogue,
                pages,
                "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R\
                 /Resources<</Font<</F 5 0 R>>/XObject<</X 6 0 R>>>>>>",
                &format!("<</Length {}>>stream\n{words}\nendstream", words.len()),
                "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
                form,
                "<</First 8 0 R>>",
                "<</Title(a)/Next 8 0 R/First 8 0 R>>",
            ],
        );
        let text = read_file(&path).map(|extraction| extraction.text);
        assert_eq!(text.as_deref(), Ok("Read me once."), "{name}");
    }
}
