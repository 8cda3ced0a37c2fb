#!/usr/bin/env python3
"""Make a model folder of multilingual-e5-small out of the one file that a package carries.

    scripts/convert_e5.py FILE FOLDER

The file is in the format "E5S1", described at `E5S1`: the weights of the hub's
intfloat/multilingual-e5-small, the matrices in GGUF's Q4_0. What comes out has the
names and shapes of that repository, so that one loader reads both:

- `model.safetensors`: a matrix stays in Q4_0, as a tensor of bytes with 18 bytes for
  each 32 weights of a row; dequantised, the table of words alone would be 384 MB.
- `tokenizer.json`, for the `tokenizers` library.
- `config.json`.

The same file always gives the same bytes. `scripts/fetch_models.py` calls this.

Only the standard library is used.
"""

import base64
import json
import struct
import sys
import unicodedata
from pathlib import Path

BLOCK_WEIGHTS, BLOCK_BYTES = 32, 18
FLOAT, Q4_0 = 0, 1
SPACE = "▁"

# What the parts of a layer are called in the file and in the hub's repository.
PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


class FormatError(ValueError):
    """What of the file is not as its format says."""


def expect(truth: bool, what: str) -> None:
    if not truth:
        raise FormatError(what)


class E5S1:
    """The file, little-endian and without padding:

    - `E5S1`, u32 version = 1
    - i32 hidden, layers, heads, feed-forward, vocabulary, positions, token types;
      f32 epsilon of the layer norms; i32 weights in a block = 32
    - i32 pieces, ids of <s>, </s>, <pad>, <unk>; u64 length of the blob,
      u32 offsets[pieces + 1] into it, f32 scores[pieces], the blob: the tokenizer's
      pieces in UTF-8, in the order of their ids
    - i32 entries, u32 bytes, and in them entries of u32 code point, u8 n, u32 out[n]:
      what the normaliser makes of a character
    - i32 tensors, each u16 length of name, name, u8 type (0 f32, 1 Q4_0), u32 elements,
      u64 offset in the file, u64 bytes
    """

    def __init__(self, data: bytes):
        self.data, self.at = memoryview(data), 0
        expect(bytes(self.take(4)) == b"E5S1" and self.read("I") == (1,), "it is not E5S1, version 1")
        (self.hidden, self.layers, self.heads, self.inner,
         self.vocabulary, self.positions, self.segments) = self.read("7i")
        self.eps, block = self.read("fi")
        expect(block == BLOCK_WEIGHTS, f"its blocks have {block} weights")

        count, *self.special = self.read("5i")
        (blob_bytes,) = self.read("Q")
        offsets = self.read(f"{count + 1}I")
        scores = self.read(f"{count}f")
        blob = self.take(blob_bytes)
        texts = (str(blob[start:end], "utf-8") for start, end in zip(offsets, offsets[1:]))
        self.pieces = list(zip(texts, scores))
        expect(count <= self.vocabulary, "it has more pieces than vectors of words")

        entries, _ = self.read("iI")
        self.normalisation = {}
        for _ in range(entries):
            code, length = self.read("IB")
            self.normalisation[chr(code)] = "".join(map(chr, self.read(f"{length}I")))

        self.tensors = {}
        for _ in range(self.read("i")[0]):
            name = str(self.take(self.read("H")[0]), "ascii")
            kind, elements, offset, size = self.read("BIQQ")
            expect(kind in (FLOAT, Q4_0), f"{name} is of the type {kind}")
            wanted = elements * 4 if kind == FLOAT else elements // BLOCK_WEIGHTS * BLOCK_BYTES
            expect(size == wanted and offset + size <= len(data), f"{name} has a wrong size or place")
            self.tensors[name] = kind, elements, self.data[offset : offset + size]

    def take(self, count: int) -> memoryview:
        expect(self.at + count <= len(self.data), "it is cut short")
        self.at += count
        return self.data[self.at - count : self.at]

    def read(self, layout: str) -> tuple:
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))


