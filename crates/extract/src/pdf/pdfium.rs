//! The engine on `pdfium`, the library of Chromium, where that can be loaded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use lectern_domain::is_cjk;
use pdfium_render::prelude::{
    PdfDocument, PdfDocumentMetadataTagType, PdfFontWeight, PdfPage, PdfPageAnnotation,
    PdfPageAnnotationCommon as _, PdfPageAnnotationType, PdfPageObjectType,
    PdfPageObjectsCommon as _, PdfPageRenderRotation, PdfPageTextChar, PdfPages, PdfRect, Pdfium,
    PdfiumError, PdfiumInternalError,
};
use unicode_normalization::char::is_combining_mark;

use super::glyphs::{GlyphCollector, is_rtl, style_of_name};
use super::{Comment, Direction, Glyph, MAX_OUTLINE, PageContent, PdfEngine, PdfFile, PdfInfo};
use crate::ReadError;

/// The build of the library that `scripts/fetch_pdfium.py` fetches, as `pdfium.json` has it; a test
/// compares them.
pub(super) const BUILD: &str = "8149";

/// Names the library's file; where it is empty, the library is not used.
const LIBRARY_VARIABLE: &str = "LECTERN_PDFIUM";

/// A file that lies about how many pages it has is believed until so many in a row are not there.
const MISSING_PAGES: usize = 64;

/// Reads with `pdfium`.
#[derive(Debug, Clone, Copy)]
pub struct PdfiumEngine {
    library: &'static Pdfium,
}

impl PdfiumEngine {
    /// The engine, where the library is found: in the file that `LECTERN_PDFIUM` names, with the
    /// program, or in the user's cache. It is loaded once for the whole process.
    pub fn load() -> Option<Self> {
        static LIBRARY: OnceLock<Option<Pdfium>> = OnceLock::new();
        let library = LIBRARY.get_or_init(|| {
            let path = library_candidates().into_iter().find(|path| path.is_file())?;
            let bindings = Pdfium::bind_to_library(path).ok()?;
            Some(Pdfium::new(bindings))
        });
        library.as_ref().map(|library| Self { library })
    }
}

/// Where the library may be, best first.
fn library_candidates() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os(LIBRARY_VARIABLE) {
        return vec![PathBuf::from(named)];
    }
    let name = Pdfium::pdfium_platform_library_name();
    let program = std::env::current_exe().ok().and_then(|path| path.canonicalize().ok());
    let beside = program.as_deref().and_then(Path::parent);
    // The folders of Tauri's resources: Windows, Debian packages, macOS.
    let with_program = ["pdfium", "../lib/Lectern/pdfium", "../Resources/pdfium"];
    let mut candidates: Vec<PathBuf> = beside
        .iter()
        .flat_map(|folder| with_program.map(|part| folder.join(part).join(&name)))
        .collect();
    let cache = dirs::cache_dir();
    candidates.extend(cache.map(|cache| cache.join("lectern/pdfium").join(BUILD).join(&name)));
    candidates
}

impl PdfEngine for PdfiumEngine {
    fn read(
        &self,
        file: &PdfFile,
        wanted: &dyn Fn(usize) -> bool,
        sink: &mut dyn FnMut(usize, PageContent),
    ) -> Result<PdfInfo, ReadError> {
        self.with_document(&file.bytes, &file.password, |document| {
            read_document(document, wanted, sink)
        })
    }
}

