//! Gathers the glyphs of a page, whichever engine found them.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization as _;

use super::{Direction, Glyph};

/// Gathers the glyphs of one page: those that are seen, each once, as plain characters.
pub(super) struct GlyphCollector {
    pub(super) glyphs: Vec<Glyph>,
    width: f32,
    height: f32,
    /// Characters with their places in twentieths of their size: the same one again at the same
    /// place is an imitation of bold type or a shadow.
    seen: HashSet<(char, i32, i32)>,
}

impl GlyphCollector {
    /// For a page of this size in points, as it is shown.
    pub(super) fn new(width: f32, height: f32) -> Self {
        Self { glyphs: Vec::new(), width, height, seen: HashSet::new() }
    }

    /// Adds what one glyph stands for, which may be several characters (a ligature); they share
    /// its rectangle side by side. `origin` is the glyph's own.
    pub(super) fn push(&mut self, text: &str, origin: (f32, f32), glyph: &Glyph) {
        let [x0, y0, x1, y1] = glyph.rect;
        if !glyph.rect.iter().all(|value| value.is_finite()) || glyph.size <= 0.1 {
            return;
        }
        let centre = ((x0 + x1) / 2.0, (y0 + y1) / 2.0);
        if !(0.0..=self.width).contains(&centre.0) || !(0.0..=self.height).contains(&centre.1) {
            return;
        }
        let text = plain_characters(text);
        let Some(first) = text.chars().next() else { return };
        if first != ' ' && self.is_repeated(first, origin, glyph.size) {
            return;
        }
        let count = text.chars().count() as f32;
        for (index, c) in text.chars().enumerate() {
            let index = if is_rtl(c) { count - 1.0 - index as f32 } else { index as f32 };
            let (from, to) = (index / count, (index + 1.0) / count);
            let rect = match glyph.direction {
                Direction::Right | Direction::Left => {
                    [x0 + (x1 - x0) * from, y0, x0 + (x1 - x0) * to, y1]
                }
                Direction::Down | Direction::Up => {
                    [x0, y0 + (y1 - y0) * from, x1, y0 + (y1 - y0) * to]
                }
            };
            self.glyphs.push(Glyph { c, rect, ..*glyph });
        }
    }

    fn is_repeated(&mut self, c: char, (x, y): (f32, f32), size: f32) -> bool {
        let cell = |value: f32| (value / (size * 0.05).max(0.01)).round() as i32;
        let (x, y) = (cell(x), cell(y));
        let near = (-1..=1).any(|dx| {
            (-1..=1).any(|dy| self.seen.contains(&(c, x.wrapping_add(dx), y.wrapping_add(dy))))
        });
        if !near {
            self.seen.insert((c, x, y));
        }
        near
    }
}

/// Whether a font's name says that it is bold, and whether it says that all its characters have
/// the same width.
pub(super) fn style_of_name(name: &str) -> (bool, bool) {
    let name = name.to_lowercase();
    let named = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    (named(&["bold", "black", "heavy", "demi"]), named(&["mono", "courier", "consolas"]))
}

pub(super) fn is_rtl(c: char) -> bool {
    matches!(c, '\u{0590}'..='\u{08FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFE}')
}

/// Replaces what fonts have and texts do not: ligatures, presentation forms and radicals
/// become the characters they stand for, and bullets of symbol fonts become bullets.
fn plain_characters(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
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
            '\t' | '\n' | '\r' | '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' => out.push(' '),
            // No text has these: a font that is not understood has.
            '\u{FFFF}' | '\0'..='\u{1F}' | '\u{7F}'..='\u{9F}' => out.push('\u{FFFD}'),
            _ => out.push(c),
        }
    }
    out
}
