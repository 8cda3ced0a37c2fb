#!/usr/bin/env python3
"""Measure follow-up questions: is what the second turn of a conversation asks still found?

    scripts/followups.py LECTERN SET [--count 25] [--language en]

From a question set (`corpus/`, `queries.jsonl`) it makes conversations of two turns: two questions
on the same passage that share a name, where the second says "it" (它) instead. The first turn is
answered by the model; of the second only the passages are looked at. Beside it the second question
as it stands in the set is searched. LECTERN is the program; the library is a temporary one, or the
one that LECTERN_LIBRARY names.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

NAME = re.compile(r"(?<=[a-z,] )((?:[A-Z][\w’'.-]*)(?: (?:of |the |de )?[A-Z][\w’'.-]*)*)")
# What may stand after a name that "it" can take the place of: not "medicine", as in "Chinese medicine".
AFTER = re.compile(
    r"(?:['’]s?)?\s*(?:$|[?,.]|(?:is|was|are|were|has|have|had|do|does|did|be|been|to|in|on|at|for|of|by|and|or|as"
    r"|from|with|win|won|call|begin|become|end|use|make|come|go|gain|lose|say|think|believe|consider|about)\b)"
)
HAN = re.compile(r"[\u4e00-\u9fff·]{3,}")
DEPTH = 10


def shared_name(first: str, second: str, language: str) -> str | None:
    """The longest name of `second` that `first` has as well."""
    if language == "zh":
        runs = (run for run in HAN.findall(second))
        parts = (run[i:j] for run in runs for i in range(len(run)) for j in range(i + 3, len(run) + 1))
        found = [part for part in parts if part in first]
    else:
        names = (re.sub(r"['’]s$", "", name).rstrip(".?,") for name in NAME.findall(second))
        found = [name for name in names if name in first and AFTER.match(second.split(name, 1)[1])]
    return max(found, key=len, default=None)


def conversations(questions: list, language: str, count: int) -> list:
    by_place = defaultdict(list)
    for question in questions:
        if question.get("answerable", True) and question.get("lang", language) == language:
            place = question["relevant"][0]
            by_place[place["file"], place.get("page")].append(question)
    made = []
    for group in by_place.values():
        pairs = ((a, b) for a in group for b in group if a is not b)
        for first, second in pairs:
            name = shared_name(first["question"], second["question"], language)
            if not name:
                continue
            if language == "zh":
                follow_up = second["question"].replace(name, "它", 1)
            else:
                own = re.compile(re.escape(name) + r"['’]s?(?!\w)")
                follow_up = own.sub("its", second["question"], count=1)
                follow_up = re.sub(r"\b(the )?" + re.escape(name) + r"\b", "it", follow_up, count=1)
            made.append((first["question"], follow_up, second))
            break
    step = max(1, len(made) // count)
    return made[::step][:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("program")
    parser.add_argument("set", type=Path)
    parser.add_argument("--count", type=int, default=25)
    parser.add_argument("--language", default="en")
    arguments = parser.parse_args()
    questions = [json.loads(line) for line in (arguments.set / "queries.jsonl").open(encoding="utf-8")]
    corpus = (arguments.set / "corpus").resolve()

    with tempfile.TemporaryDirectory() as folder:
        library = os.environ.get("LECTERN_LIBRARY", folder)

        def lectern(*call: str) -> str:
            command = [arguments.program, "--library", library, "--json", *call]
            return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

        def batch(what: str, lines: list) -> list:
            """What each line comes to, with the models loaded once for all."""
            file = Path(folder, "lines.jsonl")
            content = (json.dumps({"id": n, "in": str(corpus), **line}) for n, line in enumerate(lines))
            file.write_text("\n".join(content), encoding="utf-8")
            return [json.loads(line) for line in lectern("batch", str(file), what, "-k", str(DEPTH)).splitlines()]

        def found(result: dict, gold: dict) -> bool:
            wanted = {str(corpus / place["file"]) for place in gold["relevant"]}
            return any(hit["document"] in wanted for hit in result["hits"])

        lectern("add", str(corpus), "--wait")
        made = conversations(questions, arguments.language, arguments.count)
        first = batch("ask", [{"question": asked} for asked, _, _ in made])
        turns = [
            {"question": follow_up, "conversation": answer["conversation"], "no_answer": True}
            for (_, follow_up, _), answer in zip(made, first)
        ]
        standalone = [turn["standalone_question"] for turn in batch("ask", turns)]
        of_turns = batch("search", [{"question": question} for question in standalone])
        of_gold = batch("search", [{"question": gold["question"]} for _, _, gold in made])
        follow = [found(result, gold) for result, (_, _, gold) in zip(of_turns, made)]
        alone = [found(result, gold) for result, (_, _, gold) in zip(of_gold, made)]
        for is_found, question, (asked, follow_up, gold) in zip(follow, standalone, made):
            mark = "found " if is_found else "missed"
            print(f"{mark} {asked} | {follow_up} → {question} | {gold['question']}", file=sys.stderr)
        print(
            f"{len(follow)} conversations: recall@{DEPTH} of the second turn {sum(follow) / len(follow):.3f}, "
            f"of the question as it stands {sum(alone) / len(alone):.3f}"
        )


if __name__ == "__main__":
    main()