impl PdfiumEngine {
    /// Opens a document and hands it to `then`, one at a time in this process.
    ///
    /// # Errors
    ///
    /// As [`PdfEngine::read`] where it cannot be opened.
    pub(super) fn with_document<T>(
        &self,
        bytes: &[u8],
        password: &str,
        then: impl FnOnce(&PdfDocument<'_>) -> T,
    ) -> Result<T, ReadError> {
        // The library is made for one thread at a time.
        static IN_USE: Mutex<()> = Mutex::new(());
        let _in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        let password = Some(password).filter(|password| !password.is_empty());
        let document =
            self.library.load_pdf_from_byte_slice(bytes, password).map_err(
                |error| match error {
                    PdfiumError::PdfiumLibraryInternalError(PdfiumInternalError::PasswordError) => {
                        ReadError::PasswordNeeded
                    }
                    PdfiumError::PdfiumLibraryInternalError(PdfiumInternalError::SecurityError) => {
                        ReadError::Damaged("its encryption is unknown or broken".into())
                    }
                    _ => ReadError::Damaged("it is no valid PDF".into()),
                },
            )?;
        Ok(then(&document))
    }
}

fn read_document(
    document: &PdfDocument<'_>,
    wanted: &dyn Fn(usize) -> bool,
    sink: &mut dyn FnMut(usize, PageContent),
) -> PdfInfo {
    let pages = document.pages();
    let (mut count, mut missing) = (pages.len().max(0) as usize, Vec::new());
    for index in (0..count).filter(|index| wanted(*index)) {
        // What the binding takes for impossible is a panic; it costs this page only.
        let read = catch_unwind(AssertUnwindSafe(|| read_page(pages, index)));
        match read.unwrap_or(Some(PageContent { broken: true, ..PageContent::default() })) {
            Some(content) => {
                for index in missing.drain(..) {
                    sink(index, PageContent { broken: true, ..PageContent::default() });
                }
                sink(index, content);
            }
            None => missing.push(index),
        }
        if missing.len() >= MISSING_PAGES {
            break;
        }
    }
    if let Some(first) = missing.first().filter(|_| missing.len() >= MISSING_PAGES) {
        count = *first;
    } else {
        for index in missing {
            sink(index, PageContent { broken: true, ..PageContent::default() });
        }
    }
    let details = catch_unwind(AssertUnwindSafe(|| (title(document), outline(document))));
    let (title, outline) = details.unwrap_or_default();
    PdfInfo { pages: count, title, outline }
}

fn title(document: &PdfDocument<'_>) -> Option<String> {
    let tag = document.metadata().get(PdfDocumentMetadataTagType::Title)?;
    Some(tag.value().to_owned())
}

/// The document's outline: level from 1, and title.
fn outline(document: &PdfDocument<'_>) -> Vec<(u8, String)> {
    let mut entries = Vec::new();
    let mut open: Vec<_> =
        document.bookmarks().root().map(|root| (1u8, root)).into_iter().collect();
    // A circle in a broken outline ends at the limit.
    for _ in 0..MAX_OUTLINE {
        let Some((level, entry)) = open.pop() else { break };
        entries.extend(entry.title().map(|title| (level, title)));
        open.extend(entry.next_sibling().map(|next| (level, next)));
        open.extend(entry.first_child().map(|child| (level.saturating_add(1), child)));
    }
    entries
}

/// What is on a page; `None` where there is no such page.
fn read_page(pages: &PdfPages<'_>, index: usize) -> Option<PageContent> {
    let index = i32::try_from(index).ok()?;
    let mut page = pages.get(index).ok()?;
    let comments = comments(&page);
    // What people filled in and wrote on the page becomes part of it, in memory only.
    if has_written_annotations(&page) {
        // A page that cannot be flattened is read without it.
        let _ = page.flatten();
        // The binding's page keeps pointers to what flattening has freed: it must be had anew.
        drop(page);
        page = pages.get(index).ok()?;
    }
    let mut content = PageContent {
        label: page.label().map(str::to_owned).filter(|label| !label.is_empty()),
        comments,
        ..PageContent::default()
    };
    match page.text() {
        Ok(text) => content.glyphs = glyphs(&Frame::of(&page), text.chars().iter()),
        Err(_) => content.broken = true,
    }
    // A few such letters are more often a wrong table of a font.
    let rtl = content.glyphs.iter().filter(|glyph| is_rtl(glyph.c)).count();
    content.reordered = rtl * 5 > content.glyphs.len();
    // Only of a page without text does it matter what else is on it.
    if content.glyphs.is_empty() {
        for object in page.objects().iter() {
            match object.object_type() {
                PdfPageObjectType::Text => content.has_text_operators = true,
                _ => content.has_pictures = true,
            }
        }
    }
    Some(content)
}

/// Comments that are shown when somebody opens them only.
fn comments(page: &PdfPage<'_>) -> Vec<Comment> {
    use PdfPageAnnotationType::{
        Caret, Circle, Highlight, Ink, Line, Polygon, Polyline, Square, Squiggly, Strikeout, Text,
        Underline,
    };
    let frame = Frame::of(page);
    let comment = |annotation: PdfPageAnnotation<'_>| {
        let is_comment = matches!(
            annotation.annotation_type(),
            Text | Highlight
                | Underline
                | Squiggly
                | Strikeout
                | Caret
                | Ink
                | Line
                | Square
                | Circle
                | Polygon
                | Polyline
        );
        let text = annotation.contents().filter(|text| is_comment && !text.trim().is_empty())?;
        let bounds = annotation.bounds().ok()?;
        let (ax, ay) = frame.point(bounds.left().value, bounds.bottom().value);
        let (bx, by) = frame.point(bounds.right().value, bounds.top().value);
        let rect = [ax.min(bx), ay.min(by), ax.max(bx), ay.max(by)];
        let author = annotation.creator().filter(|author| !author.trim().is_empty());
        rect.iter().all(|value| value.is_finite()).then_some(Comment { author, text, rect })
    };
    page.annotations().iter().filter_map(comment).take(MAX_COMMENTS).collect()
}

