#!/usr/bin/env python3
"""Measure the real window: from its start until it can be used, and how long it lets a key wait
while it reads many files.

    scripts/bench_window.py [FILES]

On a quiet computer; needs what `make test` installs, and the built programs.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from window import Window, driver, wait

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/lectern/target"))
PROGRAM = str(TARGET / "debug/lectern-desktop")
STARTS = 5
TYPING = 60  # seconds at most
WORDS = "where is the harbour pilot when the tide turns"

# From each key to the frame after what it changed, and how long the page does nothing else.
WATCH = """
    window.keys = []; window.longest = 0; let last = performance.now();
    addEventListener('keydown', () => {
        const pressed = performance.now();
        requestAnimationFrame(() => setTimeout(() => window.keys.push(performance.now() - pressed)));
    }, true);
    setInterval(() => { const now = performance.now(); window.longest = Math.max(window.longest, now - last); last = now; }, 5);
"""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory, "documents")
        for number in range(count):
            file = folder / f"{number // 500:03}" / f"note-{number:05}.md"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"# Note {number}\n\nThe harbour pilot wrote line {number} when the tide turned.\n")
        environment = {"LECTERN_LIBRARY": f"{directory}/library", "XDG_CONFIG_HOME": f"{directory}/config"}
        with driver(environment) as (address, _):
            starts = [start(address) for _ in range(STARTS)]
            print(f"start to usable window: first {starts[0]:.2f} s, then {median(starts[1:]):.2f} s (median of {STARTS - 1})")
            window = Window(address, PROGRAM)
            window.wait_for("[data-testid=welcome]")
            window.run(WATCH)
            window.run("window.__TAURI_INTERNALS__.invoke('add_paths', {paths: arguments[0]})", [str(folder)])
            wait(lambda: window.invoke("status")["pending"] > 0, "the files")
            window.click("nav button:nth-of-type(2)")
            window.run("window.longest = 0")
            end = time.monotonic() + TYPING
            while window.invoke("status")["pending"] > 0 and time.monotonic() < end:
                window.type("[data-testid=search]", WORDS)
                window.run("document.querySelector('[data-testid=search]').select()")
            keys = sorted(window.run("return window.keys"))
            status = window.invoke("status")
            print(f"{len(keys)} keys while {count} files were read ({status['documents']} by then):")
            print(f"to the next frame: median {median(keys):.0f} ms, 95 of 100 below {keys[int(len(keys) * 0.95)]:.0f} ms, longest {keys[-1]:.0f} ms")
            print(f"longest time in which the page did nothing else: {window.run('return window.longest'):.0f} ms")
            window.close()


def start(address: str) -> float:
    begin = time.monotonic()
    window = Window(address, PROGRAM)
    window.run("""
        const usable = () => document.querySelector('[data-testid=welcome] .samples:not(:disabled)');
        while (!usable()) await new Promise((done) => setTimeout(done, 5));
    """)
    seconds = time.monotonic() - begin
    window.close()
    return seconds


if __name__ == "__main__":
    main()
