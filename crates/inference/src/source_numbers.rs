//! Numbers in square brackets that a reply may have: those of its sources, and only after what they are
//! the sources of. A reply that begins with a number goes on with the source's first words, as it stands
//! in the prompt, whatever the question was.
//!
//! A grammar in the way of masks over the vocabulary, made by hand: a general one for mistral.rs
//! keeps 88 MB for a tokenizer of its own.

use std::sync::{Arc, OnceLock};

use candle_core::{Result, Tensor};
use mistralrs::CustomLogitsProcessor;
use tokenizers::Tokenizer;

/// So many tokens back a bracket is looked for that is still open; numbers have fewer digits.
const LOOK_BACK: usize = 4;

/// What stands for a space at the beginning of a token.
const SPACES: [char; 3] = [' ', 'Ġ', '▁'];

/// The tokens of a vocabulary by which a number in brackets can begin or go on.
#[derive(Debug)]
pub(crate) struct NumberTokens {
    /// What begins with digits: the token and its digits.
    going_on: Vec<(u32, String)>,
    /// What holds a bracket and digits after it: the token and what follows the bracket.
    beginning: Vec<(u32, String)>,
    /// What begins with a bracket.
    brackets: Vec<u32>,
}

impl NumberTokens {
    pub(crate) fn of(tokenizer: &Tokenizer) -> Self {
        let mut tokens = Self { going_on: Vec::new(), beginning: Vec::new(), brackets: Vec::new() };
        let size = u32::try_from(tokenizer.get_vocab_size(true)).unwrap_or(u32::MAX);
        for id in 0..size {
            // As it stands in the vocabulary: brackets and digits look the same there.
            let Some(text) = tokenizer.id_to_token(id) else { continue };
            if text.trim_start_matches(SPACES).starts_with('[') {
                tokens.brackets.push(id);
            }
            if text.starts_with(|c: char| c.is_ascii_digit()) {
                tokens.going_on.push((id, text));
            } else if let Some(after) = after_open_bracket(&text)
                && after.starts_with(|c: char| c.is_ascii_digit())
            {
                tokens.beginning.push((id, after.to_owned()));
            }
        }
        tokens
    }
}

/// What stands after the last bracket of `text`, if it is open or was closed by a number.
fn after_open_bracket(text: &str) -> Option<&str> {
    text.rfind('[').map(|at| &text[at + 1..])
}

/// Whether `text`, which stands after an opening bracket, may become one of `1..=last` and a
/// closing bracket, or is no number.
fn is_allowed(text: &str, last: usize) -> bool {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = text.split_at(digits);
    if number.is_empty() {
        return true;
    }
    match number.parse::<usize>() {
        _ if number.starts_with('0') => false,
        Ok(n) if !(1..=last).contains(&n) => false,
        Ok(_) => rest.is_empty() || rest.starts_with(']'),
        Err(_) => false,
    }
}

/// Keeps a reply from numbers in brackets that no source has.
pub(crate) struct SourceNumbers {
    tokens: Arc<NumberTokens>,
    tokenizer: Arc<Tokenizer>,
    /// The sources are numbered from 1 to this.
    last: usize,
    /// How many tokens were there before the reply.
    prompt: OnceLock<usize>,
}

impl SourceNumbers {
    pub(crate) fn new(tokens: Arc<NumberTokens>, tokenizer: Arc<Tokenizer>, last: usize) -> Self {
        Self { tokens, tokenizer, last, prompt: OnceLock::new() }
    }

    /// The tokens that must not come next: `context` is the prompt and what was said.
    fn forbidden(&self, context: &[u32]) -> Vec<u32> {
        let prompt = *self.prompt.get_or_init(|| context.len());
        let said = context.get(prompt..).unwrap_or_default();
        if said.len() < LOOK_BACK
            && self.tokenizer.decode(said, true).is_ok_and(|said| said.trim().is_empty())
        {
            return self.tokens.brackets.clone();
        }
        let recent = &context[context.len().saturating_sub(LOOK_BACK)..];
        let text = self.tokenizer.decode(recent, false).unwrap_or_default();
        let open =
            after_open_bracket(&text).filter(|after| after.chars().all(|c| c.is_ascii_digit()));
        let mut forbidden: Vec<u32> = self
            .tokens
            .beginning
            .iter()
            .filter(|(_, after)| !is_allowed(after, self.last))
            .map(|(id, _)| *id)
            .collect();
        if let Some(open) = open {
            let goes_on = self.tokens.going_on.iter();
            let wrong = |more: &str| !is_allowed(&format!("{open}{more}"), self.last);
            forbidden.extend(goes_on.filter(|(_, more)| wrong(more)).map(|(id, _)| *id));
        }
        forbidden
    }
}

