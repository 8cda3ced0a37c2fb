use serde::{Deserialize, Serialize};

/// A half-open range of characters (Unicode scalar values) in a canonical text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CharRange {
    /// The first character.
    pub start: u32,
    /// One past the last character.
    pub end: u32,
}

impl CharRange {
    /// The range `start..end`.
    pub fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// How many characters it covers.
    pub fn len(self) -> u32 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it covers nothing.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether the two ranges share at least one character.
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// The part of `text` that `range` covers; cut short where the text ends.
pub fn char_slice(text: &str, range: CharRange) -> &str {
    let mut indices = text.char_indices().map(|(byte, _)| byte);
    let start = indices.nth(range.start as usize).unwrap_or(text.len());
    if range.is_empty() {
        return &text[start..start];
    }
    let end = indices.nth(range.len() as usize - 1).unwrap_or(text.len());
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_by_character_not_by_byte() {
        let cases = [
            ("hello", 1, 3, "el"),
            ("合同金额为三万元", 2, 4, "金额"),
            ("a😀b", 1, 2, "😀"),
            ("abc", 2, 99, "c"),
            ("abc", 3, 3, ""),
            ("abc", 9, 12, ""),
            ("", 0, 0, ""),
        ];
        for (text, start, end, expected) in cases {
            assert_eq!(
                char_slice(text, CharRange::new(start, end)),
                expected,
                "{text} {start}..{end}"
            );
        }
    }
}
