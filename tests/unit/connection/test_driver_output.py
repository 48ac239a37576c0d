"""What the driver writes and when: coalescing, order, back-pressure towards a slow client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.connection.scene import LAST, MORE, START, Peer, body, get, post, start, turns


async def at_once(scope: Any, receive: Any, send: Any) -> None:
    await send(start(headers=[(b"content-type", b"text/plain")]))
    await send(body(scope["path"].encode()))


@pytest.mark.spec("HTTP-20", "HTTP-21", "HTTP-25")
async def test_a_simple_response_is_one_write() -> None:
    peer = Peer(at_once)

    await peer.send(get("/x"))

    assert peer.transport.writes == [
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: now\r\nserver: pagi\r\n"
        b"content-length: 2\r\n\r\n/x"
    ]
    assert not peer.transport.log
    await peer.close()


async def test_a_response_of_a_task_is_one_write() -> None:
    peer = Peer()
    await peer.send(get("/x"))

    await peer.request.answer(b"hello")

    assert len(peer.transport.writes) == 1
    await peer.close()


@pytest.mark.spec("HTTP-26")
async def test_pipelined_responses_are_one_write_in_order() -> None:
    peer = Peer(at_once)

    await peer.send(get("/1") + get("/2") + get("/3"))

    assert len(peer.transport.writes) == 1
    assert peer.data.count(b"HTTP/1.1 200 OK") == 3
    assert peer.data.index(b"/1") < peer.data.index(b"/2") < peer.data.index(b"/3")
    await peer.close()


@pytest.mark.spec("HTTP-26", "CORE-27")
async def test_pipelined_requests_are_handed_out_one_at_a_time() -> None:
    peer = Peer()

    await peer.send(get("/1") + get("/2") + get("/3"))
    assert [request.scope["path"] for request in peer.requests] == ["/1"]
    await peer.request.answer(b"one")
    assert [request.scope["path"] for request in peer.requests] == ["/1", "/2"]
    assert peer.requests[0].connection is not peer.requests[1].connection
    await peer.request.answer(b"two")
    await peer.request.answer(b"three")

    assert peer.data.index(b"one") < peer.data.index(b"two") < peer.data.index(b"three")
    await peer.close()


async def test_pieces_of_one_turn_are_one_write() -> None:
    peer = Peer()
    await peer.send(get())

    await peer.request.send(START)
    for number in range(10):
        await peer.request.send(body(b"%d" % number, more_body=True))
    await peer.request.send(body(b"end"))
    await turns()

    assert len(peer.transport.writes) == 1
    assert peer.data.endswith(b"1\r\n9\r\n3\r\nend\r\n0\r\n\r\n")
    await peer.close()


@pytest.mark.spec("HTTP-20")
async def test_pieces_of_different_turns_leave_in_their_turn() -> None:
    peer = Peer()
    await peer.send(get())

    await peer.request.send(START)
    await turns()
    assert peer.transport.writes == []
    await peer.request.send(MORE)
    await turns()
    assert len(peer.transport.writes) == 1
    assert peer.data.endswith(b"\r\n\r\n4\r\nmore\r\n")
    await peer.request.send(MORE)
    await turns()
    assert peer.transport.writes[1:] == [b"4\r\nmore\r\n"]
    await peer.close()


async def test_much_leaves_at_once() -> None:
    peer = Peer()
    await peer.send(get())
    await peer.request.send(START)

    await peer.request.send(body(b"x" * 65_536, more_body=True))

    assert len(peer.data) > 65_536
    await peer.close()


@pytest.mark.spec("EXT-3")
async def test_early_hints_leave_before_the_response() -> None:
    peer = Peer()
    await peer.send(get())

    await peer.request.send({"type": "http.response.early_hint", "links": [b"</a>", b"</b>"]})
    await turns()
    assert peer.data == b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nlink: </b>\r\n\r\n"
    await peer.request.answer()

    assert peer.data.count(b"HTTP/1.1") == 2
    await peer.close()


@pytest.mark.spec("EXT-4")
async def test_http_1_0_gets_no_early_hints() -> None:
    peer = Peer()
    await peer.send(get(version="1.0"))

    await peer.request.send({"type": "http.response.early_hint", "links": [b"</a>"]})
    await turns()

    assert peer.data == b""
    await peer.close()


@pytest.mark.spec("EXT-5", "EXT-7")
async def test_trailers() -> None:
    peer = Peer()
    await peer.send(get())
    await peer.request.send(start(trailers=True))
    await peer.request.send(LAST)

    trailers = {"type": "http.response.trailers"}
    for wrong in ((b"content-length", b"3"), (b"host", b"x"), (b"a b", b""), (b"a", b"\n")):
        with pytest.raises(RuntimeError):
            await peer.request.send({**trailers, "headers": [wrong]})
    await peer.request.send({**trailers, "headers": [(b"x-sum", b"1")]})
    await turns()

    assert peer.data.endswith(b"3\r\nbye\r\n0\r\nx-sum: 1\r\n\r\n")
    assert peer.request.connection.response_complete
    await peer.close()


# --- slow clients ----------------------------------------------------------------------------


@pytest.mark.spec("CORE-23", "CORE-34", "CORE-36")
async def test_send_waits_at_the_high_mark_and_goes_on_below_the_low_one() -> None:
    peer = Peer(write_high_watermark=1000, write_low_watermark=100)
    peer.transport.stuck = True
    await peer.send(get())
    transport = peer.request.scope["pagi.transport"]
    seen: list[str] = []
    transport.on_high_water(lambda: seen.append("high"))
    transport.on_drain(lambda: seen.append("drain"))

    await peer.request.send(start(headers=[(b"content-length", b"5000")]))
    await peer.request.send(body(b"", more_body=True))
    await turns()
    head = transport.buffered_amount()
    await peer.request.send(body(b"x" * (999 - head), more_body=True))
    await turns()
    assert (seen, transport.buffered_amount()) == ([], 999)
    sending = asyncio.ensure_future(peer.request.send(body(b"x", more_body=True)))
    await turns()
    assert transport.buffered_amount() == 1000
    assert seen == ["high"]
    sending.cancel()
    await turns()

    sending = asyncio.ensure_future(peer.request.send(body(b"x", more_body=True)))
    await turns()
    assert not sending.done()
    peer.transport.take(1001 - 100)
    await turns()
    assert not sending.done()
    peer.transport.take(1)
    await sending
    assert seen == ["high", "drain"]
    await peer.close()


@pytest.mark.spec("CORE-23")
async def test_a_mark_below_what_is_collected_in_a_turn_counts_too() -> None:
    peer = Peer(write_high_watermark=1000, write_low_watermark=100)
    peer.transport.stuck = True
    await peer.send(get())
    await peer.request.send(START)

    sending = asyncio.ensure_future(peer.request.send(body(b"x" * 2000, more_body=True)))
    await turns()

    assert not sending.done()
    peer.transport.take()
    await sending
    await peer.close()


@pytest.mark.spec("CORE-24")
async def test_a_waiting_send_is_woken_by_the_end_and_returns() -> None:
    peer = Peer()
    peer.transport.stuck = True
    await peer.send(get())
    await peer.request.send(START)
    sending = [
        asyncio.ensure_future(peer.request.send(body(b"x" * 100_000, more_body=True)))
        for _ in range(2)
    ]
    await turns()
    assert not any(each.done() for each in sending)

    peer.transport.lose(ConnectionResetError())

    assert [await each for each in sending] == [None, None]
    assert peer.request.reason == "client_closed"
    with pytest.raises(OSError, match="client_closed"):
        await peer.request.send(LAST)
    await peer.close()


@pytest.mark.spec("CORE-32")
async def test_order_at_the_end_of_a_connection() -> None:
    peer = Peer()
    peer.transport.stuck = True
    await peer.send(get())
    seen: list[str] = []
    await peer.request.send(START)

    async def send() -> None:
        await peer.request.send(body(b"x" * 100_000, more_body=True))
        seen.append("send")

    sending = asyncio.ensure_future(send())
    await turns()
    peer.request.connection.end_future().add_done_callback(lambda _: seen.append("future"))
    peer.request.connection.on_end(lambda *_: seen.append("callback"))
    peer.transport.lose()
    await sending

    assert seen == ["callback", "future", "send"]
    await peer.close()


@pytest.mark.spec("EXT-11", "EXT-12")
async def test_full_flush() -> None:
    peer = Peer()
    await peer.send(get())
    await peer.request.send(START)
    await peer.request.send({"type": "http.fullflush"})
    assert peer.data.endswith(b"transfer-encoding: chunked\r\n\r\n")
    peer.transport.stuck = True
    for last in (MORE, LAST):
        await peer.request.send(last)
        flushing = asyncio.ensure_future(peer.request.send({"type": "http.fullflush"}))
        await turns()
        assert not flushing.done()
        peer.transport.take(peer.transport.buffered - 1)
        await turns()
        assert not flushing.done()
        peer.transport.take()
        await flushing
    await peer.close()


@pytest.mark.spec("EXT-11")
async def test_full_flush_when_the_client_goes() -> None:
    peer = Peer()
    await peer.send(get())
    await peer.request.send(START)
    peer.transport.stuck = True
    flushing = asyncio.ensure_future(peer.request.send({"type": "http.fullflush"}))
    await turns()

    peer.transport.lose()
    await flushing
    await peer.close()


async def test_full_flush_calls_no_water_mark_callbacks() -> None:
    peer = Peer()
    await peer.send(get())
    seen: list[str] = []
    transport = peer.request.scope["pagi.transport"]
    transport.on_high_water(lambda: seen.append("high"))
    transport.on_drain(lambda: seen.append("drain"))
    await peer.request.send(START)
    peer.transport.stuck = True
    flushing = asyncio.ensure_future(peer.request.send({"type": "http.fullflush"}))
    await turns()
    peer.transport.take()
    await flushing

    assert seen == []
    await peer.close()


# --- refusals leave the connection usable ----------------------------------------------------


@pytest.mark.spec("CORE-15", "CORE-16")
@pytest.mark.parametrize(
    "field",
    [
        (b"bad name", b"x"),
        (b"", b"x"),
        (b"a", b"x\r\nset-cookie: y"),
        (b"a", b"x\0"),
        (b"a", b"x\x01"),
        ("a", b"x"),
        (b"a", "x"),
        (b"a",),
        5,
        (b"content-length", b"x"),
    ],
)
@pytest.mark.parametrize("more", [False, True])
async def test_fields_that_are_refused(field: Any, more: bool) -> None:
    peer = Peer()
    await peer.send(get())
    await peer.request.send(start(headers=[(b"fine", b"x"), field]))

    with pytest.raises(RuntimeError):
        await peer.request.send(body(b"x", more_body=more))
    await turns()

    assert peer.data == b""
    assert not peer.request.connection.response_started
    await peer.request.answer(b"fine", status=201)
    assert peer.data.startswith(b"HTTP/1.1 201 Created\r\n")
    await peer.close()


@pytest.mark.spec("HTTP-22", "CORE-15")
async def test_a_first_piece_longer_than_declared_leaves_the_scope_as_before_the_start() -> None:
    peer = Peer()
    await peer.send(get())
    for more in (True, False):
        await peer.request.send(start(headers=[(b"content-length", b"3")]))
        with pytest.raises(RuntimeError, match="1 bytes longer|has 4 bytes"):
            await peer.request.send(body(b"1234", more_body=more))
        assert not peer.request.connection.response_started

    await peer.request.finish(ZeroDivisionError())

    assert peer.data.startswith(b"HTTP/1.1 500 ")
    await peer.close()


@pytest.mark.spec("HTTP-22")
async def test_a_later_piece_longer_than_declared_is_not_sent() -> None:
    peer = Peer()
    await peer.send(get())
    await peer.request.send(start(headers=[(b"content-length", b"3")]))
    await peer.request.send(body(b"12", more_body=True))
    with pytest.raises(RuntimeError, match="1 bytes longer"):
        await peer.request.send(body(b"34"))
    await peer.request.send(body(b"3"))
    await turns()

    assert peer.data.endswith(b"\r\n\r\n123")
    assert peer.request.connection.response_complete
    assert not peer.transport.closing
    await peer.close()


@pytest.mark.spec("HTTP-22", "HTTP-41")
async def test_a_body_that_ends_short_is_cut_at_once() -> None:
    peer = Peer()
    await peer.send(get())
    await peer.request.send(start(headers=[(b"content-length", b"3")]))
    await peer.request.send(body(b"1", more_body=True))
    with pytest.raises(RuntimeError, match="1 bytes shorter"):
        await peer.request.send(body(b"2"))
    await turns()

    assert peer.data.endswith(b"\r\n\r\n12")
    assert peer.gone
    assert peer.request.reason == "server_error"
    await peer.close()


# --- HEAD and the like -----------------------------------------------------------------------


@pytest.mark.spec("HTTP-23")
@pytest.mark.parametrize(
    ("status", "method", "length"),
    [(200, "HEAD", b"4"), (204, "GET", None), (304, "GET", None), (205, "GET", b"0")],
)
@pytest.mark.parametrize("pieces", [1, 2])
async def test_responses_without_a_body(
    status: int, method: str, length: bytes | None, pieces: int
) -> None:
    peer = Peer()
    await peer.send(get(method=method))
    await peer.request.send(start(status))
    if pieces == 2:
        await peer.request.send(body(b"body", more_body=True))
        length = None if status == 200 else length
    await peer.request.send(body(b"body"))
    await turns()

    head, end, rest = peer.data.partition(b"\r\n\r\n")
    assert (end, rest) == (b"\r\n\r\n", b"")
    assert (b"content-length: %b" % length in head) if length else b"content-length" not in head
    assert b"transfer-encoding" not in head
    assert not peer.transport.closing
    await peer.send(get("/next"))
    await peer.request.answer(b"next")
    assert peer.data.endswith(b"next")
    await peer.close()


# --- closing ---------------------------------------------------------------------------------


@pytest.mark.spec("HTTP-27", "HTTP-28")
@pytest.mark.parametrize(
    ("head", "fields", "stays"),
    [
        (get(), [], True),
        (get("/", "Connection: close"), [], False),
        (get("/", "Connection: keep-alive"), [], True),
        (get(), [(b"connection", b"close")], False),
        (get(version="1.0"), [], False),
        (get("/", "Connection: keep-alive", version="1.0"), [], True),
    ],
)
async def test_keep_alive(head: bytes, fields: list[Any], stays: bool) -> None:
    peer = Peer()
    await peer.send(head)
    await peer.request.answer(headers=fields)

    assert peer.gone is not stays
    assert (b"connection: close\r\n" in peer.data) is not stays
    one_zero = b"HTTP/1.0" in head
    assert (b"connection: keep-alive\r\n" in peer.data) is (stays and one_zero)
    await peer.close()


@pytest.mark.spec("HTTP-28")
async def test_http_1_0_without_a_length_closes() -> None:
    peer = Peer()
    await peer.send(get("/", "Connection: keep-alive", version="1.0"))
    await peer.request.send(START)
    await peer.request.send(MORE)
    await peer.request.send(LAST)
    await turns()

    assert peer.data.endswith(b"connection: close\r\n\r\nmorebye")
    assert peer.gone
    await peer.close()


@pytest.mark.spec("HTTP-27")
async def test_what_comes_behind_a_response_that_closes_is_not_answered() -> None:
    peer = Peer()
    await peer.send(get("/", "Connection: close") + get("/late"))
    await peer.request.answer()

    assert len(peer.requests) == 1
    assert peer.data.count(b"HTTP/1.1") == 1
    # Bytes were left unread: the end must not overtake the answer.
    assert peer.transport.log == ["write_eof"]
    await peer.send(get("/later"))
    assert len(peer.requests) == 1
    await peer.end()
    assert peer.gone
    await peer.close()


@pytest.mark.spec("CORE-33")
async def test_abort_does_not_wait_for_what_is_buffered() -> None:
    peer = Peer()
    await peer.send(get())
    peer.transport.stuck = True
    await peer.request.send(START)
    sending = asyncio.ensure_future(peer.request.send(body(b"x" * 200_000, more_body=True)))
    await turns()
    assert peer.transport.buffered

    peer.request.connection.abort("enough")
    await sending

    assert peer.transport.log == ["abort"]
    assert peer.gone
    assert peer.request.reason == "app_abort"
    await peer.request.finish()
    assert [line[-1] for line in peer.access] == ["app_abort"]
    await peer.close()


async def aborts(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(MORE)
    scope["pagi.connection"].abort()


@pytest.mark.spec("CORE-33")
async def test_abort_in_the_first_step() -> None:
    peer = Peer(aborts)
    await peer.send(get())

    assert peer.transport.log == ["abort"]
    assert peer.gone
    assert peer.log.records == []
    await peer.close()


@pytest.mark.spec("HTTP-41")
async def test_a_response_left_unfinished_has_no_last_chunk_and_closes() -> None:
    peer = Peer()
    await peer.send(post(b"x" * 10))
    await peer.request.send(START)
    await peer.request.send(MORE)
    await peer.request.finish()

    assert peer.data.endswith(b"4\r\nmore\r\n")
    assert peer.gone
    assert [line[-1] for line in peer.access] == ["server_error"]
    await peer.close()


@pytest.mark.spec("HTTP-41")
async def test_a_response_that_ends_with_the_connection_is_cut_by_a_reset() -> None:
    """HTTP/1.0 without a length: an orderly end would pass it off as whole."""
    peer = Peer()
    await peer.send(get(version="1.0"))
    await peer.request.send(START)
    await peer.request.send(MORE)
    await turns()
    assert peer.data.endswith(b"more")
    await peer.request.finish()

    assert peer.transport.log == ["abort"]
    assert peer.gone
    await peer.close()


@pytest.mark.spec("HTTP-39", "HTTP-47")
async def test_500_closes_and_is_logged() -> None:
    peer = Peer()
    await peer.send(get())
    await peer.request.send(START)
    await peer.request.finish(ZeroDivisionError())

    assert peer.data.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert peer.data.endswith(b"\r\n\r\nInternal Server Error")
    assert b"connection: close\r\n" in peer.data
    assert peer.gone
    assert [line[2] for line in peer.access] == [500]
    await peer.close()
