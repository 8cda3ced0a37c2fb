//! PDF: engines that find glyphs, and the composition of their pages into a document.

mod fallback;
mod glyphs;
mod hayro;
mod layout;
mod pdfium;
mod render;
mod running;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lectern_domain::{BlockKind, DocumentKind, Extraction, Rect};

use crate::ReadError;
use crate::compose::{Composer, DraftBox, collapse};
use crate::ocr::{self, RecognisedPage};
use layout::Paragraph;

pub use fallback::PdfExtractEngine;
pub use hayro::HayroEngine;
pub use pdfium::PdfiumEngine;
pub(crate) use render::render;

/// At most so many entries of an outline are looked at.
const MAX_OUTLINE: usize = 5000;

/// Where a line of text runs to on the page as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// As usual.
    Right,
    /// Turned clockwise, or written vertically.
    Down,
    /// Upside down.
    Left,
    /// Turned anticlockwise.
    Up,
}

impl Direction {
    /// The direction nearest to the vector `(x, y)`, with `y` pointing down.
    pub(crate) fn of(x: f64, y: f64) -> Self {
        match (x.abs() >= y.abs(), x >= 0.0, y >= 0.0) {
            (true, true, _) => Self::Right,
            (true, false, _) => Self::Left,
            (false, _, true) => Self::Down,
            (false, _, false) => Self::Up,
        }
    }
}

/// A character with its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Glyph {
    /// The character; U+FFFD where the font does not tell which it is.
    pub c: char,
    /// `[x0, y0, x1, y1]` in points from the top left corner of the page as it is shown, that
    /// is, cropped and rotated.
    pub rect: [f32; 4],
    /// The size of the font in points.
    pub size: f32,
    /// Whether the font is a bold one, as far as it tells.
    pub bold: bool,
    /// Whether the font gives all its characters the same width, as far as it tells.
    pub monospace: bool,
    /// Where its line runs to.
    pub direction: Direction,
}

/// What an engine found on a page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PageContent {
    /// The characters in the order of the file.
    pub glyphs: Vec<Glyph>,
    /// The text, from engines that know no places.
    pub plain: Option<String>,
    /// Whether anything but text is drawn.
    pub has_pictures: bool,
    /// Whether the page has operators that show text, found or not.
    pub has_text_operators: bool,
    /// Whether the engine gave up before the page's end.
    pub broken: bool,
    /// What the document calls the page (`iv`, `A-3`), where it says so.
    pub label: Option<String>,
    /// What people wrote to the page beside its text.
    pub comments: Vec<Comment>,
    /// Whether the engine has put text that runs from right to left into an order of its own, in
    /// which letters may be lost.
    pub reordered: bool,
}

/// A comment on a part of a page, which the page itself does not show.
#[derive(Debug, Clone, PartialEq)]
pub struct Comment {
    /// Who wrote it, where that is said.
    pub author: Option<String>,
    /// What.
    pub text: String,
    /// What it is about, as [`Glyph::rect`].
    pub rect: [f32; 4],
}

/// What an engine found out about a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PdfInfo {
    /// How many pages it has.
    pub pages: usize,
    /// Its title by its metadata.
    pub title: Option<String>,
    /// Its outline in order: level from 1, and title.
    pub outline: Vec<(u8, String)>,
}

/// A PDF file in memory.
#[derive(Debug, Clone, Default)]
pub struct PdfFile {
    /// Its bytes.
    pub bytes: Arc<Vec<u8>>,
    /// What opens it; most files open with the empty password.
    pub password: String,
}

impl From<Vec<u8>> for PdfFile {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes: Arc::new(bytes), password: String::new() }
    }
}

/// A program that reads the content of PDF files.
pub trait PdfEngine {
    /// Reads the pages (counted from 0) that are `wanted`, and hands each to `sink` in order.
    ///
    /// # Errors
    ///
    /// [`ReadError::PasswordNeeded`] where the password does not open the file,
    /// [`ReadError::Damaged`] where its structure cannot be followed at all. A broken page is
    /// no error but [`PageContent::broken`].
    fn read(
        &self,
        file: &PdfFile,
        wanted: &dyn Fn(usize) -> bool,
        sink: &mut dyn FnMut(usize, PageContent),
    ) -> Result<PdfInfo, ReadError>;
}

