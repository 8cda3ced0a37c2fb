//! What the encoder's tests compare with: the same network, computed plainly.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use candle_core::safetensors::SliceSafetensors;
use candle_core::{DType, Device, Tensor};

use crate::encoder::Config;

/// The same network in 32-bit floats, one tensor operation after the other.
pub(crate) struct Reference<'a> {
    config: &'a Config,
    tensors: SliceSafetensors<'a>,
    /// What the names of the encoder's tensors begin with.
    prefix: &'static str,
}

impl<'a> Reference<'a> {
    pub(crate) fn new(config: &'a Config, file: &'a [u8], prefix: &'static str) -> Self {
        Self { config, tensors: SliceSafetensors::new(file).unwrap(), prefix }
    }

    fn get(&self, name: &str) -> Tensor {
        let prefix = if name.starts_with("classifier") { "" } else { self.prefix };
        let name = format!("{prefix}{name}");
        self.tensors.load(&name, &Device::Cpu).unwrap().to_dtype(DType::F32).unwrap()
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

    /// The last layer's vectors of a text, of whose tokens so many are of the first segment.
    pub(crate) fn forward(&self, tokens: &[u32], of_first: usize) -> Tensor {
        let (len, heads) = (tokens.len(), self.config.num_attention_heads);
        let dim = self.config.hidden_size / heads;
        let ids = Tensor::new(tokens, &Device::Cpu).unwrap();
        let words = self.get("embeddings.word_embeddings.weight").embedding(&ids).unwrap();
        let places = self.get("embeddings.position_embeddings.weight");
        let segment = self.get("embeddings.token_type_embeddings.weight");
        let first = self.config.first_position();
        let x = (words + places.narrow(0, first, len).unwrap()).unwrap();
        let rows: Vec<u32> = (0..len).map(|at| u32::from(at >= of_first)).collect();
        let segments = segment.embedding(&Tensor::new(rows, &Device::Cpu).unwrap()).unwrap();
        let x = (x + segments).unwrap();
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

    /// The logit that a classifier of one class makes of a pair.
    pub(crate) fn logit(&self, tokens: &[u32], of_first: usize) -> f32 {
        let first = self.forward(tokens, of_first).narrow(0, 0, 1).unwrap();
        let (dense, class) = match self.config.model_type.as_str() {
            "bert" => ("pooler.dense", "classifier"),
            _ => ("classifier.dense", "classifier.out_proj"),
        };
        let logit = self.linear(&self.linear(&first, dense).tanh().unwrap(), class);
        logit.flatten_all().unwrap().to_vec1().unwrap()[0]
    }
}

/// Tensors of random weights, and the configuration of the encoder that they are of.
pub(crate) struct Tiny {
    pub(crate) config: Config,
    tensors: HashMap<String, Tensor>,
    kind: DType,
    word: u32,
}

impl Tiny {
    /// An encoder of each kind of numbers. BERT tells two segments apart.
    pub(crate) fn new(model_type: &str, kind: DType) -> Self {
        let config: Config = serde_json::from_value(Self::json(model_type)).unwrap();
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let mut tiny = Self { config, tensors: HashMap::new(), kind, word: 7 };
        let segments = if model_type == "bert" { 2 } else { 1 };
        for (name, rows) in [("word", 50), ("position", 20), ("token_type", segments)] {
            let name = format!("embeddings.{name}_embeddings.weight");
            tiny.add(&name, &[rows, hidden], 0.0, 0.15);
        }
        let layers: Vec<String> = (0..2).map(|layer| format!("encoder.layer.{layer}")).collect();
        let norms = layers
            .iter()
            .flat_map(|layer| ["attention.output", "output"].map(|part| format!("{layer}.{part}")));
        for norm in norms.chain(["embeddings".to_owned()]) {
            tiny.add(&format!("{norm}.LayerNorm.weight"), &[hidden], 1.0, 0.15);
            tiny.add(&format!("{norm}.LayerNorm.bias"), &[hidden], 0.0, 0.15);
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
                tiny.add(&format!("{layer}.{part}.weight"), &[to, from], 0.0, 0.15);
                tiny.add(&format!("{layer}.{part}.bias"), &[to], 0.0, 0.15);
            }
        }
        tiny
    }

    /// Its `config.json`.
    pub(crate) fn json(model_type: &str) -> serde_json::Value {
        serde_json::json!({
            "vocab_size": 50, "hidden_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "intermediate_size": 96, "max_position_embeddings": 20,
            "layer_norm_eps": 1e-5, "model_type": model_type,
        })
    }

    /// Random weights, as far from `middle` as `spread` at most.
    pub(crate) fn add(&mut self, name: &str, shape: &[usize], middle: f32, spread: f32) {
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| {
                self.word = self.word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                middle + ((self.word >> 8) as f32 / (1 << 23) as f32 - 1.0) * spread
            })
            .collect();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        self.tensors.insert(name.to_owned(), tensor.to_dtype(self.kind).unwrap());
    }

    /// The same with a classifier of one class, under the names that files of classifiers have.
    /// Returns what those of the encoder begin with.
    pub(crate) fn classify(&mut self) -> &'static str {
        let is_bert = self.config.model_type == "bert";
        let prefix = if is_bert { "bert." } else { "roberta." };
        let named = std::mem::take(&mut self.tensors).into_iter();
        self.tensors = named.map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect();
        let (dense, class) = match is_bert {
            true => ("bert.pooler.dense", "classifier"),
            false => ("classifier.dense", "classifier.out_proj"),
        };
        let width = self.config.hidden_size;
        for (name, rows, spread) in [(dense, width, 0.3), (class, 1, 0.6)] {
            self.add(&format!("{name}.weight"), &[rows, width], 0.0, spread);
            self.add(&format!("{name}.bias"), &[rows], 0.0, spread);
        }
        prefix
    }

    /// The file `model.safetensors`.
    pub(crate) fn file(&self) -> Vec<u8> {
        safetensors::serialize(&self.tensors, None).unwrap()
    }
}
