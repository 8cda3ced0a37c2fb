#!/usr/bin/env python3
"""Take the pictures of README and docs: the real window with real answers about samples/.

    scripts/screenshot.py [FOLDER]

Needs what `make test` installs, and the built programs (`make run`).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from window import Window, driver, wait

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/lectern/target"))
# The pictures show where the documents lie.
DOCUMENTS = Path(tempfile.gettempdir()) / "documents"
QUESTION = "What does a flashing amber lamp on the TL-40 mean, and what do I have to do?"


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs"
    with tempfile.TemporaryDirectory() as library, driver({"LECTERN_LIBRARY": library}) as (address, display):
        shutil.copytree(ROOT / "samples", DOCUMENTS)
        try:
            window = Window(address, str(TARGET / "debug/lectern-desktop"))

            def take(name: str) -> None:
                window.settle()
                path = out / f"{name}.png"
                subprocess.run(["import", "-window", "root", str(path.resolve())], env=display, check=True)
                print(f"{path}: {path.stat().st_size} bytes")

            pictures(window, take)
        finally:
            shutil.rmtree(DOCUMENTS, ignore_errors=True)


def pictures(window: Window, take) -> None:
    window.invoke("add_paths", {"paths": [str(DOCUMENTS)]})
    wait(window.has_read_all, "the samples")
    window.type("[data-testid=composer] textarea", QUESTION)
    window.click("[data-testid=send]")
    window.wait_for("[data-testid=answer][data-state=done]")
    window.click("[data-testid^=citation-]")
    # The text of a document, or a page that is drawn, with the cited words marked.
    window.wait_for("[data-testid=highlight], :has(> [data-testid=highlight-rect]) > [data-drawn=true]")
    take("window")
    window.click("nav button:nth-of-type(3)")
    window.wait_for("[data-testid=files] tbody tr td")
    take("library")
    window.click("nav button:nth-of-type(2)")
    window.type("[data-testid=search]", "lamp type:pdf")
    window.wait_for("[data-testid=hit]")
    take("search")
    window.click("nav button:nth-of-type(4)")
    window.wait_for("[data-testid=model]")
    take("models")


if __name__ == "__main__":
    main()