/// A page after its layout was recognised.
#[derive(Default)]
struct LaidOutPage {
    paragraphs: Vec<Paragraph>,
    comments: Vec<Comment>,
    has_pictures: bool,
    label: Option<String>,
    /// How many of its characters are known.
    known: usize,
    /// Why another engine should try, and what this one's text is worth beside another's; `None`
    /// where the text is sound.
    doubt: Option<Doubt>,
}

/// What is wrong with the text of a page, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Doubt {
    /// There is none, though the page has operators that show text, or the page was not found.
    Missing,
    /// It is garbled; so many of its characters could be right.
    Garbled(usize),
    /// The engine gave up in the middle of the page, after so many characters.
    Cut(usize),
    /// It is [`PageContent::reordered`], and otherwise sound.
    Reordered,
}

impl LaidOutPage {
    fn new(number: u32, content: PageContent) -> Self {
        let paragraphs = match &content.plain {
            Some(text) => plain_paragraphs(text),
            None => layout::paragraphs(&content.glyphs, number),
        };
        let text: String = paragraphs.iter().flat_map(|p| p.text.chars().chain(['\n'])).collect();
        let known = text.chars().filter(|c| !c.is_whitespace() && !is_unknown(*c)).count();
        let doubt = match text.trim().is_empty() {
            true if content.has_text_operators || content.broken => Some(Doubt::Missing),
            true => None,
            false if is_garbled(&text) => Some(Doubt::Garbled(known)),
            false if content.broken => Some(Doubt::Cut(known)),
            false => content.reordered.then_some(Doubt::Reordered),
        };
        let PageContent { has_pictures, label, comments, .. } = content;
        Self { paragraphs, comments, has_pictures, label, known, doubt }
    }

    /// Whether something is wrong with its text, or it should have some.
    fn is_doubtful(&self) -> bool {
        self.doubt.is_some_and(|doubt| doubt != Doubt::Reordered)
    }

    /// Whether its words, if it has any, can be had from a picture of it only.
    fn needs_ocr(&self) -> bool {
        let garbled = matches!(self.doubt, Some(Doubt::Garbled(_)));
        garbled || (self.paragraphs.is_empty() && (self.has_pictures || self.is_doubtful()))
    }

    /// Takes what another engine found on the same page where that is better.
    fn improve(&mut self, other: Self) {
        let better = match (self.doubt, other.doubt) {
            (None, _) => false,
            // Forms, which not every engine reads, and places are worth more than the order.
            (Some(Doubt::Reordered), doubt) => {
                let placed = other.paragraphs.iter().any(|p| !p.boxes.is_empty());
                doubt.is_none() && placed && other.known * 10 >= self.known * 9
            }
            // An engine that finds nothing does not refute one that found something.
            (Some(mine), None) => mine == Doubt::Missing || !other.paragraphs.is_empty(),
            (Some(mine), Some(others)) => others > mine,
        };
        if better {
            let label = self.label.take().or(other.label);
            let has_pictures = self.has_pictures || other.has_pictures;
            let mut comments = std::mem::take(&mut self.comments);
            if comments.is_empty() {
                comments = other.comments;
            }
            *self = Self { label, has_pictures, comments, ..other };
        }
    }
}

/// Whether engines that may take the process with them stay out.
static CAREFUL: AtomicBool = AtomicBool::new(false);

/// Says whether the documents that this process reads from now on are read with engines in Rust
/// only: a file may crash others, or make them take all memory.
pub(crate) fn be_careful(careful: bool) {
    CAREFUL.store(careful, Ordering::Relaxed);
}

/// What [`be_careful`] last said.
pub(crate) fn is_careful() -> bool {
    CAREFUL.load(Ordering::Relaxed)
}

/// Reads with the best engine there is, and single pages with the next one where that fails. Pages
/// without text are taken from `recognised`.
pub(crate) fn read(bytes: Vec<u8>, recognised: &[RecognisedPage]) -> Result<Extraction, ReadError> {
    read_file(bytes.into(), recognised)
}

/// Reads a file that `password` opens.
pub(crate) fn unlock(bytes: Vec<u8>, password: &str) -> Result<Extraction, ReadError> {
    read_file(PdfFile { bytes: Arc::new(bytes), password: password.to_owned() }, &[])
}

