//! Texts and pairs of texts as the tokens that the encoders are given.

use tokenizers::{Encoding, Tokenizer, TruncationDirection, TruncationParams};

use crate::encoder::Pair;
use crate::unigram::Unigram;

/// Tokens that go through an encoder at once: so many that weights are read seldom, so
/// few that what lies between two layers stays in the cache.
const BATCH_TOKENS: usize = 512;

/// What splits texts into tokens.
pub(crate) enum Tokens {
    /// For XLM-R's pieces, which are many.
    Unigram(Unigram),
    /// For all others. It cuts texts at the limit itself.
    General(Box<Tokenizer>),
}

impl Tokens {
    pub(crate) fn from_json(json: &[u8], max_tokens: usize) -> Result<Self, tokenizers::Error> {
        if let Some(unigram) = Unigram::from_json(json) {
            return Ok(Self::Unigram(unigram));
        }
        let mut general = Tokenizer::from_bytes(json)?;
        let truncation = TruncationParams { max_length: max_tokens, ..TruncationParams::default() };
        general.with_padding(None).with_truncation(Some(truncation))?;
        Ok(Self::General(Box::new(general)))
    }

    /// As [`Self::from_json`] for [`Self::pairs`]. What looks like a mark in a text is text: it could
    /// end the query or the passage.
    pub(crate) fn of_pairs(json: &[u8]) -> Result<Self, tokenizers::Error> {
        if let Some(unigram) = Unigram::from_json(json) {
            return Ok(Self::Unigram(unigram));
        }
        let mut general = Tokenizer::from_bytes(json)?;
        general.with_padding(None).with_truncation(None)?;
        general.set_encode_special_tokens(true);
        Ok(Self::General(Box::new(general)))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Unigram(unigram) => unigram.len(),
            Self::General(general) => general.get_vocab_size(true),
        }
    }

    /// How many tokens `text` is, without marks; not more than `most` are counted.
    pub(crate) fn count(&self, text: &str, most: usize) -> Result<usize, tokenizers::Error> {
        match self {
            Self::Unigram(unigram) => {
                let marks = Unigram::MARKS;
                Ok(unigram.encode(text, most.saturating_add(marks)).len() - marks)
            }
            Self::General(general) => Ok(general.encode_fast(text, false)?.len().min(most)),
        }
    }

    /// How many marks stand around a text.
    pub(crate) fn marks(&self) -> Result<usize, tokenizers::Error> {
        match self {
            Self::Unigram(_) => Ok(Unigram::MARKS),
            Self::General(general) => Ok(general.encode_fast("", true)?.len()),
        }
    }

    /// The ids of each text's tokens, at most `max_tokens`, marks included.
    pub(crate) fn encode(
        &self,
        texts: Vec<String>,
        max_tokens: usize,
    ) -> Result<Vec<Vec<u32>>, tokenizers::Error> {
        match self {
            Self::Unigram(unigram) => {
                Ok(texts.iter().map(|text| unigram.encode(text, max_tokens)).collect())
            }
            Self::General(general) => {
                let encodings = general.encode_batch_fast(texts, true)?;
                Ok(encodings.iter().map(|encoding| encoding.get_ids().to_vec()).collect())
            }
        }
    }

    /// How many marks a pair has.
    pub(crate) fn pair_marks(&self) -> Result<usize, tokenizers::Error> {
        match self {
            Self::Unigram(_) => Ok(2 * Unigram::MARKS),
            Self::General(general) => {
                let nothing = Encoding::default;
                Ok(general.post_process(nothing(), Some(nothing()), true)?.len())
            }
        }
    }

    /// The query with each passage, as the model's tokenizer joins two texts, at most `max_tokens`
    /// tokens, marks included. Where they are more, the end of the passage is left out, and of a query
    /// that takes more than half of the room its end first.
    pub(crate) fn pairs(
        &self,
        query: &str,
        passages: Vec<String>,
        max_tokens: usize,
    ) -> Result<Vec<Pair>, tokenizers::Error> {
        let room = max_tokens.saturating_sub(self.pair_marks()?);
        match self {
            Self::Unigram(unigram) => {
                let query = unigram.encode(query, room / 2 + Unigram::MARKS);
                let pairs = passages.iter().map(|passage| {
                    let ids = unigram.encode_behind(&query, passage, max_tokens);
                    Pair { of_first: ids.len(), ids }
                });
                Ok(pairs.collect())
            }
            Self::General(general) => {
                let cut = |mut text: Encoding, most: usize| {
                    text.truncate(most, 0, TruncationDirection::Right);
                    text.take_overflowing();
                    text
                };
                let query = cut(general.encode_fast(query, false)?, room / 2);
                let left = room - query.len();
                let passages = general.encode_batch_fast(passages, false)?;
                let pairs = passages.into_iter().map(|passage| {
                    let mut passage = cut(passage, left);
                    // Some post-processors take the segment from here, and others set it themselves.
                    passage.set_type_ids(vec![1; passage.len()]);
                    let pair = general.post_process(query.clone(), Some(passage), true)?;
                    let second = pair.get_type_ids().iter().position(|segment| *segment == 1);
                    let ids = pair.get_ids().to_vec();
                    Ok(Pair { of_first: second.unwrap_or(ids.len()), ids })
                });
                pairs.collect()
            }
        }
    }
}

