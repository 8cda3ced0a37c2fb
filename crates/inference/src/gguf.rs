//! Reads the header of a GGUF file: enough to say, before gigabytes are loaded,
//! whether the file is whole and of a kind that can run, and how much memory it
//! will take. The library that loads it afterwards panics on some such files.
//!
//! Format: the GGUF specification, versions 2 and 3, little-endian.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// The architectures that mistral.rs loads from GGUF on every platform.
pub(crate) const ARCHITECTURES: [&str; 7] =
    ["llama", "mistral3", "phi2", "phi3", "starcoder2", "qwen2", "qwen3"];

/// No real header is larger (the largest vocabularies take about 10 MiB), and a
/// damaged one must not make us read or keep more.
const MAX_HEADER_BYTES: u64 = 64 << 20;
/// GGML tensors have at most four dimensions.
const MAX_DIMENSIONS: u32 = 4;
const DEFAULT_ALIGNMENT: u64 = 32;

/// Why a file is no usable GGUF.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GgufError {
    #[error("it cannot be read: {0}")]
    Io(#[source] io::Error),
    #[error("it is not a GGUF file")]
    NotGguf,
    #[error("its GGUF version {0} is not supported")]
    Version(u32),
    #[error("it ends too early: {expected} bytes are expected and {actual} are there")]
    Truncated { expected: u64, actual: u64 },
    #[error("its header is damaged: {0}")]
    Malformed(String),
    #[error("it is part of a model that is split into {0} files")]
    Split(u64),
    #[error("it has the architecture \"{0}\", which cannot be run")]
    Architecture(String),
    #[error("it has a tensor in the quantisation {0}, which cannot be run")]
    Quantisation(String),
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
    elements: u64,
    bytes: u64,
    offset: u64,
}

/// What a GGUF file says of itself.
#[derive(Debug)]
pub(crate) struct Header {
    metadata: HashMap<String, Value>,
    tensors: Vec<Tensor>,
    file_bytes: u64,
}

impl Header {
    /// Reads and checks the header of the file at `path`: the file is as long as
    /// its tensors need, and architecture and quantisations can be run.
    pub(crate) fn read(path: &Path) -> Result<Self, GgufError> {
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

    pub(crate) fn file_bytes(&self) -> u64 {
        self.file_bytes
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
    pub(crate) fn context_tokens(&self) -> Option<u64> {
        self.parameter("context_length")
    }

    /// How many bytes a key-value cache of `tokens` takes in half precision.
    pub(crate) fn cache_bytes(&self, tokens: u64) -> Option<u64> {
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
    pub(crate) fn embedding_bytes(&self) -> u64 {
        let table = self.tensors.iter().find(|tensor| tensor.name == "token_embd.weight");
        table.map_or(0, |tensor| tensor.elements.saturating_mul(size_of::<f32>() as u64))
    }

    /// The tokens that steer the model instead of standing for text, such as
    /// `<|im_end|>`.
    pub(crate) fn control_tokens(&self) -> Vec<String> {
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
        let mut elements: Option<u64> = Some(1);
        for _ in 0..dimensions {
            let size = self.u64()?;
            elements = elements.and_then(|elements| elements.checked_mul(size));
        }
        let kind = self.u32()?;
        let offset = self.u64()?;
        let (block_elements, block_bytes) = tensor_type(kind).map_err(GgufError::Quantisation)?;
        let bytes = elements
            .filter(|elements| elements.is_multiple_of(block_elements))
            .and_then(|elements| (elements / block_elements).checked_mul(block_bytes));
        match (elements, bytes) {
            (Some(elements), Some(bytes)) => Ok(Tensor { name, elements, bytes, offset }),
            _ => Err(GgufError::Malformed(format!("the size of \"{name}\""))),
        }
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    //! Builds small GGUF files.

    /// A GGUF file in the making.
    pub(crate) struct GgufFile {
        pairs: Vec<u8>,
        pair_count: u64,
        tensors: Vec<u8>,
        tensor_count: u64,
        data_bytes: u64,
    }

    fn text(bytes: &mut Vec<u8>, text: &str) {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    }

    impl GgufFile {
        pub(crate) fn new(architecture: &str) -> Self {
            Self { pairs: vec![], pair_count: 0, tensors: vec![], tensor_count: 0, data_bytes: 0 }
                .text("general.architecture", architecture)
        }

        pub(crate) fn text(mut self, key: &str, value: &str) -> Self {
            text(&mut self.pairs, key);
            self.pairs.extend(8u32.to_le_bytes());
            text(&mut self.pairs, value);
            self.pair_count += 1;
            self
        }

        pub(crate) fn integer(mut self, key: &str, value: u32) -> Self {
            text(&mut self.pairs, key);
            self.pairs.extend(4u32.to_le_bytes());
            self.pairs.extend(value.to_le_bytes());
            self.pair_count += 1;
            self
        }

        pub(crate) fn tokens(mut self, tokens: &[(&str, i32)]) -> Self {
            text(&mut self.pairs, "tokenizer.ggml.tokens");
            self.pairs.extend(9u32.to_le_bytes());
            self.pairs.extend(8u32.to_le_bytes());
            self.pairs.extend((tokens.len() as u64).to_le_bytes());
            for (token, _) in tokens {
                text(&mut self.pairs, token);
            }
            text(&mut self.pairs, "tokenizer.ggml.token_type");
            self.pairs.extend(9u32.to_le_bytes());
            self.pairs.extend(5u32.to_le_bytes());
            self.pairs.extend((tokens.len() as u64).to_le_bytes());
            for (_, kind) in tokens {
                self.pairs.extend(kind.to_le_bytes());
            }
            self.pair_count += 2;
            self
        }

        /// A tensor of a type number and the bytes that it takes.
        pub(crate) fn tensor(mut self, name: &str, sizes: &[u64], kind: u32, bytes: u64) -> Self {
            text(&mut self.tensors, name);
            self.tensors.extend((sizes.len() as u32).to_le_bytes());
            for size in sizes {
                self.tensors.extend(size.to_le_bytes());
            }
            self.tensors.extend(kind.to_le_bytes());
            self.tensors.extend(self.data_bytes.to_le_bytes());
            self.data_bytes += bytes.next_multiple_of(32);
            self.tensor_count += 1;
            self
        }

        pub(crate) fn bytes(&self) -> Vec<u8> {
            let mut bytes = b"GGUF".to_vec();
            bytes.extend(3u32.to_le_bytes());
            bytes.extend(self.tensor_count.to_le_bytes());
            bytes.extend(self.pair_count.to_le_bytes());
            bytes.extend(&self.pairs);
            bytes.extend(&self.tensors);
            bytes.resize(bytes.len().next_multiple_of(32) + self.data_bytes as usize, 0);
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
