//! Pages as pictures, for OCR.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ::hayro::hayro_interpret::InterpreterSettings;
use ::hayro::vello_cpu::color::palette::css::WHITE;
use ::hayro::{PixmapSettings, RenderCache, RenderSettings};
use hayro_syntax::Pdf;
use pdfium_render::prelude::PdfRenderConfig;

use super::{PdfiumEngine, is_careful};
use crate::ReadError;
use crate::ocr::Picture;

/// The usual resolution of a scan, at which letters of 8 points are well read, in pixels a point.
const SCALE: f32 = 200.0 / 72.0;

/// Larger pages are painted with fewer pixels: 25 million, four times A4 at 200 dpi and more.
const MAX_PIXELS: f32 = 25e6;

/// So many pixels a point has a page of this size in points.
fn scale(width: f32, height: f32) -> Result<f32, ReadError> {
    let area = width * height;
    if !area.is_finite() || width < 1.0 || height < 1.0 {
        return Err(ReadError::Damaged("the page has no size".into()));
    }
    let scale = SCALE.min((MAX_PIXELS / area).sqrt());
    // The painters count in 16 bits.
    Ok(scale.min(f32::from(i16::MAX) / width.max(height)))
}

/// Paints the page with this number (from 1) as it is shown: the picture, and how many points a
/// pixel of it is.
///
/// # Errors
///
/// [`ReadError::Damaged`] where no engine can paint it.
pub(crate) fn render(bytes: Vec<u8>, number: u32) -> Result<(Picture, f32), ReadError> {
    let bytes = Arc::new(bytes);
    let pdfium = if is_careful() { None } else { PdfiumEngine::load() };
    // What a binding or an interpreter takes for impossible is a panic.
    let painted = pdfium
        .and_then(|engine| {
            catch_unwind(AssertUnwindSafe(|| by_pdfium(engine, &bytes, number))).ok()
        })
        .and_then(Result::ok);
    if let Some(painted) = painted {
        return Ok(painted);
    }
    catch_unwind(AssertUnwindSafe(|| by_hayro(bytes, number)))
        .unwrap_or_else(|_| Err(ReadError::Damaged("the page cannot be painted".into())))
}

fn by_pdfium(engine: PdfiumEngine, bytes: &[u8], number: u32) -> Result<(Picture, f32), ReadError> {
    let failed = |error: &dyn std::fmt::Debug| ReadError::Damaged(format!("{error:?}"));
    engine.with_document(bytes, "", |document| {
        let index = i32::try_from(number).unwrap_or(i32::MAX) - 1;
        let page = document.pages().get(index).map_err(|error| failed(&error))?;
        let scale = scale(page.width().value, page.height().value)?;
        let config = PdfRenderConfig::new().scale_page_by_factor(scale);
        let bitmap = page.render_with_config(&config).map_err(|error| failed(&error))?;
        let size = (bitmap.width().max(0) as usize, bitmap.height().max(0) as usize);
        let picture = Picture::from_rgba(size.0, size.1, &bitmap.as_rgba_bytes());
        Ok((picture.ok_or(ReadError::Empty)?, page.width().value / size.0.max(1) as f32))
    })?
}

fn by_hayro(bytes: Arc<Vec<u8>>, number: u32) -> Result<(Picture, f32), ReadError> {
    let damaged = || ReadError::Damaged("the page is not there".into());
    let pdf = Pdf::new(bytes).map_err(|_| damaged())?;
    let page = pdf.pages().get(number as usize - 1).ok_or_else(damaged)?;
    let (width, height) = page.render_dimensions();
    let scale = scale(width, height)?;
    let pixmap = ::hayro::render(
        page,
        &RenderCache::new(),
        &InterpreterSettings::default(),
        &RenderSettings::default(),
        &PixmapSettings { x_scale: scale, y_scale: scale, bg_color: WHITE, ..Default::default() },
    );
    let size = (usize::from(pixmap.width()), usize::from(pixmap.height()));
    // On white paper nothing is transparent, so that it does not matter what alpha is multiplied with.
    let rgba: Vec<u8> =
        pixmap.data().iter().flat_map(|pixel| [pixel.r, pixel.g, pixel.b, pixel.a]).collect();
    let picture = Picture::from_rgba(size.0, size.1, &rgba).ok_or(ReadError::Empty)?;
    Ok((picture, width / size.0.max(1) as f32))
}
