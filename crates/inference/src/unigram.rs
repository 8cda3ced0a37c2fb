//! The tokenizer of XLM-R and its descendants, such as multilingual-e5, in a tenth of the memory that
//! the general one takes: a quarter of a million pieces are one string and a hash table.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, SeqAccess, Visitor};
use tokenizers::normalizers::Precompiled;

/// Stands for a space, at the start of a word (SentencePiece).
const SPACE: char = '▁';

/// How much less likely than the rarest piece a character is that no piece holds (SentencePiece's
/// `kUnkPenalty`).
const UNKNOWN_PENALTY: f64 = 10.0;

/// Splits words into the most likely pieces (Kudo, "Subword Regularization", 2018), as
/// SentencePiece does for the model that XLM-R ships.
pub(crate) struct Unigram {
    normalizer: Precompiled,
    pieces: Pieces,
    unknown: u32,
    unknown_score: f64,
    /// Before every text, and behind it.
    marks: (u32, u32),
}

/// What `tokenizer.json` has to say for the text to be split as here.
#[derive(Deserialize)]
struct Shape {
    model: Kind,
    normalizer: Option<Kind>,
    pre_tokenizer: Option<PreTokenizer>,
    post_processor: Option<Template>,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct PreTokenizer {
    #[serde(default)]
    pretokenizers: Vec<PreTokenizerStep>,
}

#[derive(Deserialize)]
struct PreTokenizerStep {
    #[serde(rename = "type")]
    kind: String,
    replacement: Option<char>,
    prepend_scheme: Option<String>,
    split: Option<bool>,
}

#[derive(Deserialize)]
struct Template {
    #[serde(default)]
    single: Vec<TemplatePiece>,
    #[serde(default)]
    pair: Vec<TemplatePiece>,
    #[serde(default)]
    special_tokens: HashMap<String, SpecialToken>,
}

#[derive(Deserialize)]
enum TemplatePiece {
    SpecialToken { id: String },
    Sequence {},
}

#[derive(Deserialize)]
struct SpecialToken {
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Content {
    normalizer: Precompiled,
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    unk_id: u32,
    #[serde(default)]
    byte_fallback: bool,
    vocab: Pieces,
}

impl Unigram {
    /// The tokenizer of a `tokenizer.json`; `None` where that describes another kind, or steps
    /// that are not made here.
    pub(crate) fn from_json(json: &[u8]) -> Option<Self> {
        let marks = marks(&serde_json::from_slice(json).ok()?)?;
        let Content { normalizer, model } = serde_json::from_slice(json).ok()?;
        let Model { unk_id, byte_fallback, vocab } = model;
        if byte_fallback || unk_id as usize >= vocab.scores.len() {
            return None;
        }
        let lowest = vocab.scores.iter().copied().fold(f32::INFINITY, f32::min);
        Some(Self {
            normalizer,
            unknown: unk_id,
            unknown_score: f64::from(lowest) - UNKNOWN_PENALTY,
            pieces: vocab,
            marks,
        })
    }

    /// How many pieces there are.
    pub(crate) fn len(&self) -> usize {
        self.pieces.scores.len()
    }

    /// How many marks stand around a text.
    pub(crate) const MARKS: usize = 2;

    /// The ids of at most `most` tokens of `text`, its marks among them.
    pub(crate) fn encode(&self, text: &str, most: usize) -> Vec<u32> {
        let (before, behind) = self.marks;
        let mut tokens = vec![before];
        let normal = self.normalizer.normalize_string(text);
        let mut word = String::new();
        for part in normal.split_whitespace() {
            if tokens.len() + 1 >= most {
                break;
            }
            word.clear();
            if !part.starts_with(SPACE) {
                word.push(SPACE);
            }
            word.push_str(part);
            // A space that was written as such begins a word too.
            let mut rest = word.as_str();
            while !rest.is_empty() {
                let end = rest.char_indices().skip(1).find(|&(_, c)| c == SPACE);
                let (piece, later) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
                self.split(piece, &mut tokens);
                rest = later;
            }
        }
        tokens.truncate(most.saturating_sub(1));
        tokens.push(behind);
        tokens
    }

    /// The ids of `first`, which is encoded already, and of `text`, with two marks between them as
    /// XLM-R has it; at most `most` where `first` leaves room.
    pub(crate) fn encode_behind(&self, first: &[u32], text: &str, most: usize) -> Vec<u32> {
        let mut second = self.encode(text, most.saturating_sub(first.len()));
        if let Some(mark) = second.first_mut() {
            *mark = self.marks.1;
        }
        [first, &second].concat()
    }

