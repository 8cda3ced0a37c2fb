//! Reads the header of a GGUF file: enough to say, before gigabytes are loaded or a
//! file is taken into the models, whether it is whole and of a kind that can run, and
//! how much memory it will take. The library that loads it afterwards panics on some
//! such files.
//!
//! Format: the GGUF specification, versions 2 and 3, little-endian.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The architectures that mistral.rs loads from GGUF on every platform.
pub const ARCHITECTURES: [&str; 7] =
    ["llama", "mistral3", "phi2", "phi3", "starcoder2", "qwen2", "qwen3"];

/// No real header is larger (the largest vocabularies take about 10 MiB), and a
/// damaged one must not make us read or keep more.
const MAX_HEADER_BYTES: u64 = 64 << 20;
/// GGML tensors have at most four dimensions.
const MAX_DIMENSIONS: u32 = 4;
const DEFAULT_ALIGNMENT: u64 = 32;

/// Why a file is no usable chat model in GGUF. Each goes on from "The model … cannot be
/// used: ".
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The system does not let it be read.
    #[error("it cannot be read: {0}")]
    Io(#[source] io::Error),
    /// It is another format.
    #[error("it is not a GGUF file")]
    NotGguf,
    /// It is of a version that is too old or too new.
    #[error("its GGUF version {0} is not supported")]
    Version(u32),
    /// A part of it is missing.
    #[error("it ends too early: {expected} bytes are expected and {actual} are there")]
    Truncated {
        /// What its header promises, in bytes.
        expected: u64,
        /// Its length in bytes.
        actual: u64,
    },
    /// Its header contradicts itself.
    #[error("its header is damaged: {0}")]
    Malformed(String),
    /// It is one of several files.
    #[error("it is part of a model that is split into {0} files")]
    Split(u64),
    /// It is of a family that cannot be run.
    #[error("it has the architecture \"{0}\", which cannot be run")]
    Architecture(String),
    /// Its weights are stored in a way that cannot be run.
    #[error("it has a tensor in the quantisation {0}, which cannot be run")]
    Quantisation(String),
    /// It does not say how a conversation is put to it.
    #[error("it has no chat template, so it is no chat model")]
    NoTemplate,
    /// It has no words, or none that can be used.
    #[error("it has no tokenizer that can be used: {0}")]
    Tokenizer(String),
}

impl GgufError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io(_) => "Check that the file may be read.",
            Self::Truncated { .. } | Self::Malformed(_) => {
                "Download the model again; the file is not whole."
            }
            Self::NotGguf | Self::Version(_) => "Choose a file in the GGUF format.",
            Self::Split(_) => "Choose a model that is one file.",
            Self::Architecture(_) => {
                "Choose a model of the Llama, Mistral, Phi, StarCoder2, Qwen2 or Qwen3 family."
            }
            Self::Quantisation(_) => "Choose a Q4_K_M or Q8_0 file of the same model.",
            Self::NoTemplate => {
                "Choose a file of the model's \"instruct\" or \"chat\" version; a base model cannot answer."
            }
            Self::Tokenizer(_) => {
                "Choose a file that was converted anew: its words do not belong to its weights."
            }
        }
    }
}

/// A metadata value. Arrays of other things than strings and integers are read
/// over, since nothing here asks for them.
#[derive(Debug)]
enum Value {
    Integer(i128),
    Text(String),
    Texts(Vec<String>),
    Integers(Vec<i64>),
    Other,
}

#[derive(Debug)]
struct Tensor {
    name: String,
    kind: u32,
    /// The product of all sizes but the first.
    rows: u64,
    elements: u64,
    bytes: u64,
    offset: u64,
}

/// The sizes of a model that its pace and its memory depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// How many layers.
    pub layers: u64,
    /// How many numbers stand for a token between layers.
    pub width: u64,
    /// How many there are in the middle of a layer's feed-forward part.
    pub feed_forward: u64,
    /// How many heads attend.
    pub heads: u64,
    /// How many heads have keys and values.
    pub kv_heads: u64,
    /// The numbers of a head.
    pub head_width: u64,
    /// How many tokens it knows.
    pub vocabulary: u64,
}

