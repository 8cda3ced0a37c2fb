use std::path::PathBuf;

use lectern_domain::{Chunk, ModelError, Reranker};

use crate::encoder::{Encoder, EncoderError, Head, Pair};
use crate::files::{Files, failed};
use crate::tokens::{Tokens, batches};

/// What it is called in messages.
const KIND: &str = "reranking model";

/// So many tokens at least a query and a passage have room for, without the marks.
const LEAST_ROOM: usize = 2;

/// Which cross-encoder to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossEncoderOptions {
    /// Its identity, as [`Reranker::id`] gives it.
    pub id: String,
    /// Where its files are.
    pub directory: PathBuf,
    /// The longest pair it was trained on, in tokens, marks included.
    pub max_tokens: usize,
}

/// A cross-encoder: it reads the query and a passage as one text and tells how well the passage
/// answers (Nogueira and Cho, "Passage Re-ranking with BERT", 2019). It is BERT, RoBERTa or XLM-R with
/// a classifier of one class, such as ms-marco-MiniLM-L6-v2 and bge-reranker-base, and runs on the CPU,
/// with products in 8 bits.
pub struct CrossEncoder {
    id: String,
    encoder: Encoder,
    head: Head,
    tokens: Tokens,
    width: usize,
    max_tokens: usize,
}

impl CrossEncoder {
    /// Loads `model.safetensors`, `tokenizer.json` and `config.json`. Blocks for up to
    /// some seconds.
    ///
    /// # Errors
    ///
    /// [`lectern_domain::ErrorCode::ModelMissing`] where a file is not there,
    /// [`lectern_domain::ErrorCode::ModelInvalid`] where one is damaged or does not fit the others.
    pub fn load(options: CrossEncoderOptions) -> Result<Self, ModelError> {
        let CrossEncoderOptions { id, directory, max_tokens } = options;
        let files = Files { directory: &directory, kind: KIND };
        let config = files.config()?;
        let max_tokens = max_tokens.min(config.max_tokens());
        let tokens = files.tokens(config.vocab_size, Tokens::of_pairs)?;
        let marks = tokens.pair_marks().map_err(|error| files.invalid("tokenizer.json", error))?;
        if max_tokens < marks + LEAST_ROOM {
            return Err(files.invalid("config.json", "it has no room for a query and a passage"));
        }
        let name = "model.safetensors";
        let weights = files.read(name)?;
        let width = config.hidden_size;
        let head = Head::load(&config, &weights).map_err(|error| files.invalid(name, error))?;
        let encoder =
            Encoder::load(config, &weights).map_err(|error| files.invalid(name, error))?;
        Ok(Self { id, encoder, head, tokens, width, max_tokens })
    }

    /// One logit for each pair.
    fn logits(&self, pairs: &[Pair]) -> Result<Vec<f32>, EncoderError> {
        let hidden = self.encoder.forward_pairs(pairs)?;
        let mut rest = hidden.as_slice();
        let mut first = Vec::with_capacity(pairs.len() * self.width);
        for pair in pairs {
            first.extend(rest.iter().take(self.width));
            rest = rest.get(pair.ids.len() * self.width..).unwrap_or_default();
        }
        self.head.logits(&first)
    }
}

impl Reranker for CrossEncoder {
    fn id(&self) -> &str {
        &self.id
    }

