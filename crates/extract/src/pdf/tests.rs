#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::collections::BTreeSet;

use lectern_domain::{CharRange, Rect};
use lopdf::encryption::{EncryptionState, EncryptionVersion, Permissions};
use lopdf::{Dictionary, Document, Object, Stream, dictionary};

use super::*;
use crate::compose::sketch;

/// Lines of text at `(x, y from the bottom, size)`, in the font `F1` (Helvetica).
pub(super) fn lines(lines: &[(f32, f32, f32, &str)]) -> String {
    let line = |(x, y, size, text): &(f32, f32, f32, &str)| {
        format!("BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET\n")
    };
    lines.iter().map(line).collect()
}

/// A document of pages with these contents, and more entries in the dictionary of each page.
pub(super) fn document(pages: &[&str], more: &Dictionary) -> Document {
    let mut document = Document::with_version("1.7");
    let parent = document.new_object_id();
    let helvetica =
        dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica" };
    let song = dictionary! {
        "Type" => "Font", "Subtype" => "Type0", "BaseFont" => "STSong-Light", "Encoding" => "UniGB-UCS2-H",
        "DescendantFonts" => vec![dictionary! {
            "Type" => "Font", "Subtype" => "CIDFontType0", "BaseFont" => "STSong-Light", "DW" => 1000,
            "CIDSystemInfo" => dictionary! {
                "Registry" => Object::string_literal("Adobe"),
                "Ordering" => Object::string_literal("GB1"), "Supplement" => 4,
            },
            "FontDescriptor" => dictionary! {
                "Type" => "FontDescriptor", "FontName" => "STSong-Light", "Flags" => 4,
            },
        }.into()],
    };
    let image = document.add_object(Stream::new(
        dictionary! {
            "Type" => "XObject", "Subtype" => "Image", "Width" => 1, "Height" => 1,
            "ColorSpace" => "DeviceGray", "BitsPerComponent" => 8,
        },
        vec![128],
    ));
    let resources = document.add_object(dictionary! {
        "Font" => dictionary! { "F1" => helvetica, "F2" => song },
        "XObject" => dictionary! { "I1" => image },
    });
    let mut kids: Vec<Object> = Vec::new();
    for page in pages {
        let content = document.add_object(Stream::new(dictionary! {}, page.as_bytes().to_vec()));
        let mut page = dictionary! {
            "Type" => "Page", "Parent" => parent, "Contents" => content, "Resources" => resources,
            "MediaBox" => vec![0.into(), 0.into(), 600.into(), 800.into()],
        };
        page.extend(more);
        kids.push(document.add_object(page).into());
    }
    let count = kids.len() as i64;
    document
        .objects
        .insert(parent, dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count }.into());
    let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => parent });
    document.trailer.set("Root", catalog);
    document
}

pub(super) fn bytes(mut document: Document) -> Vec<u8> {
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

fn pdfium() -> PdfiumEngine {
    PdfiumEngine::load().expect("libpdfium is not there; scripts/fetch_pdfium.py fetches it")
}

/// What both engines with places read, which must be the same but for fractions of points.
fn read(bytes: Vec<u8>) -> Result<Extraction, ReadError> {
    let by_pdfium = read_with(bytes.clone(), &[], &[&pdfium()]);
    let by_hayro = read_with(bytes, &[], &[&HayroEngine]);
    match (&by_pdfium, &by_hayro) {
        (Ok(one), Ok(other)) => {
            assert_eq!(sketch(one), sketch(other));
            let edges = |extraction: &Extraction| -> Vec<f32> {
                let rects = extraction.boxes.iter().map(|b| b.rect);
                rects.flat_map(|rect| [rect.x0, rect.y0, rect.x1, rect.y1]).collect()
            };
            let (one, other) = (edges(one), edges(other));
            assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1.0), "{one:?}\n{other:?}");
        }
        (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
        _ => panic!("{by_pdfium:?}\n{by_hayro:?}"),
    }
    by_pdfium
}

fn read_pages(pages: &[&str]) -> Result<Extraction, ReadError> {
    read(bytes(document(pages, &Dictionary::new())))
}

/// Lines of 12 points that follow each other from the top.
fn text_page(texts: &[&str]) -> String {
    let at: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(row, text)| (72.0, 700.0 - 14.0 * row as f32, 12.0, *text))
        .collect();
    lines(&at)
}

