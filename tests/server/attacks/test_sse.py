"""Attacks on event streams (row 39): what clients may not write into them; slow readers."""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, quote

import pytest

import pagi
from tests.server.attacks.site import Recorder, attacked, process
from tests.server.attacks.wire import Answer, Wire, eventually, get

MIB = 1 << 20
HEAD = b"GET %b HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n"
#: Everything that ends a line for somebody; a parser of event streams knows CR, LF and CR LF.
ENDS = [
    "\n",
    "\r",
    "\r\n",
    "\n\r",
    "\r\r\n",
    "\n\n",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x1d",
    "\x1e",
    "\x85",
]
ENDS += ["\u2028", "\u2029", "\0"]
INJECTED = ["event: admin", "data: evil", "id: evil", "retry: 1", ": comment", "data", ""]


@dataclass
class Event:
    """What a browser makes of an event."""

    kind: str = "message"
    data: str = ""
    last_id: str = ""


@dataclass
class Browser:
    """A parser of event streams as WHATWG HTML §9.2.6 says, written for clarity."""

    events: list[Event] = field(default_factory=list)
    retry: int | None = None
    last_id: str = ""

    def read(self, stream: bytes) -> Browser:
        """Take a whole stream."""
        text = stream.decode()
        kind, data = "", ""
        for line in re.split("\r\n|\n|\r", text.removeprefix("\ufeff"))[:-1]:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not line:
                if data:
                    self.events.append(Event(kind or "message", data[:-1], self.last_id))
                kind, data = "", ""
            elif name == "event":
                kind = value
            elif name == "data":
                data += value + "\n"
            elif name == "id" and "\0" not in value:
                self.last_id = value
            elif name == "retry" and re.fullmatch("[0-9]+", value):
                self.retry = int(value)
        return self


