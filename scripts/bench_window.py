#!/usr/bin/env python3
"""Measure the real window: from its start until it can be used, how long it lets a key wait while it
reads many files, from a key until the search shows what it found, and a conversation of 200 questions.

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
MESSAGES = 200

# From each key to the frame after what it changed, and how long the page does nothing else.
WATCH = """
    window.keys = []; window.longest = 0; let last = performance.now();
    addEventListener('keydown', () => {
        const pressed = performance.now();
        requestAnimationFrame(() => setTimeout(() => window.keys.push(performance.now() - pressed)));
    }, true);
    setInterval(() => { const now = performance.now(); window.longest = Math.max(window.longest, now - last); last = now; }, 5);
"""


# From each key until the search shows what it found for the words with that key.
FOUND = """
    const [field, words] = [document.querySelector('[data-testid=search]'), arguments[0]];
    const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
    const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const times = [];
    for (let length = 1; length <= words.length; length++) {
        const begin = performance.now();
        const seen = new Promise((done) => {
            const summary = document.querySelector('.results');
            const observer = new MutationObserver(() => { observer.disconnect(); done(); });
            observer.observe(summary, { subtree: true, childList: true, characterData: true });
            setTimeout(() => { observer.disconnect(); done(); }, 1000);
        });
        set.call(field, words.slice(0, length));
        field.dispatchEvent(new Event('input', { bubbles: true }));
        await seen;
        await frame();
        times.push(performance.now() - begin);
    }
    return times;
"""

# A conversation that the page makes up: until its answers are drawn, and the longest that a frame took
# while it was scrolled through and while one more answer was written.
CONVERSATION = """
    const [count] = arguments;
    const wait = async (ready) => { while (!ready()) await new Promise((done) => setTimeout(done, 2)); };
    const answers = () => document.querySelectorAll('[data-testid=answer]').length;
    const frames = async (until) => {
        let [longest, last] = [0, performance.now()];
        while (!until()) {
            await new Promise((done) => requestAnimationFrame(done));
            const now = performance.now();
            [longest, last] = [Math.max(longest, now - last), now];
        }
        return longest;
    };
    const title = () => document.querySelector('.sidebar ul .title');
    await wait(title);
    const begin = performance.now();
    title().click();
    await wait(() => answers() === count);
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const opened = performance.now() - begin;
    const scroller = document.querySelector('.scroller');
    let step = 0;
    scroller.scrollTop = 0;
    const scrolled = await frames(() => { scroller.scrollTop += 400; return ++step > 120; });
    scroller.scrollTop = scroller.scrollHeight;
    const field = document.querySelector('[data-testid=composer] textarea');
    field.value = 'How do I end my lease?';
    field.dispatchEvent(new Event('input', { bubbles: true }));
    await wait(() => !document.querySelector('[data-testid=send]').disabled);
    document.querySelector('[data-testid=send]').click();
    const written = await frames(() => document.querySelectorAll('[data-testid=answer][data-state=done]').length > count);
    return [opened, scrolled, written];
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
            wait(window.has_read_all, "the files")
            window.run("document.querySelector('[data-testid=search]').select()")
            for _ in range(2):  # The first time loads what searches by meaning.
                times = sorted(window.run(FOUND, WORDS))
            print(f"from a key to what it finds, in {status['documents']} documents: median {median(times):.0f} ms, longest {times[-1]:.0f} ms")
            window.run(f"setTimeout(() => location.search = 'mock&asked={MESSAGES}&speed=4'); return true")
            wait(lambda: window.run("return !!document.querySelector('.sidebar ul .title')"), "the made up conversation")
            opened, scrolled, written = window.run(CONVERSATION, MESSAGES)
            print(f"a conversation of {MESSAGES} questions: opened in {opened:.0f} ms; longest frame {scrolled:.0f} ms while it is scrolled, {written:.0f} ms while an answer is written")
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