fn read_file(file: PdfFile, recognised: &[RecognisedPage]) -> Result<Extraction, ReadError> {
    let pdfium = if is_careful() { None } else { PdfiumEngine::load() };
    let mut engines: Vec<&dyn PdfEngine> = Vec::new();
    engines.extend(pdfium.as_ref().map(|engine| engine as &dyn PdfEngine));
    engines.extend([&HayroEngine as &dyn PdfEngine, &PdfExtractEngine]);
    read_with(file, recognised, &engines)
}

/// Reads an image file: each of its pictures is a page.
pub(crate) fn read_pictures(
    bytes: &[u8],
    recognised: &[RecognisedPage],
) -> Result<Extraction, ReadError> {
    let count = ocr::frames(bytes)? as usize;
    if let ([RecognisedPage { failure: Some(failure), .. }], 1) = (recognised, count) {
        return Err(ReadError::Damaged(failure.clone()));
    }
    let mut pages: Vec<LaidOutPage> = Vec::new();
    pages.resize_with(count, || LaidOutPage { has_pictures: true, ..LaidOutPage::default() });
    compose(DocumentKind::Image, &PdfInfo::default(), pages, recognised)
}

fn read_with(
    file: impl Into<PdfFile>,
    recognised: &[RecognisedPage],
    engines: &[&dyn PdfEngine],
) -> Result<Extraction, ReadError> {
    let file = file.into();
    let mut pages: Vec<LaidOutPage> = Vec::new();
    let mut info: Option<PdfInfo> = None;
    let mut failure = None;
    for engine in engines {
        let doubtful: Vec<bool> = pages.iter().map(|page| page.doubt.is_some()).collect();
        if info.is_some() && !doubtful.contains(&true) {
            break;
        }
        let first = info.is_none();
        let wanted = |index: usize| first || doubtful.get(index) == Some(&true);
        let mut found: Vec<LaidOutPage> = Vec::new();
        let opened = engine.read(&file, &wanted, &mut |index, content| {
            let page = LaidOutPage::new(index as u32 + 1, content);
            if first {
                found.resize_with(index, missing_page);
                found.push(page);
            } else if let Some(known) = pages.get_mut(index) {
                known.improve(page);
            }
        });
        match opened {
            Ok(opened) if first && opened.pages > 0 => {
                found.resize_with(opened.pages, missing_page);
                (pages, info) = (found, Some(opened));
            }
            // No engine knows more passwords than another.
            Err(error @ ReadError::PasswordNeeded) if first => return Err(error),
            Err(error) if first => failure = failure.or(Some(error)),
            // What was found remains.
            Ok(_) | Err(_) => {}
        }
    }
    match info {
        Some(info) => compose(DocumentKind::Pdf, &info, pages, recognised),
        None => Err(failure.unwrap_or(ReadError::Empty)),
    }
}

/// A page that an engine counts and does not find.
fn missing_page() -> LaidOutPage {
    LaidOutPage { doubt: Some(Doubt::Missing), ..LaidOutPage::default() }
}

/// Whether a character stands for one that is not known.
fn is_unknown(c: char) -> bool {
    c == '\u{FFFD}' || c.is_control() || ('\u{E000}'..='\u{F8FF}').contains(&c)
}

/// Whether the text of a page is probably not what the page shows: more than 5% of its
/// characters are unknown, or its Latin words are too short or too long in the mean to be
/// words. The bounds leave room for tables of figures and for chemistry.
fn is_garbled(text: &str) -> bool {
    /// Fewer words say nothing about their mean.
    const ENOUGH_WORDS: usize = 60;
    const WORD_LETTERS: std::ops::RangeInclusive<f64> = 2.4..=14.0;
    let (mut all, mut bad) = (0usize, 0usize);
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        all += 1;
        bad += usize::from(is_unknown(c));
    }
    if bad * 20 > all {
        return true;
    }
    let is_latin = |c: char| c.is_alphabetic() && c < '\u{0250}';
    let words: Vec<usize> = text
        .split(|c: char| !is_latin(c))
        .map(|word| word.chars().count())
        .filter(|length| *length > 0)
        .collect();
    let mean = words.iter().sum::<usize>() as f64 / words.len().max(1) as f64;
    words.len() >= ENOUGH_WORDS && !WORD_LETTERS.contains(&mean)
}

