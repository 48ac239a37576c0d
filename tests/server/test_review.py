"""What a reviewer with the RFCs at hand asked, and is not asked elsewhere."""

from __future__ import annotations

import http
import json
import signal
from collections import UserDict
from pathlib import Path
from typing import Any

import pytest

import pagi
from tests.server.attacks.wire import eventually
from tests.server.client import connect, get, serving
from tests.server.conftest import Told
from tests.server.processes import PATIENCE, command, refused


async def mirror(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what the scope says."""
    if scope["type"] == "lifespan":
        raise NotImplementedError
    seen = {key: scope[key] for key in ("type", "method", "scheme", "path")}
    seen["host"] = dict(scope["headers"]).get(b"host", b"").decode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})


# --- requests --------------------------------------------------------------------------------

ACCEPTS = ["text/event-stream", "text/html", "*/*", "text/event-stream;q=0", "nonsense"]


@pytest.mark.spec("CORE-44")
@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_application_without_the_mark_gets_http_whatever_is_accepted(
    accept: str, method: str
) -> None:
    async with serving(mirror) as server, connect(server) as client:
        answer = await client.request(method=method, headers=[("Accept", accept)])

    assert json.loads(answer.body)["type"] == "http"


@pytest.mark.spec("CORE-44")
def test_the_mark_returns_what_it_marked() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError

    assert pagi.native(app) is app
    assert pagi.native(type("App", (), {})).__name__ == "App"


EXPECTATIONS = ["", ",", "100-continue,", ", 100-Continue", "100-continue, ,100-continue"]


@pytest.mark.parametrize("value", EXPECTATIONS)
async def test_empty_members_of_expect_expect_nothing(value: str) -> None:
    """RFC 9110 §5.6.1.2: a recipient must parse and ignore empty list elements."""
    async with serving(mirror) as server, connect(server) as client:
        answer = await client.request(headers=[("Expect", value)])

    assert answer.status == 200


async def test_a_host_that_is_only_a_port() -> None:
    """RFC 9110 §4.2.1: an http URI with an empty host is invalid, and this would make one."""
    async with serving(mirror) as server, connect(server) as client:
        client.send("GET / HTTP/1.1\r\nHost: :80\r\n\r\n")
        assert (await client.response()).status == 400


@pytest.mark.parametrize("host", ["", " "])
async def test_an_empty_host_says_that_there_is_none(host: str) -> None:
    """RFC 9112 §3.3: the server may take its default."""
    async with serving(mirror) as server, connect(server) as client:
        client.send(f"GET / HTTP/1.1\r\nHost:{host}\r\n\r\n")
        assert json.loads((await client.response()).body)["host"] == ""


@pytest.mark.spec("HTTP-7", "HTTP-44")
async def test_an_https_target_on_a_plain_connection_is_misdirected() -> None:
    """RFC 9110 §7.4: it MUST be rejected, or anybody could make the scope say https."""
    async with serving(mirror) as server, connect(server) as client:
        client.send("GET https://h/ HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n")
        answer = await client.response()
        assert (answer.status, answer.closes) == (421, True)
        assert await client.rest() == b""


@pytest.mark.spec("HTTP-5", "HTTP-6")
async def test_the_asterisk_is_no_path_below_a_prefix() -> None:
    async with serving(mirror, root_path="/api") as server, connect(server) as client:
        assert json.loads((await client.request("*", method="OPTIONS")).body)["path"] == "*"
        assert json.loads((await client.request("/x")).body)["path"] == "/api/x"


# --- responses -------------------------------------------------------------------------------


def answering(*messages: Any) -> Any:
    """Make an application that sends these messages."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        for message in messages:
            await send(message)

    return app


START = {"type": "http.response.start", "status": 200, "headers": []}
BODIES = [bytearray(b"abc"), memoryview(b"abc"), memoryview(b"a.b.c")[::2]]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
@pytest.mark.parametrize("more", [False, True])
async def test_bodies_of_bytes_by_other_names(body: Any, more: bool) -> None:
    first = {"type": "http.response.body", "body": body, "more_body": more}
    last = [{"type": "http.response.body"}] if more else []
    async with serving(answering(START, first, *last)) as server:
        assert (await get(server)).body == b"abc"


HEADERS = {
    "generator": lambda: (pair for pair in [(b"x", b"1"), (b"x", b"2")]),
    "tuple": lambda: ((b"x", b"1"), (b"x", b"2")),
    "lists": lambda: [[b"x", b"1"], [b"x", b"2"]],
    "pairs of a dict": lambda: {b"x": b"1"}.items(),
    "upper case": lambda: [(b"X", b"1")],
}


@pytest.mark.spec("HTTP-25")
@pytest.mark.parametrize("form", HEADERS)
async def test_headers_in_any_form_of_pairs(form: str) -> None:
    body = {"type": "http.response.body"}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS[form]()})
        await send(body)

    async with serving(app) as server:
        values = (await get(server)).values("x")

    assert values == [b"1", b"2"][: len(values)] != []


