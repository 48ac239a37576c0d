"""Attacks on the order of responses and on their framing (rows 11, 12, 53, 58)."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from tests.server.attacks.site import Recorder, attacked, process
from tests.server.attacks.wire import Wire


def get(path: bytes, *fields: bytes, version: bytes = b"1.1") -> bytes:
    """Make a request without body."""
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"GET %b HTTP/%b\r\nHost: h\r\n%b\r\n" % (path, version, lines)


class Paced(Recorder):
    """Answers with the path; ``/slow`` waits until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.running = 0
        self.most_running = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.note(scope)
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        if scope["path"].startswith("/slow"):
            await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["raw_path"], "more_body": True})
        if scope["path"].startswith("/slow"):
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})
        self.running -= 1


@pytest.mark.spec("HTTP-26")
@pytest.mark.parametrize(
    "paths",
    [
        [b"/slow", b"/fast"],
        [b"/fast", b"/slow", b"/fast2"],
        [b"/slow%d" % number for number in range(50)],
        [b"/fast%d" % number for number in range(500)],
        [b"/slow%d" % number if number % 7 else b"/fast%d" % number for number in range(300)],
    ],
    ids=["slow-fast", "fast-slow-fast", "all slow", "all fast", "mixed"],
)
async def test_row_11_order_is_kept(paths: list[bytes]) -> None:
    async with attacked(Paced()) as site:
        async with await site.open() as wire:
            await wire.send(b"".join(map(get, paths[:-1])) + get(paths[-1], b"Connection: close"))
            await site.app.called.wait()
            site.app.go.set()
            answers = await wire.answers()
        assert [answer.body for answer in answers] == paths
        assert site.app.most_running == 1


@pytest.mark.spec("HTTP-27")
@pytest.mark.parametrize("first", [b"/slow", b"/fast"])
@pytest.mark.parametrize(
    ("field", "version"),
    [
        (b"Connection: close", b"1.1"),
        (b"Connection: Close", b"1.1"),
        (b"Connection: x, close", b"1.1"),
        (b"Connection: keep-alive, close", b"1.1"),
        (b"Connection: keep-alive\r\nConnection: close", b"1.1"),
        (b"Connection: x", b"1.0"),
        (b"X: y", b"1.0"),
    ],
)
async def test_row_11_nothing_after_close(first: bytes, field: bytes, version: bytes) -> None:
    async with attacked(Paced()) as site:
        async with await site.open() as wire:
            await wire.send(get(first, field, version=version) + get(b"/after") * 50)
            await site.app.called.wait()
            site.app.go.set()
            answers = await wire.answers()
            await wire.send(get(b"/after") * 50)
        assert [answer.body for answer in answers] == [first]
        assert all(answer.closes for answer in answers)
        assert site.app.seen == [("GET", first)]


@pytest.mark.spec("HTTP-27")
async def test_row_11_nothing_after_a_close_of_the_application() -> None:
    class Closing(Recorder):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            self.note(scope)
            fields = [(b"connection", b"close")]
            await send({"type": "http.response.start", "status": 200, "headers": fields})
            await send({"type": "http.response.body", "body": b"x"})

    async with attacked(Closing(), lives=False) as site:
        async with await site.open() as wire:
            await wire.send(get(b"/") * 10)
            answers = await wire.answers()
        assert [answer.closes for answer in answers] == [True]
        assert len(site.app.seen) == 1


@pytest.mark.spec("HTTP-46")
async def test_row_11_an_error_among_pipelined_requests() -> None:
    """What came before is answered in order; the error is the last answer."""
    async with attacked(Paced()) as site:
        async with await site.open() as wire:
            bad = b"GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n"
            await wire.send(get(b"/slow") + get(b"/fast") + bad + get(b"/after") * 20)
            await site.app.called.wait()
            site.app.go.set()
            answers = await wire.answers()
        assert [answer.status for answer in answers] == [200, 200, 400]
        assert answers[2].closes
        assert site.app.seen == [("GET", b"/slow"), ("GET", b"/fast")]
    assert "400 protocol_error" in site.log


