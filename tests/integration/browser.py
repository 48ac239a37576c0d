"""A headless Chromium, driven over the DevTools protocol."""

from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
TIMEOUT = 60.0
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--no-proxy-server", "--hide-scrollbars",
    "--window-size=1280,900", "--remote-debugging-port=0",
)  # fmt: skip


#: Those of calls, which all pages of a browser send over one connection.
_numbers = itertools.count(1)


class Page:
    """One page of the browser."""

    def __init__(self, connection: ClientConnection, session: str) -> None:
        self._connection = connection
        self._session = session
        self._target = ""
        #: What went wrong in the page: exceptions, refused resources, violated policies.
        self.troubles: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        return self._ask({"sessionId": self._session, "method": method, "params": parameters})

    def _browser(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method that concerns the whole browser."""
        return self._ask({"method": method, "params": parameters})

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        number = next(_numbers)
        self._connection.send(json.dumps({**message, "id": number}))
        while True:
            answer = json.loads(self._connection.recv(TIMEOUT))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self._take_event(answer)

    def _take_event(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.troubles.append(str(details.get("exception", details).get("description")))
        elif event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            entry = parameters["entry"]
            self.troubles.append(f"{entry['text']} {entry.get('url', '')}")

    def open_tab(self) -> Page:
        """Open another page of the same browser."""
        target = self._browser("Target.createTarget", url="about:blank")["targetId"]
        answer = self._browser("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self._connection, answer["sessionId"])
        page._target = target
        return page

    def close_tab(self) -> None:
        """Close a page that `open_tab` has opened, as a user would."""
        self._browser("Target.closeTarget", targetId=self._target)

    def run(self, script: str) -> Any:
        """Evaluate an expression, wait for its promise, and return its value."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, condition: str, seconds: float = 30.0) -> Any:
        """Wait in the page until an expression is true; return its value."""
        milliseconds = int(seconds * 1000)
        value = self.run(
            f"""new Promise((done) => {{
                const end = performance.now() + {milliseconds};
                const look = () => {{
                    const value = ({condition});
                    if (value || performance.now() > end) done(value);
                    else setTimeout(look, 20);
                }};
                look();
            }})"""
        )
        assert value, f"not true within {seconds:g} s: {condition}"
        return value

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return str(self.run(f"document.querySelector({selector!r}).textContent"))

    def click(self, selector: str) -> None:
        """Click an element."""
        self.run(f"document.querySelector({selector!r}).click()")

    def open(self, address: str) -> None:
        """Load an address and wait for its resources."""
        self.call("Page.navigate", url=address)
        self.until(f"location.href === {address!r} && document.readyState === 'complete'")

    def screenshot(self, path: Path) -> None:
        """Write a picture of the whole page."""
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture["data"]))


@contextmanager
def browser(folder: Path, *flags: str) -> Iterator[Page]:
    """Run a browser that knows nothing yet and give its only page."""
    assert CHROMIUM is not None
    log = folder / "chromium.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [CHROMIUM, *FLAGS, *flags, f"--user-data-dir={folder / 'profile'}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    try:
        with connect(_address(process, log), max_size=None, proxy=None) as connection:
            yield Page(connection, _attach(connection))
            connection.send(json.dumps({"id": 0, "method": "Browser.close"}))
            process.wait(TIMEOUT)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the browser says where it listens."""
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        text = log.read_text(encoding="utf-8", errors="replace")
        if match := re.search(r"DevTools listening on (ws://\S+)", text):
            return match[1]
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(f"the browser does not start: {log.read_text(errors='replace')}")


def _attach(connection: ClientConnection) -> str:
    """Attach to the page that the browser has opened and return the session."""

    def call(number: int, method: str, **parameters: Any) -> Any:
        connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(connection.recv(TIMEOUT))
            if answer.get("id") == number:
                return answer["result"]

    targets = call(-1, "Target.getTargets")["targetInfos"]
    target = next(target["targetId"] for target in targets if target["type"] == "page")
    return str(call(-2, "Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