/// Whether the page has annotations that show words of their own.
fn has_written_annotations(page: &PdfPage<'_>) -> bool {
    use PdfPageAnnotationType::{FreeText, Redacted, Stamp, Watermark, Widget, XfaWidget};
    page.annotations().iter().any(|annotation| {
        matches!(
            annotation.annotation_type(),
            FreeText | Redacted | Stamp | Watermark | Widget | XfaWidget
        )
    })
}

/// The way from the coordinates of a page's content to those of the page as it is shown.
struct Frame {
    shown: PdfRect,
    turn: PdfPageRenderRotation,
}

impl Frame {
    fn of(page: &PdfPage<'_>) -> Self {
        let whole = PdfRect::new_from_values(0.0, 0.0, page.height().value, page.width().value);
        Self {
            shown: page.boundaries().bounding().map_or(whole, |bounding| bounding.bounds),
            turn: page.rotation().unwrap_or(PdfPageRenderRotation::None),
        }
    }

    fn point(&self, x: f32, y: f32) -> (f32, f32) {
        let (left, right) = (self.shown.left().value, self.shown.right().value);
        let (bottom, top) = (self.shown.bottom().value, self.shown.top().value);
        match self.turn {
            PdfPageRenderRotation::None => (x - left, top - y),
            PdfPageRenderRotation::Degrees90 => (y - bottom, x - left),
            PdfPageRenderRotation::Degrees180 => (right - x, y - bottom),
            PdfPageRenderRotation::Degrees270 => (top - y, right - x),
        }
    }

    /// The page's width and height as it is shown.
    fn size(&self) -> (f32, f32) {
        let (width, height) = (self.shown.width().value, self.shown.height().value);
        match self.turn {
            PdfPageRenderRotation::None | PdfPageRenderRotation::Degrees180 => (width, height),
            PdfPageRenderRotation::Degrees90 | PdfPageRenderRotation::Degrees270 => (height, width),
        }
    }
}

/// A glyph as the library gives it, in the coordinates of the page's content.
struct Found {
    /// One character, or those that a ligature stands for.
    text: String,
    origin: (f32, f32),
    /// The direction of the line and the one to the top of the letters, of length 1.
    along: (f32, f32),
    up: (f32, f32),
    /// How far along the line the glyph reaches, and the size of its type.
    advance: f32,
    size: f32,
    bold: bool,
    monospace: bool,
    /// Whether the library put something between it and the glyph before: a space, a line break.
    apart: bool,
    /// Whether it is painted before its origin, as a mark on the letter before, and so moves nothing.
    overhangs: bool,
}

/// At most so many comments of a page are read.
const MAX_COMMENTS: usize = 500;

/// At most so many marks stand on one letter.
const MARKS: usize = 4;

