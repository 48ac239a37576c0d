"""The same checks for an application in each framework, served in this process."""

from __future__ import annotations

import importlib
import json
import logging
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.client import ask, connected
from tests.integration.conftest import Serving, digest, told
from tests.integration.frameworks.common import COOKIES, PIECES, journal, watched

MIB = 1_048_576


@dataclass(frozen=True)
class Framework:
    """What a framework can do; what it cannot is its own affair and not tested."""

    name: str
    lifespan: bool = True
    ranges: tuple[str, ...] = ("0-99", "5000000-", "-10")
    #: Hands a whole file over by its path when the server offers that.
    pathsend: bool = False
    head: int = 200
    options: int = 200
    #: Answers a failure with a response of its own, and then lets us know by raising it again.
    raises_again: bool = False
    #: Can refuse a WebSocket with a response of its own.
    denies: bool = False
    #: The close code of a WebSocket whose endpoint raises, if the framework closes it; otherwise
    #: it lets the error through, and the server closes.
    broken_code: int | None = None
    #: Says in its journal with which code the client has left a WebSocket.
    tells_code: bool = True
    #: Cuts an event stream whose source fails; otherwise it ends it as if it were whole.
    cuts: bool = True
    #: Ends a silent event stream whose client has gone; otherwise it waits for the next event.
    ends_silence: bool = True

    def make_app(self) -> Any:
        """Make a new application."""
        with warnings.catch_warnings():
            # Frameworks import and do what newer versions of Python frown upon.
            warnings.simplefilter("ignore", DeprecationWarning)
            module = importlib.import_module(f"tests.integration.frameworks.{self.name}_app")
            return module.make_app()


FRAMEWORKS = [
    Framework("starlette", pathsend=True, options=405, raises_again=True, denies=True),
    Framework("fastapi", pathsend=True, raises_again=True, denies=True, cuts=False),
    Framework("django", lifespan=False, ranges=()),
    Framework("litestar", ranges=(), options=204, broken_code=4500),
    Framework(
        "quart", ranges=("0-99", "5000000-"), denies=True, broken_code=1000, tells_code=False
    ),
    Framework("falcon", broken_code=1011, ends_silence=False),
    Framework("blacksheep", options=404, broken_code=1011),
]
LIVING = [framework for framework in FRAMEWORKS if framework.lifespan]
SPANS = {"0-99": (0, 100), "5000000-": (5_000_000, None), "-10": (-10, None)}
every = pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.name)
living = pytest.mark.parametrize("framework", LIVING, ids=lambda framework: framework.name)


@pytest.fixture(autouse=True)
def clean(big_file: bytes) -> None:
    """Begin with an empty journal; the files exist before an application asks for them."""
    journal.clear()


