//! The engine on `hayro`: a pure Rust interpreter that gives every glyph its place.

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

use super::glyphs::{GlyphCollector, style_of_name};
use super::{Direction, Glyph, MAX_OUTLINE, PageContent, PdfEngine, PdfFile, PdfInfo};
use crate::ReadError;

/// Reads with `hayro-interpret`.
#[derive(Debug, Clone, Copy, Default)]
pub struct HayroEngine;

impl PdfEngine for HayroEngine {
    fn read(
        &self,
        file: &PdfFile,
        wanted: &dyn Fn(usize) -> bool,
        sink: &mut dyn FnMut(usize, PageContent),
    ) -> Result<PdfInfo, ReadError> {
        let opened = Pdf::new_with_password(Arc::clone(&file.bytes), &file.password);
        let pdf = opened.map_err(|error| match error {
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
            let mut collector =
                Collector { page: GlyphCollector::new(width, height), has_pictures: false };
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
            let content = PageContent {
                glyphs: collector.page.glyphs,
                has_pictures: collector.has_pictures,
                has_text_operators: page.page_stream().is_some_and(shows_text),
                broken: finished.is_err(),
                ..PageContent::default()
            };
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
    // A circle in a broken outline ends at the limit, whether its entries have titles or not.
    for _ in 0..MAX_OUTLINE {
        let Some((level, entry)) = open.pop() else { break };
        if let Some(title) = entry.get::<PdfString<'_>>(b"Title") {
            entries.push((level, decode_string(title.as_bytes())));
        }
        open.extend(entry.get::<Dict<'_>>(b"Next").map(|next| (level, next)));
        open.extend(entry.get::<Dict<'_>>(b"First").map(|first| (level.saturating_add(1), first)));
    }
    entries
}

struct Collector {
    page: GlyphCollector,
    has_pictures: bool,
}

/// Whether a glyph's font is bold and whether it is monospaced, by its weight, its flags and its
/// name; Type 1 fonts do not tell.
fn style(glyph: &hayro_interpret::font::Glyph<'_>) -> (bool, bool) {
    let hayro_interpret::font::Glyph::Outline(outline) = glyph else { return (false, false) };
    let Some(font) = outline.font_data() else { return (false, false) };
    let (bold, monospace) = style_of_name(&font.postscript_name.unwrap_or_default());
    (bold || font.weight.is_some_and(|weight| weight >= 600), monospace || font.is_monospace)
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
            let direction = if vertical { Direction::Down } else { Direction::of(a, b) };
            let mut glyph_of = |text: &str| {
                let glyph = Glyph { c: ' ', rect, size, bold, monospace, direction };
                self.page.push(text, (x as f32, y as f32), &glyph);
            };
            match glyph.as_unicode() {
                Some(BfString::Char(c)) => glyph_of(c.encode_utf8(&mut [0; 4])),
                Some(BfString::String(text)) => glyph_of(&text),
                None => glyph_of("\u{FFFD}"),
            }
        }
    }

    fn draw_image(&mut self, _: Image<'_, '_>, _: ImageDrawProps<'_>) {
        self.has_pictures = true;
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'_>, _: &DrawMode) {
        self.has_pictures = true;
    }

    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'_>>, _: BlendMode) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}