/// The paragraphs of text without places.
fn plain_paragraphs(text: &str) -> Vec<Paragraph> {
    let mut paragraphs: Vec<String> = vec![String::new()];
    for line in text.lines() {
        if line.trim().is_empty() {
            paragraphs.push(String::new());
        } else if let Some(paragraph) = paragraphs.last_mut() {
            layout::append_line(paragraph, line.trim());
        }
    }
    let plain = |text: &String| Paragraph {
        kind: BlockKind::Paragraph,
        text: crate::compose::clean(text, BlockKind::Paragraph),
        boxes: Vec::new(),
        size: 0.0,
        bold: false,
        lines: 0,
        running: false,
    };
    paragraphs.iter().map(plain).filter(|paragraph| !paragraph.text.is_empty()).collect()
}

/// Puts what was recognised in the place of pages that need it. What is recognised of a page with
/// garbled text must be enough to be that text.
fn take_recognised(pages: &mut [LaidOutPage], recognised: &[RecognisedPage]) {
    for found in recognised.iter().filter(|found| found.failure.is_none()) {
        let index = found.number.saturating_sub(1) as usize;
        let Some(page) = pages.get_mut(index).filter(|page| page.needs_ocr()) else { continue };
        let glyphs = ocr::glyphs(&found.lines);
        let read = LaidOutPage::new(found.number, PageContent { glyphs, ..PageContent::default() });
        if page.paragraphs.is_empty() || read.known * 2 >= page.known {
            let comments = std::mem::take(&mut page.comments);
            *page = LaidOutPage { label: page.label.take(), comments, doubt: None, ..read };
        }
    }
}

fn compose(
    kind: DocumentKind,
    info: &PdfInfo,
    mut pages: Vec<LaidOutPage>,
    recognised: &[RecognisedPage],
) -> Result<Extraction, ReadError> {
    let tried = |number: u32| recognised.iter().find(|found| found.number == number);
    let scans: Vec<u32> = (1u32..)
        .zip(&pages)
        .filter(|(number, page)| page.needs_ocr() && tried(*number).is_none())
        .map(|(number, _)| number)
        .collect();
    take_recognised(&mut pages, recognised);
    let largest = HeadingLevels::new(info, &pages).threshold;
    running::remove(&mut pages, largest);
    let mut composer = Composer::default();
    composer.title.clone_from(&info.title);
    let levels = HeadingLevels::new(info, &pages);
    let (mut empty, mut garbled) = (Vec::new(), Vec::new());
    let failed = |number: u32| tried(number).and_then(|found| found.failure.as_ref());
    for (index, page) in pages.iter().enumerate() {
        let number = index as u32 + 1;
        composer.begin_page(number, page.label.clone());
        if let Some(reason) = failed(number) {
            composer.warnings.push(format!("page {number} could not be recognised: {reason}"));
        }
        if page.paragraphs.is_empty() && scans.binary_search(&number).is_ok() {
            empty.push(number);
        } else if page.is_doubtful() {
            garbled.push(number);
        }
        for paragraph in &page.paragraphs {
            let kind = levels.level(paragraph).map_or(paragraph.kind, BlockKind::Heading);
            composer.clean_block(kind, &paragraph.text, &paragraph.boxes);
        }
        for comment in &page.comments {
            let author = comment.author.iter().map(|author| format!("{author}: "));
            let text = author.chain([comment.text.clone()]).collect::<String>();
            let text = crate::compose::clean(&format!("[{text}]"), BlockKind::Paragraph);
            let [x0, y0, x1, y1] = comment.rect;
            let rect = Rect { page: number, x0, y0, x1, y1 };
            let place = DraftBox { start: 0, end: text.chars().count() as u32, rect };
            composer.clean_block(BlockKind::Paragraph, &text, &[place]);
        }
    }
    composer.warnings.truncate(NAMED_PAGES);
    composer.warnings.extend(page_warnings(&empty, "is a picture whose text is not recognised"));
    composer.warnings.extend(page_warnings(&garbled, "has text that could not be read properly"));
    composer.scans = scans;
    match composer.finish(kind) {
        Err(ReadError::Empty) if !recognised.is_empty() => Err(ReadError::NoWords),
        finished => finished,
    }
}

/// Of more pages than this with the same fault the rest is counted rather than named.
const NAMED_PAGES: usize = 10;