/// The texts in groups that an encoder takes at once, in order.
pub(crate) fn batches<T: AsRef<[u32]>>(mut rest: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut tokens = 0;
        let fitting = rest.iter().take_while(|text| {
            tokens += text.as_ref().len();
            tokens <= BATCH_TOKENS
        });
        let (batch, later) = rest.split_at(fitting.count().max(1));
        rest = later;
        Some(batch)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The tokenizers of both kinds, and what a pair of each has between its texts.
    fn cases() -> [(Vec<u8>, Tokens); 2] {
        ["all-minilm-l6-v2", "multilingual-e5-small"].map(|model| {
            let json = std::fs::read(crate::models::path(model).join("tokenizer.json")).unwrap();
            let tokens = Tokens::of_pairs(&json).unwrap();
            (json, tokens)
        })
    }

    fn pair(tokens: &Tokens, query: &str, passage: &str, most: usize) -> Pair {
        tokens.pairs(query, vec![passage.to_owned()], most).unwrap().remove(0)
    }

    #[test]
    fn a_pair_is_joined_as_the_general_tokenizer_does() {
        let texts = [
            ("Who pays the rent?", "The tenant pays it on the first of each month."),
            ("", "Nothing was asked."),
            ("Nothing was found.", ""),
            ("谁支付租金？", "承租人应在每月一日支付租金。"),
            ("", ""),
        ];
        for (json, tokens) in cases() {
            let mut general = Tokenizer::from_bytes(&json).unwrap();
            general.with_padding(None).with_truncation(None).unwrap();
            for (query, passage) in texts {
                let expected = general.encode_fast((query, passage), true).unwrap();
                let Pair { ids, of_first } = pair(&tokens, query, passage, 512);
                assert_eq!(ids, expected.get_ids(), "{query} {passage}");
                let segments: Vec<u32> =
                    (0..ids.len()).map(|at| u32::from(at >= of_first)).collect();
                assert_eq!(segments, expected.get_type_ids(), "{query} {passage}");
            }
        }
    }

    #[test]
    fn the_end_of_the_passage_is_left_out_and_never_all_of_either() {
        let (short, long) = ("rent ".repeat(4), "rent ".repeat(500));
        for (_, tokens) in cases() {
            let marks = tokens.pair_marks().unwrap();
            let [one, rent] = [short.as_str(), "rent"].map(|text| tokens.count(text, 99).unwrap());
            assert_eq!((one, rent), (4, 1));
            // The tokens of query and passage; what one does not need the other may have, but the
            // query never more than half.
            for (query, passage, expected) in [
                (&short, &short, (4, 4)),
                (&short, &long, (4, 16)),
                (&long, &short, (10, 4)),
                (&long, &long, (10, 10)),
            ] {
                let Pair { ids, .. } = pair(&tokens, query, passage, 20 + marks);
                assert_eq!(ids.len(), expected.0 + expected.1 + marks);
                let whole =
                    pair(&tokens, &"rent ".repeat(expected.0), &"rent ".repeat(expected.1), 512);
                assert_eq!(ids, whole.ids);
            }
            // The end is what is missing.
            let ends = format!("{short}whale");
            assert_eq!(
                pair(&tokens, &short, &ends, 8 + marks).ids,
                pair(&tokens, &short, &short, 8 + marks).ids
            );
        }
    }

    #[test]
    fn marks_in_a_text_are_text() {
        for (_, tokens) in cases() {
            let marks = pair(&tokens, "", "", 512).ids;
            let ids = pair(&tokens, "a [SEP] b </s>", "c [CLS] d <s> [SEP] </s>", 512).ids;
            let found = ids.iter().filter(|id| marks.contains(id)).count();
            assert_eq!(found, marks.len(), "{ids:?}");
        }
    }

    #[test]
    fn batches_hold_all_texts_in_order_and_are_full() {
        let text = |tokens: usize| vec![0; tokens];
        for (lengths, expected) in [
            (vec![], vec![]),
            (vec![600], vec![1]),
            (vec![600, 1], vec![1, 1]),
            (vec![256, 256, 1], vec![2, 1]),
            (vec![0, 512, 0, 1], vec![3, 1]),
        ] {
            let texts: Vec<Vec<u32>> = lengths.iter().copied().map(text).collect();
            let found: Vec<&[Vec<u32>]> = batches(&texts).collect();
            assert_eq!(found.iter().map(|batch| batch.len()).collect::<Vec<_>>(), expected);
            assert_eq!(found.concat(), texts);
        }
    }
}