    /// How likely each passage answers the query, from 0 to 1, as the model sees it: the logistic
    /// function of its logit. A passage is read below its headings. What is too long for the model is
    /// cut: the end of the passage is not read, nor that of a query that takes more than half of the
    /// room.
    fn rerank(&self, query: &str, passages: &[&Chunk]) -> Result<Vec<f32>, ModelError> {
        let text = |passage: &&Chunk| {
            // The first chunk of a section begins with its heading already.
            let above = passage.heading.iter().filter(|above| !passage.text.starts_with(*above));
            above.chain([&passage.text]).map(String::as_str).collect::<Vec<_>>().join("\n")
        };
        let passages = passages.iter().map(text).collect();
        let pairs = self
            .tokens
            .pairs(query, passages, self.max_tokens)
            .map_err(|error| failed(KIND, error))?;
        let mut scores = Vec::with_capacity(pairs.len());
        for batch in batches(&pairs) {
            let logits = self.logits(batch).map_err(|error| failed(KIND, error))?;
            scores.extend(logits.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())));
        }
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::path::Path;

    use candle_core::DType;
    use lectern_domain::{CharRange, ErrorCode};

    use super::*;
    use crate::encoder::ENCODER_ARCHITECTURES;
    use crate::reference::{Reference, Tiny};

    const MARKS: u32 = 5;

    /// The words are `w5` to `w49`; what is in front of them are marks.
    fn tokenizer(model_type: &str) -> serde_json::Value {
        let (begin, end) = if model_type == "bert" { ("[CLS]", "[SEP]") } else { ("<s>", "</s>") };
        let vocabulary: serde_json::Map<_, _> = ["[PAD]", "[UNK]", begin, end, "[MASK]"]
            .map(str::to_owned)
            .into_iter()
            .chain((MARKS..50).map(|word| format!("w{word}")))
            .zip(0..)
            .map(|(word, id)| (word, serde_json::Value::from(id)))
            .collect();
        let mark = |id: &str, segment: u32| serde_json::json!({"SpecialToken": {"id": id, "type_id": segment}});
        let text = |id: &str, segment: u32| serde_json::json!({"Sequence": {"id": id, "type_id": segment}});
        let pair = if model_type == "bert" {
            vec![mark(begin, 0), text("A", 0), mark(end, 0), text("B", 1), mark(end, 1)]
        } else {
            let [first, last] = [text("A", 0), text("B", 0)];
            vec![mark(begin, 0), first, mark(end, 0), mark(end, 0), last, mark(end, 0)]
        };
        let special =
            |name: &str, id: u32| serde_json::json!({"id": name, "ids": [id], "tokens": [name]});
        serde_json::json!({
            "version": "1.0",
            "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [mark(begin, 0), text("A", 0), mark(end, 0)],
                "pair": pair,
                "special_tokens": {begin: special(begin, 2), end: special(end, 3)},
            },
            "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
        })
    }

    /// Writes a cross-encoder of random weights, and returns it with what its tensors begin with.
    fn write(directory: &Path, model_type: &str) -> (Tiny, &'static str) {
        let mut tiny = Tiny::new(model_type, DType::F32);
        let prefix = tiny.classify();
        std::fs::write(directory.join("model.safetensors"), tiny.file()).unwrap();
        let (config, tokenizer) = (Tiny::json(model_type), tokenizer(model_type));
        std::fs::write(directory.join("config.json"), config.to_string()).unwrap();
        std::fs::write(directory.join("tokenizer.json"), tokenizer.to_string()).unwrap();
        (tiny, prefix)
    }

    fn load(directory: &Path) -> Result<CrossEncoder, ModelError> {
        let (id, directory) = ("tiny".to_owned(), directory.to_owned());
        CrossEncoder::load(CrossEncoderOptions { id, directory, max_tokens: 512 })
    }

    fn words(ids: &[u32]) -> String {
        ids.iter().map(|id| format!("w{id} ")).collect()
    }

    fn chunk(heading: &[&str], text: &str) -> Chunk {
        let heading = heading.iter().map(|&heading| heading.to_owned()).collect();
        let range = CharRange::new(0, text.chars().count() as u32);
        Chunk { range, page: None, heading, text: text.to_owned() }
    }

    fn scores(encoder: &CrossEncoder, query: &str, passages: &[Chunk]) -> Vec<f32> {
        encoder.rerank(query, &passages.iter().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn every_architecture_scores_pairs_as_floats_do() {
        for model_type in ENCODER_ARCHITECTURES {
            let directory = tempfile::tempdir().unwrap();
            let (tiny, prefix) = write(directory.path(), model_type);
            let file = tiny.file();
            let reference = Reference::new(&tiny.config, &file, prefix);
            let encoder = load(directory.path()).unwrap();
            let query: Vec<u32> = vec![9, 30, 12];
            let passages: Vec<Vec<u32>> = (0..24_u32)
                .map(|at| (0..at % 9).map(|word| MARKS + (word * 17 + at * 11) % 45).collect())
                .collect();
            let chunks: Vec<Chunk> =
                passages.iter().map(|passage| chunk(&[], &words(passage))).collect();
            let found = scores(&encoder, &words(&query), &chunks);
            let between = if model_type == "bert" { vec![3] } else { vec![3, 3] };
            let first = [&[2], query.as_slice(), &between].concat();
            let of_first = if model_type == "bert" { first.len() } else { usize::MAX };
            let logits = |of_first: usize| -> Vec<f32> {
                let pair = |passage: &Vec<u32>| [&first, passage.as_slice(), &[3]].concat();
                passages.iter().map(|passage| reference.logit(&pair(passage), of_first)).collect()
            };
            let expected = logits(of_first);
            let apart = |one: &[f32], other: &[f32]| {
                one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
            };
            let found: Vec<f32> = found.iter().map(|score| (score / (1.0 - score)).ln()).collect();
            let error = apart(&found, &expected);
            // What eight bits cost, in logits, against what the passages and the segments do.
            let (least, most) =
                expected.iter().fold((f32::MAX, f32::MIN), |(least, most), logit| {
                    (logit.min(least), logit.max(most))
                });
            let segments = apart(&expected, &logits(usize::MAX));
            assert!(error < (most - least) / 10.0, "{model_type}: {error} in {least} to {most}");
            assert!(
                of_first == usize::MAX || error < segments / 2.0,
                "{model_type}: {error} where segments make {segments}"
            );
            assert!(scores(&encoder, "w9", &[]).is_empty());
        }
    }

    #[test]
    fn a_passage_is_read_below_its_headings_and_to_the_limit() {
        for model_type in ENCODER_ARCHITECTURES {
            let directory = tempfile::tempdir().unwrap();
            write(directory.path(), model_type);
            let encoder = load(directory.path()).unwrap();
            let long = "w20 ".repeat(100);
            let same = [
                (chunk(&["w7", "w8"], "w9 w10"), chunk(&[], "w7 w8 w9 w10")),
                (chunk(&["w7"], "w7\nw9"), chunk(&[], "w7 w9")),
                (chunk(&[], &long), chunk(&[], &format!("{long} w30"))),
            ];
            for (one, other) in same {
                let found = scores(&encoder, "w40 w41", &[one, other]);
                assert!((found[0] - found[1]).abs() < 1e-6, "{model_type}: {found:?}");
            }
            // A query that is too long leaves room for the passage.
            let query = "w40 ".repeat(100);
            let found = scores(&encoder, &query, &[chunk(&[], "w20"), chunk(&[], "w30")]);
            assert!((found[0] - found[1]).abs() > 1e-3, "{model_type}: {found:?}");
        }
    }

    #[test]
    fn missing_and_damaged_files_are_errors_with_a_hint() {
        type Damage = fn(&Path, &mut Tiny);
        let cases: [(&str, ErrorCode, Damage); 8] = [
            ("no weights", ErrorCode::ModelMissing, |dir, _| {
                std::fs::remove_file(dir.join("model.safetensors")).unwrap();
            }),
            ("no tokenizer", ErrorCode::ModelMissing, |dir, _| {
                std::fs::remove_file(dir.join("tokenizer.json")).unwrap();
            }),
            ("weights cut short", ErrorCode::ModelInvalid, |dir, tiny| {
                let whole = tiny.file();
                std::fs::write(dir.join("model.safetensors"), &whole[..whole.len() / 2]).unwrap();
            }),
            ("an embedder", ErrorCode::ModelInvalid, |dir, tiny| {
                let embedder = Tiny::new(&tiny.config.model_type, DType::F32);
                std::fs::write(dir.join("model.safetensors"), embedder.file()).unwrap();
            }),
            ("a classifier of several classes", ErrorCode::ModelInvalid, |dir, tiny| {
                let width = tiny.config.hidden_size;
                for class in ["classifier", "classifier.out_proj"] {
                    tiny.add(&format!("{class}.weight"), &[3, width], 0.0, 0.1);
                }
                std::fs::write(dir.join("model.safetensors"), tiny.file()).unwrap();
            }),
            ("a tokenizer that is none", ErrorCode::ModelInvalid, |dir, _| {
                std::fs::write(dir.join("tokenizer.json"), "{\"a\": 1}").unwrap();
            }),
            ("no room for a pair", ErrorCode::ModelInvalid, |dir, tiny| {
                let mut config = Tiny::json(&tiny.config.model_type);
                config["max_position_embeddings"] = 5.into();
                std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
            }),
            ("another kind of model", ErrorCode::ModelInvalid, |dir, _| {
                std::fs::write(dir.join("config.json"), Tiny::json("gpt2").to_string()).unwrap();
            }),
        ];
        for model_type in ENCODER_ARCHITECTURES {
            for (name, code, damage) in &cases {
                let directory = tempfile::tempdir().unwrap();
                let (mut tiny, _) = write(directory.path(), model_type);
                damage(directory.path(), &mut tiny);
                let error = load(directory.path()).err().expect(name);
                assert_eq!(error.code, *code, "{model_type}, {name}: {error}");
                assert!(!error.hint.is_empty(), "{name}");
            }
        }
    }

    #[test]
    fn weights_that_are_no_numbers_are_an_error_and_no_score() {
        let directory = tempfile::tempdir().unwrap();
        let (mut tiny, _) = write(directory.path(), "bert");
        tiny.add("classifier.bias", &[1], f32::NAN, 0.1);
        std::fs::write(directory.path().join("model.safetensors"), tiny.file()).unwrap();
        let error = load(directory.path()).unwrap().rerank("w9", &[&chunk(&[], "w10")]);
        assert_eq!(error.unwrap_err().code, ErrorCode::ModelFailed);
    }
}