class Failing(Recorder):
    """Fails at ``/fail``, in the middle of a response at ``/cut``."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.note(scope)
        if scope["path"] == "/fail":
            raise RuntimeError("as asked")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"whole", "more_body": True})
        if scope["path"] == "/cut":
            raise RuntimeError("as asked")
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.spec("HTTP-40", "HTTP-41")
@pytest.mark.parametrize("path", [b"/fail", b"/cut"])
async def test_row_11_a_failing_application_among_pipelined_requests(path: bytes) -> None:
    async with attacked(Failing(), errors_expected=True) as site:
        async with await site.open() as wire:
            await wire.send(get(b"/ok") + get(path) + get(b"/after") * 20)
            assert (await wire.answer()).body == b"whole"
            rest = await wire.rest()
        if path == b"/fail":
            assert rest.startswith(b"HTTP/1.1 500 ")
        else:
            assert rest.endswith(b"5\r\nwhole\r\n")
        assert rest.count(b"HTTP/1.1") == 1
        assert site.app.seen == [("GET", b"/ok"), ("GET", path)]


@pytest.mark.spec("HTTP-26")
async def test_row_12_a_hundred_thousand_pipelined_requests() -> None:
    """The application is blocked: the server stops reading, and holds next to nothing."""
    async with process("blocked", "--no-access-log") as site:
        async with await site.open() as wire:
            await wire.send(get(b"/block"))
            before = site.resident()
            taken = await wire.send_while(get(b"/block") * 2000, 0.5)
            assert taken < 16 << 20, "it goes on reading"
            assert site.resident() - before < 4 << 20
        async with await site.open() as wire:
            await wire.send(get(b"/open", b"Connection: close"))
            assert (await wire.answer()).status == 200


@pytest.mark.spec("HTTP-26")
async def test_row_12_pipelining_without_reading_the_answers() -> None:
    """Each answer is a thousand times as large as its request, and nobody takes them."""
    async with process("large", "--no-access-log") as site, await site.open(4096) as wire:
        await wire.send(get(b"/") * 10)
        assert await wire.receive(1)
        before = site.resident()
        await wire.send_while(get(b"/") * 1000, 0.7)
        assert site.resident_peak() - before < 16 << 20
        # They are all answered as soon as somebody reads, though.
        wire.waiting = b"H"
        for _ in range(100):
            assert len((await wire.answer()).body) == 65_536


@pytest.mark.spec("HTTP-26")
async def test_row_12_one_request_at_a_time_without_reading_the_answers() -> None:
    """The same, with each request in a packet of its own, so that none ever waits in line."""
    async with process("large", "--no-access-log") as site, await site.open(4096) as wire:
        before = site.resident()
        for _ in range(1000):
            try:
                async with asyncio.timeout(0.3):
                    await wire.send(get(b"/"))
            except TimeoutError:
                break
            await asyncio.sleep(0.0005)
        assert site.resident_peak() - before < 16 << 20


class Bodies(Recorder):
    """Answers with the status that the path names, and a body that may not go with it."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.note(scope)
        _, status, how = scope["path"].split("/")
        fields: list[tuple[bytes, bytes]] = []
        if how == "length":
            fields = [(b"content-length", b"4")]
        elif how == "coding":
            fields = [(b"transfer-encoding", b"chunked")]
        elif how == "both":
            fields = [(b"content-length", b"4"), (b"transfer-encoding", b"chunked")]
        await send({"type": "http.response.start", "status": int(status), "headers": fields})
        if how == "stream":
            await send({"type": "http.response.body", "body": b"ev", "more_body": True})
            await send({"type": "http.response.body", "body": b"il"})
        else:
            await send({"type": "http.response.body", "body": b"evil"})


@pytest.mark.spec("HTTP-23", "HTTP-24")
@pytest.mark.parametrize("how", ["plain", "length", "coding", "both", "stream"])
@pytest.mark.parametrize(
    ("method", "status"),
    [("HEAD", 200), ("HEAD", 404), ("GET", 204), ("GET", 304), ("HEAD", 204), ("HEAD", 304)],
)
async def test_row_53_no_body_where_none_may_be(method: str, status: int, how: str) -> None:
    """One byte of it would be taken for the next response."""
    async with attacked(Bodies(), lives=False) as site, await site.open() as wire:
        line = b"%b /%d/%b HTTP/1.1\r\nHost: h\r\n\r\n" % (method.encode(), status, how.encode())
        await wire.send(line * 3 + get(b"/200/plain", b"Connection: close"))
        for _ in range(3):
            answer = await wire.answer(method)
            assert answer.status == status
            if status == 204:
                assert b"content-length" not in answer.fields
            if status in (204, 304):
                assert b"transfer-encoding" not in answer.fields
            assert not answer.closes
        assert (await wire.answer()).body == b"evil"
        assert await wire.rest() == b""


@pytest.mark.spec("HTTP-19")
@pytest.mark.parametrize("status", [99, 100, 101, 103, 199, 1000, 0, -200])
async def test_row_53_informational_or_impossible_status(status: int) -> None:
    """None of them can be a final response; on the wire it would be no end of one."""
    app = Bodies()
    async with attacked(app, errors_expected=True, lives=False) as site, await site.open() as wire:
        await wire.send(get(b"/%d/plain" % status))
        assert (await wire.refusal()).status == 500


class Interleaved(Recorder):
    """Sets values of its own, lets others run, and answers with what it then finds."""

    variable: ContextVar[bytes] = ContextVar("variable", default=b"nobody")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        number = scope["query_string"]
        before = self.variable.get()
        self.variable.set(number)
        scope["mark"] = scope["state"]["mark"] = number
        if int(number) % 3:
            for _ in range(int(number) % 5):
                await asyncio.sleep(0)
        else:
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        body = (await receive())["body"]
        found = (before, self.variable.get(), scope["mark"], scope["state"]["mark"], body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-n", number)]})
        await send({"type": "http.response.body", "body": b" ".join(found)})


async def test_row_58_scopes_do_not_leak() -> None:
    """A thousand interleaved requests on twenty connections: no value crosses."""

    class WithState(Interleaved):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await receive()
                scope["state"]["mark"] = b"start"
                await send({"type": "lifespan.startup.complete"})
                await receive()
                await send({"type": "lifespan.shutdown.complete"})
            else:
                assert scope["state"]["mark"] == b"start"
                assert "mark" not in scope
                await super().__call__(scope, receive, send)

    async def client(wire: Wire, first: int) -> None:
        async with wire:
            for number in range(first, first + 50):
                text = b"%d" % number
                await wire.send(
                    b"POST /?%b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b"
                    % (text, len(text), text)
                )
                answer = await wire.answer()
                assert answer.fields[b"x-n"] == text
                assert answer.body == b" ".join([b"nobody", text, text, text, text])

    async with attacked(WithState(), lifespan="on", lives=False) as site:
        await asyncio.gather(*[client(await site.open(), 50 * i) for i in range(20)])
