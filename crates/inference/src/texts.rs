//! What an embedder's texts become before it sees them.

use std::path::PathBuf;

use lectern_domain::{ModelError, TokenCounter};

use crate::files::{Files, failed};
use crate::tokens::Tokens;

/// What an embedder is called in messages.
pub(crate) const KIND: &str = "embedding model";

/// Which embedder to load, and how it wants its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedderOptions {
    /// The embedder's identity, as [`lectern_domain::Embedder::id`] gives it.
    pub id: String,
    /// Where its files are.
    pub directory: PathBuf,
    /// What it was trained to see before a question.
    pub query_prefix: String,
    /// What it was trained to see before a text that is searched.
    pub passage_prefix: String,
    /// Whether the first token's vector stands for the text, and not the mean of all.
    pub first_token: bool,
    /// The longest text it was trained on, in tokens, prefix and marks included;
    /// later tokens do not count.
    pub max_tokens: usize,
}

/// Turns texts into tokens as an embedder wants them.
pub(crate) struct Texts {
    pub(crate) options: EmbedderOptions,
    tokens: Tokens,
    /// What is taken of a text, prefix and marks included.
    pub(crate) max_tokens: usize,
    /// What is left of them for a passage, behind its prefix and between the marks.
    text_tokens: usize,
}

impl Texts {
    /// Loads the tokenizer of a model that has vectors for `vocab_size` tokens and takes `max_tokens`
    /// at once.
    pub(crate) fn load(
        options: EmbedderOptions,
        vocab_size: usize,
        max_tokens: usize,
    ) -> Result<Self, ModelError> {
        let files = Files { directory: &options.directory, kind: KIND };
        let max_tokens = options.max_tokens.min(max_tokens);
        let tokens = files.tokens(vocab_size, |json| Tokens::from_json(json, max_tokens))?;
        let around = tokens
            .count(&options.passage_prefix, max_tokens)
            .and_then(|prefix| Ok(prefix + tokens.marks()?))
            .map_err(|error| files.invalid("tokenizer.json", error))?;
        let text_tokens = max_tokens.saturating_sub(around).max(1);
        Ok(Self { options, tokens, max_tokens, text_tokens })
    }

    /// The tokens of each text behind `prefix`, in order, cut where they are too many.
    pub(crate) fn tokens(&self, prefix: &str, texts: &[&str]) -> Result<Vec<Vec<u32>>, ModelError> {
        let texts = texts.iter().map(|text| format!("{prefix}{text}")).collect();
        self.tokens.encode(texts, self.max_tokens).map_err(|error| failed(KIND, error))
    }
}

impl TokenCounter for Texts {
    /// One more than the limit stands for all that is more.
    fn count_tokens(&self, text: &str) -> usize {
        // A text that cannot be split has no tokens, and no vector of its own either.
        self.tokens.count(text, self.text_tokens + 1).unwrap_or(0)
    }

    fn limit(&self) -> usize {
        self.text_tokens
    }
}