#[test]
fn lines_become_paragraphs() {
    let cases: &[(&[&str], &str)] = &[
        (&["The price is", "three thousand."], "¶ The price is three thousand."),
        (
            &["The con-", "tract of Anglo-", "American law, page 3-", "4"],
            "¶ The contract of Anglo-American law, page 3-4",
        ),
        (&["1. One thing", "2. Another", "thing"], "- 1. One thing\n\n- 2. Another thing"),
        (
            &["Title . . . . . . . . . . . . 12", "Next . . . . . . . . . . 14"],
            "¶ Title … 12\n\n¶ Next … 14",
        ),
    ];
    for (texts, expected) in cases {
        let extraction = read_pages(&[&text_page(texts)]).unwrap();
        assert_eq!(sketch(&extraction), *expected);
    }
}

#[test]
fn a_gap_separates_paragraphs_and_large_type_is_a_heading() {
    let page = lines(&[
        (72.0, 740.0, 24.0, "Annual Report"),
        (72.0, 700.0, 16.0, "Results"),
        (72.0, 670.0, 12.0, "The first paragraph goes over"),
        (72.0, 656.0, 12.0, "two lines."),
        (72.0, 630.0, 12.0, "The second one is short."),
    ]);
    let extraction = read_pages(&[&page]).unwrap();
    let expected = "# Annual Report\n\n## Results\n\n¶ The first paragraph goes over two lines.\n\n¶ The second one is short.";
    assert_eq!(sketch(&extraction), expected);
    assert_eq!(extraction.title.as_deref(), Some("Annual Report"));
}

#[test]
fn the_outline_names_headings_that_type_does_not_tell() {
    let page = text_page(&[
        "1 Scope",
        "",
        "1.1 Parties",
        "",
        "The parties to this",
        "contract are named",
        "here.",
        "",
        "2 Price",
    ]);
    let mut document = document(&[&page], &Dictionary::new());
    let item = |title: &str| dictionary! { "Title" => Object::string_literal(title) };
    let price = document.add_object(item("2 Price"));
    let utf16: Vec<u8> = [0xFE, 0xFF]
        .into_iter()
        .chain("1.1 Parties".encode_utf16().flat_map(u16::to_be_bytes))
        .collect();
    let parties = document.add_object(dictionary! { "Title" => Object::string_literal(utf16) });
    let mut scope = item("1  SCOPE");
    scope.set("First", parties);
    scope.set("Next", price);
    let scope = document.add_object(scope);
    let outlines = document.add_object(dictionary! { "First" => scope });
    document.catalog_mut().unwrap().set("Outlines", outlines);
    let extraction = read(bytes(document)).unwrap();
    assert_eq!(
        sketch(&extraction),
        "# 1 Scope\n\n## 1.1 Parties\n\n¶ The parties to this contract are named here.\n\n# 2 Price"
    );
}

#[test]
fn columns_are_read_one_after_the_other() {
    let mut at = vec![(
        72.0,
        740.0,
        12.0,
        "A title that goes over both of the columns of this page, from left to right",
    )];
    for row in 0..8 {
        let y = 700.0 - 14.0 * row as f32;
        at.push((72.0, y, 12.0, "left words that fill the column"));
        at.push((320.0, y, 12.0, "right words that fill the column"));
    }
    let extraction = read_pages(&[&lines(&at)]).unwrap();
    let left = extraction.text.rfind("left").unwrap();
    let right = extraction.text.find("right words").unwrap();
    assert!(left < right, "{}", extraction.text);
    assert!(extraction.text.starts_with("A title"));
}

#[test]
fn aligned_cells_become_a_table() {
    let mut at = Vec::new();
    for (row, cells) in [["Name", "Price", "Stock"], ["Tea", "3.50", "yes"], ["Milk", "1.20", "no"]]
        .iter()
        .enumerate()
    {
        for (column, cell) in cells.iter().enumerate() {
            at.push((72.0 + 100.0 * column as f32, 700.0 - 14.0 * row as f32, 12.0, *cell));
        }
    }
    let extraction = read_pages(&[&lines(&at)]).unwrap();
    assert_eq!(sketch(&extraction), "▦ Name | Price | Stock\nTea | 3.50 | yes\nMilk | 1.20 | no");
}