impl Shape {
    /// How many weights a layer multiplies each token with.
    pub fn layer_weights(&self) -> u64 {
        let queries = self.heads.saturating_mul(self.head_width);
        let keys = self.kv_heads.saturating_mul(self.head_width);
        // Queries and what becomes of them, keys and values; gate, up and down.
        let attention = queries.saturating_add(keys).saturating_mul(2);
        let feed_forward = self.feed_forward.saturating_mul(3);
        self.width.saturating_mul(attention.saturating_add(feed_forward))
    }

    /// How many bytes the keys and values of so many tokens take in half precision.
    pub fn cache_bytes(&self, tokens: u64) -> u64 {
        let values = [2, self.kv_heads, self.head_width, tokens, size_of::<u16>() as u64];
        values.into_iter().fold(self.layers, u64::saturating_mul)
    }
}

/// What a GGUF file says of itself.
#[derive(Debug)]
pub struct Header {
    metadata: HashMap<String, Value>,
    tensors: Vec<Tensor>,
    file_bytes: u64,
}

impl Header {
    /// Reads and checks the header of the file at `path`: the file is as long as
    /// its tensors need, and architecture and quantisations can be run.
    pub fn read(path: &Path) -> Result<Self, GgufError> {
        let file = File::open(path).map_err(GgufError::Io)?;
        let file_bytes = file.metadata().map_err(GgufError::Io)?.len();
        let header = Self::parse(BufReader::new(file), file_bytes)?;
        Ok(header)
    }

    fn parse(source: impl Read, file_bytes: u64) -> Result<Self, GgufError> {
        let mut reader = HeaderReader {
            source: source.take(MAX_HEADER_BYTES.min(file_bytes)),
            limit: MAX_HEADER_BYTES.min(file_bytes),
            file_bytes,
        };
        if &reader.array::<4>().map_err(|_| GgufError::NotGguf)? != b"GGUF" {
            return Err(GgufError::NotGguf);
        }
        let version = reader.u32()?;
        if !(2..=3).contains(&version) {
            return Err(GgufError::Version(version));
        }
        let tensor_count = reader.u64()?;
        let pair_count = reader.u64()?;

        let mut metadata = HashMap::new();
        for _ in 0..pair_count {
            let key = reader.text()?;
            let kind = reader.u32()?;
            let value = reader.value(kind)?;
            metadata.insert(key, value);
        }
        let header = Self { metadata, tensors: Vec::new(), file_bytes };
        // Said before any complaint about tensors, which may be of kinds that
        // only such an architecture has.
        let architecture = header
            .text("general.architecture")
            .ok_or_else(|| GgufError::Malformed("it names no architecture".into()))?;
        if !ARCHITECTURES.contains(&architecture) {
            return Err(GgufError::Architecture(architecture.to_owned()));
        }
        if let Some(count @ 2..) = header.integer("split.count") {
            return Err(GgufError::Split(count));
        }
        let Self { metadata, mut tensors, .. } = header;
        for _ in 0..tensor_count {
            tensors.push(reader.tensor()?);
        }

        let header = Self { metadata, tensors, file_bytes };
        header.check_length(reader.position())?;
        Ok(header)
    }

    /// Every tensor must lie inside the file.
    fn check_length(&self, header_end: u64) -> Result<(), GgufError> {
        let alignment = self.integer("general.alignment").unwrap_or(DEFAULT_ALIGNMENT);
        let data = header_end
            .checked_next_multiple_of(alignment)
            .filter(|_| alignment > 0)
            .ok_or_else(|| GgufError::Malformed("its alignment makes no sense".into()))?;
        for tensor in &self.tensors {
            let expected = data
                .checked_add(tensor.offset)
                .and_then(|start| start.checked_add(tensor.bytes))
                .ok_or_else(|| GgufError::Malformed(format!("the place of \"{}\"", tensor.name)))?;
            if expected > self.file_bytes {
                return Err(GgufError::Truncated { expected, actual: self.file_bytes });
            }
        }
        Ok(())
    }

