use std::path::PathBuf;

use futures::executor::block_on;
use lectern_domain::{Embedder, ModelError, TokenCounter};
use mistralrs::core::{
    AdapterPaths, DefaultSchedulerMethod, EmbeddingLoaderBuilder, EmbeddingLoaderType,
    EmbeddingModelPaths, EmbeddingSpecificConfig, MistralRsBuilder, ModelPaths, SchedulerConfig,
    Topology,
};
use mistralrs::{
    AutoDeviceMapParams, Device, DeviceMapSetting, EmbeddingRequest, Model, ModelDType,
};
use serde::Deserialize;
use serde_json::json;

use crate::files::{Files, failed};
use crate::kernels;
use crate::memory;
use crate::texts::{EmbedderOptions, KIND, Texts};

/// What a `config.json` calls the decoders that embed: Qwen3 Embedding and EmbeddingGemma.
pub const DECODER_ARCHITECTURES: [&str; 2] = ["qwen3", "gemma3_text"];

/// The most layers that lead from the mean of the tokens to the vector.
const MOST_DENSE: usize = 4;

/// Memory for activations, beside the weights.
const SCRATCH_BYTES: u64 = 256 << 20;

/// A sentence embedder that is a decoder, run by mistral.rs with the products in 8 bits: the vector of
/// the last token (Zhang et al., "Qwen3 Embedding", 2025), or what layers of its own make of the mean
/// of all (Vera et al., "EmbeddingGemma", 2025), L2-normalised.
///
/// It is far larger than those of the BERT family, so it is for computers with a graphics card.
pub struct MistralEmbedder {
    texts: Texts,
    dimensions: usize,
    model: Model,
}

/// Which matrices are quantised when they are loaded, and to what. Asked for in general, the library
/// passes over those of EmbeddingGemma, by the names of another model.
const IN_EIGHT_BITS: &str = r#"'/layers\.\d+\.(self_attn|mlp)\./': {isq: Q8_0}"#;

/// What is asked of a `config.json` here.
#[derive(Deserialize)]
struct Config {
    model_type: String,
    vocab_size: usize,
    max_position_embeddings: usize,
}

impl MistralEmbedder {
    /// Loads `model.safetensors`, `tokenizer.json`, `config.json`, what says which tokens stand for a
    /// text, `pooling.json`, and the layers behind it, `dense-1.json` with `dense-1.safetensors` and
    /// so on. Of the options, which token counts is not heeded. Blocks for seconds on a thread that
    /// may, and needs a Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`lectern_domain::ErrorCode::ModelMissing`] where a file is not there,
    /// [`lectern_domain::ErrorCode::ModelInvalid`] where one is damaged or does not fit the others,
    /// [`lectern_domain::ErrorCode::ModelTooBig`] where it needs more memory than is free.
    pub fn load(options: EmbedderOptions) -> Result<Self, ModelError> {
        kernels::install();
        let directory = options.directory.clone();
        let files = Files { directory: &directory, kind: KIND };
        let config: Config = serde_json::from_slice(&files.read("config.json")?)
            .map_err(|error| files.invalid("config.json", error))?;
        let kind = match config.model_type.as_str() {
            "qwen3" => EmbeddingLoaderType::Qwen3Embedding,
            "gemma3_text" => EmbeddingLoaderType::EmbeddingGemma,
            other => return Err(files.invalid("config.json", format!("{other} does not embed"))),
        };
        let texts = Texts::load(options, config.vocab_size, config.max_position_embeddings)?;

        let weights = "model.safetensors";
        let device = mistralrs::best_device(false).map_err(|error| failed(KIND, error))?;
        if device.is_cpu() {
            // Words stay in 32 bits and all else becomes 8, which is about what the file takes.
            let needed = files.size(weights)?.saturating_add(SCRATCH_BYTES);
            memory::check(&directory, needed, memory::free_bytes())?;
        }
        let dtype = match &device {
            Device::Cpu => ModelDType::F32,
            Device::Cuda(_) => ModelDType::BF16,
            Device::Metal(_) => ModelDType::Auto,
        };
        let paths: Box<dyn ModelPaths> = Box::new(paths(&files)?);
        let topology = Topology::from_str(IN_EIGHT_BITS).map_err(|error| failed(KIND, error))?;
        let specific = EmbeddingSpecificConfig {
            topology: Some(topology),
            ..EmbeddingSpecificConfig::default()
        };
        let loader = EmbeddingLoaderBuilder::new(specific, None, Some(texts.options.id.clone()))
            .build(Some(kind));
        let mapping =
            AutoDeviceMapParams::Text { max_seq_len: texts.max_tokens, max_batch_size: 1 };
        let pipeline = loader
            .load_model_from_path(
                &paths,
                &dtype,
                &device,
                true,
                DeviceMapSetting::Auto(mapping),
                None,
                None,
            )
            .map_err(|error| files.invalid(weights, format!("{error:#}")))?;
        let one_at_a_time = DefaultSchedulerMethod::Fixed(std::num::NonZeroUsize::MIN);
        let scheduler = SchedulerConfig::DefaultScheduler { method: one_at_a_time };
        let runner = MistralRsBuilder::new(pipeline, scheduler, false, None);
        let model = Model::new(tokio::runtime::Handle::current().block_on(runner.build()));

        let mut embedder = Self { texts, dimensions: 0, model };
        embedder.dimensions = embedder.embed_query("one")?.len();
        Ok(embedder)
    }

