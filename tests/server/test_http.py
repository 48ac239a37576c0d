"""HTTP/1.1 over real sockets: framing, persistence, what clients get."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.server.client import Truncated, connect, get, serving
from tests.server.conftest import Told

START = {"type": "http.response.start", "status": 200, "headers": []}


async def send_all(send: Any, *pieces: bytes, status: int = 200, headers: Any = ()) -> None:
    """Send a response in pieces."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    for piece in pieces[:-1]:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": pieces[-1]})


async def read_all(receive: Any) -> tuple[bytes, Any]:
    """Read the request body; also return the last message."""
    data = bytearray()
    while True:
        message = await receive()
        assert message["type"] == "http.request", message
        data += message["body"]
        if not message["more_body"]:
            return bytes(data), message


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what was asked."""
    data, last = await read_all(receive)
    trailers = b",".join(name + b"=" + value for name, value in last.get("trailers", ()))
    text = f"{scope['method']} {scope['path']} {scope['query_string'].decode()} ".encode()
    await send_all(send, text + data + trailers)


async def pieces(scope: Any, receive: Any, send: Any) -> None:
    """Answer in pieces."""
    await send_all(send, b"one", b"", b"two", b"three")


@pytest.mark.spec("CORE-1", "HTTP-18", "HTTP-28")
async def test_many_requests_on_one_connection(told: Told) -> None:
    async with serving(echo) as server, connect(server) as client:
        for number in range(20):
            response = await client.request(f"/{number}?q={number}")
            assert response.body == f"GET /{number} q={number} ".encode()
            assert response["content-length"] == str(len(response.body)).encode()
            assert not response.closes

    assert told.errors == []


@pytest.mark.spec("HTTP-25")
async def test_date_and_server() -> None:
    async with serving(echo) as server:
        response = await get(server)
        assert response["server"] == b"pagi"
        date = response["date"] or b""
        assert len(date) == 29
        assert date.endswith(b" GMT")

    async def own(scope: Any, receive: Any, send: Any) -> None:
        await send_all(send, b"", headers=[(b"Date", b"mine"), (b"SERVER", b"mine")])

    async with serving(own) as server:
        response = await get(server)
        assert (response["date"], response["server"]) == (b"mine", b"mine")

    async with serving(echo, server_header="", date_header=False) as server:
        response = await get(server)
        assert (response["date"], response["server"]) == (None, None)


@pytest.mark.spec("HTTP-21")
async def test_chunked_and_counted() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"11")] if scope["path"] == "/counted" else []
        await send_all(send, b"one", b"", b"two", b"three", headers=headers)

    async with serving(app) as server, connect(server) as client:
        response = await client.request("/chunked")
        assert response["transfer-encoding"] == b"chunked"
        assert b"".join(response.chunks) == b"onetwothree"
        assert b"" not in response.chunks
        response = await client.request("/counted")
        assert response["content-length"] == b"11"
        assert response.body == b"onetwothree"


@pytest.mark.spec("HTTP-23")
async def test_head_and_bodiless_statuses_keep_the_connection() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send_all(send, b"some", b"body", status=int(scope["path"][1:]))

    async with serving(app) as server, connect(server) as client:
        assert (await client.request("/200")).body == b"somebody"
        response = await client.request("/200", method="HEAD")
        assert response.body == b""
        for status in (204, 304, 200):
            response = await client.request(f"/{status}")
            assert response.status == status
            assert response.body == (b"somebody" if status == 200 else b"")


@pytest.mark.spec("HTTP-28", "HTTP-7")
async def test_http_1_0() -> None:
    async with serving(pieces) as server, connect(server) as client:
        response = await client.request(version="1.0", headers=[("Connection", "keep-alive")])
        assert response.version == "1.1"
        assert response["transfer-encoding"] is None
        assert response.closes
        assert response.body == b"onetwothree"

    async with serving(echo) as server, connect(server) as client:
        response = await client.request(version="1.0", headers=[("Connection", "keep-alive")])
        assert response["connection"] == b"keep-alive"
        response = await client.request(version="1.0")
        assert response.closes
        assert await client.rest() == b""


@pytest.mark.spec("HTTP-27", "HTTP-24")
async def test_connection_close_of_either_side() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"connection", b"close")] if scope["path"] == "/close" else []
        if scope["path"] == "/fields":
            headers = [(b"transfer-encoding", b"chunked"), (b"keep-alive", b"timeout=5")]
        await send_all(send, b"x", headers=headers)

    async with serving(app) as server:
        for request in ({"target": "/close"}, {"headers": [("Connection", "close")]}):
            async with connect(server) as client:
                assert (await client.request(**request)).closes
                assert await client.rest() == b""
        async with connect(server) as client:
            response = await client.request("/fields")
            assert response["transfer-encoding"] is None
            assert response["keep-alive"] is None
            assert (await client.request()).body == b"x"


@pytest.mark.spec("HTTP-26")
async def test_pipelined_requests_are_answered_in_order() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        number = int(scope["path"][1:])
        await asyncio.sleep(0.003 * (number % 3))
        await send_all(send, scope["path"].encode())

    async with serving(app) as server, connect(server) as client:
        for number in range(30):
            client.send_request(f"/{number}")
        for number in range(30):
            assert (await client.response()).body == f"/{number}".encode()


@pytest.mark.spec("HTTP-10", "HTTP-11")
async def test_uploads_counted_and_chunked_with_trailers() -> None:
    async with serving(echo) as server, connect(server) as client:
        response = await client.request("/", method="POST", body=b"hello")
        assert response.body == b"POST /  hello"
        client.send_request(method="PUT", headers=[("Transfer-Encoding", "chunked")])
        client.send(b"5\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 9\r\n\r\n")
        assert (await client.response()).body == b"PUT /  hello!x-sum=9"
        assert (await client.request()).status == 200


@pytest.mark.spec("HTTP-12")
async def test_expect_continue() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/no":
            await send_all(send, b"no", status=403)
        else:
            await echo(scope, receive, send)

    expect = [("Expect", "100-continue"), ("Content-Length", "5")]
    async with serving(app) as server:
        async with connect(server) as client:
            client.send_request("/yes", method="PUT", headers=expect)
            assert (await client.head()).status == 100
            client.send(b"hello")
            response = await client.response()
            assert (response.informational, response.body) == ([], b"PUT /yes  hello")
        async with connect(server) as client:
            client.send_request("/no", method="PUT", headers=expect)
            response = await client.response()
            assert (response.status, response.informational) == (403, [])
            assert response.closes
            assert await client.rest() == b""


@pytest.mark.spec("EXT-3", "EXT-5")
async def test_early_hints_and_trailers() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.early_hint", "links": [b"</a>", b"</b>"]})
        await send({**START, "trailers": True})
        await send({"type": "http.response.body", "body": b"body"})
        await send({"type": "http.response.trailers", "headers": [(b"X-Sum", b"1")]})

    async with serving(app) as server, connect(server) as client:
        for version in ("1.1", "1.1", "1.0"):
            response = await client.request(version=version)
            assert response.body == b"body"
            if version == "1.1":
                assert [hint.status for hint in response.informational] == [103]
                assert response.informational[0].values("link") == [b"</a>", b"</b>"]
                assert response.trailers == [(b"x-sum", b"1")]
            else:
                assert response.informational == []


async def test_a_header_of_nine_kibibytes() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        value = dict(scope["headers"])[b"x-long"]
        await send_all(send, value, headers=[(b"x-long", value)])

    async with serving(app) as server, connect(server) as client:
        response = await client.request(headers=[("X-Long", "v" * 9216)])
        assert response["x-long"] == response.body == b"v" * 9216


@pytest.mark.spec("HTTP-51", "HTTP-44")
async def test_two_host_fields() -> None:
    async with serving(echo) as server, connect(server) as client:
        response = await client.request(headers=[("Host", "other")])
        assert response.status == 400
        assert await client.rest() == b""


@pytest.mark.spec("HTTP-41", "HTTP-39", "HTTP-40", "CORE-3")
async def test_applications_that_fail(told: Told) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/before":
            raise ValueError("before")
        if scope["path"] == "/return":
            return
        if scope["path"] == "/wait":
            await asyncio.sleep(0)
            raise ValueError("wait")
        await send(START)
        if scope["path"] == "/started":
            raise ValueError("started")
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        if scope["path"] == "/middle":
            raise ValueError("middle")
        await send({"type": "http.response.body", "body": b"rest"})
        raise ValueError("after")

    async with serving(app, lifespan="off") as server:
        for path in ("/before", "/return", "/wait", "/started"):
            async with connect(server) as client:
                response = await client.request(path)
                assert response.status == 500
                assert response.body == b"Internal Server Error"
                assert response.closes
                assert await client.rest() == b""
        async with connect(server) as client:
            with pytest.raises(Truncated) as raised:
                await client.request("/middle")
            assert raised.value.partial.body == b"part"
        assert (await get(server, "/after")).body == b"partrest"

    assert told.errors == [
        "the application failed; answered with 500",
        "the application returned without a response; answered with 500",
        "the application failed; answered with 500",
        "the application failed; answered with 500",
        "the application failed in mid-response; truncated",
        "the application failed after its response was complete",
    ]


@pytest.mark.spec("HTTP-41")
async def test_a_cut_response_that_the_end_delimits_is_reset() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        await send({"type": "http.fullflush"})

    async with serving(app, lifespan="off") as server, connect(server) as client:
        with pytest.raises(Truncated):
            await client.request(version="1.0")


@pytest.mark.spec("HTTP-38")
async def test_work_after_the_response_holds_nothing_up() -> None:
    go = asyncio.Event()
    ended = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send_all(send, b"done")
        await go.wait()
        ended.append(scope["path"])

    async with serving(app, lifespan="off") as server, connect(server) as client:
        for number in range(3):
            assert (await client.request(f"/{number}")).body == b"done"
        assert ended == []
        go.set()
    assert sorted(ended) == ["/0", "/1", "/2"]


@pytest.mark.spec("CORE-5", "HTTP-9")
async def test_contexts_and_states_are_separate_under_load() -> None:
    from contextvars import ContextVar

    variable: ContextVar[str] = ContextVar("variable")
    wrong = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            variable.set("lifespan")
            scope["state"]["shared"] = []
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        if variable.get() != "lifespan" or "mine" in scope["state"]:
            wrong.append(scope["path"])
        variable.set(scope["path"])
        scope["state"]["mine"] = scope["path"]
        scope["state"]["shared"].append(1)
        await asyncio.sleep(0.001 * (int(scope["path"][1:]) % 3))
        if variable.get() != scope["path"]:
            wrong.append(scope["path"])
        await send_all(send, str(len(scope["state"]["shared"])).encode())

    async with serving(app) as server:

        async def ask(begin: int) -> list[bytes]:
            async with connect(server) as client:
                return [(await client.request(f"/{begin + n}")).body for n in range(25)]

        await asyncio.gather(*(ask(25 * number) for number in range(40)))
        async with connect(server) as client:
            assert (await client.request("/0")).body == b"1001"
    assert wrong == []


@pytest.mark.spec("HTTP-30", "CORE-14")
async def test_validate_events() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(RuntimeError, match="'headers' must be a list of pairs"):
            await send({"type": "http.response.start", "status": 200, "headers": {b"a": b"b"}})
        await send_all(send, b"checked")

    async with serving(app, validate_events=True, lifespan="off") as server:
        assert (await get(server)).body == b"checked"


@pytest.mark.spec("HTTP-5")
async def test_root_path() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send_all(send, f"{scope['root_path']} {scope['path']}".encode() + scope["raw_path"])

    async with serving(app, root_path="/api") as server:
        assert (await get(server, "/x%20y")).body == b"/api /api/x y/api/x%20y"


@pytest.mark.spec("CORE-33", "HTTP-42")
async def test_abort_reaches_the_client_as_an_end() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        if scope["path"] == "/wait":
            await asyncio.sleep(0)
        scope["pagi.connection"].abort("enough")
        await send({"type": "http.response.body", "body": b"more"})

    async with serving(app, lifespan="off") as server:
        for path in ("/now", "/wait"):
            async with connect(server) as client:
                client.send_request(path)
                assert not (await client.rest()).endswith(b"0\r\n\r\n")


async def test_several_servers_in_one_loop() -> None:
    async def other(scope: Any, receive: Any, send: Any) -> None:
        await send_all(send, b"other")

    async with serving(echo) as first, serving(other) as second:
        assert first.port != second.port
        assert (await get(first)).body == b"GET /  "
        assert (await get(second)).body == b"other"
        await second.shutdown()
        assert (await get(first)).body == b"GET /  "