    /// Appends the pieces of the most likely way to split `word` (Viterbi).
    fn split(&self, word: &str, tokens: &mut Vec<u32>) {
        #[derive(Clone, Copy)]
        struct Way {
            score: f64,
            start: usize,
            piece: u32,
        }
        let mut best: Vec<Option<Way>> = vec![None; word.len() + 1];
        for (start, c) in word.char_indices() {
            let so_far = best[start].map_or(0.0, |way| way.score);
            let mut reach = |end: usize, score: f64, piece: u32| {
                let way = Way { score: so_far + score, start, piece };
                if best[end].is_none_or(|other| way.score > other.score) {
                    best[end] = Some(way);
                }
            };
            let alone = c.len_utf8();
            let mut known = false;
            self.pieces.prefixes(&word[start..], |length, piece| {
                known |= length == alone;
                reach(start + length, f64::from(self.pieces.scores[piece as usize]), piece);
            });
            if !known {
                reach(start + alone, self.unknown_score, self.unknown);
            }
        }
        let first = tokens.len();
        let mut end = word.len();
        while let Some(way) = best[end].filter(|_| end > 0) {
            // Unknown characters in a row are one token.
            let again = tokens.len() > first && tokens.last() == Some(&self.unknown);
            if way.piece != self.unknown || !again {
                tokens.push(way.piece);
            }
            end = way.start;
        }
        tokens[first..].reverse();
    }
}

/// The ids that stand around a text, if all else is as it is done here.
fn marks(shape: &Shape) -> Option<(u32, u32)> {
    let is = |kind: &Option<Kind>, name| {
        kind.as_ref().is_some_and(|kind| kind.kind.as_deref() == Some(name))
    };
    let [whitespace, metaspace] = shape.pre_tokenizer.as_ref()?.pretokenizers.as_slice() else {
        return None;
    };
    let as_here = shape.model.kind.as_deref() == Some("Unigram")
        && is(&shape.normalizer, "Precompiled")
        && whitespace.kind == "WhitespaceSplit"
        && metaspace.kind == "Metaspace"
        && metaspace.replacement == Some(SPACE)
        && metaspace.prepend_scheme.as_deref() == Some("always")
        && metaspace.split != Some(false);
    let template = shape.post_processor.as_ref()?;
    let [
        TemplatePiece::SpecialToken { id: before },
        TemplatePiece::Sequence {},
        TemplatePiece::SpecialToken { id: behind },
    ] = template.single.as_slice()
    else {
        return None;
    };
    let joined = match template.pair.as_slice() {
        [] => true,
        [
            TemplatePiece::SpecialToken { id: first },
            TemplatePiece::Sequence {},
            TemplatePiece::SpecialToken { id: second },
            TemplatePiece::SpecialToken { id: third },
            TemplatePiece::Sequence {},
            TemplatePiece::SpecialToken { id: last },
        ] => first == before && [second, third, last] == [behind; 3],
        _ => false,
    };
    let id = |name| match template.special_tokens.get(name)?.ids.as_slice() {
        &[id] => Some(id),
        _ => None,
    };
    (as_here && joined).then_some((id(before)?, id(behind)?))
}

/// The pieces with the logarithms of their probabilities, found by a hash of their bytes.
struct Pieces {
    /// All pieces, one behind the other.
    text: String,
    /// Where each piece ends in `text`.
    ends: Vec<u32>,
    scores: Vec<f32>,
    /// Piece `n` as `n + 1`, at its hash or in the next free place behind it; 0 where there is none.
    /// A power of two, at most half of it taken.
    table: Vec<u32>,
    /// The longest piece, in bytes.
    longest: usize,
}

impl Pieces {
    fn new(text: String, ends: Vec<u32>, scores: Vec<f32>) -> Self {
        let table = vec![0; (ends.len() * 2).next_power_of_two()];
        let mut pieces = Self { text, ends, scores, table, longest: 0 };
        for id in 0..pieces.ends.len() {
            let piece = pieces.piece(id);
            let slot = pieces.slot(piece, piece.iter().copied().fold(HASH_OF_NOTHING, hashed));
            let length = piece.len();
            // Marks, which have no probability, are not for texts.
            if pieces.scores[id] < 0.0 {
                pieces.longest = pieces.longest.max(length);
                pieces.table[slot] = id as u32 + 1;
            }
        }
        pieces
    }

    fn piece(&self, id: usize) -> &[u8] {
        let start = if id == 0 { 0 } else { self.ends[id - 1] as usize };
        &self.text.as_bytes()[start..self.ends[id] as usize]
    }

    /// Where `piece` is in the table, or would be.
    fn slot(&self, piece: &[u8], hash: u64) -> usize {
        let mask = self.table.len() - 1;
        // The upper half of the product is the better mixed one.
        let mut slot = (hash >> 32) as usize & mask;
        while self.table[slot] != 0 && self.piece(self.table[slot] as usize - 1) != piece {
            slot = (slot + 1) & mask;
        }
        slot
    }

