#!/usr/bin/env python3
"""Take docs/window.png: the real window with a real answer about samples/.

Needs what `make test` installs, and the built programs (`make run`). The window opens on a
display of its own (Xvfb) and is driven through WebKit's driver.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/lectern/target"))
DOCUMENTS = Path(tempfile.gettempdir()) / "documents"
QUESTION = "What does a flashing amber lamp on the TL-40 mean, and what do I have to do?"
PATIENCE = 600  # seconds


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/window.png"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as library:
        environment = os.environ | {
            "LECTERN_LIBRARY": library,
            "TAURI_WEBVIEW_AUTOMATION": "true",
            "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
            "WEBKIT_DISABLE_DMABUF_RENDERER": "1",
            "LIBGL_ALWAYS_SOFTWARE": "1",
        }
        inside = f'echo "$DISPLAY $XAUTHORITY"; exec WebKitWebDriver --port={port}'
        group = subprocess.Popen(
            ["dbus-run-session", "--", "xvfb-run", "-a", "-s", "-screen 0 1240x820x24", "bash", "-c", inside],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )
        try:
            display, authority = group.stdout.readline().split()
            # The picture shows where the documents lie.
            shutil.copytree(ROOT / "samples", DOCUMENTS)
            prepare(f"http://127.0.0.1:{port}")
            subprocess.run(
                ["import", "-window", "root", str(out.resolve())],
                env=os.environ | {"DISPLAY": display, "XAUTHORITY": authority}, check=True,
            )
        finally:
            os.killpg(group.pid, signal.SIGKILL)
            shutil.rmtree(DOCUMENTS, ignore_errors=True)
    print(f"{out}: {out.stat().st_size} bytes")


def prepare(address: str) -> None:
    """Open the window and bring it to an answer with its source."""
    wait(lambda: call(f"{address}/status", None))
    options = {"binary": str(TARGET / "debug/lectern-desktop"), "args": []}
    session = call(f"{address}/session", {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}})
    session = f"{address}/session/{session['sessionId']}"

    def run(body: str, *arguments: object) -> object:
        return call(f"{session}/execute/sync", {"script": body, "args": list(arguments)})

    def click(selector: str) -> None:
        found = "const e = document.querySelector(arguments[0]); if (!e || e.disabled) return false; e.click(); return true"
        wait(lambda: run(found, selector))

    run("window.__TAURI_INTERNALS__.invoke('add_paths', {paths: [arguments[0]]})", str(DOCUMENTS))
    ready = "return window.__TAURI_INTERNALS__ && document.querySelector('[data-testid=folder]')?.textContent"
    wait(lambda: "13" in (run(ready) or ""))
    field = wait(lambda: call(f"{session}/element", {"using": "css selector", "value": "[data-testid=composer] textarea"}))
    call(f"{session}/element/{next(iter(field.values()))}/value", {"text": QUESTION})
    click("[data-testid=send]")
    wait(lambda: run("return !!document.querySelector('[data-testid=answer][data-state=done]')"))
    click("[data-testid^=citation-]")
    wait(lambda: run("return !!document.querySelector('[data-testid=highlight]')"))
    # Two frames: the highlight is scrolled to in the first.
    call(f"{session}/execute/async", {
        "script": "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done(null)))",
        "args": [],
    })


def call(url: str, body: object) -> object:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=PATIENCE) as reply:
        return json.load(reply)["value"]


def wait(ask):
    """Ask until there is an answer; the driver's refusals count as none."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if answer := ask():
                return answer
        except (OSError, KeyError):
            pass
        time.sleep(0.2)
    raise SystemExit("screenshot: waited in vain")


if __name__ == "__main__":
    main()