async def upload_pieces(size: int, piece: bytes) -> AsyncIterator[bytes]:
    for _ in range(size // len(piece)):
        yield piece


@every
async def test_json(framework: Framework, serving: Serving) -> None:
    async with serving(framework.make_app()) as server, connected(server.port) as client:
        for _ in range(3):  # on one connection
            answer = await client.ask("GET", "/json")

            assert answer.status == 200
            assert (answer.one(b"content-type") or b"").startswith(b"application/json")
            assert answer.json == {"hello": "world"}


# spec: HTTP-3, HTTP-4
@every
async def test_path_and_query_are_decoded(framework: Framework, serving: Serving) -> None:
    target = "/items/caf%C3%A9%20%F0%9F%8D%8B?q=%E2%9C%93+a%26b&q=%3d"
    async with serving(framework.make_app()) as server:
        answer = await ask(server.port, "GET", target)

    assert answer.json == {"name": "café 🍋", "q": ["✓ a&b", "="]}


# spec: HTTP-10
@every
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_streaming_upload(framework: Framework, framing: str, serving: Serving) -> None:
    size, piece = 20 * MIB, bytes(range(256)) * 512
    fields = [(b"content-type", b"application/octet-stream")]
    if framing == "length":
        fields.append((b"content-length", b"%d" % size))
    async with serving(framework.make_app()) as server, connected(server.port) as client:
        body = upload_pieces(size, piece)
        answer = await client.ask("POST", "/upload", fields, body)
        again = await client.ask("GET", "/json")

    assert answer.status == 200
    report = answer.json
    assert (report["size"], report["sha256"]) == (size, digest(piece * (size // len(piece))))
    assert report["pieces"] > 10
    assert report["largest"] <= 2 * MIB
    assert again.status == 200


@every
async def test_multipart_form(framework: Framework, serving: Serving, big_file: bytes) -> None:
    content = big_file[: 3 * MIB]
    body = (
        b'--limit\r\nContent-Disposition: form-data; name="title"\r\n\r\nCaf\xc3\xa9\r\n'
        b'--limit\r\nContent-Disposition: form-data; name="file"; filename="some.bin"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n--limit--\r\n"
    )
    fields = [(b"content-type", b"multipart/form-data; boundary=limit")]
    async with serving(framework.make_app()) as server:
        answer = await ask(server.port, "POST", "/form", fields=fields, body=body)

    assert answer.status == 200
    expected = {"title": "Café", "name": "some.bin", "size": len(content)}
    assert answer.json == expected | {"sha256": digest(content)}


# spec: HTTP-20, HTTP-21
@every
async def test_streaming_download(framework: Framework, serving: Serving) -> None:
    async with serving(framework.make_app()) as server, connected(server.port) as client:
        answer = await client.ask("GET", "/stream")
        again = await client.ask("GET", "/json")

    assert answer.status == 200
    assert answer.one(b"transfer-encoding") == b"chunked"
    assert answer.one(b"content-length") is None
    assert answer.body == b"".join(b"piece %d\n" % index for index in range(PIECES))
    assert answer.chunks == PIECES
    assert again.status == 200


@every
async def test_streaming_download_over_http_1_0(framework: Framework, serving: Serving) -> None:
    async with serving(framework.make_app()) as server, connected(server.port) as client:
        client.writer.write(b"GET /stream HTTP/1.0\r\n\r\n")
        head, _, body = (await client.reader.read()).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"chunked" not in head
    assert body == b"".join(b"piece %d\n" % index for index in range(PIECES))


@every
@pytest.mark.filterwarnings(  # Django reads its own FileResponse all at once, and says so
    "ignore:StreamingHttpResponse must consume synchronous iterators:Warning"
)
# Quart closes its file in a thread and does not wait for it; the collector may come first.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_file(framework: Framework, serving: Serving, big_file: bytes) -> None:
    sent: list[str] = []
    application = sending_noted(framework.make_app(), sent)
    async with serving(application) as server:
        answer = await ask(server.port, "GET", "/files/big.bin")

    assert answer.status == 200
    assert answer.body == big_file
    assert ("http.response.pathsend" in sent) == framework.pathsend


def sending_noted(application: Any, sent: list[str]) -> Any:
    """Wrap an application so that the type of each event it sends is noted."""

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        async def note(event: Any) -> None:
            sent.append(event["type"])
            await send(event)

        await application(scope, receive, note)

    return noting


# Quart's file wrapper does not close its file after a range; the collector then says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize(
    ("framework", "wanted"),
    [(framework, wanted) for framework in FRAMEWORKS for wanted in framework.ranges],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
async def test_range_of_a_file(
    framework: Framework, wanted: str, serving: Serving, big_file: bytes
) -> None:
    first, last = SPANS[wanted]
    fields = [(b"range", b"bytes=" + wanted.encode())]
    async with serving(framework.make_app()) as server:
        answer = await ask(server.port, "GET", "/files/big.bin", fields=fields)

    expected = big_file[first:last]
    assert answer.status == 206
    assert answer.body == expected
    begin = first % len(big_file)
    end = begin + len(expected) - 1
    assert answer.one(b"content-range") == b"bytes %d-%d/%d" % (begin, end, len(big_file))


# spec: LIFE-4, LIFE-9, LIFE-12, HTTP-9
@living
async def test_lifespan(framework: Framework, serving: Serving) -> None:
    async with serving(framework.make_app(), lifespan="on") as server:
        assert journal.notes == ["startup"]
        answer = await ask(server.port, "GET", "/state")

    assert answer.json == {"state": "ready"}
    assert journal.notes == ["startup", "shutdown"]


# spec: LIFE-6
async def test_an_application_without_lifespan_is_served(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pagi")
    app = next(f for f in FRAMEWORKS if not f.lifespan).make_app()
    async with serving(app) as server:
        answer = await ask(server.port, "GET", "/json")

    assert answer.status == 200
    assert any("has no lifespan" in message for message in caplog.messages)


# spec: HTTP-42, CORE-24
@every
async def test_a_client_leaves_a_streaming_response(framework: Framework, serving: Serving) -> None:
    async with serving(watched(framework.make_app())) as server:
        async with connected(server.port) as client:
            await client.begin("GET", "/slow")
            await client.head()
            assert await client.piece()
            assert "ended /slow" not in journal.notes
        await journal.until("ended /slow")
        answer = await ask(server.port, "GET", "/json")

    assert answer.status == 200


# spec: HTTP-15
@every
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_client_leaves_an_upload(
    framework: Framework, framing: str, serving: Serving
) -> None:
    fields = [(b"transfer-encoding", b"chunked")]
    if framing == "length":
        fields = [(b"content-length", b"%d" % MIB)]
    fields.append((b"content-type", b"application/octet-stream"))
    async with serving(watched(framework.make_app())) as server:
        async with connected(server.port) as client:
            await client.begin("POST", "/upload", fields, bytes(MIB // 2), end=False)
            if framework.name != "django":  # Django reads it all before it calls its view
                await journal.until("upload began")
            assert "ended /upload" not in journal.notes
        await journal.until("ended /upload")
        answer = await ask(server.port, "GET", "/json")

    assert answer.status == 200


# spec: CORE-3
@every
async def test_an_error_is_answered_by_the_framework(
    framework: Framework, serving: Serving, log: list[logging.LogRecord]
) -> None:
    async with serving(framework.make_app()) as server:
        async with connected(server.port) as client:
            answer = await client.ask("GET", "/error")
            again = await client.ask("GET", "/json")
        reports = [told(record) for record in log if record.name == "pagi.error"]
        log.clear()

    assert answer.status == 500
    assert answer.one(b"content-type") is not None
    assert again.status == 200
    assert len(reports) == framework.raises_again
    assert all("Deliberate" in report for report in reports)


@every
async def test_cookies(framework: Framework, serving: Serving) -> None:
    async with serving(framework.make_app()) as server:
        answer = await ask(server.port, "GET", "/cookies")

    pairs = [value.split(b";")[0].decode() for value in answer.all(b"set-cookie")]
    assert pairs == [f"{name}={value}" for name, value in COOKIES.items()]


# spec: HTTP-23
@every
async def test_head(framework: Framework, serving: Serving) -> None:
    async with serving(framework.make_app()) as server, connected(server.port) as client:
        whole = await client.ask("GET", "/json")
        head = await client.ask("HEAD", "/json")
        again = await client.ask("GET", "/json")

    assert head.status == framework.head
    assert head.body == b""
    assert head.one(b"content-type") == whole.one(b"content-type")
    assert head.one(b"content-length") in (whole.one(b"content-length"), None)
    assert again.body == whole.body


@every
async def test_options(framework: Framework, serving: Serving) -> None:
    async with serving(framework.make_app()) as server, connected(server.port) as client:
        answer = await client.ask("OPTIONS", "/json")
        again = await client.ask("GET", "/json")

    assert answer.status == framework.options
    if answer.status < 300 and framework.name != "fastapi":
        assert b"GET" in (answer.one(b"allow") or b"")
    assert again.status == 200


@every
async def test_pipelined_requests(framework: Framework, serving: Serving) -> None:
    request = b"GET /items/%d?q=x HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with serving(framework.make_app()) as server, connected(server.port) as client:
        client.writer.write(b"".join(request % number for number in range(10)))
        names = []
        for _ in range(10):
            head = await client.reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
            names.append(json.loads(await client.reader.readexactly(int(length)))["name"])

    assert names == [str(number) for number in range(10)]
