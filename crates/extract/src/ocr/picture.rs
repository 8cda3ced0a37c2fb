//! Pictures of pages: out of image files, and what is cut out of them.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits};

use crate::ReadError;

/// Pictures of more pixels than this are not read: 100 million, a page of A0 at 300 dpi.
const MAX_PIXELS: u64 = 100_000_000;

/// What a decoder may take.
const MAX_BYTES: u64 = 512 << 20;

/// Colours of 8 bits: red, green, blue.
pub(crate) struct Picture {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<[u8; 3]>,
}

/// A part of a picture, which may be turned: a corner and the two sides from there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Region {
    pub origin: [f32; 2],
    pub along: [f32; 2],
    pub down: [f32; 2],
}

impl Picture {
    /// Paints the region with `columns` by `rows` pixels and hands each to `put` with its place.
    /// Each is the mean of as many points as it covers pixels in either direction, so that thin
    /// strokes do not fall through, and each point is interpolated between its four neighbours.
    pub(super) fn sample(
        &self,
        region: &Region,
        columns: usize,
        rows: usize,
        mut put: impl FnMut(usize, usize, [f32; 3]),
    ) {
        let step = |side: [f32; 2], count: usize| side.map(|value| value / count.max(1) as f32);
        let (right, down) = (step(region.along, columns), step(region.down, rows));
        let points = |step: [f32; 2]| (step[0].hypot(step[1]).round() as usize).clamp(1, 8);
        let (across, along) = (points(right), points(down));
        let share = 1.0 / (across * along) as f32;
        for row in 0..rows {
            for column in 0..columns {
                let mut sum = [0.0f32; 3];
                for j in 0..along {
                    let v = row as f32 + (j as f32 + 0.5) / along as f32;
                    for i in 0..across {
                        let u = column as f32 + (i as f32 + 0.5) / across as f32;
                        let x = region.origin[0] + u * right[0] + v * down[0];
                        let y = region.origin[1] + u * right[1] + v * down[1];
                        self.add(x - 0.5, y - 0.5, &mut sum);
                    }
                }
                put(column, row, sum.map(|value| value * share));
            }
        }
    }

    /// Adds the colour at a point; outside of the picture it is that of the nearest edge.
    #[inline(always)]
    fn add(&self, x: f32, y: f32, sum: &mut [f32; 3]) {
        let x = x.clamp(0.0, (self.width - 1) as f32);
        let y = y.clamp(0.0, (self.height - 1) as f32);
        let (x0, y0) = (x as usize, y as usize);
        let (x1, y1) = ((x0 + 1).min(self.width - 1), (y0 + 1).min(self.height - 1));
        let (fx, fy) = (x - x0 as f32, y - y0 as f32);
        let corners = [
            (self.pixels[y0 * self.width + x0], (1.0 - fx) * (1.0 - fy)),
            (self.pixels[y0 * self.width + x1], fx * (1.0 - fy)),
            (self.pixels[y1 * self.width + x0], (1.0 - fx) * fy),
            (self.pixels[y1 * self.width + x1], fx * fy),
        ];
        for (pixel, weight) in corners {
            for channel in 0..3 {
                sum[channel] += f32::from(pixel[channel]) * weight;
            }
        }
    }

    /// From pixels of red, green, blue and alpha, on white paper. `None` where there are none.
    pub(crate) fn from_rgba(width: usize, height: usize, rgba: &[u8]) -> Option<Self> {
        let pixels: Vec<[u8; 3]> = rgba
            .chunks_exact(4)
            .map(|pixel| {
                let alpha = u32::from(pixel[3]);
                let over =
                    |value: u8| ((u32::from(value) * alpha + 255 * (255 - alpha)) / 255) as u8;
                [over(pixel[0]), over(pixel[1]), over(pixel[2])]
            })
            .collect();
        (!pixels.is_empty() && pixels.len() == width * height).then_some(Self {
            width,
            height,
            pixels,
        })
    }
}

/// How many pictures an image file has, where all that can be told without decoding them is sound.
/// Only TIFF files have several that are pages; those of an animation are not.
///
/// # Errors
///
/// [`ReadError::Damaged`] where there is no image, [`ReadError::TooBig`] where there is too much.
pub(crate) fn frames(bytes: &[u8]) -> Result<u32, ReadError> {
    decoder(bytes)?;
    Ok(tiff_pages(bytes).len().max(1) as u32)
}

/// The picture with this number, counted from 1, of an image file, upright as far as the file tells.
///
/// # Errors
///
/// As [`frames`], and [`ReadError::Damaged`] where the picture cannot be decoded.
pub(crate) fn read_frame(bytes: &[u8], number: u32) -> Result<Picture, ReadError> {
    let mut turned = Vec::new();
    let bytes = match tiff_pages(bytes).get(number.saturating_sub(1) as usize) {
        // The decoder takes the first page; this one becomes it.
        Some(offset) if number > 1 => {
            turned.extend_from_slice(bytes);
            let little = bytes.starts_with(b"II");
            let place = if little { offset.to_le_bytes() } else { offset.to_be_bytes() };
            turned[4..8].copy_from_slice(&place);
            turned.as_slice()
        }
        _ => bytes,
    };
    let mut decoder = decoder(bytes)?;
    // A picture that does not say which way up it is, is upright.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| damaged(&error))?;
    image.apply_orientation(orientation);
    let rgba = image.into_rgba8();
    let (width, height) = (rgba.width() as usize, rgba.height() as usize);
    Picture::from_rgba(width, height, rgba.as_raw()).ok_or(ReadError::Empty)
}

