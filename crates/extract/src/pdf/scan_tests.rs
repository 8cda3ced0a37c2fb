//! Scans: pages of pictures, read with the model for OCR.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::sync::LazyLock;

use lectern_domain::TextBox;
use lopdf::{Dictionary, Object, Stream, dictionary};

use super::tests::{bytes, document, lines};
use super::*;
use crate::{Recogniser, read_recognised, recognise};

static RECOGNISER: LazyLock<Recogniser> = LazyLock::new(|| {
    let root = std::env::var_os("LECTERN_MODELS").map(PathBuf::from);
    let root = root.unwrap_or_else(|| dirs::cache_dir().unwrap().join("lectern/models"));
    Recogniser::load(&root.join("pp-ocrv6-tiny")).expect("run `make models` first")
});

/// A PDF whose only page is a picture of the only page of `file`, as a scanner makes it: in shades of
/// grey, with 200 pixels an inch.
fn scanned(file: Vec<u8>) -> Vec<u8> {
    let (picture, unit) = render(file, 1).unwrap();
    let (width, height) = (picture.width as i64, picture.height as i64);
    let grey = picture.pixels.iter().map(|pixel| pixel[1]).collect();
    let mut scan = document(&[""], &Dictionary::new());
    let image = scan.add_object(Stream::new(
        dictionary! {
            "Type" => "XObject", "Subtype" => "Image", "ColorSpace" => "DeviceGray",
            "Width" => width, "Height" => height, "BitsPerComponent" => 8,
        },
        grey,
    ));
    let size = [width as f32 * unit, height as f32 * unit];
    let content = format!("q {} 0 0 {} 0 0 cm /I9 Do Q", size[0], size[1]);
    let content = scan.add_object(Stream::new(dictionary! {}, content.into_bytes()));
    let page = scan.page_iter().next().unwrap();
    let page = scan.get_dictionary_mut(page).unwrap();
    page.set("Contents", content);
    page.set("MediaBox", vec![0.into(), 0.into(), size[0].into(), size[1].into()]);
    page.set("Resources", dictionary! { "XObject" => dictionary! { "I9" => image } });
    bytes(scan)
}

/// What is read of a file when all its pictures are recognised.
fn read_scan(name: &str, kind: DocumentKind, file: &[u8]) -> Result<Extraction, ReadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, file).unwrap();
    let scans = crate::read(&path, kind)?.scans;
    let pages: Vec<_> =
        scans.iter().map(|page| recognise(&path, kind, *page, &RECOGNISER).unwrap()).collect();
    read_recognised(&path, kind, &pages)
}

const COLUMNS: [&str; 6] = [
    "The engine of the boat is in",
    "the back. It must be checked",
    "every spring, before the first",
    "trip, by somebody who knows",
    "how old pumps are mended",
    "and what they may cost.",
];

fn two_columns() -> String {
    let left = COLUMNS
        .iter()
        .enumerate()
        .map(|(row, text)| (60.0, 700.0 - 16.0 * row as f32, 11.0, *text));
    let right = [
        "Second column: sails are kept",
        "in the dry room behind the",
        "office. Whoever takes one out",
        "writes his name on the list,",
        "and brings it back within two",
        "weeks at the latest.",
    ];
    let right: Vec<_> = right
        .iter()
        .enumerate()
        .map(|(row, text)| (330.0, 700.0 - 16.0 * row as f32, 11.0, *text))
        .collect();
    lines(&left.chain(right).collect::<Vec<_>>())
}

#[test]
fn a_scan_says_what_the_page_says_with_every_word_in_its_place() {
    let text = [
        (60.0, 740.0, 22.0, "Annual report"),
        (60.0, 690.0, 11.0, "The harbour was closed on 12 days of the winter, and the new crane"),
        (60.0, 674.0, 11.0, "lifted 4,310 boxes. \\(See table 3.\\)"),
    ];
    let page = bytes(document(&[&lines(&text)], &Dictionary::new()));
    let printed = read(page.clone(), &[]).unwrap();
    let scan = read_scan("a.pdf", DocumentKind::Pdf, &scanned(page)).unwrap();
    assert_eq!(scan.text, printed.text);
    assert_eq!(scan.blocks, printed.blocks);
    assert_eq!((scan.scans.len(), scan.warnings.len()), (0, 0));
    assert_eq!(scan.boxes.len(), printed.boxes.len());
    for (found, expected) in scan.boxes.iter().zip(&printed.boxes) {
        assert_eq!(found.range, expected.range);
        assert!(common(found, expected) > 0.6, "{found:?}\n{expected:?}");
    }
}

/// The area that two rectangles share, in parts of the area of both.
fn common(a: &TextBox, b: &TextBox) -> f32 {
    let (a, b) = (a.rect, b.rect);
    let side = |a0: f32, a1: f32, b0: f32, b1: f32| (a1.min(b1) - a0.max(b0)).max(0.0);
    let shared = side(a.x0, a.x1, b.x0, b.x1) * side(a.y0, a.y1, b.y0, b.y1);
    let area = |r: Rect| (r.x1 - r.x0) * (r.y1 - r.y0);
    shared / (area(a) + area(b) - shared)
}

