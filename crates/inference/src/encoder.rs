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
    fn first_position(&self) -> usize {
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

pub(crate) struct Encoder {
    config: Config,
    /// A row per token of the vocabulary: a fourth of the memory that floats would
    /// take, and rows are unpacked as they are needed.
    words: Matrix,
    /// A row per position, the one vector of the only segment added.
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

/// The tensors of a file, whatever prefix their names have.
struct Tensors<'a> {
    file: SliceSafetensors<'a>,
    prefix: &'static str,
}

impl Tensors<'_> {
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
        let file = SliceSafetensors::new(file)?;
        let prefix = ["", "bert.", "roberta."]
            .into_iter()
            .find(|prefix| file.get(&format!("{prefix}embeddings.word_embeddings.weight")).is_ok());
        let tensors = Tensors { file, prefix: prefix.unwrap_or_default() };

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
        let segment = tensors.get(segments, of_segments.elem_count())?;
        let segment = segment.get(..hidden).ok_or_else(|| EncoderError::Shape(segments.into()))?;
        for position in positions.chunks_exact_mut(hidden) {
            position.iter_mut().zip(segment).for_each(|(value, segment)| *value += segment);
        }

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
            norm: tensors.norm("embeddings.LayerNorm", hidden)?,
            layers: layers.collect::<Result<_, EncoderError>>()?,
            config,
        })
    }

    /// The last layer's vectors of the tokens of all `texts`, one after the other.
    pub(crate) fn forward(&self, texts: &[&[u32]]) -> Result<Vec<f32>, EncoderError> {
        let Config { hidden_size: hidden, num_attention_heads: heads, layer_norm_eps: eps, .. } =
            self.config;
        let mut x = self.embed(texts)?;
        let (mut qkv, mut attended, mut projected) = (Vec::new(), Vec::new(), Vec::new());
        let mut inner = Vec::new();
        for layer in &self.layers {
            layer.qkv.forward(&x, &mut qkv)?;
            attended.resize(x.len(), 0.0);
            let (mut values, mut out) = (qkv.as_slice(), attended.as_mut_slice());
            for text in texts.iter().filter(|text| !text.is_empty()) {
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

    fn embed(&self, texts: &[&[u32]]) -> Result<Vec<f32>, EncoderError> {
        let hidden = self.config.hidden_size;
        let Matrix { format, bytes: words_of } = &self.words;
        let row_bytes = format.row_bytes(hidden).ok_or(ShapeError)?;
        let tokens: usize = texts.iter().map(|text| text.len()).sum();
        let mut words = vec![0.0; tokens * hidden];
        let mut places = Vec::with_capacity(tokens * hidden);
        let mut rows = words.chunks_exact_mut(hidden);
        for text in texts {
            let positions = self.positions.get(..text.len() * hidden);
            places.extend_from_slice(positions.ok_or(EncoderError::Tokens)?);
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

    use candle_core::{DType, Tensor};

    use super::*;

    /// The same network in 32-bit floats, one tensor operation after the other.
    struct Reference<'a> {
        config: &'a Config,
        tensors: SliceSafetensors<'a>,
    }

    impl Reference<'_> {
        fn get(&self, name: &str) -> Tensor {
            self.tensors.load(name, &Device::Cpu).unwrap().to_dtype(DType::F32).unwrap()
        }

        fn linear(&self, x: &Tensor, name: &str) -> Tensor {
            let weight = self.get(&format!("{name}.weight")).t().unwrap();
            x.matmul(&weight).unwrap().broadcast_add(&self.get(&format!("{name}.bias"))).unwrap()
        }

        fn norm(&self, x: &Tensor, name: &str) -> Tensor {
            let x = x.broadcast_sub(&x.mean_keepdim(1).unwrap()).unwrap();
            let variance = x.sqr().unwrap().mean_keepdim(1).unwrap();
            let eps = f64::from(self.config.layer_norm_eps);
            let x = x.broadcast_div(&(variance + eps).unwrap().sqrt().unwrap()).unwrap();
            let x = x.broadcast_mul(&self.get(&format!("{name}.weight"))).unwrap();
            x.broadcast_add(&self.get(&format!("{name}.bias"))).unwrap()
        }

        fn forward(&self, tokens: &[u32]) -> Tensor {
            let (len, heads) = (tokens.len(), self.config.num_attention_heads);
            let dim = self.config.hidden_size / heads;
            let ids = Tensor::new(tokens, &Device::Cpu).unwrap();
            let words = self.get("embeddings.word_embeddings.weight").embedding(&ids).unwrap();
            let places = self.get("embeddings.position_embeddings.weight");
            let segment = self.get("embeddings.token_type_embeddings.weight");
            let first = self.config.first_position();
            let x = (words + places.narrow(0, first, len).unwrap()).unwrap();
            let x = x.broadcast_add(&segment.narrow(0, 0, 1).unwrap()).unwrap();
            let mut x = self.norm(&x, "embeddings.LayerNorm");
            for layer in 0..self.config.num_hidden_layers {
                let name = |part: &str| format!("encoder.layer.{layer}.{part}");
                let [q, k, v] = ["query", "key", "value"].map(|part| {
                    let of = self.linear(&x, &name(&format!("attention.self.{part}")));
                    let of = of.reshape((len, heads, dim)).unwrap().transpose(0, 1).unwrap();
                    of.contiguous().unwrap()
                });
                let scores = q.matmul(&k.t().unwrap().contiguous().unwrap()).unwrap();
                let scores = (scores / (dim as f64).sqrt()).unwrap();
                let most = scores.max_keepdim(2).unwrap();
                let weights = scores.broadcast_sub(&most).unwrap().exp().unwrap();
                let weights = weights.broadcast_div(&weights.sum_keepdim(2).unwrap()).unwrap();
                let out = weights.matmul(&v).unwrap().transpose(0, 1).unwrap();
                let out = out.reshape((len, heads * dim)).unwrap();
                let out = self.linear(&out, &name("attention.output.dense"));
                let attended = self.norm(&(out + &x).unwrap(), &name("attention.output.LayerNorm"));
                let inner = self.linear(&attended, &name("intermediate.dense"));
                let out = self.linear(&inner.gelu_erf().unwrap(), &name("output.dense"));
                x = self.norm(&(out + attended).unwrap(), &name("output.LayerNorm"));
            }
            x
        }
    }

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
        let reference =
            Reference { config: &config, tensors: SliceSafetensors::new(&file).unwrap() };
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
            let expected = reference.forward(text).flatten_all().unwrap().to_vec1().unwrap();
            cosines.push(cosine(&mean(these, width), &mean(&expected, width)));
        }
        let least = cosines.iter().copied().fold(1.0, f32::min);
        let average = cosines.iter().sum::<f32>() / cosines.len() as f32;
        assert!(least >= 0.97 && average >= 0.99, "least {least}, on average {average}");
    }

    /// A file of random weights of each kind of numbers, and its configuration.
    fn tiny(model_type: &str, kind: DType) -> (Config, Vec<u8>) {
        let config: Config = serde_json::from_value(serde_json::json!({
            "vocab_size": 50, "hidden_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "intermediate_size": 96, "max_position_embeddings": 20,
            "layer_norm_eps": 1e-5, "model_type": model_type,
        }))
        .unwrap();
        let mut word = 7_u32;
        let mut random = |shape: &[usize], middle: f32| {
            let values: Vec<f32> = (0..shape.iter().product())
                .map(|_| {
                    word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    middle + (word >> 8) as f32 / (1 << 23) as f32 * 0.3 - 0.15
                })
                .collect();
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            tensor.to_dtype(kind).unwrap()
        };
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let mut tensors = std::collections::HashMap::new();
        for (name, rows) in [("word", 50), ("position", 20), ("token_type", 1)] {
            let name = format!("embeddings.{name}_embeddings.weight");
            tensors.insert(name, random(&[rows, hidden], 0.0));
        }
        let layers: Vec<String> = (0..2).map(|layer| format!("encoder.layer.{layer}")).collect();
        let norms = layers
            .iter()
            .flat_map(|layer| ["attention.output", "output"].map(|part| format!("{layer}.{part}")));
        for norm in norms.chain(["embeddings".to_owned()]) {
            tensors.insert(format!("{norm}.LayerNorm.weight"), random(&[hidden], 1.0));
            tensors.insert(format!("{norm}.LayerNorm.bias"), random(&[hidden], 0.0));
        }
        for layer in &layers {
            for (part, from, to) in [
                ("attention.self.query", hidden, hidden),
                ("attention.self.key", hidden, hidden),
                ("attention.self.value", hidden, hidden),
                ("attention.output.dense", hidden, hidden),
                ("intermediate.dense", hidden, inner),
                ("output.dense", inner, hidden),
            ] {
                tensors.insert(format!("{layer}.{part}.weight"), random(&[to, from], 0.0));
                tensors.insert(format!("{layer}.{part}.bias"), random(&[to], 0.0));
            }
        }
        (config, safetensors::serialize(&tensors, None).unwrap())
    }

    #[test]
    fn every_architecture_is_loaded_and_computes_what_it_should() {
        for architecture in ENCODER_ARCHITECTURES {
            for kind in [DType::F32, DType::F16, DType::BF16] {
                let (config, file) = tiny(architecture, kind);
                let reference =
                    Reference { config: &config, tensors: SliceSafetensors::new(&file).unwrap() };
                let encoder = Encoder::load(config.clone(), &file).unwrap();
                // The longest text there may be, and a short one.
                for len in [config.max_tokens(), 3] {
                    let text: Vec<u32> = (0..len as u32).map(|word| (word * 17 + 3) % 50).collect();
                    let found = encoder.forward(&[&text]).unwrap();
                    let expected: Vec<f32> =
                        reference.forward(&text).flatten_all().unwrap().to_vec1().unwrap();
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
