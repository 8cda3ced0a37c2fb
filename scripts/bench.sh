#!/usr/bin/env bash
# Measure reading, indexing and searching on samples/, in a library of its own, and print
# the program's own figures as JSON: one object. Run it by `make bench`.
#
# The samples are few and small, so these figures compare one build with another on one machine;
# they say nothing about a large library.
set -euo pipefail
cd "$(dirname "$0")/.."

lectern=${CARGO_TARGET_DIR:-target}/debug/lectern
rounds=${1:-5}
if [ ! -x "$lectern" ]; then
  echo "bench: $lectern is not built; run make bench" >&2
  exit 1
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export LECTERN_LIBRARY=$scratch/library

# Reading alone: `text` extracts and stores nothing. One process a file, start included.
begin=$(date +%s%N)
find samples -type f -print0 | xargs -0 -n 1 "$lectern" --quiet --json text >"$scratch/text.json"
end=$(date +%s%N)
echo "reading_nanoseconds $((end - begin))" >"$scratch/times"

"$lectern" --quiet --json add samples --wait >"$scratch/add.json"

# `batch` loads the models once. Each question is asked several times: the first round is cold.
python3 - "$rounds" >"$scratch/questions.jsonl" <<'PY'
import json
import sys

questions = json.load(open("tests/data/sample_questions.json", encoding="utf-8"))["answerable"]
for turn in range(int(sys.argv[1])):
    for question in questions:
        print(json.dumps({"id": f"{turn}/{question['id']}", "question": question["question"]}, ensure_ascii=False))
PY
for mode in lexical semantic hybrid; do
  "$lectern" --quiet --json batch "$scratch/questions.jsonl" search -k 5 --mode "$mode" >"$scratch/$mode.jsonl"
done

python3 - "$scratch" <<'PY'
import json
import statistics
import sys
from pathlib import Path

scratch = Path(sys.argv[1])
asked = {q["id"]: q for q in json.load(open("tests/data/sample_questions.json", encoding="utf-8"))["answerable"]}
files = [path for path in Path("samples").rglob("*") if path.is_file()]
size = sum(path.stat().st_size for path in files)
reading = int((scratch / "times").read_text().split()[1]) / 1e9
added = json.loads((scratch / "add.json").read_text())

report = {
    "samples": {"files": len(files), "bytes": size},
    "reading": {"seconds": round(reading, 3), "files_per_second": round(len(files) / reading, 1)},
    "indexing": {
        "seconds": added["seconds"],
        "chunks": added["chunks"],
        "chunks_per_second": round(added["chunks"] / added["seconds"], 1),
    },
    "search": {},
}
for mode in ("lexical", "semantic", "hybrid"):
    results = [json.loads(line) for line in (scratch / f"{mode}.jsonl").read_text("utf-8").splitlines()]
    times = sorted(result["milliseconds"] for result in results)
    right = 0
    for result in results:
        question = asked[result["id"].partition("/")[2]]
        first = result["hits"][0] if result["hits"] else None
        right += bool(first) and first["document"].endswith("/" + question["file"]) and (
            "page" not in question or first["page"] == question["page"])
    report["search"][mode] = {
        "queries": len(times),
        "median_ms": statistics.median(times),
        "p95_ms": times[max(0, -(-len(times) * 95 // 100) - 1)],
        "first_hit_right": round(right / len(results), 3),
    }
print(json.dumps(report, indent=2))
PY
