use lectern_domain::{Embedder, ModelError, TokenCounter};

use crate::encoder::{Encoder, EncoderError};
use crate::files::{Files, failed};
use crate::texts::{EmbedderOptions, KIND, Texts};
use crate::tokens::batches;

/// A sentence embedder of the BERT family, such as all-MiniLM-L6-v2: the mean of
/// the last layer's vectors over the text's tokens, or the first of them, L2-normalised (Reimers
/// and Gurevych, "Sentence-BERT", 2019). It runs on the CPU, with products in 8 bits.
pub struct BertEmbedder {
    texts: Texts,
    dimensions: usize,
    encoder: Encoder,
}

impl BertEmbedder {
    /// Loads `model.safetensors`, `tokenizer.json` and `config.json`. Blocks for up to
    /// a second.
    ///
    /// # Errors
    ///
    /// [`lectern_domain::ErrorCode::ModelMissing`] where a file is not there,
    /// [`lectern_domain::ErrorCode::ModelInvalid`] where one is damaged or does not fit the others.
    pub fn load(options: EmbedderOptions) -> Result<Self, ModelError> {
        let directory = options.directory.clone();
        let files = Files { directory: &directory, kind: KIND };
        let config = files.config()?;
        let texts = Texts::load(options, config.vocab_size, config.max_tokens())?;
        let dimensions = config.hidden_size;
        let weights = "model.safetensors";
        let encoder = Encoder::load(config, &files.read(weights)?)
            .map_err(|error| files.invalid(weights, error))?;
        Ok(Self { texts, dimensions, encoder })
    }

    /// One vector per text, in order.
    fn embed(&self, prefix: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        let texts = self.texts.tokens(prefix, texts)?;
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in batches(&texts) {
            vectors.extend(self.forward(batch).map_err(|error| failed(KIND, error))?);
        }
        Ok(vectors)
    }

