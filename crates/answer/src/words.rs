//! Words as a search compares them where it has no analysis of the text's language: by their
//! beginnings, numbers in full, and pairs of characters where words have no spaces between them.

use lectern_domain::is_cjk;

/// Words that begin alike are taken for the same.
const STEM_CHARACTERS: usize = 6;

#[derive(Debug, PartialEq, Clone, Copy)]
enum Kind {
    Letter,
    Digit,
    Unspaced,
    Other,
}

impl Kind {
    fn of(c: char) -> Self {
        match c {
            c if !c.is_alphanumeric() => Self::Other,
            c if is_unspaced(c) => Self::Unspaced,
            c if c.is_numeric() => Self::Digit,
            _ => Self::Letter,
        }
    }
}

/// The words of a text in lower case, in order.
pub(crate) fn words(lower: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = lower;
    while let Some(first) = rest.chars().next() {
        let kind = Kind::of(first);
        let end = rest.find(|c| Kind::of(c) != kind).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        let starts = || run.char_indices().map(|(at, _)| at).chain([run.len()]);
        match kind {
            Kind::Letter => {
                words.extend(starts().take(STEM_CHARACTERS + 1).last().map(|end| &run[..end]))
            }
            Kind::Digit => words.push(run),
            Kind::Unspaced => {
                let starts: Vec<usize> = starts().collect();
                // A character alone has no pair.
                let pair = 3.min(starts.len());
                words.extend(starts.windows(pair).map(|at| &run[at[0]..at[pair - 1]]));
            }
            Kind::Other => {}
        }
        rest = after;
    }
    words
}

/// Whether it is of a script without spaces between words, as in East and South-East Asia, or with particles that
/// stick to them, as in Korea.
pub(crate) fn is_unspaced(c: char) -> bool {
    let others = matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{17ff}' | '\u{ac00}'..='\u{d7af}');
    c.is_alphanumeric() && (others || is_cjk(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_alike_and_characters_come_in_pairs() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("?! …", &[]),
            ("the panthers' points", &["the", "panthe", "points"]),
            ("tl-40 of 2023", &["tl", "40", "of", "2023"]),
            ("größenordnung", &["größen"]),
            ("黑豹队丢了308分", &["黑豹", "豹队", "队丢", "丢了", "308", "分"]),
            ("iso标准9001", &["iso", "标准", "9001"]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text), *expected, "{text}");
        }
    }
}