class Reflecting(Recorder):
    """Sends an event whose parts come from the query, after what is refused of it; then another."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/events":
            await super().__call__(scope, receive, send)
            return
        query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
        given = {name: values[0] for name, values in query.items()}
        await send({"type": "sse.start"})
        for message in (
            {"type": "sse.comment", "comment": given.get("comment", "")},
            {"type": "sse.send", "data": given.get("data", ""), "event": "kind", "id": "7"},
            {"type": "sse.send", "data": "", "event": given.get("event", "")},
            {"type": "sse.send", "data": "", "id": given.get("id", "7")},
        ):
            try:
                await send(message)
            except pagi.MessageError as error:
                self.refused.append(str(error))
        await send({"type": "sse.send", "data": "the last", "event": "bye"})
        await send({"type": "sse.close"})


async def stream(port: int, **query: str) -> Browser:
    """Ask for the events with a query and read them as a browser does."""
    text = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    async with await Wire.open(port) as wire:
        await wire.send(HEAD % f"/events?{text}".encode())
        answer = await wire.answer()
    assert answer.fields[b"content-type"] == b"text/event-stream"
    return Browser().read(answer.body)


def as_lines(text: str) -> str:
    """Return what a browser must see of a text: its line ends are those of the format."""
    return re.sub("\r\n|\r", "\n", text)


# --- row 39 ----------------------------------------------------------------------------------


@pytest.mark.spec("SSE-7", "SSE-9")
@pytest.mark.parametrize("end", ENDS, ids=repr)
async def test_row_39_data_and_comments_stay_what_they_are(end: str) -> None:
    """Whatever a client writes into them: one event, of the kind and id that were meant."""
    async with attacked(Reflecting()) as site:
        for injected in INJECTED:
            text = f"harmless{end}{injected}{end}{end}event: admin{end}data: evil{end}id: evil"
            browser = await stream(site.port, data=text, comment=text)
            first, *_, last = browser.events
            assert first == Event("kind", as_lines(text), "7")
            assert last == Event("bye", "the last", "7")
            assert "admin" not in {event.kind for event in browser.events}
            assert browser.retry is None
        assert site.app.refused == []


@pytest.mark.spec("SSE-8")
@pytest.mark.parametrize("end", ENDS, ids=repr)
async def test_row_39_kinds_and_ids_are_one_line(end: str) -> None:
    """What would be two lines is refused with not a byte sent; all else is kept as it is."""
    lines = "\r" in end or "\n" in end
    async with attacked(Reflecting()) as site:
        for injected in INJECTED:
            text = f"x{end}{injected}{end}{end}event: admin{end}data: evil"
            browser = await stream(site.port, event=text, id=text)
            first, *rest, last = browser.events
            refused_id = lines or "\0" in end
            assert first == Event("kind", "", "7")
            assert last == Event("bye", "the last", "7" if refused_id else text)
            kinds = [event.kind for event in rest]
            assert kinds == ([] if lines else [text]) + ([] if refused_id else ["message"])
            assert {event.data for event in rest} <= {""}
            assert len(site.app.refused) == lines + refused_id
            site.app.refused.clear()


@pytest.mark.spec("SSE-7", "SSE-8", "SSE-9")
async def test_row_39_noise() -> None:
    """Random texts of all that means something in an event stream."""
    noise = random.Random(39)
    parts = [
        *ENDS,
        *INJECTED,
        ":",
        " ",
        "\ufeff",
        "x",
        "\U0001f600",
        "data",
        "id",
        "event",
        "retry",
    ]
    async with attacked(Reflecting()) as site:
        for _ in range(150):
            data, comment, event, id_ = (
                "".join(noise.choices(parts, k=noise.randrange(8))) for _ in range(4)
            )
            browser = await stream(site.port, data=data, comment=comment, event=event, id=id_)
            first, *rest, last = browser.events
            assert first == Event("kind", as_lines(data), "7")
            assert (last.kind, last.data) == ("bye", "the last")
            assert last.last_id == ("7" if re.search("[\r\n\0]", id_) else id_)
            assert {each.data for each in rest} <= {""}
            assert {each.kind for each in rest} <= {event or "message", "message"}
            assert browser.retry is None


@pytest.mark.spec("SSE-5", "SSE-8", "SSE-10")
async def test_row_39_the_head_and_the_keepalive() -> None:
    """Fields of the head are checked as ever, and a keepalive is a comment whatever it says."""

    class Starting(Recorder):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] != "/events":
                await super().__call__(scope, receive, send)
                return
            for value in (b"x\r\nx-evil: 1", b"x\n", b"x\0", "x"):
                with pytest.raises(pagi.MessageError):
                    await send({"type": "sse.start", "headers": [(b"x-given", value)]})
            await send({"type": "sse.start", "headers": [(b"x-given", b"x")]})
            comment = "a\n\ndata: evil\r\rdata: evil\r\n\r\nid: evil"
            await send({"type": "sse.keepalive", "interval": 0.02, "comment": comment})
            await receive()
            await receive()

    async with attacked(Starting()) as site:
        async with await site.open() as wire:
            await wire.send(HEAD % b"/events")
            answer = Answer(await wire.until(b"\r\n\r\n"))
            assert answer.fields[b"x-given"] == b"x"
            assert b"x-evil" not in answer.fields
            size = int(await wire.until(b"\r\n"), 16)
            keepalive = await wire.exactly(size)
        browser = Browser().read(keepalive)
        assert (browser.events, browser.last_id) == ([], "")
        assert all(line.startswith(b":") for line in keepalive.split(b"\n") if line)


@pytest.mark.spec("SSE-1", "CORE-45")
@pytest.mark.parametrize(
    "last", [b"7", b"7\x85id: evil", b"\xe2\x80\xa8", b"a: b", b"\xff", b" 7 ", b""], ids=repr
)
async def test_row_39_last_event_id_is_a_field_like_others(last: bytes) -> None:
    async with attacked() as site:
        async with await site.open() as wire:
            await wire.send(b"GET / HTTP/1.1\r\nHost: h\r\nLast-Event-ID: %b\r\n\r\n" % last)
            assert (await wire.answer()).status == 200
        (scope,) = site.app.scopes
        assert scope["headers"] == [(b"host", b"h"), (b"last-event-id", last.strip())]


# --- slow readers and other guests -----------------------------------------------------------


@pytest.mark.spec("SSE-11", "SSE-14", "CORE-23")
async def test_nobody_reads_the_events() -> None:
    """The application sends 1 GiB of events: ``send`` waits, and the write timeout ends it.

    So it is with a stream of ``sse.*`` messages and with one of ``http.response.*`` messages.
    """
    said = ("--log-level", "debug", "--access-log-format", "%U %s %{reason}x")
    async with process("events", "--write-timeout", "1", *said) as site:
        before = site.resident_peak()
        wires = [await site.open(4096) for _ in range(2)]
        for wire, path in zip(wires, (b"/events", b"/plain"), strict=True):
            await wire.send(HEAD % path)
            await wire.receive(1)
        for _ in range(10):
            begun = monotonic()
            assert (await get(site.port, b"/alive")).status == 200
            assert monotonic() - begun < 0.5
        ends = {"/events 200 write_timeout", "/plain 200 write_timeout"}
        await eventually(lambda: ends <= set(site.lines), 10)
        assert site.resident_peak() - before < 4 * MIB
        for wire in wires:
            await wire.rest()
            assert wire.was_reset
            wire.close()


@pytest.mark.spec("SSE-2", "HTTP-13")
async def test_a_body_behind_an_event_stream_that_nobody_reads() -> None:
    """The stream goes on; what the client sends meanwhile waits in the kernel."""

    class Ticking(Recorder):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] != "/events":
                await super().__call__(scope, receive, send)
                return
            await send({"type": "sse.start"})
            while True:
                await send({"type": "sse.send", "data": "tick"})
                await asyncio.sleep(0.01)

    async with attacked(Ticking(), linger_timeout=0.1) as site:
        async with await site.open() as wire:
            await wire.send(b"POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n")
            assert await wire.send_while(bytes(65_536), 0.2) < 16 * MIB
            assert (await wire.until(b"tick")).startswith(b"HTTP/1.1 200 OK\r\n")
            for _ in range(5):
                await wire.until(b"tick")


@pytest.mark.spec("SSE-14")
async def test_streams_that_leave_at_once() -> None:
    """Two hundred streams, left in all ways: each application hears of it, nothing stays."""
    left: list[str] = []

    class Waiting(Recorder):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] != "/events":
                await super().__call__(scope, receive, send)
                return
            await send({"type": "sse.start"})
            await send({"type": "sse.keepalive", "interval": 0.01})
            while (message := await receive())["type"] != "http.disconnect":
                continue
            with pytest.raises(pagi.Disconnected):
                await send({"type": "sse.send", "data": "too late"})
            left.append(message["reason"])

    async with attacked(Waiting()) as site:
        worker = site.server._worker
        assert worker is not None
        wires = [await site.open() for _ in range(200)]
        for number, wire in enumerate(wires):
            await wire.send(HEAD % b"/events")
            if number % 4:
                await wire.receive(1)
        for number, wire in enumerate(wires):
            (wire.reset, wire.close, wire.half_close)[number % 3]()
        await eventually(lambda: len(left) == 200)
        assert set(left) == {"client_closed"}
        for wire in wires:
            wire.close()
        await eventually(lambda: worker.connections == 0)


@pytest.mark.spec("SSE-11")
async def test_one_slow_reader_among_others() -> None:
    """Ten read and one does not: each event reaches the ten at once."""

    class Hub(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.published = asyncio.Condition()
            self.number = 0
            self.readers = 0
            self.waiting = 0

        async def publish(self) -> None:
            async with self.published:
                self.number += 1
                self.published.notify_all()

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] != "/events":
                await super().__call__(scope, receive, send)
                return
            await send({"type": "sse.start"})
            self.readers += 1
            seen = 0
            while True:
                async with self.published:
                    while self.number == seen:
                        await self.published.wait()
                    seen = self.number
                self.waiting += 1
                await send({"type": "sse.send", "data": f"{seen} {'x' * 200_000}"})
                self.waiting -= 1

    async with attacked(Hub()) as site:
        slow = await site.open(4096)
        await slow.send(HEAD % b"/events")
        wires = [await site.open() for _ in range(10)]
        for wire in wires:
            await wire.send(HEAD % b"/events")
        await eventually(lambda: site.app.readers == 11)
        for number in range(1, 31):
            await site.app.publish()
            async with asyncio.timeout(2):
                for wire in wires:
                    await wire.until(b"data: %d " % number)
                    await wire.until(b"x\n\n")
        assert site.app.waiting == 1, "only the slow one is behind"
        for wire in (slow, *wires):
            wire.reset()
        worker = site.server._worker
        assert worker is not None
        await eventually(lambda: worker.connections == 0)
        await site.app.publish()  # they are told by it that their clients have gone