    /// One vector per text, in order. One after the other: the library pads shorter texts of a batch
    /// and lets the padding count.
    fn embed(&self, prefix: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        let texts = self.texts.tokens(prefix, texts)?;
        texts.into_iter().map(|ids| self.vector(ids)).collect()
    }

    fn vector(&self, ids: Vec<u32>) -> Result<Vec<f32>, ModelError> {
        // A mark alone, so no text; the library panics at a single token.
        if ids.len() < 2 {
            return Ok(vec![0.0; self.dimensions]);
        }
        let result = kernels::again_where_interrupted(|| {
            let request = EmbeddingRequest::builder().add_tokens(ids.clone());
            block_on(self.model.generate_embeddings(request))
        });
        let vector = result
            .map_err(|error| failed(KIND, error))?
            .pop()
            .ok_or_else(|| failed(KIND, "it gave no vector"))?;
        match vector.iter().all(|value| value.is_finite()) {
            true => Ok(vector),
            false => Err(failed(KIND, "its vector is not a number")),
        }
    }
}

/// The files, and what becomes of the last layer's vectors.
fn paths(files: &Files<'_>) -> Result<EmbeddingModelPaths<PathBuf>, ModelError> {
    let there = |name: &str| files.path(name);
    let mut modules = vec![
        json!({"Transformer": {"path": ""}}),
        json!({"Pooling": {"path": "", "config": there("pooling.json")?}}),
    ];
    for number in 1..=MOST_DENSE {
        let config = format!("dense-{number}.json");
        if !files.directory.join(&config).exists() {
            break;
        }
        let model = there(&format!("dense-{number}.safetensors"))?;
        modules.push(json!({"Dense": {"path": "", "config": there(&config)?, "model": model}}));
    }
    modules.push(json!({"Normalize": {"path": ""}}));
    // The library does not let the type be named.
    let modules = modules.into_iter().map(serde_json::from_value).collect::<Result<_, _>>();
    Ok(EmbeddingModelPaths {
        tokenizer_filename: there("tokenizer.json")?,
        config_filename: there("config.json")?,
        filenames: vec![there("model.safetensors")?],
        adapter_paths: AdapterPaths::None,
        modules: modules.map_err(|error| failed(KIND, error))?,
    })
}

impl Embedder for MistralEmbedder {
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

    use std::collections::HashMap;
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use candle_core::Tensor;
    use lectern_domain::ErrorCode;

    use super::*;
    use crate::kernels::Interrupt;

    const WIDTH: usize = 64;
    const INNER: usize = 128;
    const HEADS: usize = 4;
    const LAYERS: usize = 2;
    const MAX_TOKENS: usize = 24;
    const WORDS: &[&str] = &["[UNK]", "[END]", "query", "text", "rent", "whale", "sea", "one"];

    /// Random weights, always the same.
    struct Weights {
        tensors: HashMap<String, Tensor>,
        word: u32,
    }

    impl Weights {
        fn new() -> Self {
            Self { tensors: HashMap::new(), word: 7 }
        }

        fn add(&mut self, name: &str, shape: &[usize]) {
            let middle = if shape.len() == 1 { 1.0 } else { 0.0 };
            let values: Vec<f32> = (0..shape.iter().product())
                .map(|_| {
                    self.word = self.word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    middle + ((self.word >> 8) as f32 / (1 << 23) as f32 - 1.0) * 0.3
                })
                .collect();
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            self.tensors.insert(name.to_owned(), tensor);
        }

        fn write(&self, path: &Path) {
            candle_core::safetensors::save(&self.tensors, path).unwrap();
        }
    }

    fn write(path: &Path, content: &serde_json::Value) {
        fs::write(path, content.to_string()).unwrap();
    }