    /// The file's length in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// The family of models it belongs to, such as `qwen2`.
    pub fn architecture(&self) -> &str {
        self.text("general.architecture").unwrap_or_default()
    }

    /// Its name for people, where it says one.
    pub fn name(&self) -> Option<&str> {
        self.text("general.name").map(str::trim).filter(|name| !name.is_empty())
    }

    /// Its licence, where it says one, as an SPDX identifier or in its makers' words.
    pub fn licence(&self) -> Option<&str> {
        self.text("general.license").map(str::trim).filter(|licence| !licence.is_empty())
    }

    /// How most of its weights are stored, in the words of GGUF: by what the file says of
    /// itself, or by its largest kind of tensor.
    pub fn quantisation(&self) -> String {
        // The values of `general.file_type` that are not the name of a tensor's type.
        let mixed = match self.integer("general.file_type") {
            Some(11) => Some("Q3_K_S"),
            Some(12) => Some("Q3_K_M"),
            Some(13) => Some("Q3_K_L"),
            Some(14) => Some("Q4_K_S"),
            Some(15) => Some("Q4_K_M"),
            Some(16) => Some("Q5_K_S"),
            Some(17) => Some("Q5_K_M"),
            _ => None,
        };
        let mut kinds: HashMap<u32, u64> = HashMap::new();
        for tensor in &self.tensors {
            *kinds.entry(tensor.kind).or_default() += tensor.bytes;
        }
        let largest = kinds.into_iter().max_by_key(|(kind, bytes)| (*bytes, *kind));
        mixed.or(largest.and_then(|(kind, _)| type_name(kind))).unwrap_or_default().to_owned()
    }

    /// The sizes of the model, as far as its pace and memory depend on them.
    ///
    /// # Errors
    ///
    /// [`GgufError::Malformed`] where one of them is missing.
    pub fn shape(&self) -> Result<Shape, GgufError> {
        let need = |name: &str| {
            self.parameter(name)
                .filter(|value| *value > 0)
                .ok_or_else(|| GgufError::Malformed(format!("it does not say {name}")))
        };
        let width = need("embedding_length")?;
        let heads = need("attention.head_count")?;
        Ok(Shape {
            layers: need("block_count")?,
            width,
            feed_forward: need("feed_forward_length")?,
            heads,
            kv_heads: self.parameter("attention.head_count_kv").unwrap_or(heads),
            head_width: self.parameter("attention.key_length").unwrap_or(width / heads),
            vocabulary: self.rows("token_embd.weight").unwrap_or(0),
        })
    }

    /// Whether it can be talked to: it has a chat template, words of a kind that can be
    /// used, and as many as its weights are made for.
    ///
    /// # Errors
    ///
    /// [`GgufError::NoTemplate`] and [`GgufError::Tokenizer`].
    pub fn check_chat(&self) -> Result<(), GgufError> {
        let wrong = |what: String| Err(GgufError::Tokenizer(what));
        match self.text("tokenizer.ggml.model") {
            Some("llama" | "replit" | "gpt2") => {}
            Some(other) => return wrong(format!("it is of the kind \"{other}\"")),
            None => return wrong("there is none".into()),
        }
        let Some(Value::Texts(tokens)) = self.metadata.get("tokenizer.ggml.tokens") else {
            return wrong("it has no words".into());
        };
        let words = tokens.len() as u64;
        if let Some(rows) = self.rows("token_embd.weight")
            // Weights are padded to round numbers of words; never by half.
            && (words > rows || words < rows / 2)
        {
            return wrong(format!("it has {words} words and its weights have {rows}"));
        }
        match self.integer("tokenizer.ggml.eos_token_id") {
            Some(end) if end < words => {}
            _ => return wrong("it names no token that ends a reply".into()),
        }
        match self.text("tokenizer.chat_template") {
            Some(template) if !template.trim().is_empty() => Ok(()),
            _ => Err(GgufError::NoTemplate),
        }
    }

