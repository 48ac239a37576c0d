"""The status page in a browser: it lives, it fits, and nothing in it is forbidden by its policy."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.integration.browser import CHROMIUM, Page, browser
from tests.integration.conftest import Command, command

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium (apt-get install chromium)"),
    pytest.mark.once,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("status")


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[Page]:
    with browser(folder) as page:
        yield page


@pytest.fixture
def server(folder: Path) -> Iterator[Command]:
    options = ("--workers", "2", "--admin", "0", "--no-access-log")
    with command("tests.server.admin_app:app", folder, *options) as running:
        yield running


def visit(page: Page, server: Command) -> None:
    """Open the page and wait until it has drawn."""
    match = re.search(r"admin on http://127\.0\.0\.1:(\d+)", server.log)
    assert match is not None, server.log
    page.troubles.clear()
    page.open(f"http://127.0.0.1:{match[1]}/")
    page.until("!document.getElementById('charts').hidden")
    page.until("document.getElementById('state').textContent === 'ready'")


def test_it_follows_the_server(page: Page, server: Command) -> None:
    visit(page, server)
    assert page.run("document.getElementById('workers').rows.length") == 2
    for _ in range(20):
        with urlopen(f"http://127.0.0.1:{server.port}/") as answer:
            assert answer.status == 200
    page.until("document.querySelector('#tiles small').textContent === '20 in all'")
    page.until("document.querySelector('.curve').getAttribute('d').length > 20")
    page.until("document.querySelector('#charts b').textContent !== '–'")
    assert page.text("#ended").startswith("http over HTTP/1200")
    assert page.run("document.querySelector('svg').getAttribute('aria-label')").startswith(
        "Requests/s: ended "
    )
    assert page.troubles == []


@pytest.mark.parametrize("width", [320, 768, 1600])
def test_it_fits(page: Page, server: Command, width: int) -> None:
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=800, deviceScaleFactor=1, mobile=False,
    )  # fmt: skip
    try:
        visit(page, server)
        assert page.run("document.documentElement.scrollWidth") <= width
    finally:
        page.call("Emulation.clearDeviceMetricsOverride")
    assert page.troubles == []


def test_it_is_dark_where_that_is_wanted(page: Page, server: Command) -> None:
    backgrounds = set()
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.call("Emulation.setEmulatedMedia", features=features)
        visit(page, server)
        backgrounds.add(page.run("getComputedStyle(document.body).backgroundColor"))
    page.call("Emulation.setEmulatedMedia", features=[])
    assert len(backgrounds) == 2


def test_it_says_so_when_nobody_answers(page: Page, server: Command) -> None:
    visit(page, server)
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(30)
    page.until("document.getElementById('contact').textContent.startsWith('no answer for')")
    page.open("about:blank")
