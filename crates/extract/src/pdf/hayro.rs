//! The engine on `hayro`: a pure Rust interpreter that gives every glyph its place.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hayro_interpret::font::GlyphRun;
use hayro_interpret::hayro_cmap::{BfString, WritingMode};
use hayro_interpret::kurbo::{Affine, BezPath, Point, Rect};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps,
    InterpreterCache, InterpreterSettings, SoftMask, TransformExt as _, interpret_page,
};
use hayro_syntax::object::{Dict, String as PdfString};
use hayro_syntax::{DecryptionError, LoadPdfError, Pdf};
use unicode_normalization::UnicodeNormalization as _;

use super::{Direction, Glyph, PageContent, PdfEngine, PdfInfo};
use crate::ReadError;

/// At most so many entries of an outline are read.
const MAX_OUTLINE: usize = 5000;

/// Reads with `hayro-interpret`.
#[derive(Debug, Clone, Copy, Default)]
pub struct HayroEngine;

impl PdfEngine for HayroEngine {
    fn read(
        &self,
        bytes: &Arc<Vec<u8>>,
        wanted: &dyn Fn(usize) -> bool,
        sink: &mut dyn FnMut(usize, PageContent),
    ) -> Result<PdfInfo, ReadError> {
        let pdf = Pdf::new(Arc::clone(bytes)).map_err(|error| match error {
            LoadPdfError::Decryption(DecryptionError::PasswordProtected) => {
                ReadError::PasswordNeeded
            }
            LoadPdfError::Decryption(_) => {
                ReadError::Damaged("its encryption is unknown or broken".into())
            }
            LoadPdfError::Invalid => ReadError::Damaged("it is no valid PDF".into()),
        })?;
        let cache = InterpreterCache::new();
        for (index, page) in pdf.pages().iter().enumerate().filter(|(index, _)| wanted(*index)) {
            let (width, height) = page.render_dimensions();
            let mut collector = Collector::new(width, height);
            // A page that breaks the interpreter keeps what was found before.
            let finished = catch_unwind(AssertUnwindSafe(|| {
                let mut context = Context::new(
                    page.initial_transform(true).to_kurbo(),
                    Rect::new(0.0, 0.0, width.into(), height.into()),
                    &cache,
                    pdf.xref(),
                    InterpreterSettings::default(),
                );
                interpret_page(page, &mut context, &mut collector);
            }));
            let mut content = collector.content;
            content.broken |= finished.is_err();
            content.has_text_operators = page.page_stream().is_some_and(shows_text);
            sink(index, content);
        }
        let title = pdf.metadata().title.as_deref().map(decode_string);
        Ok(PdfInfo { pages: pdf.pages().len(), title, outline: outline(&pdf) })
    }
}

/// Whether a content stream has operators that show text.
fn shows_text(stream: &[u8]) -> bool {
    stream.windows(2).any(|window| window == b"Tj" || window == b"TJ")
}

