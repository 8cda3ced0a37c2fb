#!/usr/bin/env python3
"""Grow a library that `search_scale fill` made to many times its chunks, faster than it is filled.

    scripts/grow_library.py DIRECTORY TIMES

Each copy of a text lacks some of its words, and each copy of a vector has noise, the same in every run. Texts
are written by LanceDB's Python client (`pip install lancedb numpy`); `search_scale index` brings what is new into the
indices.
"""

import random
import sqlite3
import sys
from pathlib import Path

import lancedb
import numpy
import pyarrow

KEPT = 0.85
NOISE = 0.02


def main() -> None:
    library, times = Path(sys.argv[1]), int(sys.argv[2])
    database = lancedb.connect(library / "index")
    name = next(name for name in database.table_names() if name.startswith("vectors_"))
    texts, vectors = database.open_table("chunks"), database.open_table(name)
    words, numbers = texts.to_arrow(), vectors.to_arrow()
    split = [terms.split(" ") for terms in words["terms"].to_pylist()]
    flat = numbers["vector"].combine_chunks().flatten().to_numpy().reshape(len(numbers), -1)
    catalogue = sqlite3.connect(library / "catalog.sqlite")
    chunks, documents, files = (
        catalogue.execute(f"SELECT max(id) FROM {table}").fetchone()[0] for table in ("chunk", "document", "file")
    )
    shuffle, noise = random.Random(1), numpy.random.default_rng(1)

    def moved(table: pyarrow.Table, copy: int, content: pyarrow.Array) -> pyarrow.Table:
        chunk = pyarrow.compute.add(table["chunk_id"], copy * chunks)
        document = pyarrow.compute.add(table["document_id"], copy * documents)
        return pyarrow.Table.from_arrays([chunk, document, content], schema=table.schema)

    for copy in range(1, times):
        fewer = [" ".join(term for term in terms if shuffle.random() < KEPT) for terms in split]
        texts.add(moved(words, copy, pyarrow.array(fewer)))
        noisy = flat + noise.normal(0, NOISE, flat.shape).astype("float32")
        noisy /= numpy.linalg.norm(noisy, axis=1, keepdims=True)
        kind = numbers.schema.field("vector").type
        vectors.add(moved(numbers, copy, pyarrow.FixedSizeListArray.from_arrays(noisy.ravel(), type=kind)))
        with catalogue:
            catalogue.execute(
                f"""INSERT INTO document SELECT id + {copy * documents}, CAST('{copy}/' || id AS BLOB), kind, reader, title, '',
                    blocks, warnings, language FROM document WHERE id <= {documents}"""
            )
            catalogue.execute(
                f"""INSERT INTO chunk SELECT id + {copy * chunks}, document + {copy * documents}, start, end, page,
                    heading, text, 1, 1 FROM chunk WHERE id <= {chunks}"""
            )
            catalogue.execute(
                f"""INSERT INTO file (id, folder, path, size, modified, state, document) SELECT id + {copy * files},
                    folder, '/synthetic/{copy}/' || path, size, modified, state, document + {copy * documents}
                    FROM file WHERE id <= {files} AND document IS NOT NULL"""
            )
        print(copy + 1, "of", times, file=sys.stderr, flush=True)
    texts.optimize()


if __name__ == "__main__":
    main()
