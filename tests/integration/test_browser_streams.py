"""WebSockets and event streams in a browser, and what it makes of a restart."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.browser import CHROMIUM, Page, browser
from tests.integration.conftest import Command, command

MIB = 1_048_576
APP = "tests.integration.streams:app"
OPTIONS = (
    *("--ws-ping-interval", "0.1", "--ws-ping-timeout", "2"),
    *("--shutdown-grace", "0.3", "--no-access-log"),
)

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium (apt-get install chromium)"),
    pytest.mark.once,
]

#: Opens a WebSocket that notes what becomes of it, and answers one question at a time.
CONNECT = """
window.connect = (address, protocols = []) => new Promise((done) => {
    const socket = new WebSocket(address, protocols);
    socket.binaryType = 'arraybuffer';
    socket.seen = {opened: false, messages: 0, close: null};
    socket.onopen = () => { socket.seen.opened = true; done(socket); };
    socket.onclose = (event) => {
        socket.seen.close = {code: event.code, reason: event.reason, clean: event.wasClean};
        done(socket);
    };
    socket.ask = (message) => new Promise((answer, lost) => {
        socket.onmessage = (event) => { socket.seen.messages += 1; answer(event.data); };
        socket.addEventListener('close', lost, {once: true});
        socket.send(message);
    });
});
"""

#: Follows the events and notes what comes, in order.
FOLLOW = """
window.follow = (address) => {
    const source = new EventSource(address);
    window.told = {beats: [], hellos: [], goodbyes: 0, errors: [], odd: []};
    source.onmessage = (event) => {
        if (event.data !== `beat\\n${event.lastEventId}`) told.odd.push(event.data);
        told.beats.push(Number(event.lastEventId));
    };
    source.addEventListener('hello', (event) => {
        told.hellos.push({from: Number(event.data), after: told.beats.at(-1) ?? null});
    });
    source.addEventListener('goodbye', () => told.goodbyes += 1);
    source.onerror = () => told.errors.push(source.readyState);
};
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("streams")


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[Page]:
    with browser(folder) as page:
        yield page


def visit(page: Page, server: Command, host: str = "127.0.0.1") -> None:
    """Open the empty page of a server and put the scripts into it."""
    page.open(f"http://{host}:{server.port}/")
    page.run(CONNECT + FOLLOW)
    page.troubles.clear()


def socket(page: Page, server: Command, protocols: str = "[]") -> None:
    """Open a WebSocket, which the page has as ``socket`` then."""
    address = f"ws://127.0.0.1:{server.port}/talk"
    page.run(f"connect({address!r}, {protocols}).then((opened) => {{ window.socket = opened; }})")


def healthy(server: Command) -> None:
    """Check a server that has stopped."""
    assert server.status == 0, server.log
    assert "Traceback" not in server.log
    assert "ERROR" not in server.log
    assert "WARNING" not in server.log, server.log  # such as connections that it had to abort


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Command]:
    with command(APP, folder, *OPTIONS) as running:
        yield running
    healthy(running)


@pytest.mark.spec("WS-6", "WS-17", "WS-18", "WS-19")
def test_a_websocket_survives_the_pings(page: Page, server: Command) -> None:
    """The browser answers them by itself; in the page nothing is seen of them."""
    visit(page, server)
    socket(page, server, "['chat.v2', 'chat.v1']")

    round_trips = page.run(
        """(async () => {
            const found = [];
            while (new Set(found).size < 6) {
                await new Promise((done) => setTimeout(done, 110));
                found.push(JSON.parse(await socket.ask('?')).round_trip);
            }
            return found;
        })()"""
    )

    assert all(0 < seconds < 2 for seconds in round_trips[2:])
    assert page.run("socket.protocol") == "chat.v2"
    assert page.run("socket.readyState") == 1
    assert page.run("socket.seen.messages") == len(round_trips)
    assert page.troubles == []


TEXT = "Array.from({length: SIZE / 4}, (_, n) => String.fromCodePoint(0x10000 + n)).join('')"
NOISE = """(() => {
    const data = new Uint8Array(SIZE);
    for (let at = 0; at < SIZE; at += 65536) crypto.getRandomValues(data.subarray(at, at + 65536));
    return data;
})()"""
SAME_BYTES = """(sent, got) => got instanceof ArrayBuffer && got.byteLength === SIZE
    && new Uint8Array(got).every((byte, at) => byte === sent[at])"""