fn glyphs<'a>(frame: &Frame, chars: impl Iterator<Item = PdfPageTextChar<'a>>) -> Vec<Glyph> {
    let mut found: Vec<Found> = Vec::new();
    let mut apart = true;
    let mut blank = false;
    let mut high_surrogate = None;
    for char in chars {
        if char.is_generated().unwrap_or(false) {
            apart = true;
            blank |= char.unicode_value() == u32::from(' ');
            continue;
        }
        let c = match char.unicode_value() {
            // The first half of a character outside of the basic plane waits for the second.
            high @ 0xD800..0xDC00 => {
                high_surrogate = Some(high);
                continue;
            }
            low @ 0xDC00..0xE000 => high_surrogate
                .and_then(|high| char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + low - 0xDC00)),
            // So the library marks a hyphen at which a word is broken.
            0x02 | 0xFFFE => Some('-'),
            value => char::from_u32(value),
        };
        high_surrogate = None;
        let c = c.unwrap_or('\u{FFFD}');
        let Some(glyph) = measure(&char, c, apart) else { continue };
        if !glyph.overhangs
            && let Some(last) = found.iter_mut().rev().take(MARKS).find(|glyph| !glyph.overhangs)
            && let Some(gap) = gap_between(last, &glyph, blank)
        {
            if apart {
                let space = blank_after(last, gap);
                found.push(space);
            } else {
                last.advance += gap;
            }
        }
        (apart, blank) = (false, false);
        match found.last_mut() {
            // The pieces of a ligature have one place.
            Some(last)
                if last.origin == glyph.origin && last.advance == glyph.advance && !glyph.apart =>
            {
                last.text.push(c);
            }
            _ => found.push(glyph),
        }
    }
    for glyph in found.iter_mut().filter(|glyph| is_reversed_ligature(&glyph.text)) {
        glyph.text = glyph.text.chars().rev().collect();
    }
    for at in 0..found.len() {
        if let Some(mirrored) = mirrored(&found[at].text).filter(|_| runs_to_the_left(&found, at)) {
            found[at].text = mirrored.to_owned();
        }
    }
    let vertical = vertical(&found);
    let (width, height) = frame.size();
    let mut page = GlyphCollector::new(width, height);
    for (glyph, vertical) in found.iter().zip(vertical) {
        place(frame, glyph, vertical, &mut page);
    }
    page.glyphs
}

/// How far apart two glyphs of a line stand, in text from left to right. The library knows the
/// font's spaces and the letters' spacing, so that it tells better than the layout could
/// whether that is a space; where it puts a `blank`, a font whose widths are wrong may have the
/// glyphs lie on each other.
fn gap_between(last: &Found, next: &Found, blank: bool) -> Option<f32> {
    let (dx, dy) = (next.origin.0 - last.origin.0, next.origin.1 - last.origin.1);
    let gap = dx * last.along.0 + dy * last.along.1 - last.advance;
    let same_line = (dx * last.up.0 + dy * last.up.1).abs() < 0.3 * last.size;
    let rtl = [last, next].iter().any(|glyph| glyph.text.chars().any(is_rtl));
    let least = if blank { -1.0 } else { 0.1 };
    (same_line && !rtl && gap > least * last.size && gap < last.size).then_some(gap.max(0.0))
}

fn blank_after(last: &Found, gap: f32) -> Found {
    let (x, y) = (last.advance * last.along.0, last.advance * last.along.1);
    Found {
        text: " ".to_owned(),
        origin: (last.origin.0 + x, last.origin.1 + y),
        advance: gap,
        apart: true,
        overhangs: false,
        ..*last
    }
}

/// Whether the pieces of a ligature of a script from right to left are in reversed order: the library
/// turns them round with their line, except those of the characters for lam and alef in one.
fn is_reversed_ligature(text: &str) -> bool {
    let mut chars = text.chars();
    let lam_alef =
        chars.next() == Some('ل') && chars.all(|c| matches!(c, 'ا' | 'أ' | 'إ' | 'آ' | 'ٱ'));
    text.chars().count() > 1 && text.chars().all(is_rtl) && !lam_alef
}