    fn forward(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>, EncoderError> {
        let hidden = self.encoder.forward(texts)?;
        let mut tokens = hidden.chunks_exact(self.dimensions);
        let vectors = texts.iter().map(|text| {
            let mut sum = vec![0.0_f32; self.dimensions];
            let mut of_text = tokens.by_ref().take(text.len());
            let count = if self.texts.options.first_token { 1 } else { text.len() };
            for token in of_text.by_ref().take(count) {
                sum.iter_mut().zip(token).for_each(|(sum, value)| *sum += value);
            }
            of_text.for_each(drop);
            // The mean and the sum have the same direction.
            let norm = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
            if !norm.is_finite() {
                return Err(EncoderError::Result);
            }
            if norm > 0.0 {
                sum.iter_mut().for_each(|value| *value /= norm);
            }
            Ok(sum)
        });
        vectors.collect()
    }
}

impl Embedder for BertEmbedder {
    fn id(&self) -> &str {
        &self.texts.options.id
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn embed_passages(&self, passages: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        self.embed(&self.texts.options.passage_prefix, passages)
    }

    fn embed_query(&self, query: &str) -> Result<Vec<f32>, ModelError> {
        self.embed(&self.texts.options.query_prefix, &[query])?
            .pop()
            .ok_or_else(|| failed(KIND, "it gave no vector"))
    }

    fn token_counter(&self) -> Option<&dyn TokenCounter> {
        Some(&self.texts)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::path::{Path, PathBuf};
    use std::sync::LazyLock;

    use lectern_domain::ErrorCode;

    use super::*;

    const MAX_TOKENS: usize = 256;

    fn options(directory: PathBuf) -> EmbedderOptions {
        EmbedderOptions {
            id: "x".into(),
            directory,
            query_prefix: String::new(),
            passage_prefix: String::new(),
            first_token: false,
            max_tokens: MAX_TOKENS,
        }
    }

    static MINILM: LazyLock<BertEmbedder> = LazyLock::new(|| {
        BertEmbedder::load(options(crate::models::path("all-minilm-l6-v2"))).unwrap()
    });

    /// The vectors of another program for the same weights; see the folder's README.
    #[test]
    fn the_multilingual_embedder_agrees_with_another_program() {
        let embedder = BertEmbedder::load(EmbedderOptions {
            query_prefix: "query: ".into(),
            passage_prefix: "passage: ".into(),
            max_tokens: 512,
            ..options(crate::models::path("multilingual-e5-small"))
        })
        .unwrap();
        let lines = include_str!("../tests/data/multilingual-e5-small.jsonl");
        for line in lines.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = line["text"].as_str().unwrap();
            let vector = match line["kind"].as_str().unwrap() {
                "query" => embedder.embed_query(text).unwrap(),
                _ => embedder.embed_passages(&[text]).unwrap().remove(0),
            };
            let values = line["vector"].as_array().unwrap();
            let expected: Vec<f32> =
                values.iter().map(|value| value.as_f64().unwrap() as f32 / 2000.0).collect();
            let cosine = cosine(&vector, &expected) / cosine(&expected, &expected).sqrt();
            assert!(cosine >= 0.999, "{text}: {cosine}");
        }
    }

    fn cosine(one: &[f32], other: &[f32]) -> f32 {
        one.iter().zip(other).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn near_sentences_are_nearer_than_far_ones() {
        let cases = [
            (
                "How much is the rent?",
                "The tenant pays 900 euros each month.",
                "Whales are mammals.",
            ),
            (
                "A man is eating food.",
                "A man is eating a piece of bread.",
                "A cheetah hunts its prey.",
            ),
            (
                "contract termination",
                "Either party may cancel this agreement.",
                "Bake for ten minutes.",
            ),
        ];
        for (query, near, far) in cases {
            let vector = MINILM.embed_query(query).unwrap();
            let passages = MINILM.embed_passages(&[near, far]).unwrap();
            let (near, far) = (cosine(&vector, &passages[0]), cosine(&vector, &passages[1]));
            assert!(near > far + 0.1, "{query}: {near} against {far}");
        }
    }

    /// The example of the model's card, computed in 64-bit floats by an independent
    /// implementation; the card prints the same numbers, rounded.
    #[test]
    fn agrees_with_the_reference_implementation() {
        let vectors = MINILM
            .embed_passages(&["This is an example sentence", "Each sentence is converted"])
            .unwrap();
        for (vector, expected) in vectors.iter().zip(REFERENCE) {
            for (value, expected) in vector.iter().zip(expected) {
                // What eight bits cost; see the encoder's tests.
                assert!((value - expected).abs() < 5e-3, "{value} instead of {expected}");
            }
        }
    }

    const REFERENCE: [[f32; 6]; 2] = [
        [0.067657, 0.063496, 0.048713, 0.079305, 0.037448, 0.002653],
        [0.086439, 0.102763, 0.005395, 0.002044, -0.009963, 0.025386],
    ];

    #[test]
    fn a_batch_gives_what_its_texts_give_alone_and_in_order() {
        let long = "The tenant pays the rent on the first day of each month. ".repeat(60);
        let texts: Vec<String> = (0..40)
            .map(|n| format!("Clause {n}: {}", &long[..(n * 37) % long.len()]))
            .chain([String::new(), "  ".into(), long.clone(), "合同金额为三万元。".into()])
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let batch = MINILM.embed_passages(&texts).unwrap();
        assert_eq!(batch.len(), texts.len());
        for (text, vector) in texts.iter().zip(&batch) {
            let alone = MINILM.embed_query(text).unwrap();
            assert_eq!(vector.len(), MINILM.dimensions());
            assert!((cosine(vector, vector) - 1.0).abs() < 1e-5, "{text}: not normalised");
            for (value, alone) in vector.iter().zip(&alone) {
                assert!((value - alone).abs() < 1e-4, "{text}: {value} and alone {alone}");
            }
        }
    }

    #[test]
    fn the_first_token_or_the_mean_of_all_stands_for_a_text() {
        let directory = crate::models::path("all-minilm-l6-v2");
        let first = BertEmbedder::load(EmbedderOptions { first_token: true, ..options(directory) })
            .unwrap();
        let texts = ["The rent is due.", "Whales are mammals that live in the sea."];
        let vectors = first.embed_passages(&texts).unwrap();
        for (text, vector) in texts.iter().zip(&vectors) {
            assert!((cosine(vector, vector) - 1.0).abs() < 1e-5);
            // In a batch as alone, and other than the mean.
            assert!(cosine(vector, &first.embed_query(text).unwrap()) > 0.9999);
            assert!(cosine(vector, &MINILM.embed_query(text).unwrap()) < 0.99);
        }
    }

    #[test]
    fn text_beyond_the_limit_does_not_count() {
        let limit = "rent ".repeat(MAX_TOKENS);
        let vectors = MINILM.embed_passages(&[&limit, &format!("{limit} whales")]).unwrap();
        assert_eq!(vectors[0], vectors[1]);
    }

    #[test]
    fn tokens_are_counted_without_prefix_and_marks_and_the_limit_is_what_is_left() {
        let multilingual = BertEmbedder::load(EmbedderOptions {
            query_prefix: "query: ".into(),
            passage_prefix: "passage: ".into(),
            max_tokens: 512,
            ..options(crate::models::path("multilingual-e5-small"))
        })
        .unwrap();
        // `passage`, `:` and `▁` would be three; the pieces are `▁passage` and `:`.
        let cases = [(&*MINILM, MAX_TOKENS - 2), (&multilingual, 512 - 2 - 2)];
        for (embedder, limit) in cases {
            assert_eq!(embedder.texts.limit(), limit, "{}", embedder.dimensions());
            for words in [0, 1, 7, limit - 1, limit, limit + 1] {
                assert_eq!(embedder.texts.count_tokens(&"rent ".repeat(words)), words);
            }
            assert_eq!(embedder.texts.count_tokens(&"rent ".repeat(limit * 3)), limit + 1);
            // What the limit lets in counts to its last word.
            let full = "rent ".repeat(limit - 1) + "whale";
            let other = "rent ".repeat(limit);
            let beyond = full.clone() + " whale";
            let vectors = embedder.embed_passages(&[&full, &other, &beyond]).unwrap();
            assert_ne!(vectors[0], vectors[1]);
            assert_eq!(vectors[0], vectors[2]);
        }
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(MINILM.embed_passages(&[]).unwrap().is_empty());
    }

    #[test]
    fn missing_and_damaged_files_are_errors_with_a_hint() {
        type Damage = fn(&Path);
        let cases: [(&str, ErrorCode, Damage); 7] = [
            ("no weights", ErrorCode::ModelMissing, |dir| {
                std::fs::remove_file(dir.join("model.safetensors")).unwrap();
            }),
            ("no configuration", ErrorCode::ModelMissing, |dir| {
                std::fs::remove_file(dir.join("config.json")).unwrap();
            }),
            ("weights cut short", ErrorCode::ModelInvalid, |dir| {
                let whole = std::fs::read(dir.join("model.safetensors")).unwrap();
                std::fs::write(dir.join("model.safetensors"), &whole[..whole.len() / 2]).unwrap();
            }),
            ("weights of something else", ErrorCode::ModelInvalid, |dir| {
                std::fs::write(dir.join("model.safetensors"), b"\x02\0\0\0\0\0\0\0{}").unwrap();
            }),
            ("a tokenizer that is none", ErrorCode::ModelInvalid, |dir| {
                std::fs::write(dir.join("tokenizer.json"), b"{\"a\": 1}").unwrap();
            }),
            ("a tokenizer of another model", ErrorCode::ModelInvalid, |dir| {
                let other = crate::models::path("multilingual-e5-small/tokenizer.json");
                std::fs::copy(other, dir.join("tokenizer.json")).unwrap();
            }),
            ("no heads", ErrorCode::ModelInvalid, |dir| {
                let config = std::fs::read_to_string(dir.join("config.json")).unwrap();
                let config =
                    config.replace("\"num_attention_heads\": 12", "\"num_attention_heads\": 0");
                std::fs::write(dir.join("config.json"), config).unwrap();
            }),
        ];
        let whole = crate::models::path("all-minilm-l6-v2");
        for (name, code, damage) in cases {
            let directory = tempfile::tempdir().unwrap();
            for file in ["model.safetensors", "tokenizer.json", "config.json"] {
                std::fs::copy(whole.join(file), directory.path().join(file)).unwrap();
            }
            damage(directory.path());
            let error = BertEmbedder::load(options(directory.path().to_owned())).err().expect(name);
            assert_eq!(error.code, code, "{name}: {error}");
            assert!(!error.hint.is_empty(), "{name}");
        }
    }
}
