#!/usr/bin/env python3
"""Compare all-MiniLM-L6-v2 in 8 bits, as Lectern runs it, with the same weights in 32-bit floats.

    scripts/compare_embedder.py SET [SET ...]

SET is a folder with `corpus/` and `queries.jsonl` ({question, relevant: [{file}], answerable}). Files
and questions become a vector each in both ways; printed are the cosines between the two vectors of a
text, and nDCG@10 of the files by cosine in either way. The floats are computed here, with NumPy, by
the formulas of BERT (Devlin et al., 2019) from the weights as they were published; the 8 bits by
`measure vectors` (`cargo build --workspace --examples`). Run it with the Python of `make bench`,
~/.cache/lectern/bench/venv, which has numpy and tokenizers.
"""

import json
import math
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/lectern/target"))
MODELS = Path(os.environ.get("LECTERN_MODELS", Path.home() / ".cache/lectern/models"))
MODEL = MODELS / "all-minilm-l6-v2"
HEADS = 12
MAX_TOKENS = 256


def tensors(path: Path) -> dict[str, np.ndarray]:
    """The 32-bit tensors of a safetensors file."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return {
        name: np.frombuffer(data[8 + length + of["data_offsets"][0] : 8 + length + of["data_offsets"][1]], np.float32).reshape(of["shape"])
        for name, of in header.items()
        if name != "__metadata__" and of["dtype"] == "F32"
    }


def norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    mean = x.mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-12) * weight + bias


erf = np.vectorize(math.erf, otypes=[np.float32])


class Floats:
    """The encoder in 32-bit floats."""

    def __init__(self) -> None:
        self.weights = tensors(MODEL / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)

    def linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        return norm(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def vector(self, text: str) -> np.ndarray:
        ids = self.tokenizer.encode(text).ids
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
        x = self.norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        layer = 0
        while f"encoder.layer.{layer}.attention.self.query.weight" in w:
            name = f"encoder.layer.{layer}"
            q, k, v = (
                self.linear(x, f"{name}.attention.self.{part}").reshape(len(ids), HEADS, -1).transpose(1, 0, 2)
                for part in ("query", "key", "value")
            )
            scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            attended = (scores / scores.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(len(ids), -1)
            x = self.norm(x + self.linear(attended, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
            inner = self.linear(x, f"{name}.intermediate.dense")
            inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
            x = self.norm(x + self.linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
            layer += 1
        mean = x.mean(0)
        return mean / np.linalg.norm(mean)


def in_bits(texts: list[str]) -> np.ndarray:
    """The vectors that Lectern makes."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(texts) + "\n")
        file.flush()
        command = [str(TARGET / "debug/examples/measure"), "vectors", str(MODEL), "2", "1", file.name]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return np.array([json.loads(line) for line in lines], np.float32)


def ndcg(scores: np.ndarray, relevant: list[set[int]]) -> float:
    total = 0.0
    for row, wanted in zip(scores, relevant):
        best = np.argsort(-row, kind="stable")[:10]
        gain = sum(1 / math.log2(rank + 2) for rank, file in enumerate(best) if file in wanted)
        total += gain / sum(1 / math.log2(rank + 2) for rank in range(min(10, len(wanted))))
    return total / len(relevant)


def main() -> None:
    floats = Floats()
    for folder in map(Path, sys.argv[1:]):
        files = sorted(path for path in (folder / "corpus").rglob("*") if path.is_file())
        names = {str(path.relative_to(folder / "corpus")): index for index, path in enumerate(files)}
        queries = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
        queries = [query for query in queries if query.get("answerable", True) and query["relevant"] and query.get("lang", "en") == "en"]
        relevant = [{names[of["file"]] for of in query["relevant"]} for query in queries]
        one_line = [re.sub(r"\s+", " ", text).strip() for text in [path.read_text() for path in files] + [query["question"] for query in queries]]
        ours, theirs = in_bits(one_line), np.array([floats.vector(text) for text in one_line])
        cosines = (ours * theirs).sum(-1)
        split = len(files)
        print(
            f"{folder.name}: {len(files)} files, {len(queries)} questions; cosine mean {cosines.mean():.4f}, least {cosines.min():.4f}; "
            f"nDCG@10 8 bits {ndcg(ours[split:] @ ours[:split].T, relevant):.4f}, floats {ndcg(theirs[split:] @ theirs[:split].T, relevant):.4f}"
        )


if __name__ == "__main__":
    main()