#[test]
fn chinese_lines_are_joined_without_a_space_and_every_character_has_a_box() {
    let hex =
        |text: &str| text.encode_utf16().map(|unit| format!("{unit:04X}")).collect::<String>();
    let page = format!(
        "BT /F2 12 Tf 72 700 Td <{}> Tj 0 -16 Td <{}> Tj ET",
        hex("合同金额为人民币"),
        hex("三万元整。")
    );
    let extraction = read_pages(&[&page]).unwrap();
    assert_eq!(extraction.text, "合同金额为人民币三万元整。");
    assert_eq!(extraction.boxes.len(), 13);
    let rects = crate::rects(&extraction.boxes, CharRange::new(6, 10));
    assert_eq!(rects.len(), 2, "one rectangle a line: {rects:?}");
    assert_eq!((rects[0].x0, rects[0].x1), (144.0, 168.0));
}

/// Where "World" stands on a page with these entries; "Hello World" is at (100, 700).
fn place_of_world(more: &Dictionary) -> Rect {
    let page = lines(&[(100.0, 700.0, 10.0, "Hello World")]);
    let extraction = read(bytes(document(&[&page], more))).unwrap();
    assert_eq!(extraction.text, "Hello World");
    crate::rects(&extraction.boxes, CharRange::new(6, 11))[0]
}

#[test]
fn boxes_are_on_the_page_as_it_is_shown() {
    // In Helvetica of 10 points, "Hello " is 25.56 points wide and "World" 26.11.
    let whole = Vec::<Object>::from([0.into(), 0.into(), 600.into(), 800.into()]);
    let cropped = Vec::<Object>::from([50.into(), 100.into(), 550.into(), 750.into()]);
    let cases = [
        ("plain", dictionary! {}, [125.6, 92.0, 151.7, 102.2]),
        ("cropped", dictionary! { "CropBox" => cropped }, [75.6, 42.0, 101.7, 52.2]),
        (
            "turned",
            dictionary! { "Rotate" => 90, "CropBox" => whole },
            [697.8, 125.6, 708.0, 151.7],
        ),
        ("upside down", dictionary! { "Rotate" => 180 }, [448.3, 697.8, 474.4, 708.0]),
    ];
    for (name, more, expected) in cases {
        let rect = place_of_world(&more);
        let found = [rect.x0, rect.y0, rect.x1, rect.y1];
        let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.3);
        assert!(near, "{name}: {found:?}, expected {expected:?}");
        assert_eq!(rect.page, 1);
    }
}

#[test]
fn every_box_covers_a_word_of_the_text() {
    let pages = [text_page(&["The con-", "tract begins", "in May."]), text_page(&["Second page."])];
    let extraction = read_pages(&[&pages[0], &pages[1]]).unwrap();
    let words: BTreeSet<_> = extraction
        .boxes
        .iter()
        .map(|b| (b.rect.page, lectern_domain::char_slice(&extraction.text, b.range)))
        .collect();
    let expected = [
        (1, "The"),
        (1, "con"),
        (1, "tract"),
        (1, "begins"),
        (1, "in"),
        (1, "May."),
        (2, "Second"),
        (2, "page."),
    ];
    assert_eq!(words, BTreeSet::from(expected));
    assert!(extraction.boxes.is_sorted_by_key(|b| b.range.start));
    let pages: Vec<_> = extraction.pages.iter().map(|page| (page.number, page.range)).collect();
    let text = extraction.text.chars().count() as u32;
    let second = text - "Second page.".len() as u32;
    assert_eq!(
        pages,
        [(Some(1), CharRange::new(0, second)), (Some(2), CharRange::new(second, text))]
    );
}

#[test]
fn text_that_is_printed_twice_is_read_once() {
    let page = lines(&[(72.0, 700.0, 12.0, "Bold illusion"), (72.3, 700.0, 12.0, "Bold illusion")]);
    assert_eq!(read_pages(&[&page]).unwrap().text, "Bold illusion");
}

#[test]
fn pages_of_pictures_are_named() {
    let picture = "q 600 0 0 800 0 0 cm /I1 Do Q";
    let words = text_page(&["Words."]);
    let extraction = read_pages(&[&words, picture, ""]).unwrap();
    assert_eq!(extraction.warnings, ["page 2 is a picture whose text is not recognised"]);
    assert_eq!(extraction.pages.len(), 3);
    let scan = read_pages(&[picture, picture]).unwrap();
    assert_eq!((scan.text.as_str(), scan.scans.as_slice()), ("", &[1, 2][..]));
    assert!(matches!(read_pages(&["", ""]), Err(ReadError::Empty)));
}