    /// How many words the table `name` has.
    fn rows(&self, name: &str) -> Option<u64> {
        self.tensors.iter().find(|tensor| tensor.name == name).map(|tensor| tensor.rows)
    }

    fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn integer(&self, key: &str) -> Option<u64> {
        match self.metadata.get(key) {
            Some(Value::Integer(integer)) => u64::try_from(*integer).ok(),
            _ => None,
        }
    }

    /// A number of the architecture's own, such as `llama.block_count`.
    fn parameter(&self, name: &str) -> Option<u64> {
        self.integer(&format!("{}.{name}", self.text("general.architecture")?))
    }

    /// How many tokens the model was made for.
    pub fn context_tokens(&self) -> Option<u64> {
        self.parameter("context_length")
    }

    /// How many bytes a key-value cache of `tokens` takes in half precision.
    pub fn cache_bytes(&self, tokens: u64) -> Option<u64> {
        let heads = self.parameter("attention.head_count").filter(|heads| *heads > 0)?;
        let key_heads = self.parameter("attention.head_count_kv").unwrap_or(heads);
        let width = match self.parameter("attention.key_length") {
            Some(width) => width,
            None => self.parameter("embedding_length")? / heads,
        };
        let values = [2, key_heads, width, tokens, size_of::<u16>() as u64];
        values.into_iter().try_fold(self.parameter("block_count")?, u64::checked_mul)
    }

    /// How many bytes the table of word vectors takes when it is dequantised,
    /// which happens on loading.
    pub fn embedding_bytes(&self) -> u64 {
        let table = self.tensors.iter().find(|tensor| tensor.name == "token_embd.weight");
        table.map_or(0, |tensor| tensor.elements.saturating_mul(size_of::<f32>() as u64))
    }

    /// The tokens that steer the model instead of standing for text, such as
    /// `<|im_end|>`.
    pub fn control_tokens(&self) -> Vec<String> {
        const CONTROL: i64 = 3;
        const USER_DEFINED: i64 = 4;
        let (Some(Value::Texts(tokens)), Some(Value::Integers(kinds))) = (
            self.metadata.get("tokenizer.ggml.tokens"),
            self.metadata.get("tokenizer.ggml.token_type"),
        ) else {
            return Vec::new();
        };
        let is_tag = |token: &str| token.starts_with('<') && token.ends_with('>');
        tokens
            .iter()
            .zip(kinds)
            .filter(|(token, kind)| {
                token.chars().count() > 2
                    && (**kind == CONTROL || (**kind == USER_DEFINED && is_tag(token)))
            })
            .map(|(token, _)| token.clone())
            .collect()
    }
}

/// Elements per block and bytes per block of a tensor type, if candle runs it;
/// otherwise its name.
fn tensor_type(id: u32) -> Result<(u64, u64), String> {
    Ok(match id {
        0 => (1, 4),      // F32
        1 | 30 => (1, 2), // F16, BF16
        2 => (32, 18),    // Q4_0
        3 => (32, 20),    // Q4_1
        6 => (32, 22),    // Q5_0
        7 => (32, 24),    // Q5_1
        8 => (32, 34),    // Q8_0
        9 => (32, 36),    // Q8_1
        10 => (256, 84),  // Q2_K
        11 => (256, 110), // Q3_K
        12 => (256, 144), // Q4_K
        13 => (256, 176), // Q5_K
        14 => (256, 210), // Q6_K
        15 => (256, 292), // Q8_K
        16 => return Err("IQ2_XXS".into()),
        17 => return Err("IQ2_XS".into()),
        18 => return Err("IQ3_XXS".into()),
        19 => return Err("IQ1_S".into()),
        20 => return Err("IQ4_NL".into()),
        21 => return Err("IQ3_S".into()),
        22 => return Err("IQ2_S".into()),
        23 => return Err("IQ4_XS".into()),
        29 => return Err("IQ1_M".into()),
        39 => return Err("MXFP4".into()),
        other => return Err(format!("number {other}")),
    })
}