impl CustomLogitsProcessor for SourceNumbers {
    fn apply(&self, logits: &Tensor, context: &[u32]) -> Result<Tensor> {
        let forbidden = self.forbidden(context);
        if forbidden.is_empty() {
            return Ok(logits.clone());
        }
        let mut values: Vec<f32> = logits.to_vec1()?;
        for id in forbidden {
            if let Some(value) = values.get_mut(id as usize) {
                *value = f32::NEG_INFINITY;
            }
        }
        let count = values.len();
        Tensor::from_vec(values, count, logits.device())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use tokenizers::decoders::fuse::Fuse;
    use tokenizers::models::wordlevel::WordLevel;

    use super::*;

    #[test]
    fn only_numbers_of_sources_stand_in_brackets() {
        let cases = [
            ("", true),
            ("1", true),
            ("4]", true),
            ("4] and", true),
            ("5", false),
            ("0", false),
            ("01", false),
            ("12", false),
            ("1,", false),
            ("a]", true),
            (" 7", true),
            ("99999999999999999999", false),
        ];
        for (text, allowed) in cases {
            assert_eq!(is_allowed(text, 4), allowed, "{text:?}");
        }
        assert!(is_allowed("12", 12) && !is_allowed("13", 12));
    }

    #[test]
    fn forbids_by_what_was_said_last() {
        let words = ["euros", "[", "]", "0", "1", "2", "4", "9", " [1", "[7", "[2]", "10"];
        let vocabulary = (0..).zip(words).map(|(id, word)| (word.to_owned(), id)).collect();
        let model = WordLevel::builder().vocab(vocabulary).unk_token("euros".into()).build();
        let mut tokenizer = Tokenizer::new(model.unwrap());
        tokenizer.with_decoder(Some(Fuse::new()));
        let tokenizer = Arc::new(tokenizer);
        let tokens = Arc::new(NumberTokens::of(&tokenizer));
        let numbers = |last| {
            let numbers = SourceNumbers::new(tokens.clone(), tokenizer.clone(), last);
            numbers.prompt.set(0).unwrap();
            numbers
        };
        let id = |word: &str| tokenizer.token_to_id(word).unwrap();
        let cases: &[(usize, &[&str], &[&str])] = &[
            (3, &["euros"], &["[7"]),
            (3, &["euros", "["], &["[7", "0", "4", "9", "10"]),
            (3, &["[", "1"], &["[7", "0", "1", "2", "4", "9", "10"]),
            (3, &["9"], &["[7"]),
            (3, &["[", "1", "]"], &["[7"]),
            (1, &["euros", "["], &["[7", "[2]", "0", "2", "4", "9", "10"]),
            (12, &["["], &["0"]),
            (12, &["[", "1"], &["4", "9", "10"]),
        ];
        for (last, said, expected) in cases {
            let said: Vec<u32> = said.iter().map(|word| id(word)).collect();
            let forbidden: HashSet<u32> = numbers(*last).forbidden(&said).into_iter().collect();
            let expected: HashSet<u32> = expected.iter().map(|word| id(word)).collect();
            assert_eq!(forbidden, expected, "{last} {said:?}");
        }

        let begun = SourceNumbers::new(tokens.clone(), tokenizer.clone(), 3);
        let prompt = [id("["), id("euros")];
        let brackets = ["[", " [1", "[7", "[2]"].map(id);
        assert_eq!(begun.forbidden(&prompt), brackets);
        assert_eq!(begun.forbidden(&[&prompt[..], &[id("1")]].concat()), [id("[7")]);

        let logits = Tensor::new(&[1_f32; 12], &candle_core::Device::Cpu).unwrap();
        let masked: Vec<f32> = numbers(3).apply(&logits, &[id("[")]).unwrap().to_vec1().unwrap();
        assert_eq!((masked[id("4") as usize], masked[id("2") as usize]), (f32::NEG_INFINITY, 1.0));
    }
}
