use serde::{Deserialize, Serialize};

/// The language of a question, as far as its script tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Han characters and no kana.
    Chinese,
    /// Kana.
    Japanese,
    /// Hangul.
    Korean,
    /// Any other script; it is spoken to in English.
    Other,
}

/// The language of `text`, by script alone. A Latin sentence that quotes a few
/// Chinese characters, or a Chinese one with a Latin name, is what most of it is:
/// one character of an East Asian script counts as much as one word of another.
pub fn detect_language(text: &str) -> Language {
    let (mut han, mut kana, mut hangul, mut words) = (0, 0, 0, 0);
    let mut in_word = false;
    for c in text.chars() {
        let mut letter = false;
        match c {
            '\u{3041}'..='\u{30FF}' => kana += 1,
            '\u{1100}'..='\u{11FF}' | '\u{3130}'..='\u{318F}' | '\u{AC00}'..='\u{D7AF}' => {
                hangul += 1
            }
            '\u{3400}'..='\u{4DBF}'
            | '\u{4E00}'..='\u{9FFF}'
            | '\u{F900}'..='\u{FAFF}'
            | '\u{20000}'..='\u{3FFFF}' => {
                han += 1;
            }
            _ => letter = c.is_alphabetic(),
        }
        words += usize::from(letter && !in_word);
        in_word = letter;
    }
    if han + kana + hangul < words.max(1) {
        Language::Other
    } else if kana > 0 {
        Language::Japanese
    } else if hangul > han {
        Language::Korean
    } else {
        Language::Chinese
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_languages_by_script() {
        let cases = [
            ("What is it?", Language::Other),
            ("Wie hoch ist die Miete?", Language::Other),
            ("", Language::Other),
            ("42?", Language::Other),
            ("合同金额是多少？", Language::Chinese),
            ("BERT和GPT有什么区别", Language::Chinese),
            ("What does the word 合同 mean here?", Language::Other),
            ("契約の金額はいくらですか", Language::Japanese),
            ("계약 금액은 얼마입니까?", Language::Korean),
        ];
        for (text, expected) in cases {
            assert_eq!(detect_language(text), expected, "{text}");
        }
    }
}