    /// A model of that architecture with weights that mean nothing, in the files of the catalogue.
    fn tiny(architecture: &str, directory: &Path) {
        let is_gemma = architecture == "gemma3_text";
        let mut config = json!({
            "model_type": architecture, "vocab_size": WORDS.len(), "hidden_size": WIDTH,
            "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS / 2, "head_dim": WIDTH / HEADS,
            "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 10_000.0,
        });
        let of_family = match is_gemma {
            true => json!({
                "sliding_window": 8, "query_pre_attn_scalar": 16,
                "use_bidirectional_attention": true,
            }),
            false => json!({
                "hidden_act": "silu", "tie_word_embeddings": true, "max_window_layers": LAYERS,
                "use_sliding_window": false,
            }),
        };
        config.as_object_mut().unwrap().extend(of_family.as_object().unwrap().clone());
        write(&directory.join("config.json"), &config);

        let vocabulary: HashMap<&str, usize> =
            WORDS.iter().enumerate().map(|(id, word)| (*word, id)).collect();
        write(
            &directory.join("tokenizer.json"),
            &json!({
                "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
                "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
                "post_processor": {
                    "type": "TemplateProcessing",
                    "single": [{"Sequence": {"id": "A", "type_id": 0}},
                               {"SpecialToken": {"id": "[END]", "type_id": 0}}],
                    "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                             {"Sequence": {"id": "B", "type_id": 0}}],
                    "special_tokens": {"[END]": {"id": "[END]", "ids": [1], "tokens": ["[END]"]}},
                },
                "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
            }),
        );
        let mut pooling = json!({
            "word_embedding_dimension": WIDTH, "pooling_mode_cls_token": false,
            "pooling_mode_mean_tokens": is_gemma, "pooling_mode_max_tokens": false,
            "pooling_mode_mean_sqrt_len_tokens": false, "include_prompt": true,
            "pooling_mode_weightedmean_tokens": false,
        });
        pooling["pooling_mode_lasttoken"] = json!(!is_gemma);
        write(&directory.join("pooling.json"), &pooling);
        if is_gemma {
            for (number, from, to) in [(1, WIDTH, INNER), (2, INNER, WIDTH)] {
                let config = json!({
                    "in_features": from, "out_features": to, "bias": false,
                    "activation_function": "torch.nn.modules.linear.Identity",
                });
                write(&directory.join(format!("dense-{number}.json")), &config);
                let mut dense = Weights::new();
                dense.add("linear.weight", &[to, from]);
                dense.write(&directory.join(format!("dense-{number}.safetensors")));
            }
        }

        let mut weights = Weights::new();
        weights.add("embed_tokens.weight", &[WORDS.len(), WIDTH]);
        weights.add("norm.weight", &[WIDTH]);
        let (head, half) = (WIDTH / HEADS, WIDTH / 2);
        for layer in 0..LAYERS {
            let mut add = |part: &str, shape: &[usize]| {
                weights.add(&format!("layers.{layer}.{part}.weight"), shape);
            };
            add("self_attn.q_proj", &[WIDTH, WIDTH]);
            add("self_attn.k_proj", &[half, WIDTH]);
            add("self_attn.v_proj", &[half, WIDTH]);
            add("self_attn.o_proj", &[WIDTH, WIDTH]);
            add("self_attn.q_norm", &[head]);
            add("self_attn.k_norm", &[head]);
            add("mlp.gate_proj", &[INNER, WIDTH]);
            add("mlp.up_proj", &[INNER, WIDTH]);
            add("mlp.down_proj", &[WIDTH, INNER]);
            add("input_layernorm", &[WIDTH]);
            add("post_attention_layernorm", &[WIDTH]);
            if is_gemma {
                add("pre_feedforward_layernorm", &[WIDTH]);
                add("post_feedforward_layernorm", &[WIDTH]);
            }
        }
        weights.write(&directory.join("model.safetensors"));
    }

    async fn load(directory: &Path) -> Result<MistralEmbedder, ModelError> {
        let options = EmbedderOptions {
            id: "tiny".into(),
            directory: directory.to_owned(),
            query_prefix: "query ".into(),
            passage_prefix: "text ".into(),
            first_token: false,
            max_tokens: MAX_TOKENS,
        };
        tokio::task::spawn_blocking(move || MistralEmbedder::load(options)).await.unwrap()
    }