#[test]
fn columns_are_read_one_after_the_other_whichever_way_the_page_lies() {
    let expected = read(bytes(document(&[&two_columns()], &Dictionary::new())), &[]).unwrap();
    assert!(expected.text.starts_with(&COLUMNS.join(" ")), "{}", expected.text);
    for turn in [0, 90, 180, 270] {
        let more = dictionary! { "Rotate" => Object::from(turn) };
        let page = bytes(document(&[&two_columns()], &more));
        let scan = read_scan("a.pdf", DocumentKind::Pdf, &scanned(page)).unwrap();
        assert_eq!(scan.text, expected.text, "turned by {turn}");
    }
}

#[test]
fn chinese_and_english_are_read_from_an_image_file() {
    let file = include_bytes!("../../tests/data/contract.png");
    let found = read_scan("contract.png", DocumentKind::Image, file).unwrap();
    let solid: String = found.text.chars().filter(|c| !c.is_whitespace()).collect();
    assert_eq!(
        solid,
        "合同编号：二〇二六年第十七号甲方应当在收到发票之后三十日内付款。Thepriceis4,800元permonth."
    );
    assert!(found.text.contains("The price is 4,800"), "{}", found.text);
    // Pixels of the picture: the lines begin 40 to the right and stand 70 apart.
    let first = |text: &str| {
        let at = found.text[..found.text.find(text).unwrap()].chars().count() as u32;
        found.boxes.iter().find(|b| b.range.start >= at).unwrap().rect
    };
    for (row, text) in ["合", "甲", "The"].into_iter().enumerate() {
        let rect = first(text);
        let top = 40.0 + 70.0 * row as f32;
        assert!((25.0..50.0).contains(&rect.x0), "{text}: {rect:?}");
        assert!((top - 10.0..top + 30.0).contains(&rect.y0), "{text}: {rect:?}");
    }
}

#[test]
fn pages_of_text_and_of_pictures_become_one_document() {
    let page = bytes(document(
        &[&lines(&[(60.0, 700.0, 14.0, "The second page is scanned.")])],
        &Dictionary::new(),
    ));
    let scan = recognised_page(&page, 2);
    let mixed = document(
        &[
            &lines(&[(60.0, 700.0, 14.0, "The first page is text.")]),
            "q 600 0 0 800 0 0 cm /I1 Do Q",
        ],
        &Dictionary::new(),
    );
    let mixed = bytes(mixed);
    let before = read(mixed.clone(), &[]).unwrap();
    assert_eq!(
        (before.text.as_str(), before.scans.as_slice()),
        ("The first page is text.", &[2][..])
    );
    assert_eq!(before.warnings, ["page 2 is a picture whose text is not recognised"]);
    let after = read(mixed.clone(), &[scan]).unwrap();
    assert_eq!(after.text, "The first page is text.\n\nThe second page is scanned.");
    assert_eq!((after.scans.len(), after.warnings.len()), (0, 0));
    let failed = RecognisedPage::failed(2, "no luck".into());
    let after = read(mixed, &[failed]).unwrap();
    assert_eq!((after.text.as_str(), after.scans.len()), ("The first page is text.", 0));
    assert_eq!(after.warnings, ["page 2 could not be recognised: no luck"]);
}

fn recognised_page(file: &[u8], number: u32) -> RecognisedPage {
    let (picture, unit) = render(file.to_vec(), 1).unwrap();
    let lines = RECOGNISER.lines(&picture).unwrap();
    let lines = lines.into_iter().map(|line| line.scaled(unit)).collect();
    RecognisedPage { number, lines, failure: None }
}

#[test]
fn a_picture_without_words_and_one_that_is_none_have_reasons() {
    let mut empty = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(300, 200, image::Rgb([200, 220, 240]))
        .write_to(&mut empty, image::ImageFormat::Png)
        .unwrap();
    let empty = empty.into_inner();
    // The header says that the picture is 65,000 pixels wide and high.
    let mut bomb = empty.clone();
    bomb[16..24].copy_from_slice(&[0, 0, 0xFD, 0xE8, 0, 0, 0xFD, 0xE8]);
    let crc = {
        let mut crc = flate2::Crc::new();
        crc.update(&bomb[12..29]);
        crc.sum()
    };
    bomb[29..33].copy_from_slice(&crc.to_be_bytes());
    let cases = [
        ("nothing on it", empty.clone(), "no text was found"),
        ("a bomb", bomb, "too big"),
        ("noise", b"\x89PNG\r\n\x1A\nnoise".to_vec(), "damaged"),
    ];
    for (name, file, expected) in cases {
        let error = read_scan("a.png", DocumentKind::Image, &file).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
    // That a picture is cut off is seen only when it is decoded.
    let failed = recognise_file("cut.png", &empty[..empty.len() / 2]).unwrap_err();
    assert!(matches!(failed, ReadError::Damaged(_)), "{failed}");
    let page = RecognisedPage::failed(1, failed.to_string());
    let error = read_pictures(&empty, &[page]).unwrap_err();
    assert!(matches!(error, ReadError::Damaged(_)), "{error}");
}

fn recognise_file(name: &str, file: &[u8]) -> Result<RecognisedPage, ReadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, file).unwrap();
    recognise(&path, DocumentKind::Image, 1, &RECOGNISER)
}