#[test]
fn a_password_is_asked_for_only_where_it_is_needed() {
    for (password, opens) in [("", true), ("secret", false)] {
        let mut plain = document(&[&text_page(&["Confidential words."])], &Dictionary::new());
        let id = || Object::string_literal("0123456789abcdef");
        plain.trailer.set("ID", vec![id(), id()]);
        let version = EncryptionVersion::V2 {
            document: &plain,
            owner_password: "owner",
            user_password: password,
            key_length: 128,
            permissions: Permissions::all(),
        };
        let state = EncryptionState::try_from(version).unwrap();
        plain.encrypt(&state).unwrap();
        let locked = bytes(plain);
        let result = read(locked.clone());
        if opens {
            assert_eq!(result.unwrap().text, "Confidential words.");
            continue;
        }
        assert!(matches!(result, Err(ReadError::PasswordNeeded)));
        for engine in [&pdfium() as &dyn PdfEngine, &HayroEngine] {
            let with = |password: &str| {
                let file = PdfFile { bytes: Arc::new(locked.clone()), password: password.into() };
                read_with(file, &[], &[engine])
            };
            assert!(matches!(with("wrong"), Err(ReadError::PasswordNeeded)));
            assert_eq!(with(password).unwrap().text, "Confidential words.");
        }
    }
}

#[test]
fn broken_files_are_errors_or_give_what_they_have() {
    let whole = bytes(document(&[&text_page(&["Words."])], &Dictionary::new()));
    for cut in (0..whole.len()).step_by(97) {
        if let Ok(extraction) = super::read(whole[..cut].to_vec(), &[]) {
            assert_eq!(extraction.text, "Words.");
        }
    }
    assert!(matches!(
        super::read(b"%PDF-1.7\nno objects".to_vec(), &[]),
        Err(ReadError::Damaged(_))
    ));
}

/// An engine that finds these pages in every file.
struct Found(Vec<PageContent>);

impl PdfEngine for Found {
    fn read(
        &self,
        _: &PdfFile,
        wanted: &dyn Fn(usize) -> bool,
        sink: &mut dyn FnMut(usize, PageContent),
    ) -> Result<PdfInfo, ReadError> {
        for (index, page) in self.0.iter().enumerate().filter(|(index, _)| wanted(*index)) {
            sink(index, page.clone());
        }
        Ok(PdfInfo { pages: self.0.len(), ..PdfInfo::default() })
    }
}

/// A page of glyphs of 10 points on one line.
fn glyph_page(text: &str) -> PageContent {
    let glyph = |(at, c): (usize, char)| {
        let x = at as f32 * 5.0;
        let (rect, size) = ([x, 0.0, x + 5.0, 10.0], 10.0);
        Glyph { c, rect, size, bold: false, monospace: false, direction: Direction::Right }
    };
    PageContent {
        glyphs: text.chars().enumerate().map(glyph).collect(),
        has_text_operators: true,
        ..PageContent::default()
    }
}

#[test]
fn a_page_is_read_by_the_other_engine_only_where_the_first_one_fails() {
    let plain = |text: &str| PageContent { plain: Some(text.into()), ..PageContent::default() };
    let broken = PageContent { broken: true, ..glyph_page("half") };
    let cases = [
        (glyph_page("good words"), plain("other"), "good words", 0),
        (glyph_page("g\u{FFFD}\u{FFFD}d w\u{FFFD}rds"), plain("good words"), "good words", 0),
        (glyph_page(""), plain("found words"), "found words", 0),
        (broken.clone(), plain("half and half"), "half and half", 0),
        (broken.clone(), PageContent { broken: true, ..plain("ha") }, "half", 1),
        (broken, PageContent { broken: true, ..plain("half and") }, "half and", 1),
        (glyph_page("a\u{FFFD}"), plain("\u{FFFD}"), "a\u{FFFD}", 1),
    ];
    for (first, second, expected, warnings) in cases {
        let extraction =
            read_with(Vec::new(), &[], &[&Found(vec![first]), &Found(vec![second])]).unwrap();
        assert_eq!(extraction.text, expected);
        assert_eq!(extraction.warnings.len(), warnings, "{expected}");
    }
}