    fn cosine(one: &[f32], other: &[f32]) -> f32 {
        one.iter().zip(other).map(|(a, b)| a * b).sum()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_decoder_makes_vectors_of_texts() {
        for architecture in DECODER_ARCHITECTURES {
            let directory = tempfile::tempdir().unwrap();
            tiny(architecture, directory.path());
            let embedder = load(directory.path()).await.unwrap();
            assert_eq!(embedder.dimensions(), WIDTH, "{architecture}");
            let texts = ["rent", "", "whale sea whale sea sea", "rent sea", "sea rent"];
            let vectors = embedder.embed_passages(&texts).unwrap();
            assert_eq!(vectors.len(), texts.len());
            for (at, vector) in vectors.iter().enumerate() {
                let (text, size) = (texts[at], cosine(vector, vector));
                assert!((size - 1.0).abs() < 1e-4, "{architecture}, {text}: {size}");
                // As alone, so in order and without a trace of the others.
                assert_eq!(*vector, embedder.embed_passages(&[text]).unwrap()[0]);
                for other in &vectors[..at] {
                    assert!(cosine(vector, other) < 0.999, "{architecture}: {text} is as another");
                }
            }
            let without_prefix = embedder.embed("", &[""]).unwrap();
            assert!(without_prefix[0].iter().all(|value| *value == 0.0), "{architecture}");
            // What stands before a question is not what stands before a text.
            assert!(cosine(&embedder.embed_query("rent").unwrap(), &vectors[0]) < 0.999);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn text_beyond_the_limit_does_not_count() {
        for architecture in DECODER_ARCHITECTURES {
            let directory = tempfile::tempdir().unwrap();
            tiny(architecture, directory.path());
            let embedder = load(directory.path()).await.unwrap();
            let limit = embedder.texts.limit();
            assert_eq!(limit, MAX_TOKENS - 2, "a prefix of one word and a mark");
            assert_eq!(embedder.texts.count_tokens("rent sea rent"), 3);
            assert_eq!(embedder.texts.count_tokens(&"rent ".repeat(99)), limit + 1);
            let full = "rent ".repeat(limit - 1) + "whale";
            let texts = [full.clone() + " sea", full, "rent ".repeat(limit)];
            let vectors = embedder.embed_passages(&texts.each_ref().map(String::as_str)).unwrap();
            assert_eq!(vectors[0], vectors[1], "{architecture}");
            assert_ne!(vectors[1], vectors[2], "{architecture}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_generation_that_is_interrupted_does_not_cost_a_vector() {
        let directory = tempfile::tempdir().unwrap();
        tiny("qwen3", directory.path());
        let embedder = Arc::new(load(directory.path()).await.unwrap());
        let expected = embedder.embed_query("whale").unwrap();
        // So that it is no other test's generation.
        let _turn = crate::chat::TURN.lock().await;
        let interrupt = Interrupt::new();
        let done = Arc::new(AtomicBool::new(false));
        let query = std::thread::spawn({
            let (embedder, done) = (Arc::clone(&embedder), Arc::clone(&done));
            move || {
                let vector = embedder.embed_query("whale").unwrap();
                done.store(true, Ordering::SeqCst);
                vector
            }
        });
        // Other queries would get no further either, and each would say so.
        let request = EmbeddingRequest::builder().add_tokens(vec![2, 4, 1]);
        let other = block_on(embedder.model.generate_embeddings(request));
        assert!(other.is_err(), "{other:?}");
        assert!(!done.load(Ordering::SeqCst));
        drop(interrupt);
        assert_eq!(query.join().unwrap(), expected);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn missing_and_damaged_files_are_errors_with_a_hint() {
        type Damage = fn(&Path);
        let cases: [(&str, ErrorCode, Damage); 7] = [
            ("no weights", ErrorCode::ModelMissing, |dir| {
                fs::remove_file(dir.join("model.safetensors")).unwrap();
            }),
            ("no pooling", ErrorCode::ModelMissing, |dir| {
                fs::remove_file(dir.join("pooling.json")).unwrap();
            }),
            ("a layer without weights", ErrorCode::ModelMissing, |dir| {
                fs::remove_file(dir.join("dense-2.safetensors")).unwrap();
            }),
            ("another architecture", ErrorCode::ModelInvalid, |dir| {
                fs::write(dir.join("config.json"), r#"{"model_type": "bert"}"#).unwrap();
            }),
            ("no configuration", ErrorCode::ModelInvalid, |dir| {
                fs::write(dir.join("config.json"), "{").unwrap();
            }),
            ("half of the weights", ErrorCode::ModelInvalid, |dir| {
                let path = dir.join("model.safetensors");
                let bytes = fs::read(&path).unwrap();
                fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            }),
            ("no tokenizer", ErrorCode::ModelInvalid, |dir| {
                fs::write(dir.join("tokenizer.json"), "[]").unwrap();
            }),
        ];
        for (name, code, damage) in cases {
            let directory = tempfile::tempdir().unwrap();
            tiny("gemma3_text", directory.path());
            damage(directory.path());
            let error = load(directory.path()).await.err().expect(name);
            assert_eq!(error.code, code, "{name}: {error}");
            assert!(error.hint.contains("Download"), "{name}: {}", error.hint);
        }
    }
}