def safetensors(tensors: dict) -> bytes:
    r"""A file of the safetensors format from `{name: (type, shape, bytes)}`.

    >>> file = safetensors({"b": ("U8", [3], b"abc"), "a": ("F32", [1], bytes(4))})
    >>> (size,) = struct.unpack_from("<Q", file)
    >>> size % 8, file[8 + size :]
    (0, b'\x00\x00\x00\x00abc')
    >>> header = json.loads(file[8 : 8 + size])
    >>> header["a"], header["b"]["data_offsets"], header["__metadata__"]["quantization"]
    ({'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]}, [4, 7], 'q4_0')
    """
    header, contents, end = {"__metadata__": {"format": "pt", "quantization": "q4_0"}}, [], 0
    # Floats first: what is read in place has to be aligned.
    for name, (dtype, shape, content) in sorted(tensors.items(), key=lambda item: (item[1][0], item[0])):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + len(content)]}
        contents.append(content)
        end += len(content)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([struct.pack("<Q", len(text)), text, *contents])


def model(source: E5S1) -> bytes:
    """`model.safetensors`."""
    names = dict(EMBEDDINGS)
    for layer in range(source.layers):
        for part, name in PARTS.items():
            for end, kind in (("w", "weight"), ("b", "bias")):
                names[f"l{layer}.{part}.{end}"] = f"encoder.layer.{layer}.{name}.{kind}"
    expect(names.keys() == source.tensors.keys(), "its tensors are not those of this model")

    widths = {"emb.word": source.hidden, "emb.pos": source.hidden, "emb.type": source.hidden}
    tensors = {}
    for name, (kind, elements, content) in source.tensors.items():
        matrix = name in widths or (name.endswith(".w") and "ln." not in name)
        width = widths.get(name, source.inner if name.endswith(".fo.w") else source.hidden)
        expect(elements % width == 0, f"{name} has {elements} elements")
        shape = [elements // width, width] if matrix else [elements]
        if kind == Q4_0:
            expect(matrix and width % BLOCK_WEIGHTS == 0, f"{name} has rows of {width}")
            shape[1] = width // BLOCK_WEIGHTS * BLOCK_BYTES
        tensors[names[name]] = ("U8" if kind == Q4_0 else "F32", shape, content)
    return safetensors(tensors)


def charsmap(replacements: dict) -> bytes:
    r"""The table of a `Precompiled` normaliser, which is SentencePiece's: the size of a
    trie, the trie, and what it points to, texts that end with NUL.

    The trie is Darts-clone's double array (Yata, 2008) of u32: the children of a node lie
    at its base XOR their byte, with the byte in bits 0 to 7; bit 8 says that a key ends
    here, bits 10 to 30 hold the node's place XOR its base; the value of a key lies at the
    base, with bit 31 set.

    >>> def look_up(table, key):
    ...     size = struct.unpack_from("<I", table)[0]
    ...     units = struct.unpack_from(f"<{size // 4}I", table, 4)
    ...     base = units[0] >> 10
    ...     for byte in key.encode():
    ...         place = base ^ byte
    ...         if units[place] & (1 << 31 | 0xFF) != byte:
    ...             return None
    ...         base = place ^ units[place] >> 10
    ...     if not units[place] >> 8 & 1:
    ...         return None
    ...     return table[4 + size:][units[base] & 0x7FFFFFFF:].split(b"\0")[0].decode()
    >>> letters = {c: c.swapcase() + "." for c in "abcxyzäöüéèβγ"}
    >>> keys = letters | {"e\u0301": "é", "ab": "AB", "\t": " ", "\x01": ""}
    >>> table = charsmap(keys)
    >>> all(look_up(table, key) == text for key, text in keys.items())
    True
    >>> [look_up(table, key) for key in ("d", "e", "abc", "ä.", "\u0301")]
    [None, None, None, None, None]
    """
    texts, places = bytearray(), {}
    for text in replacements.values():
        if text not in places:
            places[text] = len(texts)
            texts += text.encode() + b"\0"
    tree = {}
    for key, text in replacements.items():
        node = tree
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[0] = places[text]

    # Where to look for a place: wide nodes go ever further on, narrow ones fill what they left.
    units, bases, search = {0: 0}, {0}, {True: 0, False: 0}

    def place(node: dict, at: int) -> None:
        base = search[len(node) > 2]
        # No two nodes may have one base, else one would take the other's children for its own.
        while base in bases or any(base ^ byte in units for byte in node):
            base += 1
        search[len(node) > 2] = base
        bases.add(base)
        units[at] |= (at ^ base) << 10 | (1 << 8 if 0 in node else 0)
        for byte in node:
            units[base ^ byte] = 1 << 31 | node[0] if byte == 0 else byte
        for byte, child in node.items():
            if byte:
                place(child, base ^ byte)

    place(tree, 0)
    count = (max(units) | 0xFF) + 1
    expect(count <= 1 << 21, "its normalisation is too large")
    trie = struct.pack(f"<{count}I", *(units.get(unit, 0) for unit in range(count)))
    return struct.pack("<I", len(trie)) + trie + bytes(texts)


def compositions() -> dict:
    r"""The letters that are written as a letter and marks, as text from macOS is, and the one
    character that SentencePiece's normaliser `nmt_nfkc` makes of them. The file has single
    characters only. `tokenizers` looks up no more than five bytes at once and takes the first
    key that fits, so that of two marks the second gets lost, here as with the hub's table.
    The Unicode version is a fixed one, so that every Python gives the same.

    >>> composed = compositions()
    >>> [composed["e\u0301"], composed["u\u0308\u0304"], "e" in composed, "\u1100\u1161" in composed]
    ['é', 'ǖ', False, False]
    """
    found = {}
    for code in (*range(0x80, 0xD800), *range(0xE000, 0x10000)):
        character = chr(code)
        parts = unicodedata.ucd_3_2_0.normalize("NFD", character)
        whole = unicodedata.ucd_3_2_0.normalize("NFKC", parts)
        if len(parts) > 1 and whole == character and len(parts.encode()) < 6:
            found[parts] = character
    return found


def tokenizer(source: E5S1) -> bytes:
    """`tokenizer.json`: Kudo's unigram model with XLM-RoBERTa's pieces."""
    bos, eos, pad, unk = source.special
    added = [{"id": id, "content": source.pieces[id][0], "single_word": False, "lstrip": id == last,
              "rstrip": False, "normalized": False, "special": True}
             for last in [len(source.pieces) - 1] for id in sorted({bos, eos, pad, unk, last})]
    expect([token["content"] for token in added] == ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
           "its special tokens are not XLM-RoBERTa's")
    start, end = ({"SpecialToken": {"id": source.pieces[id][0], "type_id": 0}} for id in (bos, eos))
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    table = charsmap(compositions() | source.normalisation)
    metaspace = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}
    return json.dumps({
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(table).decode()},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [start, first, end],
            "pair": [start, first, end, end, second, end],
            "special_tokens": {source.pieces[id][0]: {"id": source.pieces[id][0], "ids": [id], "tokens": [source.pieces[id][0]]}
                               for id in (bos, eos)},
        },
        "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": unk, "vocab": source.pieces, "byte_fallback": False},
    }, ensure_ascii=False, separators=(",", ":")).encode()


def config(source: E5S1) -> bytes:
    """`config.json`."""
    return json.dumps({
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": source.hidden,
        "initializer_range": 0.02,
        "intermediate_size": source.inner,
        # An f32 of 1e-12 has more digits than it means.
        "layer_norm_eps": float(f"{source.eps:.6g}"),
        "max_position_embeddings": source.positions,
        "model_type": "bert",
        "num_attention_heads": source.heads,
        "num_hidden_layers": source.layers,
        "pad_token_id": source.special[2],
        "position_embedding_type": "absolute",
        "tokenizer_class": "XLMRobertaTokenizer",
        "type_vocab_size": source.segments,
        "vocab_size": source.vocabulary,
    }, indent=2).encode() + b"\n"


FILES = {"model.safetensors": model, "tokenizer.json": tokenizer, "config.json": config}


def convert(data: bytes, name: str) -> bytes:
    """The file `name` of the model's folder. Raises `FormatError` if `data` is no such model.

    >>> convert(b"E5S1", "config.json")
    Traceback (most recent call last):
    convert_e5.FormatError: it is cut short
    """
    return FILES[name](E5S1(data))


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    data, folder = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).write_bytes(convert(data, name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