@pytest.mark.parametrize(
    "start",
    [
        {"type": "http.response.start", "status": 201},
        {"type": "http.response.start", "status": http.HTTPStatus.CREATED, "headers": ()},
        UserDict({"type": "http.response.start", "status": 201, "headers": []}),
    ],
    ids=["no headers", "an enum", "a mapping"],
)
async def test_starts_by_other_names(start: Any) -> None:
    async with serving(answering(start, {"type": "http.response.body"})) as server:
        answer = await get(server)

    assert (answer.status, answer["content-length"]) == (201, b"0")


WRONG = {
    "no message": [None],
    "no type": [{}],
    "another type": [{"type": 1}],
    "an unknown type": [{"type": "http.response.stop"}],
    "of another protocol": [{"type": "websocket.accept"}],
    "no status": [{"type": "http.response.start"}],
    "an informational status": [{"type": "http.response.start", "status": 103}],
    "a status of four digits": [{"type": "http.response.start", "status": 1000}],
    "no headers": [{"type": "http.response.start", "status": 200, "headers": None}],
    "a mapping of headers": [
        {"type": "http.response.start", "status": 200, "headers": {b"x": b"1"}},
        {"type": "http.response.body"},
    ],
    "headers of text": [
        {"type": "http.response.start", "status": 200, "headers": [("x", "1")]},
        {"type": "http.response.body"},
    ],
    "two starts": [START, START],
    "a body of text": [START, {"type": "http.response.body", "body": "abc"}],
    "a body of nothing": [START, {"type": "http.response.body", "body": None}],
    "a body of a number": [START, {"type": "http.response.body", "body": 3}],
    "links of text": [{"type": "http.response.early_hint", "links": ["</x>"]}],
    "links of bytes": [{"type": "http.response.early_hint", "links": b"</x>"}],
    "a length of another": [
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]},
        {"type": "http.response.body", "body": b"abc"},
    ],
    "two equal lengths": [
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")] * 2},
        {"type": "http.response.body"},
    ],
}


@pytest.mark.spec("CORE-14", "HTTP-40")
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("validate", [False, True])
async def test_wrong_messages(wrong: str, validate: bool, told: Told) -> None:
    """The application is told, the client gets 500 and nothing else, the server lives."""
    async with serving(answering(*WRONG[wrong]), validate_events=validate) as server:
        answer = await get(server)
        again = await get(server)

    assert (answer.status, again.status) == (500, 500)
    assert answer.body == b"Internal Server Error"
    assert told.errors == ["the application failed; answered with 500"] * 2
    failures = [record.exc_info for record in told.records if record.exc_info]
    assert [failure[0] for failure in failures] == [pagi.MessageError] * 2


@pytest.mark.spec("HTTP-23", "HTTP-22")
@pytest.mark.parametrize("status", [204, 205, 304])
@pytest.mark.parametrize("length", [None, b"3", b"7"])
async def test_statuses_without_a_body(status: int, length: bytes | None) -> None:
    """What the application declares and sends for them cannot shift what follows."""
    headers = [] if length is None else [(b"content-length", length)]
    app = answering(
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": b"abc"},
    )
    async with serving(app) as server, connect(server) as client:
        for _ in range(2):
            answer = await client.request()
            assert (answer.status, answer.body) == (status, b"")
            assert answer["transfer-encoding"] is None
            if status == 304:
                assert answer["content-length"] == length
            else:
                assert answer["content-length"] == (b"0" if status == 205 else None)


@pytest.mark.spec("HTTP-24")
@pytest.mark.parametrize("coding", [b"chunked", b"gzip, chunked", b"identity"])
async def test_the_coding_of_the_transfer_is_the_servers(coding: bytes) -> None:
    headers = [(b"transfer-encoding", coding), (b"keep-alive", b"timeout=9")]
    app = answering(
        {"type": "http.response.start", "status": 200, "headers": headers},
        {"type": "http.response.body", "body": b"abc"},
    )
    async with serving(app) as server, connect(server) as client:
        for _ in range(2):
            answer = await client.request()
            assert answer.body == b"abc"
            assert answer["transfer-encoding"] is None
            assert answer["keep-alive"] is None


# --- ends ------------------------------------------------------------------------------------


@pytest.mark.spec("LIFE-12", "CORE-41")
@pytest.mark.parametrize("path", [b"/exit", b"/exit-later"])
async def test_an_application_that_ends_the_process_ends_it_like_every_stop(
    path: bytes, tmp_path: Path
) -> None:
    """Requests that are open are answered, and the lifespan's shutdown runs."""
    async with command("app", directory=tmp_path) as site:
        async with await site.open() as slow, await site.open() as last:
            await slow.send(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab")
            await site.journal.wait("begun")
            await last.send(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % path)
            await refused(site.port)
            await slow.send(b"cd")
            assert (await slow.refusal()).body == b"abcd"
            assert (await last.refusal()).status == 500
        assert await site.ended() == 7

    assert [event for event, _ in site.journal.events()][-2:] == ["notice", "shutdown"]
    assert any("the application ended the process by SystemExit" in line for line in site.lines)


async def test_workers_do_not_outlive_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    """They would hold the port, and nobody could stop them."""
    async with command("app", "-w", "2", directory=tmp_path) as site:
        await site.journal.wait("startup", 2)
        site.tell(signal.SIGKILL)
        await site.journal.wait("shutdown", 2)
        await refused(site.port)
        told = "ERROR   the supervisor has gone; stopping"
        await eventually(lambda: sum(told in line for line in site.lines) == 2, PATIENCE)
