"""Deadlines, with a clock that the test moves, and the orderly end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pagi.server.connection._http1_py import BUSY, STOP_GRACE
from tests.unit.connection.scene import LAST, MORE, START, Peer, body, get, post, turns

#: The coarse time may be this much behind.
SLACK = 1.0


# --- heads -----------------------------------------------------------------------------------


@pytest.mark.spec("HTTP-55")
async def test_a_connection_that_sends_nothing_is_closed_without_an_answer() -> None:
    peer = Peer(header_timeout=10.0)
    await peer.tick(10.9)
    assert not peer.gone
    await peer.tick(0.1)

    assert peer.gone
    assert peer.data == b""
    assert peer.rejected == []
    await peer.close()


@pytest.mark.spec("HTTP-55", "HTTP-44")
async def test_a_first_head_counts_from_the_connection_however_slowly_it_comes() -> None:
    peer = Peer(header_timeout=10.0)
    wire = iter(get("/" + "x" * 100))
    for _ in range(10):
        await peer.tick(1.05)
        await peer.send(bytes([next(wire)]))
    assert peer.data == b""
    await peer.tick(0.6)

    assert peer.data.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert [line[:2] for line in peer.rejected] == [("1.2.3.4", 408)]
    assert peer.transport.log == ["write_eof"]
    await peer.close()


@pytest.mark.spec("HTTP-55")
async def test_a_later_head_counts_from_its_first_byte() -> None:
    peer = Peer(header_timeout=10.0, keepalive_timeout=100.0)
    await peer.send(get())
    await peer.request.answer()
    await peer.tick(50)
    await peer.send(b"GET")
    await peer.tick(10.9)
    await peer.send(b" ")
    assert not peer.data.count(b"408")
    await peer.tick(0.1)

    assert peer.data.count(b"HTTP/1.1 408") == 1
    await peer.close()


@pytest.mark.spec("HTTP-55")
async def test_a_head_that_is_complete_in_time() -> None:
    peer = Peer(header_timeout=10.0)
    await peer.tick(10)
    await peer.send(get())
    await peer.tick(1000)

    assert not peer.gone
    assert peer.data == b""
    await peer.close()


# --- bodies ----------------------------------------------------------------------------------


@pytest.mark.spec("HTTP-56")
@pytest.mark.parametrize("begun", [False, True])
async def test_a_body_that_makes_no_progress(begun: bool) -> None:
    peer = Peer(body_timeout=10.0)
    await peer.send(post(b"x" * 100)[:-50])
    if begun:
        await peer.request.send(START)
        await peer.request.send(MORE)
    await peer.tick(9)
    await peer.send(b"x")
    await peer.tick(10.9)
    assert peer.request.reason is None
    await peer.tick(0.1)

    assert peer.request.reason == "client_timeout"
    assert peer.request.connection.disconnect_detail == "the peer stopped sending its body"
    assert (b"HTTP/1.1 408 " in peer.data) is not begun
    status = 200 if begun else 408
    assert [(line[2], line[-1]) for line in peer.access] == [(status, "client_timeout")]
    await peer.close()


@pytest.mark.spec("HTTP-56")
async def test_a_body_that_the_server_does_not_read_has_time() -> None:
    peer = Peer(body_timeout=10.0, read_high_watermark=10)
    await peer.send(post(b"x" * 100)[:-50])
    assert not peer.transport.reading
    await peer.tick(100)
    assert peer.request.reason is None
    await peer.request.receive()
    await peer.tick(10.5)
    assert peer.request.reason is None
    await peer.tick(1)

    assert peer.request.reason == "client_timeout"
    await peer.close()


@pytest.mark.spec("HTTP-56", "HTTP-12")
async def test_a_body_that_waits_for_continue_has_time() -> None:
    peer = Peer(body_timeout=10.0)
    await peer.send(get("/", "Expect: 100-continue", "Content-Length: 4", method="PUT"))
    await peer.tick(100)
    assert peer.request.reason is None
    reading = asyncio.ensure_future(peer.request.receive())
    await turns()
    await peer.tick(10.5)
    assert peer.request.reason is None
    await peer.tick(1)

    assert peer.request.reason == "client_timeout"
    assert (await reading)["type"] == "http.disconnect"
    await peer.close()


async def test_a_body_that_nobody_wants_is_not_waited_for_either() -> None:
    peer = Peer(body_timeout=10.0)
    await peer.send(get("/", "Content-Length: 50", method="PUT"))
    await peer.request.answer()
    await peer.tick(11)

    assert peer.data.count(b"HTTP/1.1") == 1
    assert peer.gone or peer.transport.log == ["write_eof"]
    await peer.close()


@pytest.mark.spec("HTTP-58")
async def test_the_time_of_the_application_is_its_own() -> None:
    peer = Peer(body_timeout=1.0, keepalive_timeout=1.0, header_timeout=1.0, write_timeout=1.0)
    await peer.send(get())
    await peer.tick(1000)
    await peer.request.send(START)
    await peer.request.send(MORE)
    await peer.tick(1000)
    await peer.request.send(LAST)
    await turns()

    assert peer.data.endswith(b"0\r\n\r\n")
    assert not peer.gone
    await peer.close()


# --- between requests ------------------------------------------------------------------------


@pytest.mark.spec("HTTP-58")
async def test_an_idle_connection_is_closed_without_an_answer() -> None:
    peer = Peer(keepalive_timeout=10.0)
    await peer.send(get())
    await peer.tick(100)
    await peer.request.answer()
    answer = peer.data
    await peer.tick(10.9)
    assert not peer.gone
    await peer.tick(0.1)

    assert peer.gone
    assert peer.data == answer
    assert peer.request.connection.disconnect_reason is None
    await peer.close()


@pytest.mark.spec("HTTP-58")
async def test_a_response_that_is_still_on_its_way_does_not_count() -> None:
    peer = Peer(keepalive_timeout=10.0, write_timeout=None)
    peer.transport.stuck = True
    await peer.send(get())
    await peer.request.answer()
    for _ in range(50):
        await peer.tick(1)
    peer.transport.take()
    await peer.tick(10.9)
    assert not peer.gone
    await peer.tick(2)
    assert peer.gone
    await peer.close()


async def test_deadlines_that_are_off() -> None:
    peer = Peer(header_timeout=None, body_timeout=None, keepalive_timeout=None, write_timeout=None)
    await peer.tick(1e6)
    await peer.send(b"GE")
    await peer.tick(1e6)
    await peer.send(b"T / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n")
    await peer.tick(1e6)
    await peer.send(b"abc")
    peer.transport.stuck = True
    await peer.request.answer()
    await peer.tick(1e6)
    peer.transport.take()
    await peer.tick(1e6)

    assert not peer.gone
    await peer.close()


# --- slow readers ----------------------------------------------------------------------------


@pytest.mark.spec("HTTP-57", "CORE-43")
async def test_a_client_that_takes_nothing() -> None:
    peer = Peer(write_timeout=10.0)
    peer.transport.stuck = True
    await peer.send(get())
    await peer.request.send(START)
    sending = asyncio.ensure_future(peer.request.send(body(b"x" * 100_000, more_body=True)))
    await turns()
    for _ in range(30):  # slow is not stuck
        await peer.tick(1)
        peer.transport.take(10)
    await peer.tick(1)
    await peer.tick(10.9)
    assert not sending.done()
    await peer.tick(0.1)

    await sending
    assert peer.request.reason == "write_timeout"
    assert peer.transport.log == ["abort"]
    assert [line[-1] for line in peer.access] == ["write_timeout"]
    await peer.close()


@pytest.mark.spec("HTTP-57")
async def test_a_client_that_takes_nothing_of_a_complete_response() -> None:
    peer = Peer(write_timeout=10.0, keepalive_timeout=1000.0)
    peer.transport.stuck = True
    await peer.send(get())
    await peer.request.answer(b"x" * 1000)
    for _ in range(13):
        await peer.tick(1)

    assert peer.gone
    assert peer.transport.log == ["abort"]
    assert peer.request.reason is None
    await peer.close()


# --- lingering -------------------------------------------------------------------------------


async def test_the_peer_is_waited_for_a_while_and_what_it_sends_thrown_away() -> None:
    peer = Peer(linger_timeout=5.0)
    await peer.send(b"nonsense\r\n\r\n")
    await peer.send(get() * 10)
    await peer.tick(5)
    assert peer.transport.log == ["write_eof"]
    await peer.tick(1.5)

    assert peer.transport.log == ["write_eof", "abort"]
    assert peer.requests == []
    assert peer.gone
    await peer.tick(100)
    await peer.close()


async def test_waiting_begins_when_the_peer_has_the_answer() -> None:
    peer = Peer(linger_timeout=2.0, write_timeout=1000.0)
    peer.transport.stuck = True
    await peer.send(b"nonsense\r\n\r\n")
    for _ in range(10):
        await peer.tick(1)
    assert peer.transport.log == ["write_eof"]
    peer.transport.take()
    for _ in range(5):
        await peer.tick(1)
    assert peer.gone
    await peer.close()


# --- stopping --------------------------------------------------------------------------------


@pytest.mark.spec("CORE-39")
async def test_an_idle_connection_closes_when_a_stop_begins() -> None:
    peer = Peer()
    await peer.send(get())
    await peer.request.answer()
    answer = peer.data
    peer.clock.now += BUSY
    peer.driver.shut_down()
    await turns()

    assert peer.gone
    assert peer.data == answer
    await peer.close()


@pytest.mark.spec("CORE-39")
async def test_a_connection_that_was_busy_may_carry_one_more_request() -> None:
    """Its client is likely to send one just now: closing would race with that."""
    peer = Peer()
    await peer.send(get())
    await peer.request.answer()
    peer.driver.shut_down()
    await turns()
    assert not peer.gone
    await peer.send(get())
    await peer.requests[-1].answer()
    assert b"connection: close" in peer.data.lower()
    assert peer.gone
    await peer.close()


@pytest.mark.spec("CORE-39")
async def test_and_closes_when_there_is_none() -> None:
    peer = Peer()
    await peer.send(get())
    await peer.request.answer()
    peer.driver.shut_down()
    await peer.tick(STOP_GRACE)
    await turns()
    assert peer.gone
    await peer.close()


@pytest.mark.spec("CORE-38", "CORE-41")
async def test_a_request_that_is_open_ends_normally_and_closes() -> None:
    peer = Peer()
    await peer.send(get("/1") + get("/2"))
    peer.driver.shut_down()
    await turns()
    assert not peer.gone
    await peer.request.answer(b"one")

    assert b"connection: close\r\n" in peer.data
    assert peer.data.endswith(b"one")
    assert len(peer.requests) == 1  # what waits behind it is not answered
    assert peer.request.connection.response_complete
    await peer.close()


@pytest.mark.spec("CORE-38")
async def test_a_response_that_has_begun_ends_and_closes() -> None:
    peer = Peer()
    await peer.send(get())
    await peer.request.send(START)
    await peer.request.send(MORE)
    peer.driver.shut_down()
    await peer.request.send(LAST)
    await turns()

    assert peer.data.endswith(b"3\r\nbye\r\n0\r\n\r\n")
    assert peer.gone
    await peer.close()


@pytest.mark.spec("CORE-38", "CORE-39")
async def test_a_connection_that_has_sent_nothing_yet_may_begin_one_request() -> None:
    peer = Peer()
    peer.driver.shut_down()
    await peer.tick(0.5)
    assert not peer.gone
    await peer.send(get())
    await peer.tick(50)
    await peer.request.answer()

    assert b"connection: close\r\n" in peer.data
    assert peer.gone
    await peer.close()


@pytest.mark.spec("CORE-39")
async def test_a_connection_that_sends_nothing_closes_within_a_second() -> None:
    peer = Peer()
    peer.driver.shut_down()
    await peer.tick(1)

    assert peer.gone
    assert peer.data == b""
    await peer.close()


async def test_a_head_that_is_on_its_way_may_come() -> None:
    peer = Peer(header_timeout=30.0)
    await peer.send(b"GET / HT")
    peer.driver.shut_down()
    await peer.tick(5)
    assert not peer.gone
    await peer.send(b"TP/1.1\r\nHost: h\r\n\r\n")
    await peer.request.answer()

    assert b"connection: close\r\n" in peer.data
    assert peer.gone
    await peer.close()


@pytest.mark.spec("CORE-40", "CORE-43")
async def test_what_is_still_open_at_the_end_of_the_time() -> None:
    peer = Peer()
    await peer.send(get())
    peer.driver.shut_down()
    peer.driver.abort("server_shutdown")
    await turns()

    assert peer.request.reason == "server_shutdown"
    assert peer.transport.log == ["abort"]
    assert peer.gone
    peer.driver.abort("server_shutdown")
    await peer.close()


async def test_the_worker_is_told_that_a_connection_is_gone() -> None:
    told: list[Any] = []
    peer = Peer(closed=lambda: told.append(len(peer.connections)))
    peer.transport.lose()
    await turns()

    assert told == [0]
    await peer.close()


async def test_output_that_waits_when_the_connection_is_lost() -> None:
    peer = Peer()
    await peer.send(get())
    await peer.request.send(START)
    await peer.request.send(MORE)
    peer.driver.connection_lost(None)
    await turns()

    assert peer.data == b""
    assert peer.request.scope["pagi.transport"].buffered_amount() == 0
    await peer.close()