    /// Calls `found` with the length in bytes and the id of every piece that `text` begins with,
    /// shortest first.
    fn prefixes(&self, text: &str, mut found: impl FnMut(usize, u32)) {
        let bytes = &text.as_bytes()[..text.len().min(self.longest)];
        let mut hash = HASH_OF_NOTHING;
        for (at, &byte) in bytes.iter().enumerate() {
            hash = hashed(hash, byte);
            let length = at + 1;
            if !text.is_char_boundary(length) {
                continue;
            }
            if let id @ 1.. = self.table[self.slot(&bytes[..length], hash)] {
                found(length, id - 1);
            }
        }
    }
}

const HASH_OF_NOTHING: u64 = 0xcbf2_9ce4_8422_2325;

/// One step of FNV-1a.
fn hashed(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
}

impl<'de> Deserialize<'de> for Pieces {
    /// From a list of pairs, which are never kept as such.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Pieces;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of pieces with their scores")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Pieces, A::Error> {
                let (mut text, mut ends, mut scores) = (String::new(), Vec::new(), Vec::new());
                while let Some(Piece(piece, score)) = list.next_element()? {
                    text.push_str(&piece);
                    let end = u32::try_from(text.len()).map_err(de::Error::custom)?;
                    ends.push(end);
                    scores.push(score);
                }
                Ok(Pieces::new(text, ends, scores))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Pieces, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Err(de::Error::custom("a map is of another kind"))
            }
        }
        deserializer.deserialize_any(List)
    }
}

#[derive(Deserialize)]
struct Piece<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>, f32);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokenizers::Tokenizer;

    use super::*;

    fn json() -> Vec<u8> {
        std::fs::read(crate::models::path("multilingual-e5-small").join("tokenizer.json")).unwrap()
    }

    #[test]
    fn splits_as_the_general_tokenizer_does() {
        let json = json();
        let unigram = Unigram::from_json(&json).unwrap();
        let general = Tokenizer::from_bytes(&json).unwrap();
        assert_eq!(unigram.len(), general.get_vocab_size(true));
        let long = "The tenant pays 1,250.00 € on the first day of each month. ".repeat(40);
        let texts = [
            "",
            " ",
            "query: How much is the rent?",
            "passage: Donaudampfschifffahrtsgesellschaft, Kündigungsfrist & Größe",
            "合同金额为三万元，乙方应当在收到货物后三十日内支付全部款项。",
            "このライセンスは、ソフトウェアの使用を許可します。",
            "임대료는 매월 1일에 지불합니다.",
            "يدفع المستأجر الإيجار في اليوم الأول من كل شهر.",
            "हर महीने के पहले दिन किराया देना होता है।",
            "ค่าเช่าจ่ายทุกวันที่หนึ่งของเดือน",
            "Арендатор платит в первый день каждого месяца.",
            "ﬁne ＩＳＯ ９００１ ™ ½ x² e\u{301}té Å ①",
            "tabs\tand\nlines\u{a0}and\u{3000}wide\u{200b}spaces",
            "a▁b ▁c ▁▁d _",
            "😀👩‍👩‍👧 \u{1F9FF}\u{10FFFF}\u{e000}\u{e001} x\u{e000}y",
            "https://example.org/a_b?c=d&e=%20f#g",
            "\u{0}\u{1}\u{ad}\u{feff}",
            &long,
        ];
        for text in texts {
            let expected = general.encode_fast(text, true).unwrap();
            assert_eq!(unigram.encode(text, usize::MAX), expected.get_ids(), "{text:?}");
        }
    }

    #[test]
    fn a_text_is_cut_at_the_limit_with_its_marks() {
        let unigram = Unigram::from_json(&json()).unwrap();
        let text = "rent ".repeat(100);
        let whole = unigram.encode(&text, usize::MAX);
        assert_eq!(unigram.encode(&text, 10), [&whole[..9], &whole[whole.len() - 1..]].concat());
        // A word of many tokens may be the one that does not fit.
        let word = "违约金".repeat(100);
        assert_eq!(unigram.encode(&word, 10).len(), 10);
    }

    #[test]
    fn marks_in_a_text_are_text() {
        let unigram = Unigram::from_json(&json()).unwrap();
        let marks = unigram.encode("", usize::MAX);
        let tokens = unigram.encode("a </s> b <s>", usize::MAX);
        let inside = &tokens[1..tokens.len() - 1];
        assert!(marks.iter().all(|mark| !inside.contains(mark)), "{tokens:?}");
    }

    #[test]
    fn other_tokenizers_are_left_to_the_general_one() {
        let other = std::fs::read(crate::models::path("all-minilm-l6-v2").join("tokenizer.json"));
        assert!(Unigram::from_json(&other.unwrap()).is_none());
        assert!(Unigram::from_json(b"{}").is_none());
        assert!(Unigram::from_json(b"no json").is_none());
    }
}
