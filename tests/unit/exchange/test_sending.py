"""`HTTPExchange.send`: order, shapes, framing hints, early hints, trailers, full flush, flow."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from http import HTTPStatus
from typing import Any

import pytest

from pagi.interface.errors import Disconnected, MessageError
from tests.unit.exchange.scene import LAST, MORE, START, body, manual, request, start, turns

TRAILERS = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]}
FLUSH = {"type": "http.fullflush"}
HINT = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}


# --- a response ------------------------------------------------------------------------------


@pytest.mark.spec("HTTP-18", "HTTP-20", "HTTP-36", "CORE-22")
async def test_head_waits_for_a_whole_body_and_both_are_written_together() -> None:
    scene = await manual()

    await scene.send(start(201, headers=[(b"X-A", b"1")]))
    assert scene.stream.calls == []
    assert scene.connection.response_started
    await scene.send(body(b"hello"))

    assert scene.stream.calls == [
        ("write_response", 201, [(b"X-A", b"1")], b"hello"),
        ("response_complete",),
    ]
    assert scene.connection.response_complete
    assert scene.exchange.sent == 5
    await scene.close()


@pytest.mark.spec("HTTP-20", "HTTP-21")
async def test_body_in_pieces() -> None:
    scene = await manual()

    await scene.send(START)
    await scene.send(MORE)
    assert not scene.connection.response_complete
    await scene.send(body(b""))

    assert scene.stream.calls == [
        ("write_head", 200, [], None, False, 4),
        ("write_body", b"more", False),
        ("flush",),
        ("write_body", b"", True),
        ("response_complete",),
    ]
    assert scene.connection.response_complete
    await scene.close()


async def test_missing_keys_have_defaults() -> None:
    scene = await manual()

    await scene.send({"type": "http.response.start", "status": 200})
    await scene.send({"type": "http.response.body"})

    assert scene.stream.calls[0] == ("write_response", 200, [], b"")
    await scene.close()


@pytest.mark.parametrize("data", [bytearray(b"ab"), memoryview(b"ab")])
async def test_kinds_of_bytes(data: Any) -> None:
    scene = await manual()

    await scene.send(START)
    await scene.send(body(data))

    assert scene.stream.sent == b"ab"
    assert type(scene.stream.calls[0][3]) is bytes
    await scene.close()


@pytest.mark.spec("CORE-12")
async def test_unknown_keys_other_mappings_and_other_iterables_are_taken() -> None:
    scene = await manual()

    await scene.send(OrderedDict(start(HTTPStatus.ACCEPTED, headers=iter([(b"a", b"b")]), x=1)))
    await scene.send(OrderedDict(body(b"x", y=2)))

    assert scene.stream.calls[0] == ("write_response", 202, [(b"a", b"b")], b"x")
    await scene.close()


async def test_an_answered_send_can_be_made_a_task() -> None:
    scene = await manual()

    await asyncio.create_task(scene.send(START))
    await asyncio.gather(scene.send(LAST))

    assert scene.connection.response_complete
    await scene.close()


@pytest.mark.spec("HTTP-23")
async def test_body_of_the_answer_to_head_is_not_counted() -> None:
    scene = await manual(request("HEAD"))

    await scene.send(START)
    await scene.send(MORE)
    await scene.send(LAST)

    assert scene.exchange.sent == 0
    await scene.close()


async def test_whole_body_of_the_answer_to_head_is_not_counted() -> None:
    scene = await manual(request("HEAD"))

    await scene.send(START)
    await scene.send(LAST)

    assert scene.exchange.sent == 0
    await scene.close()


# --- order -----------------------------------------------------------------------------------

UNDONE = [
    ([], MORE, "http.response.start"),
    ([], LAST, "http.response.start"),
    ([], TRAILERS, "http.response.start"),
    ([], {"type": "http.response.pathsend", "path": "/x"}, "http.response.start"),
    ([], {"type": "http.response.zerocopysend", "file": 0}, "http.response.start"),
    ([], {"type": "http.response.body", "file": "/x"}, "http.response.start"),
    ([], {"type": "websocket.send"}, "http.response.start"),
    ([START], START, "http.response.body"),
    ([START], TRAILERS, "http.response.body"),
    ([START], {"type": "http.response.push"}, "http.response.body"),
    ([START, MORE], START, "http.response.body"),
    ([START, MORE], HINT, "http.response.body"),
    ([START, MORE], TRAILERS, "http.response.body"),
    ([start(trailers=True), LAST], LAST, "http.response.trailers"),
    ([start(trailers=True), LAST], START, "http.response.trailers"),
    ([start(trailers=True), MORE], TRAILERS, "http.response.body"),
    ([START, LAST], LAST, "nothing more"),
    ([START, LAST], START, "nothing more"),
    ([START, LAST], HINT, "nothing more"),
    ([START, LAST], TRAILERS, "nothing more"),
    ([START, LAST], {"type": "http.response.body", "file": "/x"}, "nothing more"),
]


@pytest.mark.spec("CORE-14", "CORE-15", "HTTP-18", "EXT-3", "EXT-6")
@pytest.mark.parametrize(("before", "message", "expected"), UNDONE)
async def test_wrong_order_says_what_was_expected(
    before: list[dict[str, Any]], message: dict[str, Any], expected: str
) -> None:
    scene = await manual()
    for each in before:
        await scene.send(each)
    calls = list(scene.stream.calls)

    with pytest.raises(MessageError) as raised:
        await scene.send(message)

    assert repr(message["type"]) in str(raised.value)
    assert f"expected {expected}" in str(raised.value)
    assert scene.stream.calls == calls
    await scene.close()


@pytest.mark.spec("CORE-15")
async def test_after_a_refusal_the_right_message_is_taken() -> None:
    scene = await manual()

    with pytest.raises(MessageError):
        await scene.send(LAST)
    await scene.send(START)
    with pytest.raises(MessageError):
        await scene.send(START)
    await scene.send(LAST)

    assert scene.connection.response_complete
    await scene.close()


# --- shapes ----------------------------------------------------------------------------------


@pytest.mark.spec("CORE-14")
@pytest.mark.parametrize("message", [None, [], "http.response.start", 5, {}, {"kind": "x"}])
async def test_not_a_message(message: Any) -> None:
    scene = await manual()

    with pytest.raises(MessageError, match="dict with a 'type'"):
        await scene.send(message)
    await scene.close()


@pytest.mark.spec("CORE-14")
@pytest.mark.parametrize("kind", [None, 5, b"http.response.start", ["a"], ""])
async def test_not_a_type(kind: Any) -> None:
    scene = await manual()

    with pytest.raises(MessageError, match=r"expected http\.response\.start"):
        await scene.send({"type": kind})
    await scene.close()


@pytest.mark.spec("HTTP-19", "CORE-15")
@pytest.mark.parametrize("status", [None, "200", 100, 199, 1000, -1, 200.0, True])
async def test_impossible_status(status: Any) -> None:
    scene = await manual()

    with pytest.raises(MessageError, match=r"'status', an int from 200 to 999"):
        await scene.send({"type": "http.response.start", "status": status})

    assert not scene.connection.response_started
    await scene.send(START)
    await scene.close()


@pytest.mark.spec("CORE-14")
@pytest.mark.parametrize("headers", [None, 5])
async def test_headers_that_are_no_list(headers: Any) -> None:
    scene = await manual()

    with pytest.raises(MessageError, match="'headers' as a list of pairs of bytes"):
        await scene.send(start(headers=headers))

    assert not scene.connection.response_started
    await scene.close()


@pytest.mark.spec("CORE-14", "CORE-15")
@pytest.mark.parametrize(
    ("data", "text"), [("text", "encode the text"), (None, "NoneType"), (5, "int"), ([], "list")]
)
async def test_body_that_is_no_bytes(data: Any, text: str) -> None:
    scene = await manual()
    await scene.send(START)

    with pytest.raises(MessageError, match=f"'body' as bytes; got .*{text}"):
        await scene.send(body(data))

    assert scene.stream.calls == []
    await scene.send(LAST)
    await scene.close()


@pytest.mark.spec("CORE-15", "CORE-16")
async def test_refused_head_leaves_the_scope_as_before_the_start() -> None:
    for message in (LAST, MORE, {"type": "http.response.trailers"}):
        scene = await manual()
        scene.stream.refusals = {"write_response": "bad name", "write_head": "bad name"}
        await scene.send(START)

        with pytest.raises(MessageError):
            await scene.send(message)
        if message is not LAST and message is not MORE:
            continue

        assert scene.stream.calls == []
        assert not scene.connection.response_started
        scene.stream.refusals.clear()
        await scene.send(start(202))
        await scene.send(LAST)
        assert scene.stream.status == 202
        await scene.close()


@pytest.mark.spec("CORE-15", "HTTP-22")
async def test_refused_body_is_not_counted_and_another_is_taken() -> None:
    scene = await manual()
    await scene.send(START)
    await scene.send(MORE)
    scene.stream.refusals = {"write_body": "the body is 1 bytes longer than declared"}

    with pytest.raises(MessageError, match="longer than declared"):
        await scene.send(body(b"12345", more_body=True))

    assert scene.exchange.sent == 4
    await scene.send(LAST)
    assert scene.connection.response_complete
    await scene.close()


@pytest.mark.spec("CORE-14")
async def test_checks_of_all_fields_when_asked_for() -> None:
    seen = []
    scene = await manual(check=lambda kind, message: seen.append((kind, message)))

    await scene.send(START)

    assert seen == [("http.response.start", START)]
    await scene.close()


# --- early hints -----------------------------------------------------------------------------


@pytest.mark.spec("EXT-3")
async def test_early_hints_before_and_after_the_start() -> None:
    scene = await manual()

    await scene.send({"type": "http.response.early_hint", "links": [b"a", bytearray(b"b")]})
    await scene.send(START)
    await scene.send({"type": "http.response.early_hint", "links": []})

    assert scene.stream.calls == [
        ("write_informational", 103, [(b"link", b"a"), (b"link", b"b")]),
        ("flush",),
        ("write_informational", 103, []),
        ("flush",),
    ]
    assert not scene.exchange.response_begun
    await scene.close()


@pytest.mark.spec("CORE-14", "CORE-15")
@pytest.mark.parametrize("links", [None, 5, ["</a>"], [5], [None]])
async def test_links_that_are_no_bytes(links: Any) -> None:
    scene = await manual()

    with pytest.raises(MessageError, match="'links' as a list of bytes"):
        await scene.send({"type": "http.response.early_hint", "links": links})

    assert scene.stream.calls == []
    await scene.close()


@pytest.mark.spec("CORE-16")
async def test_refused_early_hint() -> None:
    scene = await manual()
    scene.stream.refusals = {"write_informational": "bad value"}

    with pytest.raises(MessageError, match="bad value"):
        await scene.send(HINT)

    assert scene.stream.calls == []
    await scene.close()


# --- trailers --------------------------------------------------------------------------------


@pytest.mark.spec("EXT-5", "HTTP-36")
async def test_trailers_complete_the_response() -> None:
    scene = await manual()

    await scene.send(start(trailers=True))
    await scene.send(LAST)
    assert not scene.connection.response_complete
    await scene.send(TRAILERS)

    assert scene.stream.calls == [
        ("write_head", 200, [], None, True, 3),
        ("write_body", b"bye", True),
        ("flush",),
        ("write_trailers", [(b"x-sum", b"1")]),
        ("response_complete",),
    ]
    assert scene.connection.response_complete
    await scene.close()


@pytest.mark.spec("EXT-5")
async def test_several_trailer_messages_make_one_section() -> None:
    scene = await manual()
    await scene.send(start(trailers=True))
    await scene.send(LAST)

    await scene.send({**TRAILERS, "more_trailers": True})
    await scene.send({"type": "http.response.trailers", "more_trailers": True})
    assert not scene.connection.response_complete
    await scene.send({"type": "http.response.trailers", "headers": [(b"b", b"2")]})

    assert scene.stream.calls[-2] == ("write_trailers", [(b"x-sum", b"1"), (b"b", b"2")])
    await scene.close()


@pytest.mark.spec("CORE-15", "CORE-16")
async def test_refused_trailers_are_forgotten_and_right_ones_taken() -> None:
    scene = await manual()
    await scene.send(start(trailers=True))
    await scene.send(LAST)
    await scene.send({"type": "http.response.trailers", "headers": [(b"bad", b"")], **_MORE})
    scene.stream.refusals = {"write_trailers": "bad must not be a trailer"}

    with pytest.raises(MessageError, match="must not be a trailer"):
        await scene.send({"type": "http.response.trailers"})
    with pytest.raises(MessageError, match="'headers' as a list of pairs of bytes"):
        await scene.send({"type": "http.response.trailers", "headers": 5})
    await scene.send(TRAILERS)

    assert scene.stream.calls[-2] == ("write_trailers", [(b"x-sum", b"1")])
    await scene.close()


_MORE = {"more_trailers": True}


# --- full flush ------------------------------------------------------------------------------


@pytest.mark.spec("EXT-11")
async def test_full_flush_waits_for_what_is_buffered() -> None:
    scene = await manual()
    await scene.send(START)
    await scene.send(MORE)
    scene.stream.buffered = 9

    flushing = asyncio.ensure_future(scene.send(FLUSH))
    await turns()
    assert not flushing.done()
    scene.stream.resume()
    await flushing
    await scene.close()


@pytest.mark.spec("EXT-12")
async def test_full_flush_sends_the_head_that_was_held_back() -> None:
    scene = await manual()

    await scene.send(FLUSH)
    assert "write_head" not in scene.stream.names
    await scene.send(START)
    await scene.send(FLUSH)

    assert ("write_head", 200, [], None, False, 0) in scene.stream.calls
    assert scene.stream.names[-1] == "drain_all"
    assert scene.exchange.response_begun
    await scene.send(LAST)
    assert scene.connection.response_complete
    await scene.close()


@pytest.mark.spec("CORE-15")
async def test_full_flush_with_a_head_that_is_refused() -> None:
    scene = await manual()
    await scene.send(START)
    scene.stream.refusals = {"write_head": "bad name"}

    with pytest.raises(MessageError, match="bad name"):
        await scene.send(FLUSH)

    assert not scene.connection.response_started
    await scene.send(START)
    await scene.close()


@pytest.mark.spec("EXT-11")
async def test_full_flush_after_the_end_waits_too() -> None:
    scene = await manual()
    await scene.send(START)
    await scene.send(LAST)
    scene.stream.buffered = 9

    flushing = asyncio.ensure_future(scene.send(FLUSH))
    await turns()
    assert not flushing.done()
    scene.stream.resume()
    await flushing
    await scene.close()


# --- flow ------------------------------------------------------------------------------------


@pytest.mark.spec("CORE-23", "CORE-25")
async def test_send_waits_while_the_stream_is_not_writable() -> None:
    scene = await manual()
    await scene.send(START)
    scene.stream.writable = False

    sending = asyncio.ensure_future(scene.send(MORE))
    await turns()
    assert not sending.done()
    assert scene.stream.sent == b"more"  # accepted all the same
    sending.cancel()
    await turns()
    assert scene.stream.sent == b"more"
    sending = asyncio.ensure_future(scene.send(MORE))
    await turns()
    scene.stream.resume()
    await sending

    assert scene.stream.sent == b"moremore"
    await scene.close()


async def test_the_last_message_waits_for_nobody() -> None:
    scene = await manual()
    await scene.send(START)
    scene.stream.writable = False

    await scene.send(LAST)

    assert "drain" not in scene.stream.names
    await scene.close()


# --- after the client has gone ---------------------------------------------------------------


@pytest.mark.spec("CORE-24", "HTTP-42")
@pytest.mark.parametrize("message", [START, LAST, FLUSH, HINT, {"type": "what"}, None])
async def test_send_raises_after_the_client_has_gone(message: Any) -> None:
    scene = await manual()
    scene.exchange.disconnected("write_timeout")

    with pytest.raises(Disconnected) as raised:
        await scene.send(message)

    assert isinstance(raised.value, OSError)
    assert raised.value.reason == "write_timeout"
    assert scene.stream.calls == []
    await scene.close()


@pytest.mark.spec("CORE-24", "CORE-33")
async def test_send_does_nothing_after_the_applications_own_abort() -> None:
    scene = await manual()
    await scene.send(START)
    scene.connection.abort("enough")

    await scene.send(LAST)

    assert scene.stream.names == ["reset"]
    await scene.close()


async def test_a_response_that_is_complete_is_not_disconnected() -> None:
    scene = await manual()
    await scene.send(START)
    await scene.send(LAST)

    scene.exchange.disconnected("client_closed")

    assert scene.connection.disconnect_reason is None
    assert scene.connection.is_connected
    with pytest.raises(MessageError):
        await scene.send(LAST)
    await scene.close()


# --- the access log --------------------------------------------------------------------------


@pytest.mark.spec("HTTP-47")
async def test_one_line_for_each_request() -> None:
    lines: list[Any] = []
    time = iter([10.0, 12.5])
    scene = await manual(log_access=lambda *line: lines.append(line), time=lambda: next(time))

    await scene.send(start(201))
    await scene.send(MORE)
    await scene.send(LAST)
    scene.exchange.disconnected("client_closed")

    assert lines == [("1.2.3.4", scene.scope, 201, 7, 2.5, None)]
    await scene.close()


async def test_the_line_of_one_that_ended_early() -> None:
    lines: list[Any] = []
    scene = await manual(log_access=lambda *line: lines.append(line), time=lambda: 1.0)

    scene.exchange.disconnected("body_too_large", None, 413)
    scene.exchange.disconnected("client_closed")

    assert lines == [("1.2.3.4", scene.scope, 413, 0, 0.0, "body_too_large")]
    assert scene.connection.response_started
    await scene.close()
