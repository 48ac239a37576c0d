"""What the driver does with what it receives: bodies, back-pressure, faults, ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pagi.protocol.http1.limits import HTTP1Limits
from tests.unit.connection.scene import LAST, MORE, START, Peer, body, get, post, start, turns

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


# --- bodies ----------------------------------------------------------------------------------


@pytest.mark.spec("HTTP-10")
async def test_a_body_that_came_with_its_head_is_there_at_once() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await receive())
        await send(START)
        await send(LAST)

    peer = Peer(app)
    await peer.send(post(b"hello"))

    assert seen == [{"type": "http.request", "body": b"hello", "more_body": False}]
    assert len(peer.transport.writes) == 1
    await peer.close()


@pytest.mark.spec("HTTP-10", "HTTP-11")
async def test_a_chunked_body_with_trailers_byte_by_byte() -> None:
    peer = Peer()
    wire = get("/", "Transfer-Encoding: chunked", method="POST")
    wire += b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\n"
    for position in range(len(wire)):
        peer.driver.data_received(wire[position : position + 1])
    await turns()

    messages = [await peer.request.receive()]
    while messages[-1]["more_body"]:
        messages.append(await peer.request.receive())

    assert b"".join(message["body"] for message in messages) == b"abcde"
    assert messages[-1]["trailers"] == [(b"x-sum", b"1")]
    assert all(name not in (b"x-sum", b"trailer") for name, _ in peer.request.scope["headers"])
    await peer.close()


@pytest.mark.spec("CORE-17")
async def test_fields_as_they_came() -> None:
    peer = Peer()
    await peer.send(
        get("/", "B: 2", "a: 1", "A: 1", "Cookie: x=1", "cookie: y=2", "X: \xe4 ".rstrip())
    )

    assert peer.request.scope["headers"] == [
        (b"host", b"h"),
        (b"b", b"2"),
        (b"a", b"1"),
        (b"a", b"1"),
        (b"cookie", b"x=1; y=2"),
        (b"x", "\xe4".encode()),
    ]
    await peer.close()


# --- 100-continue ----------------------------------------------------------------------------


@pytest.mark.spec("HTTP-12")
async def test_continue_is_sent_when_the_application_first_reads_and_once() -> None:
    peer = Peer()
    await peer.send(get("/", "Expect: 100-continue", "Content-Length: 4", method="PUT"))
    await turns()
    assert peer.data == b""

    reading = asyncio.ensure_future(peer.request.receive())
    await turns()
    assert peer.data == CONTINUE
    await peer.send(b"ab")
    assert (await reading)["body"] == b"ab"
    reading = asyncio.ensure_future(peer.request.receive())
    await turns()
    await peer.send(b"cd")
    assert await reading == {"type": "http.request", "body": b"cd", "more_body": False}
    await peer.request.answer()

    assert peer.data.count(b"100 Continue") == 1
    assert not peer.transport.closing
    await peer.close()


@pytest.mark.spec("HTTP-12")
async def test_answered_without_reading_the_connection_closes() -> None:
    peer = Peer()
    await peer.send(get("/", "Expect: 100-continue", "Content-Length: 4", method="PUT"))
    await peer.request.answer()

    assert CONTINUE not in peer.data
    assert b"connection: close\r\n" in peer.data
    assert peer.transport.log == ["write_eof"]
    await peer.close()


@pytest.mark.spec("HTTP-12")
@pytest.mark.parametrize("before", [[MORE], [{"type": "http.fullflush"}]])
async def test_no_continue_after_the_response_has_begun(before: list[Any]) -> None:
    peer = Peer()
    await peer.send(get("/", "Expect: 100-continue", "Content-Length: 4", method="PUT"))
    await peer.request.send(START)
    for message in before:
        await peer.request.send(message)
    reading = asyncio.ensure_future(peer.request.receive())
    await turns()

    assert CONTINUE not in peer.data
    reading.cancel()
    await peer.close()


@pytest.mark.spec("HTTP-12")
async def test_continue_after_the_start_that_is_held_back() -> None:
    peer = Peer()
    await peer.send(get("/", "Expect: 100-continue", "Content-Length: 4", method="PUT"))
    await peer.request.send(START)
    reading = asyncio.ensure_future(peer.request.receive())
    await turns()
    assert peer.data == CONTINUE
    reading.cancel()
    await peer.close()


@pytest.mark.spec("HTTP-12")
@pytest.mark.parametrize(
    "wire",
    [
        get("/", "Expect: 100-continue", "Content-Length: 2", method="PUT", version="1.0"),
        get("/", "Expect: 100-continue", "Content-Length: 2", method="PUT") + b"a",
        get("/", "Expect: 100-continue"),
    ],
)
async def test_nobody_waits_for_continue(wire: bytes) -> None:
    peer = Peer()
    await peer.send(wire)
    reading = asyncio.ensure_future(peer.request.receive())
    await turns()

    assert peer.data == b""
    reading.cancel()
    await peer.close()


# --- back-pressure towards a fast client -----------------------------------------------------


@pytest.mark.spec("HTTP-13")
async def test_reading_pauses_while_the_application_does_not_take_the_body() -> None:
    peer = Peer(read_high_watermark=1000)
    await peer.send(get("/", "Content-Length: 100000", method="PUT"))
    await peer.send(b"x" * 999)
    assert peer.transport.reading
    await peer.send(b"x")
    assert not peer.transport.reading

    assert len((await peer.request.receive())["body"]) == 1000
    assert peer.transport.reading
    await peer.close()


@pytest.mark.spec("HTTP-13")
async def test_reading_goes_on_for_an_application_that_waits() -> None:
    peer = Peer(read_high_watermark=1000)
    await peer.send(get("/", "Content-Length: 100000", method="PUT"))
    reading = asyncio.ensure_future(peer.request.receive())
    await turns()

    await peer.send(b"x" * 5000)

    assert len((await reading)["body"]) == 5000
    assert peer.transport.reading
    await peer.close()


@pytest.mark.spec("HTTP-13")
async def test_a_body_that_ends_above_the_mark_does_not_stop_the_next_request() -> None:
    peer = Peer(read_high_watermark=1000)
    await peer.send(post(b"x" * 5000))
    assert not peer.transport.reading
    await peer.request.answer()

    assert peer.transport.reading
    await peer.send(get("/next"))
    assert peer.request.scope["path"] == "/next"
    await peer.close()


@pytest.mark.spec("HTTP-26")
async def test_reading_pauses_while_too_many_requests_wait() -> None:
    peer = Peer(http1=HTTP1Limits(max_pipelined_size=100))
    await peer.send(get("/1"))
    await peer.send(get("/2"))
    assert peer.transport.reading
    await peer.send(get("/3") * 5)
    assert not peer.transport.reading
    await peer.request.answer()
    assert peer.request.scope["path"] == "/2"
    for _ in range(6):
        await peer.request.answer()

    assert peer.transport.reading
    assert len(peer.requests) == 7
    await peer.close()


@pytest.mark.spec("HTTP-13")
async def test_a_client_that_asks_on_and_reads_nothing_is_read_no_more() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(body(b"x" * 30_000))

    peer = Peer(app)
    peer.transport.stuck = True
    for _ in range(20):
        if peer.transport.reading:
            await peer.send(get() * 10)

    assert len(peer.data) < 300_000
    assert not peer.transport.reading
    for _ in range(20):
        peer.transport.take()
        await turns()
    assert peer.transport.reading
    assert peer.data.count(b"HTTP/1.1 200") % 10 == 0
    await peer.close()


@pytest.mark.spec("HTTP-16")
async def test_a_short_body_that_is_left_unread_is_thrown_away() -> None:
    peer = Peer()
    await peer.send(get("/", "Content-Length: 50", method="PUT"))
    await peer.request.answer()
    assert peer.data.count(b"HTTP/1.1") == 1
    await peer.send(b"GET /evil HTTP/1.1\r\nHost: h\r\n\r\n".ljust(50))
    assert len(peer.requests) == 1
    await peer.send(get("/next"))

    assert peer.request.scope["path"] == "/next"
    await peer.close()


@pytest.mark.spec("HTTP-16")
async def test_a_long_body_that_is_left_unread_closes() -> None:
    peer = Peer()
    await peer.send(get("/", "Content-Length: 500000", method="PUT"))
    await peer.request.answer()
    await peer.send(b"x" * 1000)

    assert peer.transport.log == ["write_eof"]
    assert len(peer.requests) == 1
    await peer.close()


# --- faults ----------------------------------------------------------------------------------


@pytest.mark.spec("HTTP-44", "HTTP-45", "HTTP-46", "HTTP-47")
async def test_a_malformed_head_is_answered_and_logged_and_closes() -> None:
    peer = Peer()
    await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + get("/late"))

    assert peer.requests == []
    assert peer.data == (
        b"HTTP/1.1 400 Bad Request\r\ndate: now\r\nserver: pagi\r\n"
        b"content-type: text/plain; charset=utf-8\r\ncontent-length: 16\r\n"
        b"connection: close\r\n\r\n400 Bad Request\n"
    )
    assert [line[:2] for line in peer.rejected] == [("1.2.3.4", 400)]
    assert peer.access == []
    assert peer.transport.log == ["write_eof"]
    await peer.close()


@pytest.mark.spec("HTTP-15", "HTTP-46", "CORE-29")
async def test_a_broken_body_before_the_response() -> None:
    peer = Peer()
    await peer.send(get("/", "Transfer-Encoding: chunked", method="PUT") + b"2\r\nab\r\n")
    await peer.send(b"x\r\n")

    assert (await peer.request.receive())["more_body"] is True
    assert await peer.request.receive() == {"type": "http.disconnect", "reason": "protocol_error"}
    assert peer.data.startswith(b"HTTP/1.1 400 ")
    assert peer.request.connection.response_started
    assert [(line[2], line[-1]) for line in peer.access] == [(400, "protocol_error")]
    assert peer.rejected == []
    await peer.close()


@pytest.mark.spec("HTTP-15", "HTTP-46")
async def test_a_broken_body_in_mid_response_is_no_second_response() -> None:
    peer = Peer()
    await peer.send(get("/", "Transfer-Encoding: chunked", method="PUT"))
    await peer.request.send(start(201))
    await peer.request.send(MORE)
    await peer.send(b"x\r\n")

    assert peer.data.count(b"HTTP/1.1") == 1
    assert not peer.data.endswith(b"0\r\n\r\n")
    assert peer.request.reason == "protocol_error"
    assert [(line[2], line[-1]) for line in peer.access] == [(201, "protocol_error")]
    await peer.close()


@pytest.mark.spec("HTTP-46")
async def test_a_fault_behind_a_request_does_not_take_its_response() -> None:
    peer = Peer()
    await peer.send(get("/") + b"\0\0\0\r\n\r\n")
    await peer.request.answer(b"fine")
    await turns()

    assert peer.data.index(b"fine") < peer.data.index(b"HTTP/1.1 400")
    await peer.close()


async def test_a_fault_in_the_bytes_of_the_head_itself_calls_nobody() -> None:
    """The body is broken before the application has heard of the request."""
    peer = Peer()
    await peer.send(get("/", "Transfer-Encoding: chunked", method="PUT") + b"zz\r\n")

    assert peer.requests == []
    assert peer.data.startswith(b"HTTP/1.1 400 ")
    assert [line[:2] for line in peer.rejected] == [("1.2.3.4", 400)]
    await peer.close()


@pytest.mark.spec("HTTP-14")
async def test_a_body_beyond_the_limit() -> None:
    limits = HTTP1Limits(max_body_size=10)
    peer = Peer(http1=limits)
    await peer.send(get("/", "Content-Length: 11", method="PUT"))
    assert peer.requests == []
    assert peer.data.startswith(b"HTTP/1.1 413 ")
    assert peer.rejected[0][1] == 413
    await peer.close()

    for begin in (False, True):
        peer = Peer(http1=limits)
        await peer.send(get("/", "Transfer-Encoding: chunked", method="PUT"))
        if begin:
            await peer.request.send(START)
            await peer.request.send(MORE)
        await peer.send(b"b\r\n" + b"x" * 11 + b"\r\n")
        message = await peer.request.receive()
        while message["type"] != "http.disconnect":
            assert message["more_body"]
            message = await peer.request.receive()
        assert message["reason"] == "body_too_large"
        assert (b"HTTP/1.1 413 " in peer.data) is not begin
        assert peer.transport.log == ["write_eof"]
        await peer.close()


@pytest.mark.spec("HTTP-44")
async def test_connect_is_not_served() -> None:
    peer = Peer()
    await peer.send(b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n")

    assert peer.requests == []
    assert peer.data.startswith(b"HTTP/1.1 501 ")
    assert peer.rejected[0][1] == 501
    await peer.close()


@pytest.mark.spec("HTTP-29")
async def test_an_upgrade_that_is_not_offered_is_ignored() -> None:
    peer = Peer()
    await peer.send(get("/", "Connection: upgrade", "Upgrade: h2c"))
    await peer.request.answer()

    assert peer.request.scope["type"] == "http"
    assert peer.data.startswith(b"HTTP/1.1 200 ")
    await peer.close()


@pytest.mark.spec("HTTP-44")
async def test_too_many_connections() -> None:
    peer = Peer(max_connections=2)
    peer.connections |= {1, 2}
    second = type(peer.driver)(peer.context)
    transport = type(peer.transport)(peer.loop)
    transport.protocol = second
    second.connection_made(transport)

    head, _, text = transport.data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"retry-after: 5" in head.split(b"\r\n")
    assert b"connection: close" in head.split(b"\r\n")
    assert text == b"503 Service Unavailable\n"
    assert peer.context.rejected == 1
    assert peer.rejected == [("1.2.3.4", 503, "2 connections are open")]
    second.data_received(get())
    assert peer.requests == []
    transport.lose()
    await turns()
    assert peer.connections == {peer.driver, 1, 2}
    await peer.close()


async def test_a_fault_of_ours_ends_one_connection_only() -> None:
    times = iter([1.0, ZeroDivisionError()])

    def time() -> float:
        found = next(times, 2.0)
        if isinstance(found, Exception):
            raise found
        return found

    peer = Peer(time=time)
    await peer.send(get())
    second = type(peer.driver)(peer.context)
    transport = type(peer.transport)(peer.loop)
    transport.protocol = second
    third = type(peer.driver)(peer.context)
    other = type(peer.transport)(peer.loop)
    other.protocol = third
    second.connection_made(transport)
    third.connection_made(other)
    receive_buffered(second, get("/failed"))
    receive_buffered(third, get("/fine"))
    await turns()

    assert transport.log == ["abort"]
    assert [request.scope["path"] for request in peer.requests] == ["/", "/fine"]
    assert peer.log.texts == ["a connection failed"]
    assert not peer.gone
    other.lose()
    await turns()
    await peer.close()


# --- reading into the shared buffer ----------------------------------------------------------


def receive_buffered(driver: Any, wire: bytes) -> None:
    buffer = driver.get_buffer(-1)
    buffer[: len(wire)] = wire
    driver.buffer_updated(len(wire))
    buffer[: len(wire)] = bytes(len(wire))


async def test_bytes_of_one_turn_are_served_together_in_order() -> None:
    peer = Peer()
    assert peer.driver.is_buffered_protocol()
    wire = post(b"hello")
    receive_buffered(peer.driver, wire[:20])
    receive_buffered(peer.driver, wire[20:])
    assert peer.requests == []
    await turns()

    assert (await peer.request.receive())["body"] == b"hello"
    await peer.close()


@pytest.mark.spec("HTTP-43")
async def test_the_end_behind_a_request_in_one_turn() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(LAST)

    peer = Peer(app)
    await turns()
    peer.loop.call_soon(receive_buffered, peer.driver, get())
    await peer.end()

    assert peer.data.endswith(b"bye")
    await peer.close()


async def test_a_connection_that_is_lost_in_the_same_turn() -> None:
    peer = Peer()
    receive_buffered(peer.driver, get())
    peer.driver.connection_lost(ConnectionResetError())
    await turns()

    assert peer.requests == []
    await peer.close()


@pytest.mark.spec("CORE-38", "CORE-41")
async def test_a_stop_in_the_turn_in_which_a_request_comes_loses_nothing() -> None:
    peer = Peer()
    await peer.send(get("/1"))
    await peer.request.answer()
    receive_buffered(peer.driver, get("/2"))

    peer.driver.shut_down()
    await turns()

    assert peer.request.scope["path"] == "/2"
    await peer.request.answer(b"two")
    assert peer.data.endswith(b"two")
    assert b"connection: close\r\n" in peer.data
    assert peer.gone
    await peer.close()


# --- ends ------------------------------------------------------------------------------------


@pytest.mark.spec("HTTP-42", "CORE-43")
@pytest.mark.parametrize(
    ("error", "reason", "detail"),
    [
        (None, "client_closed", None),
        (ConnectionResetError(), "client_closed", "ConnectionResetError"),
        (BrokenPipeError(), "client_closed", "BrokenPipeError"),
        (OSError(5, "Input/output error"), "read_error", "OSError"),
        (TimeoutError(), "read_error", "TimeoutError"),
    ],
)
async def test_reasons_of_a_lost_connection(error: Any, reason: str, detail: Any) -> None:
    peer = Peer()
    await peer.send(get())
    peer.transport.lose(error)
    await turns()

    assert peer.request.reason == reason
    assert peer.request.connection.disconnect_detail == detail
    assert peer.gone
    assert [line[-1] for line in peer.access] == [reason]
    await peer.close()


@pytest.mark.spec("HTTP-42", "HTTP-43")
async def test_the_end_of_the_clients_bytes_ends_the_exchange() -> None:
    peer = Peer()
    await peer.send(get())
    await peer.request.receive()
    reading = asyncio.ensure_future(peer.request.receive())
    await turns()
    await peer.end()

    assert await reading == {"type": "http.disconnect", "reason": "client_closed"}
    assert peer.gone
    await peer.close()


@pytest.mark.spec("HTTP-43")
async def test_the_end_behind_requests_that_are_answered_at_once() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(body(scope["path"].encode()))

    peer = Peer(app)
    await peer.send(get("/1") + get("/2"))
    await peer.end()

    assert peer.data.count(b"HTTP/1.1 200") == 2
    assert peer.gone
    await peer.close()


@pytest.mark.spec("HTTP-15")
async def test_the_end_in_the_middle_of_a_body() -> None:
    peer = Peer()
    await peer.send(post(b"hello")[:-2])
    assert (await peer.request.receive())["body"] == b"hel"
    await peer.end()

    assert await peer.request.receive() == {"type": "http.disconnect", "reason": "client_closed"}
    assert peer.gone
    await peer.close()


@pytest.mark.parametrize("wire", [b"", b"\r\n", b"GET / HT", b"GET / HTTP/1.1\r\nHost: h\r\n"])
async def test_the_end_before_a_request(wire: bytes) -> None:
    peer = Peer()
    if wire:
        await peer.send(wire)
    await peer.end()

    assert peer.requests == []
    assert peer.data == b""
    assert peer.gone
    await peer.close()


async def test_the_end_of_a_peer_that_is_waited_for() -> None:
    peer = Peer()
    await peer.send(b"nonsense\r\n\r\n")
    assert peer.transport.log == ["write_eof"]
    await peer.end()
    assert peer.transport.log == ["write_eof", "close"]
    assert peer.gone
    await peer.close()


async def test_a_peer_that_was_reset_is_not_waited_for() -> None:
    peer = Peer()
    peer.transport.eof_error = OSError("not connected")
    await peer.send(b"nonsense\r\n\r\n")

    assert peer.transport.log == ["abort"]
    assert peer.gone
    await peer.close()


@pytest.mark.parametrize("options", [{"linger_timeout": None}, {"linger_timeout": 0.0}])
async def test_without_waiting_for_the_peer(options: Any) -> None:
    peer = Peer(**options)
    await peer.send(b"nonsense\r\n\r\n")

    assert peer.transport.log == ["close"]
    await peer.close()


async def test_a_transport_that_cannot_be_closed_by_halves() -> None:
    peer = Peer()
    peer.transport.half_closes = False
    await peer.send(b"nonsense\r\n\r\n")

    assert peer.transport.log == ["close"]
    await peer.close()


async def test_reading_goes_on_while_the_last_words_are_on_their_way() -> None:
    """What is not read would reset the connection."""
    peer = Peer(read_high_watermark=10)
    await peer.send(get("/", "Content-Length: 500000", method="PUT") + b"x" * 100)
    assert not peer.transport.reading
    await peer.request.answer()

    assert peer.transport.log == ["write_eof"]
    assert peer.transport.reading
    await peer.close()


# --- who talks to whom -----------------------------------------------------------------------


@pytest.mark.spec("HTTP-8")
@pytest.mark.parametrize(
    ("peername", "sockname", "client", "server", "text"),
    [
        (("1.2.3.4", 5), ("4.3.2.1", 80), ("1.2.3.4", 5), ("4.3.2.1", 80), "1.2.3.4"),
        (("::1", 5, 0, 0), ("::1", 80, 0, 0), ("::1", 5), ("::1", 80), "::1"),
        ("", "/run/s", None, ("/run/s", None), "unix"),
        (None, None, None, (None, None), "unix"),
    ],
)
async def test_client_and_server(
    peername: Any, sockname: Any, client: Any, server: Any, text: str
) -> None:
    peer = Peer(connected=False)
    peer.transport.extra |= {"peername": peername, "sockname": sockname}
    peer.driver.connection_made(peer.transport)
    await peer.send(get())
    await peer.request.answer()

    assert peer.request.scope["client"] == client
    assert peer.request.scope["server"] == server
    assert peer.access[0][0] == text
    await peer.close()


@pytest.mark.spec("HTTP-6", "HTTP-7")
async def test_absolute_target() -> None:
    peer = Peer()
    await peer.send(b"GET HTTP://other:1/p?q HTTP/1.1\r\nHost: h\r\n\r\n")

    scope = peer.request.scope
    assert (scope["scheme"], scope["path"], scope["query_string"]) == ("http", "/p", b"q")
    assert scope["headers"] == [(b"host", b"other:1")]
    await peer.request.answer()
    await peer.send(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")
    assert peer.request.scope["path"] == "*"
    assert peer.request.scope["raw_path"] == b"*"
    assert peer.request.scope["scheme"] == "http"
    await peer.close()
