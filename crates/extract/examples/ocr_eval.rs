//! Measures OCR: how many of the words of documents are found again on scans of them, and how long a
//! page takes.
//!
//! `cargo run -p lectern-extract --example ocr_eval -- MODEL DPI FILE…`: MODEL is the folder of the model. Each PDF is
//! painted page by page, in shades of grey, with DPI pixels an inch, into a PDF of pictures, which is
//! then read as any scan is; what is to be found is what the PDF itself says. An image file, and with a DPI of 0 a
//! PDF, is read as it is, and its text is printed.
#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use hayro::hayro_syntax::Pdf;
use hayro::vello_cpu::color::palette::css::WHITE;
use lectern_domain::{DocumentKind, Extraction, is_cjk};
use lectern_extract::{Recogniser, detect, read, read_recognised, recognise};
use lopdf::{Document, Object, Stream, dictionary};

/// Words in lower case with how often they occur; characters of scripts without spaces are words.
fn words(text: &str) -> HashMap<String, usize> {
    let mut words = HashMap::new();
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_alphanumeric() && !is_cjk(c) {
            word.extend(c.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            *words.entry(std::mem::take(&mut word)).or_default() += 1;
        }
        if is_cjk(c) {
            *words.entry(c.to_string()).or_default() += 1;
        }
    }
    words
}

/// How many of the words of `expected` are in `found`, and how many there are.
fn shared(expected: &str, found: &str) -> (usize, usize) {
    let (expected, found) = (words(expected), words(found));
    let both = |(word, n): (&String, &usize)| (*n).min(found.get(word).copied().unwrap_or(0));
    (expected.iter().map(both).sum(), expected.values().sum())
}

/// A PDF whose pages are pictures of those of `file`.
fn scan(file: &Path, dpi: f32, target: &Path) -> Result<(), Box<dyn Error>> {
    let pdf = Pdf::new(Arc::new(std::fs::read(file)?)).map_err(|error| format!("{error:?}"))?;
    let mut document = Document::with_version("1.7");
    let parent = document.new_object_id();
    let mut kids: Vec<Object> = Vec::new();
    let cache = hayro::RenderCache::new();
    for page in pdf.pages().iter() {
        let scale = dpi / 72.0;
        let settings = hayro::PixmapSettings {
            x_scale: scale,
            y_scale: scale,
            bg_color: WHITE,
            ..Default::default()
        };
        let (interpreter, render) = Default::default();
        let pixmap = hayro::render(page, &cache, &interpreter, &render, &settings);
        let grey = |p: &hayro::vello_cpu::color::PremulRgba8| {
            ((u32::from(p.r) * 3 + u32::from(p.g) * 6 + u32::from(p.b)) / 10) as u8
        };
        let grey: Vec<u8> = pixmap.data().iter().map(grey).collect();
        let image = document.add_object(Stream::new(
            dictionary! {
                "Type" => "XObject", "Subtype" => "Image", "ColorSpace" => "DeviceGray",
                "Width" => i64::from(pixmap.width()), "Height" => i64::from(pixmap.height()),
                "BitsPerComponent" => 8,
            },
            grey,
        ));
        let (width, height) = page.render_dimensions();
        let content = format!("q {width} 0 0 {height} 0 0 cm /I Do Q");
        let content = document.add_object(Stream::new(dictionary! {}, content.into_bytes()));
        let resources = dictionary! { "XObject" => dictionary! { "I" => image } };
        kids.push(
            document
                .add_object(dictionary! {
                    "Type" => "Page", "Parent" => parent, "Contents" => content, "Resources" => resources,
                    "MediaBox" => vec![0.into(), 0.into(), width.into(), height.into()],
                })
                .into(),
        );
    }
    let count = kids.len() as i64;
    let pages = dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count };
    document.objects.insert(parent, pages.into());
    let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => parent });
    document.trailer.set("Root", catalog);
    document.save(target)?;
    Ok(())
}

/// What a document says when its pictures are recognised, how many there were, and the seconds each
/// took.
fn recognised(
    path: &Path,
    kind: DocumentKind,
    recogniser: &Recogniser,
) -> Result<(Extraction, usize, f64), Box<dyn Error>> {
    let scans = read(path, kind)?.scans;
    let start = Instant::now();
    let pages: Result<Vec<_>, _> =
        scans.iter().map(|page| recognise(path, kind, *page, recogniser)).collect();
    let seconds = start.elapsed().as_secs_f64() / scans.len().max(1) as f64;
    Ok((read_recognised(path, kind, &pages?)?, scans.len(), seconds))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: ocr_eval MODEL DPI FILE…";
    let model = arguments.next().ok_or(usage)?;
    let dpi: f32 = arguments.next().ok_or(usage)?.parse()?;
    let recogniser = Recogniser::load(Path::new(&model))?;
    let scratch = tempfile::tempdir()?;
    let (mut shares, mut pages, mut time) = (Vec::new(), 0, 0.0);
    for file in arguments {
        let path = Path::new(&file);
        let kind = detect(path)?;
        if kind != DocumentKind::Pdf || dpi == 0.0 {
            let (extraction, count, seconds) = recognised(path, kind, &recogniser)?;
            println!("== {file}: {count} pages, {seconds:.2} s each\n{}", extraction.text);
            continue;
        }
        let target = scratch.path().join("scan.pdf");
        scan(path, dpi, &target)?;
        let expected = read(path, kind)?.text;
        let (extraction, count, seconds) = recognised(&target, kind, &recogniser)?;
        let (found, all) = shared(&expected, &extraction.text);
        let (known, read) = shared(&extraction.text, &expected);
        let share = found as f64 / all.max(1) as f64;
        let right = known as f64 / read.max(1) as f64;
        println!(
            "{share:.3} of {all} words found, {right:.3} of those read are right, {count} pages, {seconds:.2} s each: {file}"
        );
        if std::env::var_os("OCR_TEXT").is_some() {
            println!("{}", extraction.text);
        }
        shares.push(share);
        pages += count;
        time += seconds * count as f64;
    }
    if !shares.is_empty() {
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        println!(
            "mean {mean:.3} of {} files; {:.2} s a page",
            shares.len(),
            time / f64::from(pages as u32)
        );
    }
    Ok(())
}
