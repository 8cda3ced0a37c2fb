//! The encoder of BERT (Devlin et al., 2019) and of RoBERTa and XLM-R (Conneau et al., 2020), which
//! count positions otherwise, on `lectern-kernels`.
//!
//! The matrices are kept in 8 bits, or in 4 where the file has them so, and the
//! products made in 8 bits, with a scale per 32 values on both sides. The tokens of
//! all texts of a batch lie one after the other, so nothing is padding; attention
//! alone looks at each text by itself.

use candle_core::Device;
use candle_core::safetensors::SliceSafetensors;
use lectern_kernels::{
    Attention, Format, ShapeError, Values, add_layer_norm, attention, gelu, matmul, quantize_q8_0,
};
use serde::Deserialize;

/// The values of `model_type` that can be run.
pub const ENCODER_ARCHITECTURES: [&str; 3] = ["bert", "roberta", "xlm-roberta"];

/// Weights that are brought into blocks at once: the largest tables are gigabytes.
const ROWS_AT_ONCE: usize = 1024;

/// The parts of `config.json` that matter here.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Config {
    pub(crate) vocab_size: usize,
    pub(crate) hidden_size: usize,
    pub(crate) num_hidden_layers: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) intermediate_size: usize,
    pub(crate) max_position_embeddings: usize,
    #[serde(default = "default_eps")]
    pub(crate) layer_norm_eps: f32,
    #[serde(default = "default_activation")]
    pub(crate) hidden_act: String,
    #[serde(default = "default_model_type")]
    pub(crate) model_type: String,
    /// The token that stands for nothing; RoBERTa's positions begin behind it.
    #[serde(default = "default_pad")]
    pub(crate) pad_token_id: usize,
}

fn default_pad() -> usize {
    1
}

fn default_eps() -> f32 {
    1e-12
}

fn default_activation() -> String {
    "gelu".to_owned()
}

fn default_model_type() -> String {
    "bert".to_owned()
}