/// A decoder that has seen the picture's header.
fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder, ReadError> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| damaged(&error.into()))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| damaged(&error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(ReadError::TooBig);
    }
    Ok(decoder)
}

fn damaged(error: &ImageError) -> ReadError {
    match error {
        ImageError::Limits(_) => ReadError::TooBig,
        error => ReadError::Damaged(error.to_string()),
    }
}

/// Where the pages of a TIFF file begin (TIFF 6.0, section 2): each directory ends with the place of
/// the next. Empty for other files.
fn tiff_pages(bytes: &[u8]) -> Vec<u32> {
    /// A chain of more directories goes round in a circle.
    const MAX_PAGES: usize = 10_000;
    let little = match bytes.get(..4) {
        Some(b"II*\0") => true,
        Some(b"MM\0*") => false,
        _ => return Vec::new(),
    };
    let number = |at: usize, size: usize| {
        let digits = bytes.get(at..at.checked_add(size)?)?;
        let join = |sum: u32, byte: &u8| sum << 8 | u32::from(*byte);
        Some(if little { digits.iter().rev().fold(0, join) } else { digits.iter().fold(0, join) })
    };
    let mut pages = Vec::new();
    let mut next = number(4, 4);
    while let Some(offset) = next.filter(|offset| *offset > 0 && !pages.contains(offset)) {
        let entries = number(offset as usize, 2);
        if entries.is_none() || pages.len() >= MAX_PAGES {
            break;
        }
        pages.push(offset);
        next = entries.and_then(|count| number(offset as usize + 2 + 12 * count as usize, 4));
    }
    pages
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use image::{ImageFormat, Rgb, RgbImage};

    use super::*;

    fn encoded(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        image.write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    #[test]
    fn pictures_of_all_kinds_are_decoded() {
        use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
        let image = RgbImage::from_fn(40, 20, |x, _| Rgb(if x < 20 { [250; 3] } else { [10; 3] }));
        for format in [Png, Jpeg, Gif, Bmp, Tiff, WebP] {
            let file = encoded(&image, format);
            assert_eq!(frames(&file).unwrap(), 1, "{format:?}");
            let picture = read_frame(&file, 1).unwrap();
            assert_eq!((picture.width, picture.height), (40, 20), "{format:?}");
            assert!(picture.pixels[0][0] > 240 && picture.pixels[39][2] < 20, "{format:?}");
        }
    }

    #[test]
    fn every_page_of_a_tiff_file_is_found_and_a_circle_ends() {
        let page = |shade| encoded(&RgbImage::from_pixel(8, 4, Rgb([shade; 3])), ImageFormat::Tiff);
        let mut file = page(200);
        let first = u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize;
        let entries = usize::from(u16::from_le_bytes(file[first..first + 2].try_into().unwrap()));
        let directory = first..first + 2 + 12 * entries;
        // A second directory with the same entries; the place of the strip is that of darker pixels.
        let (pixels, second) = (file.len() as u32, file.len() as u32 + 8 * 4 * 3);
        file.extend([60; 8 * 4 * 3]);
        let mut copy = file[directory.clone()].to_vec();
        for entry in copy[2..].chunks_exact_mut(12).filter(|entry| entry[..2] == [0x11, 1]) {
            entry[8..12].copy_from_slice(&pixels.to_le_bytes());
        }
        file.extend(copy);
        file[directory.end..directory.end + 4].copy_from_slice(&second.to_le_bytes());
        let ending = |next: u32| [file.as_slice(), &next.to_le_bytes()].concat();
        let whole = ending(0);
        assert_eq!(frames(&whole).unwrap(), 2);
        assert_eq!(read_frame(&whole, 1).unwrap().pixels[0], [200; 3]);
        assert_eq!(read_frame(&whole, 2).unwrap().pixels[0], [60; 3]);
        for next in [first as u32, second] {
            // The decoder may refuse the file; it is enough that it does not go round for ever.
            if let Ok(pages) = frames(&ending(next)) {
                assert_eq!(pages, 2);
            }
        }
    }

    #[test]
    fn what_is_transparent_lies_on_white_paper() {
        let picture = Picture::from_rgba(3, 1, &[0, 0, 0, 0, 9, 9, 9, 255, 0, 0, 0, 51]).unwrap();
        assert_eq!(picture.pixels, [[255; 3], [9; 3], [204; 3]]);
        assert!(Picture::from_rgba(2, 1, &[0; 4]).is_none());
    }

    #[test]
    fn a_region_is_painted_upright_and_thin_strokes_stay() {
        // A black stroke one pixel wide in the fifth column of eight.
        let pixels = (0..8 * 8).map(|at| [if at % 8 == 4 { 0 } else { 200 }; 3]).collect();
        let picture = Picture { width: 8, height: 8, pixels };
        let painted = |region: &Region, columns, rows| {
            let mut out = vec![0.0; columns * rows];
            picture.sample(region, columns, rows, |x, y, pixel| out[y * columns + x] = pixel[0]);
            out
        };
        let whole = Region { origin: [0.0, 0.0], along: [8.0, 0.0], down: [0.0, 8.0] };
        let same = painted(&whole, 8, 8);
        assert_eq!((same[3], same[4], same[5]), (200.0, 0.0, 200.0));
        let small = painted(&whole, 2, 2);
        assert!((small[1] - 150.0).abs() < 1.0, "{small:?}");
        // Read downwards from the right edge: the stroke lies across.
        let turned = Region { origin: [8.0, 0.0], along: [0.0, 8.0], down: [-8.0, 0.0] };
        let rows = painted(&turned, 8, 8);
        assert!(rows[3 * 8..4 * 8].iter().all(|value| *value == 0.0), "{rows:?}");
    }
}