SAME_TEXT = "(sent, got) => sent === got"


@pytest.mark.spec("WS-11", "WS-12")
@pytest.mark.parametrize(
    ("make", "same"),
    [
        pytest.param(TEXT, SAME_TEXT, id="text"),
        pytest.param("'0'.repeat(SIZE)", SAME_TEXT, id="zeros"),
        pytest.param(NOISE, SAME_BYTES, id="noise"),
    ],
)
def test_a_mebibyte_both_ways(page: Page, server: Command, make: str, same: str) -> None:
    """Text and bytes, what compresses and what does not, under permessage-deflate."""
    visit(page, server)
    socket(page, server)

    said = page.run(
        f"""(async () => {{
            const SIZE = {MIB}, sent = {make}, same = {same};
            const first = same(sent, await socket.ask(sent));
            const second = same(sent, await socket.ask(sent));
            const size = typeof sent === 'string'
                ? new TextEncoder().encode(sent).length : sent.byteLength;
            return [first, second, size];
        }})()"""
    )

    assert said == [True, True, MIB]
    assert page.run("socket.extensions").startswith("permessage-deflate")
    assert page.troubles == []


@pytest.mark.spec("WS-21", "WS-22")
def test_a_page_that_closes(page: Page, server: Command) -> None:
    visit(page, server)
    socket(page, server)
    page.run("socket.ask('hello').then(() => socket.close(4001, 'enough'))")
    page.until("socket.seen.close")

    assert page.run("socket.seen.close") == {"code": 4001, "reason": "", "clean": True}


@pytest.mark.spec("WS-28", "SSE-16", "CORE-37")
def test_a_restart(page: Page, tmp_path: Path) -> None:
    """The WebSocket shows 1012 and can come back; the events go on and none is missing."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with command(APP, tmp_path / "first", *OPTIONS) as first:
        visit(page, first)
        page.run("follow('/events')")
        socket(page, first)
        page.until("told.beats.length > 20")
        first.process.send_signal(signal.SIGTERM)
        page.until("socket.seen.close")
        assert page.run("socket.seen.close") == {
            "code": 1012,
            "reason": "the server restarts",
            "clean": True,
        }
        page.until("told.goodbyes > 0 && told.errors.length > 0")
        assert first.process.wait(30) == 0
    healthy(first)
    before = page.run("told.beats.length")
    hellos = page.run("told.hellos.length")

    port = ("--port", str(first.port))
    with command(APP, tmp_path / "second", *OPTIONS, *port) as second:
        assert second.port == first.port
        page.until(f"told.beats.length > {before} + 20")
        socket(page, second)
        assert page.run("socket.ask('again')") == "again"
        told = page.run("told")
        page.run("socket.close()")
    healthy(second)

    beats = told["beats"]
    assert beats == list(range(beats[0], beats[0] + len(beats))), "one is missing, or came twice"
    # The browser may have found a connection to the first server that was open already.
    assert len(told["hellos"]) == hellos + 1
    assert told["hellos"][0] == {"from": beats[0] - 1, "after": None}
    for hello in told["hellos"][1:]:
        assert hello["from"] == hello["after"], "it did not say where it was"
    assert told["hellos"][-1]["from"] == beats[before - 1]
    assert set(told["errors"]) == {0}, "it gave up"
    assert told["odd"] == []
    # What was tried while no server was there; no stream and no WebSocket ended in an error.
    assert all("ERR_CONNECTION_REFUSED" in trouble for trouble in page.troubles), page.troubles


@pytest.mark.spec("WS-4")
def test_a_page_of_another_origin(page: Page, server: Command, tmp_path: Path) -> None:
    """It gets no WebSocket where the list of origins does not have it."""
    listed = f"http://localhost:{server.port}"
    with command(APP, tmp_path, *OPTIONS, "--ws-origins", listed) as strict:
        visit(page, server)  # at 127.0.0.1, which is another origin
        socket(page, strict)
        assert page.run("socket.seen") == {
            "opened": False,
            "messages": 0,
            "close": {"code": 1006, "reason": "", "clean": False},
        }
        assert any("403" in trouble for trouble in page.troubles), page.troubles
        visit(page, server, "localhost")
        socket(page, strict)
        assert page.run("socket.ask('hello')") == "hello"
    healthy(strict)
