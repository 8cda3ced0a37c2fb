#!/usr/bin/env python3
"""Measure a search in a large library beside LanceDB's Python client on the same tables.

    cargo build --workspace --example search_scale
    $CARGO_TARGET_DIR/debug/examples/search_scale fill DIRECTORY 100000
    scripts/bench_search.py DIRECTORY

The program's time is that of the whole call: the query's embedding, both searches, their fusion, and the texts
and places of ten hits. The client gets the query's terms and vector ready-made and asks for the ids of as
many candidates as the program does, by words and by meaning at the same time. It needs `pip install lancedb`,
and must be able to read tables of the version of Lance that the program has.
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lancedb
from lancedb.query import BooleanQuery, MatchQuery, Occur

CANDIDATES = 116
QUERIES = 200


def percentiles(times: list[float]) -> dict[str, float]:
    times = sorted(times)
    at = lambda share: round(times[round((len(times) - 1) * share)] * 1e3, 1)
    return {"p50": at(0.5), "p95": at(0.95), "max": at(1.0)}


def client(library: Path, index: dict | None) -> dict:
    database = lancedb.connect(library / "index")
    name = next(name for name in database.table_names() if name.startswith("vectors_"))
    texts, vectors = database.open_table("chunks"), database.open_table(name)
    def by_words(query: dict) -> int:
        request = texts.search(MatchQuery(query["terms"], "terms"), query_type="fts")
        return len(request.select(["chunk_id"]).limit(CANDIDATES).to_arrow())

    def by_meaning(query: dict) -> int:
        request = vectors.search(query["vector"], vector_column_name="vector").distance_type("l2")
        if index:
            request = request.nprobes(index["probes"]).refine_factor(2)
        return len(request.select(["chunk_id"]).limit(CANDIDATES).to_arrow())

    queries = [json.loads(line) for line in open(library / "queries.jsonl", encoding="utf-8")]
    report = {}
    with ThreadPoolExecutor(2) as threads:

        def both(query: dict) -> None:
            for found in [threads.submit(by_words, query), threads.submit(by_meaning, query)]:
                found.result()

        for label, ask in [("both", both), ("by words", by_words), ("by meaning", by_meaning)]:
            times = []
            for query in queries[:5] + queries:
                begin = time.perf_counter()
                ask(query)
                times.append(time.perf_counter() - begin)
            report[label] = percentiles(times[5:])
    return report


def main() -> None:
    library = Path(sys.argv[1])
    queries = sys.argv[2] if len(sys.argv) > 2 else str(QUERIES)
    target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    program = subprocess.run(
        [target / "debug/examples/search_scale", "measure", library, queries],
        check=True, capture_output=True, text=True,
    )
    measured = json.loads(program.stdout)
    beside = client(library, measured["vector_index"])
    print(json.dumps({"program": measured, "client": beside}, indent=1))


if __name__ == "__main__":
    main()