#[test]
fn text_from_right_to_left_is_put_in_reading_order() {
    // As on the page from left to right: the words' letters are stored in visual order.
    let visual = "\u{05DD}\u{05DC}\u{05D5}\u{05E2} Rust 2024 \u{05DD}\u{05D5}\u{05DC}\u{05E9}";
    let extraction = read_with(Vec::new(), &[], &[&Found(vec![glyph_page(visual)])]).unwrap();
    let logical = "\u{05E9}\u{05DC}\u{05D5}\u{05DD} Rust 2024 \u{05E2}\u{05D5}\u{05DC}\u{05DD}";
    assert_eq!(extraction.text, logical);
}

#[test]
fn pdf_extract_reads_what_it_can() {
    let pages = [text_page(&["First page."]), text_page(&["Second page."])];
    let file = PdfFile::from(bytes(document(&[&pages[0], &pages[1]], &Dictionary::new())));
    let mut found = Vec::new();
    let info = PdfExtractEngine
        .read(&file, &|index| index == 1, &mut |index, content| found.push((index, content.plain)))
        .unwrap();
    assert_eq!(info.pages, 2);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].0 == 1 && found[0].1.as_deref().is_some_and(|text| text.contains("Second page."))
    );
    assert!(PdfExtractEngine.read(&b"junk".to_vec().into(), &|_| true, &mut |_, _| {}).is_err());
}

#[test]
fn text_from_right_to_left_is_taken_from_the_engine_that_leaves_its_order() {
    let reordered = PageContent { reordered: true, ..glyph_page("abc def") };
    let plain = PageContent { plain: Some("abd cef".into()), ..PageContent::default() };
    for (other, expected) in [
        (glyph_page("abd cef"), "abd cef"),
        // What lacks a part, or the places, is no better.
        (glyph_page("abd"), "abc def"),
        (plain, "abc def"),
    ] {
        let first = Found(vec![reordered.clone()]);
        let extraction = read_with(Vec::new(), &[], &[&first, &Found(vec![other])]).unwrap();
        assert_eq!(extraction.text, expected);
        assert_eq!(extraction.warnings, [""; 0]);
    }
}

#[test]
fn a_file_that_an_engine_cannot_open_is_opened_by_the_next() {
    struct Refuses(fn() -> ReadError);
    impl PdfEngine for Refuses {
        fn read(
            &self,
            _: &PdfFile,
            _: &dyn Fn(usize) -> bool,
            _: &mut dyn FnMut(usize, PageContent),
        ) -> Result<PdfInfo, ReadError> {
            Err(self.0())
        }
    }
    let damaged = Refuses(|| ReadError::Damaged("first".into()));
    let good = Found(vec![glyph_page("good words")]);
    let read = |engines: &[&dyn PdfEngine]| read_with(Vec::new(), &[], engines);
    assert_eq!(read(&[&damaged, &good]).unwrap().text, "good words");
    assert_eq!(read(&[&Found(Vec::new()), &good]).unwrap().text, "good words");
    let also = Refuses(|| ReadError::Damaged("second".into()));
    assert!(matches!(read(&[&damaged, &also]), Err(ReadError::Damaged(why)) if why == "first"));
    // A password is missing for every engine.
    let locked = Refuses(|| ReadError::PasswordNeeded);
    assert!(matches!(read(&[&locked, &good]), Err(ReadError::PasswordNeeded)));
}

#[test]
fn running_heads_and_feet_are_read_once_and_page_numbers_not_at_all() {
    let topics = ["harvest", "storms", "prices", "wages", "roads", "ships"];
    let pages: Vec<String> = topics
        .iter()
        .enumerate()
        .map(|(index, topic)| {
            let body = format!("This page tells of the {topic} of the year.");
            let side = if index % 2 == 0 { "Yearbook" } else { "Of land and sea" };
            let (number, foot) = (format!("{}", index + 7), format!("Page {} of 60", index + 7));
            let mut at = vec![(72.0, 760.0, 9.0, side), (500.0, 760.0, 9.0, number.as_str())];
            at.extend([(72.0, 600.0, 12.0, body.as_str()), (72.0, 30.0, 9.0, foot.as_str())]);
            lines(&at)
        })
        .collect();
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    let text = read_pages(&pages).unwrap().text;
    for (word, times) in
        [("Yearbook", 1), ("land and sea", 1), ("Page", 0), ("60", 0), ("This page tells", 6)]
    {
        assert_eq!(text.matches(word).count(), times, "{word:?} in {text}");
    }
    // Two pages are too few to tell.
    assert_eq!(read_pages(&pages[..2]).unwrap().text.matches("Page").count(), 2);
}