/// The bracket that looks the other way: in text from right to left the library gives brackets by
/// their meaning, and the layout expects all glyphs as they are seen.
fn mirrored(text: &str) -> Option<&'static str> {
    const PAIRS: [(&str, &str); 5] = [("(", ")"), ("[", "]"), ("{", "}"), ("<", ">"), ("«", "»")];
    PAIRS.iter().find_map(|(open, close)| match text {
        _ if text == *open => Some(*close),
        _ if text == *close => Some(*open),
        _ => None,
    })
}

/// Whether the glyph at this place stands to the left of the one before it, or the next one to its
/// left, on the same line.
fn runs_to_the_left(found: &[Found], at: usize) -> bool {
    let leftward = |pair: &[Found]| {
        let [first, next] = pair else { return false };
        let (dx, dy) = (next.origin.0 - first.origin.0, next.origin.1 - first.origin.1);
        let step = dx * first.along.0 + dy * first.along.1;
        let same_line = (dx * first.up.0 + dy * first.up.1).abs() < 0.5 * first.size;
        same_line && step < 0.0 && step > -2.0 * first.size
    };
    found.get(at.saturating_sub(1)..=at).is_some_and(leftward)
        || found.get(at..at + 2).is_some_and(leftward)
}

fn measure(char: &PdfPageTextChar<'_>, c: char, apart: bool) -> Option<Found> {
    let (x, y) = char.origin().ok()?;
    let origin = (x.value, y.value);
    let matrix = char.matrix().ok()?;
    let (width, height) = (matrix.a().hypot(matrix.b()), matrix.c().hypot(matrix.d()));
    let size = char.unscaled_font_size().value.abs() * height;
    if width <= f32::EPSILON || height <= f32::EPSILON {
        return None;
    }
    let along = (matrix.a() / width, matrix.b() / width);
    let up = (matrix.c() / height, matrix.d() / height);
    // The loose rectangle is as wide as the font says, but is right in upright text only.
    let upright = along.0 > 0.999;
    let loose = char.loose_bounds().ok().filter(|_| upright);
    let overhangs = loose.as_ref().is_some_and(|bounds| {
        bounds.width().value > 0.0 && bounds.right().value <= origin.0 + 0.02 * size && !is_rtl(c)
    });
    let advance = loose.as_ref().map(|bounds| bounds.width().value);
    // A mark stands on a letter and has no room of its own. In text from right to left its origin says nothing, so that
    // it is where it is painted.
    let mark = is_combining_mark(c);
    let painted = char.tight_bounds().ok().filter(|_| upright && mark && is_rtl(c));
    let (origin, advance) = match painted.filter(|bounds| bounds.width().value > 0.0) {
        Some(bounds) => ((bounds.left().value, origin.1), Some(bounds.width().value)),
        None if overhangs => (loose.map_or(origin, |b| (b.left().value, origin.1)), advance),
        // Where the table of a font is wrong, a letter is called a mark.
        None if mark && advance.is_some_and(|advance| advance > 0.3 * size) => (origin, advance),
        None if mark => (origin, Some(0.01 * size)),
        None => (origin, advance),
    };
    let advance = advance.filter(|advance| *advance > 0.0).or_else(|| {
        let bounds = char.tight_bounds().ok()?;
        let corner = |x: f32, y: f32| (x - origin.0) * along.0 + (y - origin.1) * along.1;
        let (left, right) = (bounds.left().value, bounds.right().value);
        let (bottom, top) = (bounds.bottom().value, bounds.top().value);
        let reach =
            [corner(left, bottom), corner(left, top), corner(right, bottom), corner(right, top)]
                .into_iter()
                .fold(0.0, f32::max);
        (reach > 0.0).then_some(reach + 0.05 * size)
    });
    // A font without measures, such as one that is not there.
    let usual = if is_cjk(c) { size } else { 0.5 * size };
    let (named_bold, monospace) =
        if c.is_whitespace() { (false, false) } else { style_of_name(&char.font_name()) };
    let heavy = match char.font_weight() {
        Some(PdfFontWeight::Weight600 | PdfFontWeight::Weight700Bold) => true,
        Some(PdfFontWeight::Weight800 | PdfFontWeight::Weight900) => true,
        Some(PdfFontWeight::Custom(weight)) => (600..=1000).contains(&weight),
        _ => false,
    };
    Some(Found {
        text: c.to_string(),
        origin,
        along,
        up,
        advance: advance.unwrap_or(usual),
        size,
        bold: named_bold || heavy,
        monospace,
        apart,
        overhangs,
    })
}

