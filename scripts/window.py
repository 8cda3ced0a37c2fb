"""The real window under Xvfb, driven through WebKit's driver: for pictures, measurements and the
test of the package. Needs what `make test` installs."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from collections.abc import Iterator

PATIENCE = 600  # seconds

ENVIRONMENT = {
    # Without it WebKit's driver waits for the window for ever.
    "TAURI_WEBVIEW_AUTOMATION": "true",
    "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
    "WEBKIT_DISABLE_DMABUF_RENDERER": "1",
    "LIBGL_ALWAYS_SOFTWARE": "1",
}


class Window:
    """A session of WebKit's driver with the program."""

    def __init__(self, address: str, program: str) -> None:
        options = {"binary": program, "args": []}
        capabilities = {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}}
        self.session = f"{address}/session/{call(f'{address}/session', capabilities)['sessionId']}"

    def run(self, body: str, *arguments: object) -> object:
        """Run a function's body in the page; a promise that it returns is awaited."""
        script = (
            "const done = arguments[arguments.length - 1]; const given = [...arguments].slice(0, -1);"
            f"(async (...arguments) => {{ {body} }})(...given).then((value) => done([value ?? null]), (error) => done(String(error)))"
        )
        value = call(f"{self.session}/execute/async", {"script": script, "args": list(arguments)})
        if not isinstance(value, list):
            raise RuntimeError(f"{body}: {value}")
        return value[0]

    def invoke(self, command: str, arguments: dict | None = None) -> object:
        return self.run("return window.__TAURI_INTERNALS__.invoke(arguments[0], arguments[1])", command, arguments or {})

    def text(self, selector: str) -> str | None:
        return self.run("return document.querySelector(arguments[0])?.textContent", selector)

    def click(self, selector: str) -> None:
        body = "const e = document.querySelector(arguments[0]); if (!e || e.disabled) return false; e.click(); return true"
        wait(lambda: self.run(body, selector), selector)

    def type(self, selector: str, text: str) -> None:
        element = wait(lambda: call(f"{self.session}/element", {"using": "css selector", "value": selector}), selector)
        call(f"{self.session}/element/{next(iter(element.values()))}/value", {"text": text})

    def wait_for(self, selector: str) -> None:
        wait(lambda: self.run("return !!document.querySelector(arguments[0])", selector), selector)

    def has_read_all(self) -> bool:
        """Whether there are documents, all of them searchable by words and by meaning."""
        status = self.invoke("status")
        done = status["pending"] == 0 and status["chunks"] == status["embedded_chunks"]
        return status["documents"] > 0 and done

    def settle(self) -> None:
        """Wait for two frames: what is scrolled to in the first is drawn in the second."""
        self.run("await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def close(self) -> None:
        urllib.request.urlopen(urllib.request.Request(self.session, method="DELETE"), timeout=PATIENCE).close()


@contextmanager
def driver(environment: dict[str, str], screen: str = "1240x820x24", before: list[str] | None = None) -> Iterator[tuple[str, dict[str, str]]]:
    """A display, a session bus and the driver; its address and what a picture of the display needs.

    `before` is put before the command, to run it elsewhere."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    inside = f'echo "$DISPLAY $XAUTHORITY"; exec WebKitWebDriver --port={port}'
    group = subprocess.Popen(
        [*(before or []), "dbus-run-session", "--", "xvfb-run", "-a", "-s", f"-screen 0 {screen}", "bash", "-c", inside],
        env=os.environ | ENVIRONMENT | environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )
    try:
        display, authority = group.stdout.readline().split()
        address = f"http://127.0.0.1:{port}"
        wait(lambda: call(f"{address}/status", None), "WebKitWebDriver")
        yield address, os.environ | {"DISPLAY": display, "XAUTHORITY": authority}
    finally:
        os.killpg(group.pid, signal.SIGKILL)
        group.wait()


def call(url: str, body: object) -> object:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=PATIENCE) as reply:
        return json.load(reply)["value"]


def wait(ask, what: str):
    """Ask until there is an answer; the driver's refusals count as none."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if answer := ask():
                return answer
        except (OSError, KeyError):
            pass
        time.sleep(0.2)
    raise SystemExit(f"waited in vain for {what}")
