//! What OCR found on a page, as it is kept, and as glyphs for the layout.

use serde::{Deserialize, Serialize};

use super::detection::Quad;
use super::recognition::Reading;
use crate::pdf::{Direction, Glyph};

/// A line of text on a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecognisedLine {
    /// Its characters, spaces among them.
    pub text: String,
    /// The corner where its first character has its top, the way from there to the end of the line,
    /// and the way to the bottom of its letters: `[x, y, dx, dy, dx, dy]` in points of the page as
    /// it is shown, or in pixels of an image file.
    pub place: [f32; 6],
    /// For each character its middle, in thousandths of the line's length.
    pub centres: Vec<u16>,
}

/// What OCR found on one page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct RecognisedPage {
    /// The page, from 1.
    pub number: u32,
    /// Its lines, from top to bottom.
    pub lines: Vec<RecognisedLine>,
    /// Why it could not be recognised, in words a person understands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl RecognisedPage {
    /// A page that could not be recognised, and why.
    pub fn failed(number: u32, reason: String) -> Self {
        Self { number, lines: Vec::new(), failure: Some(reason) }
    }
}

impl RecognisedLine {
    pub(super) fn new(quad: &Quad, reading: Reading) -> Self {
        let Quad { origin, along, down } = quad;
        let place = [origin[0], origin[1], along[0], along[1], down[0], down[1]];
        let centres = reading.centres.iter().map(|centre| (centre * 1000.0).round() as u16);
        Self { text: reading.text, place, centres: centres.collect() }
    }

    /// The same line where all lengths are `factor` times as long.
    pub(crate) fn scaled(self, factor: f32) -> Self {
        // A tenth of a thousandth of a page is fine enough, and short to write.
        let place = self.place.map(|value| (value * factor * 100.0).round() / 100.0);
        Self { place, ..self }
    }

    fn height(&self) -> f32 {
        self.place[4].hypot(self.place[5])
    }
}

/// The characters of a page with their places.
pub(crate) fn glyphs(lines: &[RecognisedLine]) -> Vec<Glyph> {
    let sizes = sizes(lines);
    let mut glyphs = Vec::new();
    for (line, size) in lines.iter().zip(sizes) {
        let [x, y, ax, ay, dx, dy] = line.place;
        let direction = Direction::of(f64::from(ax), f64::from(ay));
        let length = ax.hypot(ay).max(f32::EPSILON);
        // The letters' own extent would have the lines dance: it is that of the size.
        let half = 0.55 * size / line.height().max(f32::EPSILON);
        let (top, bottom) = (0.5 - half, 0.5 + half);
        // A character reaches half of the way to its neighbours, and not further than its size.
        let reach = 0.55 * size / length;
        let centre = |at: usize| line.centres.get(at).map(|centre| f32::from(*centre) / 1000.0);
        for (at, c) in line.text.chars().enumerate() {
            let Some(middle) = centre(at) else { break };
            let before = at.checked_sub(1).and_then(centre).unwrap_or(0.0);
            let after = centre(at + 1).unwrap_or(1.0);
            let from = middle - reach.min(if at == 0 { middle } else { (middle - before) / 2.0 });
            let last = at + 1 == line.centres.len();
            let to = middle + reach.min((after - middle) / if last { 1.0 } else { 2.0 });
            let corner =
                |along: f32, down: f32| (x + ax * along + dx * down, y + ay * along + dy * down);
            let corners = [(from, top), (to, top), (from, bottom), (to, bottom)]
                .map(|(along, down)| corner(along, down));
            let low = |of: fn(&(f32, f32)) -> f32| corners.iter().map(of).fold(f32::MAX, f32::min);
            let high = |of: fn(&(f32, f32)) -> f32| corners.iter().map(of).fold(f32::MIN, f32::max);
            let rect = [low(|p| p.0), low(|p| p.1), high(|p| p.0), high(|p| p.1)];
            glyphs.push(Glyph { c, rect, size, bold: false, monospace: false, direction });
        }
    }
    glyphs
}

/// The size of type in parts of the rectangle that the network finds around a line.
const EM: f32 = 0.72;

/// The size of each line's type. A line's rectangle is as high as its letters happen to be, with or
/// without ascenders and descenders; lines of nearly one height are of one size, so that only what
/// is clearly larger looks like a heading.
fn sizes(lines: &[RecognisedLine]) -> Vec<f32> {
    /// Heights this near to each other are the same size.
    const NEAR: f32 = 1.4;
    let mut heights: Vec<(f32, usize)> =
        lines.iter().map(|line| (line.height() * EM, line.text.chars().count())).collect();
    heights.sort_by(|a, b| a.0.total_cmp(&b.0));
    // The sizes in use: the most common first, which takes all near to it.
    let mut in_use: Vec<f32> = Vec::new();
    while !heights.is_empty() {
        let total: usize = heights.iter().map(|(_, chars)| chars).sum();
        let mut seen = 0;
        let median = heights.iter().find(|(_, chars)| {
            seen += chars;
            seen * 2 >= total
        });
        let Some((median, _)) = median.copied() else { break };
        in_use.push(median);
        heights.retain(|(height, _)| !near(*height, median, NEAR));
    }
    let size = |line: &RecognisedLine| {
        let height = line.height() * EM;
        in_use.iter().copied().find(|size| near(height, *size, NEAR)).unwrap_or(height)
    };
    lines.iter().map(size).collect()
}

fn near(a: f32, b: f32, factor: f32) -> bool {
    a <= b * factor && b <= a * factor
}