/// What GGUF calls a tensor type that can be run.
fn type_name(id: u32) -> Option<&'static str> {
    Some(match id {
        0 => "F32",
        1 => "F16",
        30 => "BF16",
        2 => "Q4_0",
        3 => "Q4_1",
        6 => "Q5_0",
        7 => "Q5_1",
        8 => "Q8_0",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        15 => "Q8_K",
        _ => return None,
    })
}

struct HeaderReader<R> {
    source: io::Take<R>,
    limit: u64,
    file_bytes: u64,
}

impl<R: Read> HeaderReader<R> {
    fn position(&self) -> u64 {
        self.limit - self.source.limit()
    }

    fn error(&self, error: io::Error) -> GgufError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof if self.file_bytes > MAX_HEADER_BYTES => {
                GgufError::Malformed("it is longer than any header may be".into())
            }
            io::ErrorKind::UnexpectedEof => GgufError::Truncated {
                expected: self.file_bytes.saturating_add(1),
                actual: self.file_bytes,
            },
            _ => GgufError::Io(error),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let mut bytes = [0; N];
        match self.source.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) => Err(self.error(error)),
        }
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Fails before it allocates where fewer bytes are left than promised.
    fn expect(&self, bytes: u64) -> Result<(), GgufError> {
        if bytes > self.source.limit() {
            return Err(self.error(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    fn text(&mut self) -> Result<String, GgufError> {
        let length = self.u64()?;
        self.expect(length)?;
        let mut bytes = vec![0; length as usize];
        if let Err(error) = self.source.read_exact(&mut bytes) {
            return Err(self.error(error));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn value(&mut self, kind: u32) -> Result<Value, GgufError> {
        const ARRAY: u32 = 9;
        const TEXT: u32 = 8;
        match kind {
            TEXT => self.text().map(Value::Text),
            ARRAY => {
                let kind = self.u32()?;
                let count = self.u64()?;
                match kind {
                    TEXT => {
                        self.expect(count.saturating_mul(8))?;
                        (0..count).map(|_| self.text()).collect::<Result<_, _>>().map(Value::Texts)
                    }
                    ARRAY => Err(GgufError::Malformed("it has an array of arrays".into())),
                    _ => {
                        self.expect(count)?;
                        let mut integers = Vec::new();
                        for _ in 0..count {
                            if let Value::Integer(integer) = self.value(kind)? {
                                integers.push(i64::try_from(integer).unwrap_or(i64::MAX));
                            }
                        }
                        Ok(Value::Integers(integers))
                    }
                }
            }
            0 => self.array().map(|bytes| Value::Integer(u8::from_le_bytes(bytes).into())),
            1 => self.array().map(|bytes| Value::Integer(i8::from_le_bytes(bytes).into())),
            2 => self.array().map(|bytes| Value::Integer(u16::from_le_bytes(bytes).into())),
            3 => self.array().map(|bytes| Value::Integer(i16::from_le_bytes(bytes).into())),
            4 => self.u32().map(|integer| Value::Integer(integer.into())),
            5 => self.array().map(|bytes| Value::Integer(i32::from_le_bytes(bytes).into())),
            10 => self.u64().map(|integer| Value::Integer(integer.into())),
            11 => self.array().map(|bytes| Value::Integer(i64::from_le_bytes(bytes).into())),
            6 => self.array::<4>().map(|_| Value::Other), // f32
            7 => self.array::<1>().map(|_| Value::Other), // bool
            12 => self.array::<8>().map(|_| Value::Other), // f64
            other => Err(GgufError::Malformed(format!("it has a value of type {other}"))),
        }
    }

    fn tensor(&mut self) -> Result<Tensor, GgufError> {
        let name = self.text()?;
        let dimensions = self.u32()?;
        if dimensions > MAX_DIMENSIONS {
            return Err(GgufError::Malformed(format!("\"{name}\" has {dimensions} dimensions")));
        }
        let (mut elements, mut rows): (Option<u64>, u64) = (Some(1), 1);
        for dimension in 0..dimensions {
            let size = self.u64()?;
            elements = elements.and_then(|elements| elements.checked_mul(size));
            if dimension > 0 {
                rows = rows.saturating_mul(size);
            }
        }
        let kind = self.u32()?;
        let offset = self.u64()?;
        let (block_elements, block_bytes) = tensor_type(kind).map_err(GgufError::Quantisation)?;
        let bytes = elements
            .filter(|elements| elements.is_multiple_of(block_elements))
            .and_then(|elements| (elements / block_elements).checked_mul(block_bytes));
        match (elements, bytes) {
            (Some(elements), Some(bytes)) => {
                Ok(Tensor { name, kind, rows, elements, bytes, offset })
            }
            _ => Err(GgufError::Malformed(format!("the size of \"{name}\""))),
        }
    }
}

#[cfg(any(test, feature = "fixture"))]
pub mod fixture {
    //! Builds small GGUF files, for tests.

    /// A GGUF file in the making.
    pub struct GgufFile {
        pairs: Vec<u8>,
        pair_count: u64,
        tensors: Vec<u8>,
        tensor_count: u64,
        data: Vec<u8>,
    }

    fn text(bytes: &mut Vec<u8>, text: &str) {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    }

    impl GgufFile {
        /// One that names this architecture and nothing else.
        pub fn new(architecture: &str) -> Self {
            Self { pairs: vec![], pair_count: 0, tensors: vec![], tensor_count: 0, data: vec![] }
                .text("general.architecture", architecture)
        }

        /// With a text.
        pub fn text(mut self, key: &str, value: &str) -> Self {
            text(&mut self.pairs, key);
            self.pairs.extend(8u32.to_le_bytes());
            text(&mut self.pairs, value);
            self.pair_count += 1;
            self
        }

        /// With an integer.
        pub fn integer(mut self, key: &str, value: u32) -> Self {
            text(&mut self.pairs, key);
            self.pairs.extend(4u32.to_le_bytes());
            self.pairs.extend(value.to_le_bytes());
            self.pair_count += 1;
            self
        }

        /// With a number in 32-bit floating point.
        pub fn float(mut self, key: &str, value: f32) -> Self {
            text(&mut self.pairs, key);
            self.pairs.extend(6u32.to_le_bytes());
            self.pairs.extend(value.to_le_bytes());
            self.pair_count += 1;
            self
        }

        /// With texts.
        pub fn texts(mut self, key: &str, values: &[&str]) -> Self {
            text(&mut self.pairs, key);
            self.pairs.extend(9u32.to_le_bytes());
            self.pairs.extend(8u32.to_le_bytes());
            self.pairs.extend((values.len() as u64).to_le_bytes());
            for value in values {
                text(&mut self.pairs, value);
            }
            self.pair_count += 1;
            self
        }

        /// With tokens and the kind of each.
        pub fn tokens(self, tokens: &[(&str, i32)]) -> Self {
            let names: Vec<&str> = tokens.iter().map(|(name, _)| *name).collect();
            let mut file = self.texts("tokenizer.ggml.tokens", &names);
            text(&mut file.pairs, "tokenizer.ggml.token_type");
            file.pairs.extend(9u32.to_le_bytes());
            file.pairs.extend(5u32.to_le_bytes());
            file.pairs.extend((tokens.len() as u64).to_le_bytes());
            for (_, kind) in tokens {
                file.pairs.extend(kind.to_le_bytes());
            }
            file.pair_count += 1;
            file
        }

        /// With what a chat model needs beside its weights: a template and the token that
        /// ends a reply, the second.
        pub fn chat(self) -> Self {
            self.text("tokenizer.ggml.model", "gpt2")
                .integer("tokenizer.ggml.eos_token_id", 1)
                .text(
                    "tokenizer.chat_template",
                    "{% for m in messages %}{{ m.content }}{% endfor %}",
                )
        }

        /// A tensor of a type number and the bytes that it takes, all of them zero.
        pub fn tensor(self, name: &str, sizes: &[u64], kind: u32, bytes: u64) -> Self {
            self.filled(name, sizes, kind, vec![0; bytes as usize])
        }

        /// A tensor of weights that look random and are the same for the same name: a vector of
        /// 32-bit floats around 1, or a matrix in Q8_0 around 0.
        pub fn weights(self, name: &str, sizes: &[u64]) -> Self {
            const Q8_0: u32 = 8;
            // 0.01 as a 16-bit float.
            const SCALE: [u8; 2] = 0x211fu16.to_le_bytes();
            let mut state = name
                .bytes()
                .fold(1u32, |state, byte| state.wrapping_mul(31).wrapping_add(u32::from(byte)) | 1);
            // Marsaglia's xorshift.
            let mut random = move || {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                (state >> 8) as u8
            };
            let count = sizes.iter().product::<u64>() as usize;
            if sizes.len() == 1 {
                let values = (0..count).map(|_| 0.5 + f32::from(random()) / 256.0);
                return self.filled(name, sizes, 0, values.flat_map(f32::to_le_bytes).collect());
            }
            let mut bytes = Vec::with_capacity(count / 32 * 34);
            for _ in 0..count / 32 {
                bytes.extend(SCALE);
                bytes.extend((0..32).map(|_| random()));
            }
            self.filled(name, sizes, Q8_0, bytes)
        }

        fn filled(mut self, name: &str, sizes: &[u64], kind: u32, bytes: Vec<u8>) -> Self {
            text(&mut self.tensors, name);
            self.tensors.extend((sizes.len() as u32).to_le_bytes());
            for size in sizes {
                self.tensors.extend(size.to_le_bytes());
            }
            self.tensors.extend(kind.to_le_bytes());
            self.tensors.extend((self.data.len() as u64).to_le_bytes());
            self.data.extend(bytes);
            self.data.resize(self.data.len().next_multiple_of(32), 0);
            self.tensor_count += 1;
            self
        }

        /// The file.
        pub fn bytes(&self) -> Vec<u8> {
            let mut bytes = b"GGUF".to_vec();
            bytes.extend(3u32.to_le_bytes());
            bytes.extend(self.tensor_count.to_le_bytes());
            bytes.extend(self.pair_count.to_le_bytes());
            bytes.extend(&self.pairs);
            bytes.extend(&self.tensors);
            bytes.resize(bytes.len().next_multiple_of(32), 0);
            bytes.extend(&self.data);
            bytes
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::fixture::GgufFile;
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Header, GgufError> {
        Header::parse(bytes, bytes.len() as u64)
    }

    fn llama() -> GgufFile {
        GgufFile::new("llama")
            .integer("llama.block_count", 2)
            .integer("llama.context_length", 2048)
            .integer("llama.embedding_length", 64)
            .integer("llama.attention.head_count", 4)
            .integer("llama.attention.head_count_kv", 2)
            .tokens(&[("a", 1), ("<|im_end|>", 3), ("<tool>", 4), ("  ", 4), ("<0x0A>", 6)])
            .tensor("token_embd.weight", &[64, 5], 0, 64 * 5 * 4)
            .tensor("blk.0.attn_q.weight", &[64, 64], 2, 64 * 64 / 32 * 18)
    }

    #[test]
    fn reads_what_a_whole_file_says() {
        let header = parse(&llama().bytes()).unwrap();
        assert_eq!(header.context_tokens(), Some(2048));
        // 2 layers × (key + value) × 2 heads × 16 wide × 100 tokens × 4 bytes
        assert_eq!(header.cache_bytes(100), Some(2 * 2 * 2 * 16 * 100 * 2));
        assert_eq!(header.embedding_bytes(), 64 * 5 * 4);
        assert_eq!(header.control_tokens(), ["<|im_end|>", "<tool>"]);
    }

    #[test]
    fn says_what_kind_of_model_it_is() {
        let file = llama()
            .integer("llama.feed_forward_length", 128)
            .text("general.name", "Tiny")
            .text("general.license", "apache-2.0");
        let header = parse(&file.bytes()).unwrap();
        assert_eq!(header.architecture(), "llama");
        assert_eq!((header.name(), header.licence()), (Some("Tiny"), Some("apache-2.0")));
        let shape = Shape {
            layers: 2,
            width: 64,
            feed_forward: 128,
            heads: 4,
            kv_heads: 2,
            head_width: 16,
            vocabulary: 5,
        };
        assert_eq!(header.shape().unwrap(), shape);
        // The larger of its tensors is in Q4_0; a file's own word counts more.
        assert_eq!(header.quantisation(), "Q4_0");
        let said = file.integer("general.file_type", 15);
        assert_eq!(parse(&said.bytes()).unwrap().quantisation(), "Q4_K_M");
        assert!(matches!(parse(&llama().bytes()).unwrap().shape(), Err(GgufError::Malformed(_))));
    }

    #[test]
    fn says_why_a_file_cannot_be_talked_to() {
        let kind = |kind: &str| llama().text("tokenizer.ggml.model", kind);
        let end = |file: GgufFile, end| file.integer("tokenizer.ggml.eos_token_id", end);
        let cases = [
            (llama().chat(), "ok"),
            (llama(), "there is none"),
            (kind("bert"), "of the kind \"bert\""),
            (kind("gpt2"), "names no token that ends"),
            (end(kind("gpt2"), 5), "names no token that ends"),
            (end(kind("llama"), 4), "no chat template"),
            (end(kind("llama"), 4).text("tokenizer.chat_template", " \n"), "no chat template"),
            (GgufFile::new("llama").chat(), "it has no words"),
            (
                GgufFile::new("llama").chat().tokens(&[("a", 1), ("b", 1)]).tensor(
                    "token_embd.weight",
                    &[32, 1],
                    0,
                    128,
                ),
                "2 words and its weights have 1",
            ),
            (
                GgufFile::new("llama").chat().tokens(&[("a", 1), ("b", 1)]).tensor(
                    "token_embd.weight",
                    &[32, 9],
                    0,
                    1152,
                ),
                "2 words and its weights have 9",
            ),
        ];
        for (file, expected) in cases {
            let said = match parse(&file.bytes()).unwrap().check_chat() {
                Ok(()) => "ok".to_owned(),
                Err(error) => {
                    assert!(!error.hint().is_empty());
                    error.to_string()
                }
            };
            assert!(said.contains(expected), "{said}, not {expected}");
        }
    }

    #[test]
    fn refuses_a_file_cut_short_anywhere() {
        let whole = llama().bytes();
        // The last tensor is padded to the alignment, so its end is what counts.
        let end = whole.len() - (64 * 64 / 32 * 18usize).next_multiple_of(32) + 64 * 64 / 32 * 18;
        assert!(parse(&whole[..end]).is_ok());
        for length in (0..end).step_by(7).chain([end - 1]) {
            match parse(&whole[..length]) {
                Err(GgufError::Truncated { .. }) => assert!(length >= 4),
                Err(GgufError::NotGguf) => assert!(length < 4),
                other => panic!("{length} bytes: {other:?}"),
            }
        }
    }

    #[test]
    fn never_panics_on_a_damaged_header() {
        let whole = llama().bytes();
        for place in 4..700.min(whole.len()) {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[place] = value;
                let _ = parse(&damaged).map(|header| {
                    (header.cache_bytes(4096), header.control_tokens(), header.embedding_bytes())
                });
            }
        }
    }

    #[test]
    fn says_what_cannot_be_run() {
        let cases: [(Vec<u8>, &str); 7] = [
            (b"PK\x03\x04 a zip file".to_vec(), "not a GGUF"),
            (GgufFile::new("gemma3").bytes(), "\"gemma3\""),
            (GgufFile::new("llama").integer("split.count", 3).bytes(), "split into 3"),
            (GgufFile::new("llama").tensor("a", &[256], 23, 136).bytes(), "IQ4_XS"),
            (GgufFile::new("llama").tensor("a", &[256], 77, 1).bytes(), "number 77"),
            (GgufFile::new("llama").tensor("a", &[u64::MAX, 2], 0, 1).bytes(), "damaged"),
            (GgufFile::new("llama").integer("general.alignment", 0).bytes(), "alignment"),
        ];
        for (bytes, expected) in cases {
            let message = parse(&bytes).expect_err(expected).to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
