"""A browser over TLS: everything of a page on one HTTP/2 connection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.browser import CHROMIUM, Page, browser
from tests.integration.conftest import Command, command
from tests.integration.multiplexed import TOGETHER
from tests.server.certificates import certificates

CERT = certificates()
APP = "tests.integration.multiplexed:app"
OPTIONS = ("--ssl-cert", CERT.cert, "--ssl-key", CERT.key, "--no-access-log")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium (apt-get install chromium)"),
    pytest.mark.once,
]

ALL_AT_ONCE = """(async () => {
    window.source = new EventSource('/events');
    const events = new Promise((done) => {
        source.onmessage = (event) => { if (event.data === '10') done(10); };
    });
    window.socket = new WebSocket(`wss://${location.host}/talk`);
    const echo = new Promise((done, lost) => {
        socket.onopen = () => socket.send('hello');
        socket.onmessage = (event) => done(event.data);
        socket.onclose = lost;
    });
    const parts = Array.from({length: TOGETHER}, (_, n) => fetch(`/part/${n}`));
    const statuses = (await Promise.all(parts)).map((response) => response.status);
    return [statuses, await echo, await events];
})()"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Command]:
    with command(APP, tmp_path, *OPTIONS) as running:
        yield running
    assert running.status == 0, running.log
    assert "Traceback" not in running.log


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with browser(tmp_path, "--ignore-certificate-errors") as page:
        yield page


def told(page: Page) -> Any:
    """Return what the application has seen."""
    return page.run("fetch('/told').then((response) => response.json())")


def test_all_on_one_connection(page: Page, server: Command) -> None:
    """50 requests that are only answered together, events and a WebSocket."""
    page.open(f"https://localhost:{server.port}/")
    statuses, echo, events = page.run(ALL_AT_ONCE.replace("TOGETHER", str(TOGETHER)))
    assert statuses == [200] * TOGETHER
    assert (echo, events) == ("hello", 10)
    seen = told(page)["seen"]
    kinds = [each["type"] for each in seen if each["path"] != "/favicon.ico"]
    assert sorted(kinds) == sorted(["http"] * (1 + TOGETHER) + ["sse", "websocket"])
    assert {each["version"] for each in seen} == {"2"}
    assert {each["scheme"] for each in seen} == {"https", "wss"}
    assert all(each["tls"] for each in seen)
    assert len({tuple(each["from"]) for each in seen}) == 1, "more than one connection"
    assert page.troubles == []
    page.run("socket.close(), source.close()")


def test_a_tab_is_closed(page: Page, server: Command) -> None:
    """The application of its events hears of it at once, and the connection goes on."""
    address = f"https://localhost:{server.port}/"
    page.open(address)
    tab = page.open_tab()
    tab.open(address)
    tab.run("window.source = new EventSource('/events'), 0")
    tab.until("source.readyState === 1")

    closed_at = time.monotonic()
    tab.close_tab()
    seen = told(page)
    while not seen["ends"]:
        assert time.monotonic() < closed_at + 10
        seen = told(page)
    (end,) = seen["ends"]
    assert end["type"] == "sse.disconnect"
    assert end["why"] == "client_closed"
    assert end["at"] - closed_at < 1.0
    assert len({tuple(each["from"]) for each in seen["seen"]}) == 1, "more than one connection"