#[test]
fn what_people_filled_in_is_read() {
    let mut document = document(&[&text_page(&["Name of the applicant:"])], &Dictionary::new());
    let appearance = document.add_object(Stream::new(
        dictionary! {
            "Type" => "XObject", "Subtype" => "Form",
            "BBox" => vec![0.into(), 0.into(), 200.into(), 20.into()],
            "Resources" => dictionary! { "Font" => dictionary! { "F1" => dictionary! {
                "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica",
            } } },
        },
        b"BT /F1 12 Tf 2 5 Td (Ada Lovelace) Tj ET".to_vec(),
    ));
    let widget = document.add_object(dictionary! {
        "Type" => "Annot", "Subtype" => "Widget", "FT" => "Tx", "F" => 4,
        "T" => Object::string_literal("name"), "V" => Object::string_literal("Ada Lovelace"),
        "Rect" => vec![72.into(), 500.into(), 272.into(), 520.into()],
        "AP" => dictionary! { "N" => appearance },
    });
    let page = document.page_iter().next().unwrap();
    document.get_dictionary_mut(page).unwrap().set("Annots", vec![widget.into()]);
    let form = document.add_object(dictionary! { "Fields" => vec![widget.into()] });
    document.catalog_mut().unwrap().set("AcroForm", form);
    let extraction = read_with(bytes(document), &[], &[&pdfium()]).unwrap();
    assert_eq!(extraction.text, "Name of the applicant:\n\nAda Lovelace");
    let rect = crate::rects(&extraction.boxes, CharRange::new(24, 36))[0];
    assert!((rect.x0 - 74.0).abs() < 1.0 && rect.y0 > 280.0 && rect.y1 < 300.0, "{rect:?}");
}

#[test]
fn comments_stand_below_their_page() {
    let lines = text_page(&["The rent is due."]);
    let mut document = document(&[&lines, &text_page(&["The end."])], &Dictionary::new());
    let comment = |kind: &str, words: &str, author: Option<&str>| {
        let mut comment = dictionary! {
            "Type" => "Annot", "Subtype" => kind, "F" => 4,
            "Contents" => Object::string_literal(words),
            "Rect" => vec![72.into(), 500.into(), 272.into(), 520.into()],
        };
        if let Some(author) = author {
            comment.set("T", Object::string_literal(author));
        }
        comment
    };
    let comments = [
        comment("Text", "When exactly?", Some("Ada")),
        comment("Highlight", "Agreed.", None),
        comment("Highlight", " ", Some("Ada")),
        comment("Popup", "When exactly?", None),
        comment("Link", "A link", None),
    ];
    let comments: Vec<Object> =
        comments.into_iter().map(|comment| document.add_object(comment).into()).collect();
    let page = document.page_iter().next().unwrap();
    document.get_dictionary_mut(page).unwrap().set("Annots", comments);
    let extraction = read_with(bytes(document), &[], &[&pdfium()]).unwrap();
    let text = "The rent is due.\n\n[Ada: When exactly?]\n\n[Agreed.]\n\nThe end.";
    assert_eq!(extraction.text, text);
    let rects = crate::rects(&extraction.boxes, CharRange::new(18, 37));
    assert_eq!((rects.len(), rects[0].page, rects[0].x0, rects[0].x1), (1, 1, 72.0, 272.0));
}

#[test]
fn pages_have_the_names_that_the_document_gives_them() {
    let mut document =
        document(&[&text_page(&["Preface."]), &text_page(&["Chapter."])], &Dictionary::new());
    let labels = dictionary! { "Nums" => vec![
        0.into(), dictionary! { "S" => "r", "St" => 4 }.into(),
        1.into(), dictionary! { "S" => "D", "P" => Object::string_literal("A-") }.into(),
    ] };
    document.catalog_mut().unwrap().set("PageLabels", labels);
    let extraction = read_with(bytes(document), &[], &[&pdfium()]).unwrap();
    let labels: Vec<_> = extraction.pages.iter().map(|page| page.label.as_deref()).collect();
    assert_eq!(labels, [Some("iv"), Some("A-1")]);
}

#[test]
fn the_pinned_library_is_the_one_that_is_looked_for() {
    let pin: serde_json::Value = serde_json::from_str(include_str!("../../pdfium.json")).unwrap();
    assert_eq!(pin["build"].to_string(), pdfium::BUILD);
}