fn page_warnings(pages: &[u32], what: &str) -> Vec<String> {
    let mut warnings: Vec<String> =
        pages.iter().take(NAMED_PAGES).map(|page| format!("page {page} {what}")).collect();
    if pages.len() > NAMED_PAGES {
        warnings.push(format!("so it is with {} more pages", pages.len() - NAMED_PAGES));
    }
    warnings
}

/// Which paragraphs are headings: those that the outline names, those that are set in type
/// at least 1.15 times as large as the body's, and lines in bold type where it is not the usual.
struct HeadingLevels {
    outline: HashMap<String, u8>,
    /// The smallest size of a heading, and the sizes in use from there, largest first.
    threshold: f32,
    sizes: Vec<i32>,
    /// The body's size, and whether bold type sets anything apart.
    body: f32,
    bold_stands_out: bool,
}

/// Headings are shorter than this.
const HEADING_CHARS: usize = 200;

impl HeadingLevels {
    fn new(info: &PdfInfo, pages: &[LaidOutPage]) -> Self {
        let paragraphs = || pages.iter().flat_map(|page| &page.paragraphs);
        let mut sizes: Vec<(i32, usize)> =
            paragraphs().map(|p| (half_points(p.size), p.text.chars().count())).collect();
        sizes.sort_unstable();
        let half = sizes.iter().map(|(_, chars)| chars).sum::<usize>() / 2;
        let mut seen = 0;
        let median = sizes.iter().find(|(_, chars)| {
            seen += chars;
            seen > half
        });
        let body = median.map_or(f32::MAX, |(size, _)| *size as f32 / 2.0);
        let bold: usize = paragraphs().filter(|p| p.bold).map(|p| p.text.chars().count()).sum();
        let bold_stands_out = bold * 5 < half * 2;
        let entries = info.outline.iter().rev().map(|(level, title)| (key(title), (*level).min(6)));
        let outline = entries.filter(|(title, _)| !title.is_empty()).collect();
        let threshold = body * 1.15;
        let mut levels = Self { outline, threshold, sizes: Vec::new(), body, bold_stands_out };
        let mut sizes: Vec<i32> = paragraphs()
            .filter(|paragraph| levels.is_large(paragraph))
            .map(|paragraph| half_points(paragraph.size))
            .collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes.dedup();
        levels.sizes = sizes;
        levels
    }

    fn is_large(&self, paragraph: &Paragraph) -> bool {
        paragraph.size >= self.threshold && paragraph.lines <= 4 && is_title_like(paragraph)
    }

    /// A line of bold type, no smaller than the body's, that is no sentence.
    fn is_bold_line(&self, paragraph: &Paragraph) -> bool {
        self.bold_stands_out
            && paragraph.bold
            && paragraph.size >= self.body * 0.97
            && paragraph.lines <= 2
            && is_title_like(paragraph)
            && !paragraph.text.ends_with(['.', ',', ';', '。', '，', '；'])
    }

    fn level(&self, paragraph: &Paragraph) -> Option<u8> {
        if paragraph.running {
            return None;
        }
        if paragraph.text.len() <= 4 * HEADING_CHARS
            && let Some(level) = self.outline.get(&key(&paragraph.text))
        {
            return Some(*level);
        }
        if !self.is_large(paragraph) {
            let below = self.sizes.len() + 1;
            return self.is_bold_line(paragraph).then_some(below.min(6) as u8);
        }
        let size = half_points(paragraph.size);
        let rank = self.sizes.iter().position(|other| *other == size)?;
        Some((rank + 1).min(6) as u8)
    }
}

fn is_title_like(paragraph: &Paragraph) -> bool {
    paragraph.text.chars().count() <= HEADING_CHARS
        && paragraph.text.chars().filter(|c| c.is_alphabetic()).nth(1).is_some()
        && paragraph.kind != BlockKind::Table
        // An entry of a table of contents is not the heading that it names.
        && !(paragraph.text.contains(layout::LEADER) && paragraph.text.ends_with(|c: char| c.is_ascii_digit()))
}

/// Sizes are compared in half points, as programs round them differently.
fn half_points(size: f32) -> i32 {
    (size * 2.0).round() as i32
}

/// What of a title is compared: outlines and pages differ in spaces and numbers' dots.
fn key(title: &str) -> String {
    collapse(title).chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod scan_tests;
#[cfg(test)]
mod tests;
