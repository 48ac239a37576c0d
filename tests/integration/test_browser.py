"""The showcase in a browser: every experiment of the page, by its own script."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.browser import CHROMIUM, Page, browser
from tests.integration.conftest import Command, command, digest

MIB = 1_048_576

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium (apt-get install chromium)"),
    pytest.mark.once,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Command]:
    with command("examples/showcase/app.py", folder, "--no-access-log") as running:
        yield running


@pytest.fixture(scope="module")
def page(server: Command, folder: Path) -> Iterator[Page]:
    with browser(folder) as page:
        page.open(f"http://127.0.0.1:{server.port}/")
        yield page
        page.screenshot(folder / "end.png")


@pytest.fixture(autouse=True)
def untroubled(page: Page) -> Iterator[None]:
    """Nothing may go wrong in the page itself."""
    yield
    assert page.troubles == []


def test_it_is_there(page: Page, folder: Path) -> None:
    page.until("document.getElementById('peer').textContent.startsWith('127.0.0.1')")
    page.until("document.getElementById('pulse').textContent === 'serving'")
    offers = page.run("[...document.querySelectorAll('#offers span')].map((e) => e.className)")

    assert page.run("document.title") == "PAGI: it runs"
    assert len(offers) == 7
    assert set(offers) == {""}
    page.screenshot(folder / "begin.png")


def test_request(page: Page) -> None:
    page.click("#ask button")
    page.until("document.getElementById('scope').textContent.includes('café')")

    assert "/api/scope/café//🍋" in page.text("#scope")
    assert "/api/scope/caf%C3%A9//%F0%9F%8D%8B" in page.text("#scope")


def test_stream(page: Page) -> None:
    ended = "/40 pieces, the slowest/.test(document.getElementById('stream-says').textContent)"
    page.until(ended)  # it runs once by itself
    page.click("#stream-go")
    page.until(f"!({ended})")
    page.until(ended)

    assert page.run("document.querySelectorAll('#lanes circle.got').length") == 40


def test_upload(page: Page) -> None:
    page.click("#upload-go")
    said = page.until(
        "/MiB in|Refused/.test(document.getElementById('upload-says').textContent)"
        " && document.getElementById('upload-says').textContent"
    )

    assert "64.0 MiB in" in said
    assert f"SHA-256 {digest(bytes(64 * MIB))[:16]}" in said
    risen = said.partition("Memory rose by ")[2].partition(". SHA")[0]
    number, unit = risen.split()
    assert unit in ("B", "KiB") or float(number) < 10


def test_ranges(page: Page) -> None:
    page.click("#ranges-go")
    said = page.until(
        "/agrees|differs/.test(document.getElementById('ranges-says').textContent)"
        " && document.getElementById('ranges-says').textContent"
    )
    pieces = page.run("[...document.querySelectorAll('#pieces li')].map((e) => e.textContent)")

    assert "The digest agrees" in said
    assert len(pieces) == 8
    assert all(piece.endswith("206") for piece in pieces)


def test_slow_reader(page: Page) -> None:
    page.click("#flow-go")
    page.until("document.getElementById('flow-says').textContent.startsWith('You read.')")
    page.click("#flow-hold")
    page.until("document.getElementById('flow-says').textContent.includes('send waits')")
    page.click("#flow-hold")
    page.until("document.getElementById('flow-says').textContent.startsWith('You read.')")
    page.click("#flow-go")

    assert page.text("#flow-go") == "Start"


def test_leave_early(page: Page) -> None:
    page.click("#leave-go")
    page.until("document.getElementById('endings').textContent.includes('client_closed')")
    page.until("!document.getElementById('leave-go').disabled")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("early-hints", "HTTP/1.1 103 Early Hints"),
        ("trailers", "repr-digest: sha-256=:"),
        ("upload", '["x-checked-by", "the sender"]'),
        ("continue", "HTTP/1.1 100 Continue"),
        ("range", "content-range: bytes 0-99/4194304"),
        ("pipelined", "HEAD /api/sample HTTP/1.1"),
        ("two-hosts", "HTTP/1.1 400 Bad Request"),
    ],
)
def test_on_the_wire(name: str, shown: str, page: Page) -> None:
    page.click(f"[data-wire={name}]")
    page.until(
        f"document.querySelector('[data-wire={name}]').ariaPressed === 'true'"
        f" && document.getElementById('bytes').textContent.includes({shown!r})"
    )


def test_code(page: Page) -> None:
    page.click("#upload button.peek")
    page.until("document.getElementById('code').open")

    assert "async def upload(" in page.text("#code pre")
    page.run("document.getElementById('code').close()")


def test_whole_download(page: Page) -> None:
    size = page.run("fetch('/api/sample').then((r) => r.blob()).then((b) => b.size)")

    assert size == 4 * MIB


# spec: CORE-37
def test_the_page_sees_the_stop(page: Page, server: Command) -> None:
    """The last one: it stops the server."""
    page.until("document.getElementById('pulse').textContent === 'serving'")
    page.run(
        "window.seen = []; new MutationObserver(() => window.seen.push("
        "document.getElementById('pulse').textContent)).observe("
        "document.getElementById('pulse'), {subtree: true, childList: true, attributes: true})"
    )
    server.process.send_signal(signal.SIGTERM)
    page.until("window.seen.includes('stopping') && window.seen.includes('gone')")
    page.troubles.clear()  # the connections that were refused

    assert server.process.wait(30) == 0
    assert "Traceback" not in server.log