/// Structures that lead back to themselves, and numbers that lie.
#[test]
fn circles_and_lies_end() {
    let page = text_page(&["Words."]) + "/C Do";
    type Spoil = fn(&mut Document);
    let cases: [(&str, Spoil); 4] = [
        ("outline", |document| {
            let entry = document.new_object_id();
            let circle = dictionary! { "Next" => entry, "First" => entry };
            document.objects.insert(entry, circle.into());
            let outlines = document.add_object(dictionary! { "First" => entry });
            document.catalog_mut().unwrap().set("Outlines", outlines);
        }),
        ("form", |document| {
            let form = document.new_object_id();
            let circle = dictionary! { "XObject" => dictionary! { "C" => form } };
            let stream = Stream::new(
                dictionary! {
                    "Type" => "XObject", "Subtype" => "Form", "Resources" => circle.clone(),
                    "BBox" => vec![0.into(), 0.into(), 600.into(), 800.into()],
                },
                b"/C Do".to_vec(),
            );
            document.objects.insert(form, stream.into());
            let page = document.page_iter().next().unwrap();
            let resources = document.get_dictionary(page).unwrap().get(b"Resources").unwrap();
            let resources = resources.as_reference().unwrap();
            document.get_dictionary_mut(resources).unwrap().extend(&circle);
        }),
        ("page tree", |document| {
            let root = document.catalog().unwrap().get(b"Pages").unwrap().as_reference().unwrap();
            let pages = document.get_dictionary_mut(root).unwrap();
            pages.get_mut(b"Kids").unwrap().as_array_mut().unwrap().push(root.into());
        }),
        ("page count", |document| {
            let root = document.catalog().unwrap().get(b"Pages").unwrap().as_reference().unwrap();
            document.get_dictionary_mut(root).unwrap().set("Count", 900_000);
        }),
    ];
    for (name, spoil) in cases {
        let mut document = document(&[&page], &Dictionary::new());
        spoil(&mut document);
        let file = bytes(document);
        for engine in [&pdfium() as &dyn PdfEngine, &HayroEngine] {
            let read = read_with(file.clone(), &[], &[engine]);
            assert_eq!(read.map(|e| e.text).unwrap_or_default(), "Words.", "{name}");
        }
    }
}

/// The page as `hayro` paints it, one pixel a point: which pixels are dark.
fn painted(file: &[u8]) -> (usize, Vec<bool>) {
    let pdf = ::hayro::hayro_syntax::Pdf::new(Arc::new(file.to_vec())).unwrap();
    let white = ::hayro::vello_cpu::color::palette::css::WHITE;
    let settings = ::hayro::PixmapSettings { bg_color: white, ..Default::default() };
    let pixmap = ::hayro::render(
        &pdf.pages()[0],
        &::hayro::RenderCache::new(),
        &::hayro::hayro_interpret::InterpreterSettings::default(),
        &::hayro::RenderSettings::default(),
        &settings,
    );
    let dark = pixmap.data().iter().map(|pixel| pixel.r < 128).collect();
    (usize::from(pixmap.width()), dark)
}

#[test]
fn rectangles_cover_the_words_as_another_renderer_paints_them() {
    let text = [(80.0, 650.0, 14.0, "Here are some words"), (300.0, 333.0, 30.0, "and large")];
    let whole = Vec::<Object>::from([0.into(), 0.into(), 600.into(), 800.into()]);
    let cropped = Vec::<Object>::from([50.into(), 100.into(), 550.into(), 750.into()]);
    for turn in [0, 90, 180, 270] {
        for area in [&whole, &cropped] {
            let more = dictionary! { "Rotate" => turn, "CropBox" => area.clone() };
            let file = bytes(document(&[&lines(&text)], &more));
            let (width, dark) = painted(&file);
            for engine in [&pdfium() as &dyn PdfEngine, &HayroEngine] {
                let boxes = read_with(file.clone(), &[], &[engine]).unwrap().boxes;
                let inside = |rect: &Rect, index: &usize| {
                    let (x, y) = ((index % width) as f32 + 0.5, (index / width) as f32 + 0.5);
                    (rect.x0 - 1.0..=rect.x1 + 1.0).contains(&x)
                        && (rect.y0 - 1.0..=rect.y1 + 1.0).contains(&y)
                };
                let ink = || dark.iter().enumerate().filter(|(_, dark)| **dark).map(|(at, _)| at);
                let stray = ink().filter(|at| !boxes.iter().any(|b| inside(&b.rect, at))).count();
                assert_eq!(stray, 0, "ink outside of all rectangles, turned by {turn}");
                assert_eq!(boxes.len(), 6);
                for b in &boxes {
                    let count = ink().filter(|at| inside(&b.rect, at)).count();
                    assert!(count > 10, "an empty rectangle {b:?}, turned by {turn}");
                }
            }
        }
    }
}