/// Why an encoder cannot be used, for a person who knows such files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncoderError {
    #[error("its configuration says {0}, which is not supported")]
    Configuration(String),
    #[error("{0}")]
    Weights(#[from] candle_core::Error),
    #[error("the tensor {0} is of another size than the configuration says")]
    Shape(String),
    #[error("the tensor {0} has weights that are no numbers")]
    NotFinite(String),
    #[error("a token is not in its vocabulary, or a text is too long for it")]
    Tokens,
    #[error("what it computed are no numbers")]
    Result,
    #[error("{0}")]
    Kernel(#[from] ShapeError),
}

impl Config {
    /// The row of the first token's position.
    pub(crate) fn first_position(&self) -> usize {
        if self.model_type == "bert" { 0 } else { self.pad_token_id.saturating_add(1) }
    }

    /// The longest text in tokens, marks included.
    pub(crate) fn max_tokens(&self) -> usize {
        self.max_position_embeddings.saturating_sub(self.first_position())
    }

    pub(crate) fn check(&self) -> Result<(), EncoderError> {
        let refuse = |what: String| Err(EncoderError::Configuration(what));
        if self.hidden_act != "gelu" {
            return refuse(format!("hidden_act = {}", self.hidden_act));
        }
        if !ENCODER_ARCHITECTURES.contains(&self.model_type.as_str()) {
            return refuse(format!("model_type = {}", self.model_type));
        }
        let heads = self.num_attention_heads;
        let dim = self.hidden_size.checked_div(heads).unwrap_or(0);
        // The kernels' units.
        let fits = dim > 0
            && dim.is_multiple_of(16)
            && dim * heads == self.hidden_size
            && self.hidden_size.is_multiple_of(32)
            && self.intermediate_size > 0
            && self.intermediate_size.is_multiple_of(32)
            && self.max_tokens() > 0
            // So that no product of two of them is beyond measure.
            && [self.vocab_size, self.hidden_size, self.intermediate_size]
                .into_iter()
                .chain([self.num_hidden_layers, self.max_position_embeddings])
                .all(|size| size < 1 << 24);
        if fits {
            return Ok(());
        }
        refuse(format!(
            "hidden_size = {}, num_attention_heads = {heads}, intermediate_size = {}",
            self.hidden_size, self.intermediate_size
        ))
    }
}

/// Rows of weights in blocks.
struct Matrix {
    format: Format,
    bytes: Vec<u8>,
}

/// A linear layer: `n` rows of `k` weights, and a bias each.
struct Linear {
    k: usize,
    weights: Matrix,
    bias: Vec<f32>,
}

impl Linear {
    fn forward(&self, x: &[f32], out: &mut Vec<f32>) -> Result<(), ShapeError> {
        let (rows, n) = (x.len() / self.k, self.bias.len());
        out.resize(rows * n, 0.0);
        let Matrix { format, bytes } = &self.weights;
        matmul(*format, (rows, self.k, n), x, bytes, Some(&self.bias), out)
    }
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

struct Layer {
    /// Queries, keys and values in one.
    qkv: Linear,
    attention_out: Linear,
    attention_norm: Norm,
    up: Linear,
    down: Linear,
    norm: Norm,
}

/// Two texts as one, as a cross-encoder reads them.
pub(crate) struct Pair {
    /// The tokens of both, with their marks.
    pub(crate) ids: Vec<u32>,
    /// How many of them are of the first segment, in the terms of BERT.
    pub(crate) of_first: usize,
}

impl AsRef<[u32]> for Pair {
    fn as_ref(&self) -> &[u32] {
        &self.ids
    }
}

pub(crate) struct Encoder {
    config: Config,
    /// A row per token of the vocabulary: a fourth of the memory that floats would
    /// take, and rows are unpacked as they are needed.
    words: Matrix,
    /// A row per position, the vector of the first segment added.
    positions: Vec<f32>,
    /// What the second segment's vector has more; `None` where there is one segment only.
    second: Option<Vec<f32>>,
    norm: Norm,
    layers: Vec<Layer>,
}

/// The tensors of a file, whatever prefix their names have.
struct Tensors<'a> {
    file: SliceSafetensors<'a>,
    prefix: &'static str,
}

impl<'a> Tensors<'a> {
    fn open(file: &'a [u8]) -> Result<Self, EncoderError> {
        let file = SliceSafetensors::new(file)?;
        let prefix = ["", "bert.", "roberta."]
            .into_iter()
            .find(|prefix| file.get(&format!("{prefix}embeddings.word_embeddings.weight")).is_ok());
        Ok(Self { file, prefix: prefix.unwrap_or_default() })
    }

    fn get(&self, name: &str, len: usize) -> Result<Vec<f32>, EncoderError> {
        let name = format!("{}{name}", self.prefix);
        let tensor = self.file.load(&name, &Device::Cpu)?;
        let values: Vec<f32> =
            tensor.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1()?;
        if values.len() == len { Ok(values) } else { Err(EncoderError::Shape(name)) }
    }

    /// `n` rows of `k` weights: floats of any width, or bytes that are blocks of
    /// [`Format::Q4_0`] already.
    fn matrix(&self, name: &str, k: usize, n: usize) -> Result<Matrix, EncoderError> {
        let of_file = format!("{}{name}", self.prefix);
        let view = self.file.get(&of_file)?;
        if view.dtype() != safetensors::Dtype::U8 {
            let (data, width) = (view.data(), view.data().len().checked_div(n * k).unwrap_or(0));
            if data.len() != n * k * width {
                return Err(EncoderError::Shape(of_file));
            }
            let mut bytes = Vec::with_capacity(data.len().div_ceil(width.max(1)) * 9 / 8);
            for rows in data.chunks(ROWS_AT_ONCE * k * width.max(1)) {
                let rows = floats(rows, view.dtype(), &of_file)?;
                let blocks = quantize_q8_0(&rows);
                bytes.extend(blocks.ok_or_else(|| EncoderError::NotFinite(of_file.clone()))?);
            }
            return Ok(Matrix { format: Format::Q8_0, bytes });
        }
        let format = Format::Q4_0;
        if format.row_bytes(k).map(|row| row * n) != Some(view.data().len()) {
            return Err(EncoderError::Shape(of_file));
        }
        Ok(Matrix { format, bytes: view.data().to_vec() })
    }

    /// A layer of which several in the file are one here.
    fn linear(&self, names: &[String], k: usize, n: usize) -> Result<Linear, EncoderError> {
        let (mut weights, mut bias) = (None::<Matrix>, Vec::new());
        for name in names {
            let more = self.matrix(&format!("{name}.weight"), k, n)?;
            match &mut weights {
                Some(weights) if weights.format == more.format => weights.bytes.extend(more.bytes),
                Some(_) => return Err(EncoderError::Shape(name.clone())),
                None => weights = Some(more),
            }
            bias.extend(self.get(&format!("{name}.bias"), n)?);
        }
        let weights = weights.ok_or(ShapeError)?;
        Ok(Linear { k, weights, bias })
    }

    fn norm(&self, name: &str, width: usize) -> Result<Norm, EncoderError> {
        Ok(Norm {
            weight: self.get(&format!("{name}.weight"), width)?,
            bias: self.get(&format!("{name}.bias"), width)?,
        })
    }
}

/// Numbers of a file in 32 bits.
fn floats(data: &[u8], kind: safetensors::Dtype, name: &str) -> Result<Vec<f32>, EncoderError> {
    use safetensors::Dtype;
    let two = |of: fn([u8; 2]) -> f32| data.as_chunks().0.iter().map(|bytes| of(*bytes)).collect();
    match kind {
        Dtype::F32 => {
            Ok(data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        }
        Dtype::F16 => Ok(two(|bytes| half::f16::from_le_bytes(bytes).to_f32())),
        Dtype::BF16 => Ok(two(|bytes| half::bf16::from_le_bytes(bytes).to_f32())),
        _ => Err(EncoderError::Shape(name.to_owned())),
    }
}

impl Encoder {
    /// Reads the weights from a file in the safetensors format, of any float type.
    pub(crate) fn load(config: Config, file: &[u8]) -> Result<Self, EncoderError> {
        config.check()?;
        let tensors = Tensors::open(file)?;
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let words =
            tensors.matrix("embeddings.word_embeddings.weight", hidden, config.vocab_size)?;
        let mut positions = tensors.get(
            "embeddings.position_embeddings.weight",
            config.max_position_embeddings * hidden,
        )?;
        positions.drain(..config.first_position() * hidden);
        let segments = "embeddings.token_type_embeddings.weight";
        let of_segments =
            tensors.file.load(&format!("{}{segments}", tensors.prefix), &Device::Cpu)?;
        let of_segments = tensors.get(segments, of_segments.elem_count())?;
        let mut of_segments = of_segments.chunks_exact(hidden);
        let first = of_segments.next().ok_or_else(|| EncoderError::Shape(segments.into()))?;
        let second = of_segments.next();
        let second = second.map(|second| second.iter().zip(first).map(|(b, a)| b - a).collect());
        add_to_rows(&mut positions, first);

        let layers = (0..config.num_hidden_layers).map(|layer| {
            let name = |part: &str| format!("encoder.layer.{layer}.{part}");
            let qkv = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
            Ok(Layer {
                qkv: tensors.linear(&qkv, hidden, hidden)?,
                attention_out: tensors.linear(&[name("attention.output.dense")], hidden, hidden)?,
                attention_norm: tensors.norm(&name("attention.output.LayerNorm"), hidden)?,
                up: tensors.linear(&[name("intermediate.dense")], hidden, inner)?,
                down: tensors.linear(&[name("output.dense")], inner, hidden)?,
                norm: tensors.norm(&name("output.LayerNorm"), hidden)?,
            })
        });
        Ok(Self {
            words,
            positions,
            second,
            norm: tensors.norm("embeddings.LayerNorm", hidden)?,
            layers: layers.collect::<Result<_, EncoderError>>()?,
            config,
        })
    }

    /// The last layer's vectors of the tokens of all `texts`, one after the other.
    pub(crate) fn forward(&self, texts: &[&[u32]]) -> Result<Vec<f32>, EncoderError> {
        let texts: Vec<_> = texts.iter().map(|text| (*text, text.len())).collect();
        self.forward_segments(&texts)
    }

    /// As [`Self::forward`]. A model that knows one segment only takes both texts for it.
    pub(crate) fn forward_pairs(&self, pairs: &[Pair]) -> Result<Vec<f32>, EncoderError> {
        let pairs: Vec<_> = pairs.iter().map(|pair| (pair.as_ref(), pair.of_first)).collect();
        self.forward_segments(&pairs)
    }

    /// Of texts, and how many of the tokens of each are of the first segment.
    fn forward_segments(&self, texts: &[(&[u32], usize)]) -> Result<Vec<f32>, EncoderError> {
        let Config { hidden_size: hidden, num_attention_heads: heads, layer_norm_eps: eps, .. } =
            self.config;
        let mut x = self.embed(texts)?;
        let (mut qkv, mut attended, mut projected) = (Vec::new(), Vec::new(), Vec::new());
        let mut inner = Vec::new();
        for layer in &self.layers {
            layer.qkv.forward(&x, &mut qkv)?;
            attended.resize(x.len(), 0.0);
            let (mut values, mut out) = (qkv.as_slice(), attended.as_mut_slice());
            for (text, _) in texts.iter().filter(|(text, _)| !text.is_empty()) {
                let (these, rest) = values.split_at(text.len() * 3 * hidden);
                let (to, later) = out.split_at_mut(text.len() * hidden);
                attend(these, text.len(), heads, hidden, to)?;
                (values, out) = (rest, later);
            }
            layer.attention_out.forward(&attended, &mut projected)?;
            let Norm { weight, bias } = &layer.attention_norm;
            add_layer_norm(&mut projected, &x, weight, bias, eps)?;
            layer.up.forward(&projected, &mut inner)?;
            gelu(&mut inner);
            layer.down.forward(&inner, &mut x)?;
            add_layer_norm(&mut x, &projected, &layer.norm.weight, &layer.norm.bias, eps)?;
        }
        Ok(x)
    }

    fn embed(&self, texts: &[(&[u32], usize)]) -> Result<Vec<f32>, EncoderError> {
        let hidden = self.config.hidden_size;
        let Matrix { format, bytes: words_of } = &self.words;
        let row_bytes = format.row_bytes(hidden).ok_or(ShapeError)?;
        let tokens: usize = texts.iter().map(|(text, _)| text.len()).sum();
        let mut words = vec![0.0; tokens * hidden];
        let mut places = Vec::with_capacity(tokens * hidden);
        let mut rows = words.chunks_exact_mut(hidden);
        for (text, of_first) in texts {
            let positions = self.positions.get(..text.len() * hidden);
            let start = places.len() + of_first * hidden;
            places.extend_from_slice(positions.ok_or(EncoderError::Tokens)?);
            if let Some((second, rows)) = self.second.as_ref().zip(places.get_mut(start..)) {
                add_to_rows(rows, second);
            }
            for (token, row) in text.iter().zip(&mut rows) {
                let start = *token as usize * row_bytes;
                let bytes = words_of.get(start..start + row_bytes);
                format.dequantize(bytes.ok_or(EncoderError::Tokens)?, row);
            }
        }
        let Norm { weight, bias } = &self.norm;
        add_layer_norm(&mut words, &places, weight, bias, self.config.layer_norm_eps)?;
        Ok(words)
    }
}

fn add_to_rows(rows: &mut [f32], vector: &[f32]) {
    for row in rows.chunks_exact_mut(vector.len()) {
        row.iter_mut().zip(vector).for_each(|(value, more)| *value += more);
    }
}

/// What tells the relevance from the vectors of the first tokens: a layer and one class.
pub(crate) struct Head {
    dense: Linear,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Head {
    /// BERT's pooler and the classifier behind it, or RoBERTa's classifier, which is both.
    pub(crate) fn load(config: &Config, file: &[u8]) -> Result<Self, EncoderError> {
        let mut tensors = Tensors::open(file)?;
        let (dense, class) = if config.model_type == "bert" {
            ("pooler.dense", "classifier")
        } else {
            tensors.prefix = "";
            ("classifier.dense", "classifier.out_proj")
        };
        let width = config.hidden_size;
        let dense = tensors.linear(&[dense.to_owned()], width, width)?;
        // A classifier is no part of the encoder, whose names may have a prefix.
        tensors.prefix = "";
        let weights = tensors.get(&format!("{class}.weight"), width)?;
        let bias = tensors.get(&format!("{class}.bias"), 1)?;
        Ok(Self { dense, weights, bias })
    }

    /// One logit for each of the vectors, which follow each other.
    pub(crate) fn logits(&self, vectors: &[f32]) -> Result<Vec<f32>, EncoderError> {
        let mut rows = Vec::new();
        self.dense.forward(vectors, &mut rows)?;
        let logits = rows.chunks_exact(self.weights.len()).map(|row| {
            let products =
                row.iter().zip(&self.weights).map(|(value, weight)| value.tanh() * weight);
            let logit = products.chain(self.bias.iter().copied()).sum::<f32>();
            if logit.is_finite() { Ok(logit) } else { Err(EncoderError::Result) }
        });
        logits.collect()
    }
}

/// Attention among the tokens of one text, whose queries, keys and values follow each
/// other in each row of `qkv`.
fn attend(
    qkv: &[f32],
    tokens: usize,
    heads: usize,
    hidden: usize,
    out: &mut [f32],
) -> Result<(), ShapeError> {
    let head_dim = hidden / heads;
    let strides = [0, 3 * hidden, head_dim];
    let of = Attention {
        q: qkv,
        k: Values::F32(&qkv[hidden..]),
        v: Values::F32(&qkv[2 * hidden..]),
        q_strides: strides,
        k_strides: strides,
        v_strides: strides,
        out_strides: [0, hidden, head_dim],
        batch: 1,
        q_heads: heads,
        kv_heads: heads,
        q_len: tokens,
        kv_len: tokens,
        head_dim,
        mask: None,
        scale: 1.0 / (head_dim as f32).sqrt(),
    };
    attention(&of, out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use candle_core::DType;

    use super::*;
    use crate::reference::{Reference, Tiny};

    fn cosine(one: &[f32], other: &[f32]) -> f32 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
    }

    fn mean(tokens: &[f32], width: usize) -> Vec<f32> {
        let mut sum = vec![0.0; width];
        for token in tokens.chunks_exact(width) {
            sum.iter_mut().zip(token).for_each(|(sum, value)| *sum += value);
        }
        sum
    }

    #[test]
    fn eight_bits_give_nearly_the_vectors_of_floats() {
        let directory = crate::models::path("all-minilm-l6-v2");
        let file = std::fs::read(directory.join("model.safetensors")).unwrap();
        let config: Config =
            serde_json::from_slice(&std::fs::read(directory.join("config.json")).unwrap()).unwrap();
        let reference = Reference::new(&config, &file, "");
        let encoder = Encoder::load(config.clone(), &file).unwrap();
        // Any tokens will do; those of words are from about 2,000 on.
        let texts: Vec<Vec<u32>> = (1..=24_u32)
            .map(|text| {
                let words =
                    (0..text * 5).map(|word| 2_000 + (word * 7_919 + text * 104_729) % 20_000);
                std::iter::once(101).chain(words).chain([102]).collect()
            })
            .collect();
        let slices: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let all = encoder.forward(&slices).unwrap();
        let width = config.hidden_size;
        let mut vectors = all.as_slice();
        let mut cosines = Vec::new();
        for text in &texts {
            let (these, rest) = vectors.split_at(text.len() * width);
            vectors = rest;
            let expected =
                reference.forward(text, text.len()).flatten_all().unwrap().to_vec1().unwrap();
            cosines.push(cosine(&mean(these, width), &mean(&expected, width)));
        }
        let least = cosines.iter().copied().fold(1.0, f32::min);
        let average = cosines.iter().sum::<f32>() / cosines.len() as f32;
        assert!(least >= 0.97 && average >= 0.99, "least {least}, on average {average}");
    }

    #[test]
    fn every_architecture_is_loaded_and_computes_what_it_should() {
        for architecture in ENCODER_ARCHITECTURES {
            for kind in [DType::F32, DType::F16, DType::BF16] {
                let tiny = Tiny::new(architecture, kind);
                let (config, file) = (&tiny.config, tiny.file());
                let reference = Reference::new(config, &file, "");
                let encoder = Encoder::load(config.clone(), &file).unwrap();
                // The longest text there may be, and a short one.
                for len in [config.max_tokens(), 3] {
                    let text: Vec<u32> = (0..len as u32).map(|word| (word * 17 + 3) % 50).collect();
                    let found = encoder.forward(&[&text]).unwrap();
                    let expected = reference.forward(&text, len).flatten_all().unwrap();
                    let expected: Vec<f32> = expected.to_vec1().unwrap();
                    let near = cosine(&found, &expected);
                    assert!(near > 0.999, "{architecture} in {kind:?}: {near}");
                }
                let long = vec![3; config.max_tokens() + 1];
                assert!(matches!(encoder.forward(&[&long]), Err(EncoderError::Tokens)));
            }
        }
    }

    #[test]
    fn configurations_that_cannot_be_run_are_refused() {
        let config = |change: fn(&mut Config)| {
            let mut config = Config {
                vocab_size: 10,
                hidden_size: 64,
                num_hidden_layers: 1,
                num_attention_heads: 2,
                intermediate_size: 128,
                max_position_embeddings: 8,
                layer_norm_eps: 1e-12,
                hidden_act: "gelu".into(),
                model_type: "bert".into(),
                pad_token_id: 1,
            };
            change(&mut config);
            config.check().map_err(|error| error.to_string())
        };
        assert_eq!(config(|_| ()), Ok(()));
        let cases: [(fn(&mut Config), &str); 6] = [
            (|config| config.num_attention_heads = 0, "num_attention_heads = 0"),
            (|config| config.num_attention_heads = 3, "num_attention_heads = 3"),
            (|config| config.hidden_size = 48, "hidden_size = 48"),
            (|config| config.intermediate_size = 100, "intermediate_size = 100"),
            (|config| config.hidden_act = "relu".into(), "hidden_act = relu"),
            (|config| config.model_type = "gpt2".into(), "model_type = gpt2"),
        ];
        for (change, words) in cases {
            assert!(config(change).unwrap_err().contains(words), "{words}");
        }
    }

    #[test]
    fn tokens_beyond_the_model_are_refused() {
        let directory = crate::models::path("all-minilm-l6-v2");
        let file = std::fs::read(directory.join("model.safetensors")).unwrap();
        let config: Config =
            serde_json::from_slice(&std::fs::read(directory.join("config.json")).unwrap()).unwrap();
        let (words, positions) = (config.vocab_size as u32, config.max_position_embeddings);
        let encoder = Encoder::load(config, &file).unwrap();
        assert!(matches!(encoder.forward(&[&[words]]), Err(EncoderError::Tokens)));
        assert!(matches!(encoder.forward(&[&vec![1; positions + 1]]), Err(EncoderError::Tokens)));
        assert!(encoder.forward(&[]).unwrap().is_empty());
    }
}