/// Which glyphs are written from top to bottom: the library does not tell, but in no other writing
/// do three upright characters and more follow each other straight down.
fn vertical(found: &[Found]) -> Vec<bool> {
    const RUN: usize = 3;
    let down = |pair: &[Found]| {
        let [above, below] = pair else { return false };
        let (dx, dy) = (below.origin.0 - above.origin.0, above.origin.1 - below.origin.1);
        let upright = above.along.0 > 0.999 && below.along.0 > 0.999;
        upright
            && !below.apart
            && dx.abs() < 0.6 * above.size
            && (0.4..1.6).contains(&(dy / above.size))
    };
    let mut vertical = vec![false; found.len()];
    let mut at = 0;
    while at < found.len() {
        let steps = found[at..].windows(2).take_while(|pair| down(pair)).count();
        if steps + 1 >= RUN {
            vertical[at..=at + steps].fill(true);
        }
        at += steps + 1;
    }
    vertical
}

/// Puts a glyph on the page as it is shown. Its rectangle is the em box: fonts' own boxes are often
/// wrong, and highlights look even with it.
fn place(frame: &Frame, glyph: &Found, vertical: bool, page: &mut GlyphCollector) {
    let Found { origin, along, up, advance, size, bold, monospace, .. } = *glyph;
    let (ascent, descent) =
        if vertical { (0.88 * size, -0.12 * size) } else { (0.8 * size, -0.22 * size) };
    let corners =
        [(0.0, descent), (advance, descent), (0.0, ascent), (advance, ascent)].map(|(u, v)| {
            frame.point(origin.0 + u * along.0 + v * up.0, origin.1 + u * along.1 + v * up.1)
        });
    let low = |value: fn(&(f32, f32)) -> f32| corners.iter().map(value).fold(f32::MAX, f32::min);
    let high = |value: fn(&(f32, f32)) -> f32| corners.iter().map(value).fold(f32::MIN, f32::max);
    let rect = [low(|p| p.0), low(|p| p.1), high(|p| p.0), high(|p| p.1)];
    let shown = frame.point(origin.0, origin.1);
    let direction = if vertical { (-up.0, -up.1) } else { along };
    let towards = frame.point(origin.0 + direction.0, origin.1 + direction.1);
    let direction = Direction::of(f64::from(towards.0 - shown.0), f64::from(towards.1 - shown.1));
    page.push(&glyph.text, shown, &Glyph { c: ' ', rect, size, bold, monospace, direction });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_of_the_library_counts_where_a_letter_is_said_to_be_too_wide() {
        let letter = |x: f32, advance: f32| Found {
            text: "a".to_owned(),
            origin: (x, 0.0),
            along: (1.0, 0.0),
            up: (0.0, 1.0),
            advance,
            size: 10.0,
            bold: false,
            monospace: false,
            apart: false,
            overhangs: false,
        };
        // The first letter's width, where the next one begins, whether the library puts a blank
        // between them, and how wide that is.
        let cases = [
            (5.0, 5.0, false, None),
            (5.0, 8.0, false, Some(3.0)),
            (5.0, 8.0, true, Some(3.0)),
            (5.0, 5.5, true, Some(0.5)),
            (12.0, 8.0, true, Some(0.0)),
            (12.0, 8.0, false, None),
            // The next line, or what is written elsewhere.
            (30.0, 8.0, true, None),
            (5.0, 16.0, true, None),
        ];
        for (width, next, blank, expected) in cases {
            let gap = gap_between(&letter(0.0, width), &letter(next, 5.0), blank);
            assert_eq!(gap, expected, "{width} wide, then {next}, blank: {blank}");
        }
    }
}