#[test]
fn the_rectangle_of_a_word_covers_all_of_its_ink() {
    // The word, the matrix of its text, and the size of its type.
    let words = [
        ("upright", "1 0 0 1 100 700", 12),
        ("jumpyQ", "1 0 0 1 180 700", 12),
        ("LARGE", "1 0 0 1 100 600", 40),
        ("tiny", "1 0 0 1 300 700", 6),
        ("scaled", "2 0 0 2 350 600", 9),
        ("climbing", "0 1 -1 0 450 300", 14),
        ("falling", "0 -1 1 0 500 400", 14),
        ("headlong", "-1 0 0 -1 300 200", 14),
    ];
    let show = |(word, matrix, size): &(&str, &str, i32)| {
        format!("BT /F1 {size} Tf {matrix} Tm ({word}) Tj ET\n")
    };
    let whole: String = words.iter().map(show).collect();
    for turn in [0, 90, 180, 270] {
        let more = dictionary! { "Rotate" => turn };
        let file = bytes(document(&[&whole], &more));
        let extraction = read_with(file, &[], &[&pdfium()]).unwrap();
        for shown in &words {
            let (word, ..) = shown;
            let at = extraction.text.find(word).expect(word) as u32;
            let range = CharRange::new(at, at + word.len() as u32);
            let rects = crate::rects(&extraction.boxes, range);
            let [rect] = rects.as_slice() else { panic!("{word}, turned by {turn}: {rects:?}") };
            let (width, dark) = painted(&bytes(document(&[&show(shown)], &more)));
            let ink = dark.iter().enumerate().filter(|(_, dark)| **dark);
            let places = ink.map(|(at, _)| ((at % width) as f32 + 0.5, (at / width) as f32 + 0.5));
            let places: Vec<_> = places.collect();
            assert!(places.len() > 10, "{word} is not painted");
            for (x, y) in places {
                let inside = (rect.x0 - 1.0..=rect.x1 + 1.0).contains(&x)
                    && (rect.y0 - 1.0..=rect.y1 + 1.0).contains(&y);
                assert!(inside, "ink of {word} at {x}, {y}, outside of {rect:?}, turned by {turn}");
            }
        }
    }
}

#[test]
fn letters_that_a_broken_font_puts_on_top_of_each_other_stay_in_order() {
    let mut page = glyph_page("some text");
    for glyph in &mut page.glyphs[1..4] {
        glyph.rect[0] = 0.0;
        glyph.rect[2] = 8.0;
    }
    let extraction = read_with(Vec::new(), &[], &[&Found(vec![page])]).unwrap();
    assert_eq!(extraction.text, "some text");

    // Far too wide, it begins before the letter that it follows.
    let mut page = glyph_page("some text");
    page.glyphs[2].rect[0] = 1.0;
    let extraction = read_with(Vec::new(), &[], &[&Found(vec![page])]).unwrap();
    assert_eq!(extraction.text, "some text");
}

/// A mark that the file paints after the letters behind its own, as those of the scripts of India.
#[test]
fn marks_go_to_the_letter_that_they_stand_on() {
    let mut page = glyph_page("नटवक");
    let mark = |c: char, from: f32, to: f32| {
        let rect = [from, 0.0, to, 10.0];
        Glyph { c, rect, size: 10.0, bold: false, monospace: false, direction: Direction::Right }
    };
    // Each letter is 5 points wide; what is called a mark by a wrong table of the font is none.
    page.glyphs.extend([mark('े', 1.0, 4.0), mark('र', 12.0, 13.0), mark('\u{94D}', 13.0, 14.0)]);
    page.glyphs.extend([mark('\u{942}', 20.0, 25.0), mark('त', 25.0, 30.0)]);
    let extraction = read_with(Vec::new(), &[], &[&Found(vec![page])]).unwrap();
    assert_eq!(extraction.text, "नेटवर्क\u{942}त");
}