/// A text string: UTF-16 or UTF-8 with a byte order mark, else PDFDocEncoding, which is
/// Latin-1 where titles are concerned (ISO 32000-1, 7.9.2.2).
fn decode_string(bytes: &[u8]) -> String {
    match encoding_rs::Encoding::for_bom(bytes) {
        Some((encoding, mark)) => {
            encoding.decode_without_bom_handling(&bytes[mark..]).0.into_owned()
        }
        None => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

/// The document's outline: level from 1, and title.
fn outline(pdf: &Pdf) -> Vec<(u8, String)> {
    let catalog = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id());
    let root = catalog.and_then(|catalog| catalog.get::<Dict<'_>>(b"Outlines"));
    let mut entries = Vec::new();
    let mut open: Vec<(u8, Dict<'_>)> = Vec::new();
    open.extend(root.and_then(|root| root.get::<Dict<'_>>(b"First")).map(|first| (1, first)));
    // A circle in a broken outline ends at the limit.
    while let Some((level, entry)) = open.pop() {
        if entries.len() >= MAX_OUTLINE {
            break;
        }
        if let Some(title) = entry.get::<PdfString<'_>>(b"Title") {
            entries.push((level, decode_string(title.as_bytes())));
        }
        open.extend(entry.get::<Dict<'_>>(b"Next").map(|next| (level, next)));
        open.extend(entry.get::<Dict<'_>>(b"First").map(|first| (level.saturating_add(1), first)));
    }
    entries
}

struct Collector {
    content: PageContent,
    width: f32,
    height: f32,
    /// Characters with their places in twentieths of their size: the same one again at the same
    /// place is an imitation of bold type or a shadow.
    seen: HashSet<(char, i32, i32)>,
}

impl Collector {
    fn new(width: f32, height: f32) -> Self {
        Self { content: PageContent::default(), width, height, seen: HashSet::new() }
    }

    fn is_repeated(&mut self, c: char, x: f32, y: f32, size: f32) -> bool {
        let cell = |value: f32| (value / (size * 0.05).max(0.01)).round() as i32;
        let (x, y) = (cell(x), cell(y));
        let near = (-1..=1).any(|dx| (-1..=1).any(|dy| self.seen.contains(&(c, x + dx, y + dy))));
        if !near {
            self.seen.insert((c, x, y));
        }
        near
    }

    /// Adds the characters that one glyph stands for; they share its rectangle side by side.
    fn push(&mut self, text: &str, glyph: &Glyph) {
        let count = text.chars().count() as f32;
        for (index, c) in text.chars().enumerate() {
            let index = if is_rtl(c) { count - 1.0 - index as f32 } else { index as f32 };
            let [x0, y0, x1, y1] = glyph.rect;
            let (from, to) = (index / count, (index + 1.0) / count);
            let rect = match glyph.direction {
                Direction::Right | Direction::Left => {
                    [x0 + (x1 - x0) * from, y0, x0 + (x1 - x0) * to, y1]
                }
                Direction::Down | Direction::Up => {
                    [x0, y0 + (y1 - y0) * from, x1, y0 + (y1 - y0) * to]
                }
            };
            self.content.glyphs.push(Glyph { c, rect, ..*glyph });
        }
    }
}

pub(super) fn is_rtl(c: char) -> bool {
    matches!(c, '\u{0590}'..='\u{08FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFE}')
}

/// Replaces what fonts have and texts do not: ligatures, presentation forms and radicals
/// become the characters they stand for, and bullets of symbol fonts become bullets.
fn plain_characters(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\u{FB00}'..='\u{FB06}'
            | '\u{FB1D}'..='\u{FDFF}'
            | '\u{FE70}'..='\u{FEFC}'
            | '\u{2E80}'..='\u{2FDF}'
            | '\u{F900}'..='\u{FAFF}' => {
                out.extend(std::iter::once(c).nfkc());
            }
            '\u{F0B7}' => out.push('•'),
            '\u{F0A7}' => out.push('▪'),
            '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' => out.push(' '),
            '\u{FFFF}' | '\0' => out.push('\u{FFFD}'),
            _ => out.push(c),
        }
    }
    out
}

/// Whether a glyph's font is bold and whether it is monospaced, by its weight, its flags and its
/// name; Type 1 fonts do not tell.
fn style(glyph: &hayro_interpret::font::Glyph<'_>) -> (bool, bool) {
    let hayro_interpret::font::Glyph::Outline(outline) = glyph else { return (false, false) };
    let Some(font) = outline.font_data() else { return (false, false) };
    let name = font.postscript_name.unwrap_or_default().to_lowercase();
    let named = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    let bold = font.weight.is_some_and(|weight| weight >= 600)
        || named(&["bold", "black", "heavy", "demi"]);
    (bold, font.is_monospace || named(&["mono", "courier", "consolas"]))
}

impl Device<'_> for Collector {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, '_>, props: DrawProps<'_>, _: &DrawMode) {
        let vertical = run.writing_mode() == WritingMode::Vertical;
        let glyphs = run.glyphs();
        let (bold, monospace) = glyphs.first().map_or((false, false), |glyph| style(glyph));
        let placed: Vec<Affine> =
            glyphs.iter().map(|glyph| props.transform * glyph.transform()).collect();
        for (index, glyph) in glyphs.iter().enumerate() {
            let transform = placed[index];
            let advance = match &**glyph {
                hayro_interpret::font::Glyph::Outline(outline) => outline.advance_width(),
                hayro_interpret::font::Glyph::Type3(glyph) => glyph.advance_width(),
            };
            let mut width = f64::from(advance.unwrap_or(500.0)).max(1.0);
            // The width must not reach over the next glyph: substituted fonts are stretched.
            if let Some(next) = placed.get(index + 1)
                && !vertical
                && transform.determinant().abs() > f64::EPSILON
            {
                let distance = (transform.inverse() * (*next * Point::ZERO)).x;
                if distance > 100.0 && distance < width {
                    width = distance;
                }
            }
            // The em box: fonts' own boxes are often wrong, and highlights look even with it.
            let em = if vertical {
                Rect::new(0.0, -120.0, 1000.0, 880.0)
            } else {
                Rect::new(0.0, -220.0, width, 800.0)
            };
            let corners = [(em.x0, em.y0), (em.x1, em.y0), (em.x0, em.y1), (em.x1, em.y1)]
                .map(|(x, y)| transform * Point::new(x, y));
            let low = |value: fn(&Point) -> f64| {
                corners.iter().map(value).fold(f64::MAX, f64::min) as f32
            };
            let high = |value: fn(&Point) -> f64| {
                corners.iter().map(value).fold(f64::MIN, f64::max) as f32
            };
            let rect = [low(|p| p.x), low(|p| p.y), high(|p| p.x), high(|p| p.y)];
            let [a, b, c, d, x, y] = transform.as_coeffs();
            let size = (c.hypot(d) * 1000.0) as f32;
            if !rect.iter().all(|value| value.is_finite()) || size <= 0.1 {
                continue;
            }
            let centre = ((rect[0] + rect[2]) / 2.0, (rect[1] + rect[3]) / 2.0);
            let on_page =
                (0.0..=self.width).contains(&centre.0) && (0.0..=self.height).contains(&centre.1);
            if !on_page {
                continue;
            }
            let text = match glyph.as_unicode() {
                Some(BfString::Char(c)) => plain_characters(&c.to_string()),
                Some(BfString::String(text)) => plain_characters(&text),
                None => '\u{FFFD}'.to_string(),
            };
            let Some(first) = text.chars().next() else { continue };
            if first != ' ' && self.is_repeated(first, x as f32, y as f32, size) {
                continue;
            }
            let direction = if vertical { Direction::Down } else { Direction::of(a, b) };
            self.push(&text, &Glyph { c: first, rect, size, bold, monospace, direction });
        }
    }

    fn draw_image(&mut self, _: Image<'_, '_>, _: ImageDrawProps<'_>) {
        self.content.has_pictures = true;
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'_>, _: &DrawMode) {
        self.content.has_pictures = true;
    }

    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'_>>, _: BlendMode) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}
