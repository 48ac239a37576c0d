"""Ours against wsproto and websockets: the same messages, the same close codes, both ways.

What is stricter here than there, or sooner, is said in `_is_as_strict`.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
)
from websockets.frames import Opcode
from websockets.http11 import Response
from websockets.protocol import Protocol, Side, State
from websockets.uri import parse_uri
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws
from wsproto.connection import Connection, ConnectionState
from wsproto.extensions import PerMessageDeflate as WSProtoDeflate

from pagi.protocol.events import RequestReceived
from pagi.protocol.http1.connection import HTTP1Connection
from pagi.protocol.http1.limits import HTTP1Limits
from pagi.protocol.websocket.deflate import DeflateParameters
from pagi.protocol.websocket.events import CloseReceived, Failed, MessageReceived
from pagi.protocol.websocket.handshake import accept_fields, negotiate_deflate, read_handshake
from pagi.protocol.websocket.limits import WebSocketLimits
from tests.oracle.websocket_frames import streams
from tests.unit.protocol.http1.driving import DEFAULTS
from tests.unit.protocol.websocket.driving import (
    Implementation,
    frames,
    implementations,
    output,
    serve,
)

both = pytest.mark.parametrize("name", implementations())
#: How a stream ended: not at all, by a close of the client, or by its fault.
End = tuple[str, int] | None


def ours(name: str, wire: bytes) -> tuple[list[str | bytes], End, str]:
    """Return the messages that we see, the end, and what was wrong."""
    events = serve(Implementation(name).new(max_control_frames=1000), [wire]).events
    messages = [event.data for event in events if isinstance(event, MessageReceived)]
    last = events[-1] if events else None
    note(f"ours: {last}")
    if isinstance(last, CloseReceived):
        return messages, ("close", last.code), ""
    if isinstance(last, Failed):
        return messages, ("fault", last.code), last.detail
    return messages, None, ""


def by_wsproto(wire: bytes) -> tuple[list[str | bytes], End]:
    """Return the messages that wsproto sees, and the end."""
    connection = Connection(ConnectionType.SERVER)
    connection.receive_data(wire)
    messages: list[str | bytes] = []
    parts: list[Any] = []
    for event in connection.events():
        if isinstance(event, ws.Message):
            parts.append(event.data)
            if event.message_finished:
                messages.append(("" if isinstance(parts[0], str) else b"").join(parts))
                parts.clear()
        elif isinstance(event, ws.CloseConnection):
            closing = connection.state is ConnectionState.REMOTE_CLOSING
            note(f"wsproto: {event}")
            return messages, ("close" if closing else "fault", int(event.code))
    return messages, None


def by_websockets(wire: bytes) -> tuple[list[bytes], End]:
    """Return the messages, in bytes, that websockets sees, and the end."""
    protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=16 * 2**20)
    protocol.receive_data(wire)
    messages: list[bytes] = []
    parts: list[bytes] = []
    for frame in protocol.events_received():
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            parts.append(frame.data)
            if frame.fin:
                messages.append(b"".join(parts))
                parts.clear()
    if protocol.close_rcvd is not None:
        return messages, ("close", protocol.close_rcvd.code)
    if protocol.parser_exc is not None:
        note(f"websockets: {protocol.parser_exc!r}")
        assert protocol.close_sent is not None
        return messages, ("fault", protocol.close_sent.code)
    return messages, None


def _is_as_strict(end: End, detail: str, other: End) -> bool:
    """Tell whether we refuse what they refuse, perhaps sooner."""
    if end == other:
        return True
    if end is None or end[0] != "fault":
        return False
    # Of two faults they may see another one first: a length beyond the limit is refused before
    # what it announces, half of a surrogate before the frames that follow on it.
    return (other is not None and other[0] == "fault") or detail in _STRICTER


#: What the others let pass, or wait for without end.
_STRICTER = (
    "a message is longer than the limit",  # wsproto has no limit
    "a text is not UTF-8",  # the end of half a surrogate
    "the length of a frame is longer than it needs to be",  # websockets
)
#: Completes a frame, on which they wait where we do not.
_MORE = bytes(70_000)


@both
@given(wire=streams())
def test_streams_as_wsproto_sees_them(name: str, wire: bytes) -> None:
    messages, end, detail = ours(name, wire)
    others, other = by_wsproto(wire)
    if other is None and end is not None:
        others, other = by_wsproto(wire + _MORE)
    assert _is_as_strict(end, detail, other), (end, other)
    assert messages == (others if end == other else others[: len(messages)])


@both
@given(wire=streams())
def test_streams_as_websockets_sees_them(name: str, wire: bytes) -> None:
    messages, end, detail = ours(name, wire)
    others, other = by_websockets(wire)
    if other is None and end is not None:
        others, other = by_websockets(wire + _MORE)
    found = [one.encode() if isinstance(one, str) else one for one in messages]
    # texts are decoded by another part of websockets
    assert end == ("fault", 1007) or _is_as_strict(end, detail, other), (end, other)
    exactly = end == other and end != ("fault", 1007)
    assert found == (others if exactly else others[: len(found)])


# --- what we send ---

_MESSAGES = st.lists(
    st.one_of(
        st.text(max_size=300),
        st.binary(max_size=300),
        st.sampled_from(["x" * 20_000, "é" * 70_000, b"y" * 65_536, b"", ""]),
    ),
    min_size=1,
    max_size=5,
)
_BITS = st.sampled_from([9, 12, 15])


def _said(machine: Any, messages: list[str | bytes]) -> bytes:
    for message in messages:
        if isinstance(message, str):
            machine.send_text(message)
        else:
            machine.send_bytes(message)
    machine.send_ping(b"ping")
    machine.send_close(1000, "end")
    return output(machine)


def _heard_by_websockets(wire: bytes, extensions: list[Any]) -> list[str | bytes]:
    client = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)
    client.extensions = extensions
    client.receive_data(wire)
    assert client.close_rcvd is not None
    assert (client.close_rcvd.code, client.close_rcvd.reason) == (1000, "end")
    *messages, ping, close = client.events_received()
    assert (ping.opcode, ping.data) == (Opcode.PING, b"ping")
    assert close.opcode is Opcode.CLOSE
    return [
        bytes(frame.data).decode() if frame.opcode is Opcode.TEXT else bytes(frame.data)
        for frame in messages
    ]


@both
@given(messages=_MESSAGES)
def test_what_we_send_is_heard(name: str, messages: list[str | bytes]) -> None:
    wire = _said(Implementation(name).new(), messages)
    assert _heard_by_websockets(wire, []) == messages
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(wire)
    heard = [event.data for event in client.events() if isinstance(event, ws.Message)]
    assert heard == messages


@both
@given(messages=_MESSAGES, bits=_BITS, takeover=st.booleans(), least=st.sampled_from([0, 1024]))
def test_what_we_deflate_is_heard(
    name: str, messages: list[str | bytes], bits: int, takeover: bool, least: int
) -> None:
    agreed = DeflateParameters(server_no_context_takeover=not takeover, server_max_window_bits=bits)
    machine = Implementation(name).new(agreed, deflate_min_size=least)
    extension = PerMessageDeflate(
        remote_no_context_takeover=not takeover,
        local_no_context_takeover=False,
        remote_max_window_bits=bits,
        local_max_window_bits=15,
    )
    assert _heard_by_websockets(_said(machine, messages), [extension]) == messages


@both
@given(messages=_MESSAGES, bits=_BITS, takeover=st.booleans())
def test_what_they_deflate_is_heard(
    name: str, messages: list[str | bytes], bits: int, takeover: bool
) -> None:
    agreed = DeflateParameters(client_no_context_takeover=not takeover, client_max_window_bits=bits)
    client = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)
    client.extensions = [
        PerMessageDeflate(
            remote_no_context_takeover=False,
            local_no_context_takeover=not takeover,
            remote_max_window_bits=15,
            local_max_window_bits=bits,
        )
    ]
    for message in messages:
        if isinstance(message, str):
            client.send_text(message.encode())
        else:
            client.send_binary(message)
    client.send_close(4000, "€")
    *events, last = serve(Implementation(name).new(agreed), client.data_to_send()).events
    assert [event.data for event in events] == messages
    assert last == CloseReceived(4000, "€")


# --- the handshake ---


def _answer(request: bytes, subprotocol: str | None, **limits: Any) -> tuple[bytes, Any]:
    """Accept a client's handshake as the server would."""
    http = HTTP1Connection(HTTP1Limits(), DEFAULTS)
    (event,) = http.receive_data(request, 0.0)
    assert isinstance(event, RequestReceived)
    handshake = read_handshake(event)
    agreed = negotiate_deflate(handshake, WebSocketLimits(**limits))
    http.switch(
        1, accept_fields(handshake, subprotocol=subprotocol, fields=[(b"x", b"y")], deflate=agreed)
    )
    return b"".join(http.data_to_send()), agreed


@both
@pytest.mark.parametrize("window", [9, 12, 15])
@pytest.mark.parametrize("server_bits", [None, 9, 15])
@pytest.mark.parametrize("client_bits", [None, True, 9, 15])
@pytest.mark.parametrize("contexts", [(False, False), (True, False), (False, True), (True, True)])
def test_websockets_agrees_with_us(
    name: str,
    contexts: tuple[bool, bool],
    client_bits: bool | int | None,
    server_bits: int | None,
    window: int,
) -> None:
    factory = ClientPerMessageDeflateFactory(
        server_no_context_takeover=contexts[0],
        client_no_context_takeover=contexts[1],
        server_max_window_bits=server_bits,
        client_max_window_bits=client_bits,
    )
    client = ClientProtocol(
        parse_uri("ws://example.org/"), extensions=[factory], subprotocols=["a", "b"]
    )
    client.send_request(client.connect())
    answer, agreed = _answer(b"".join(client.data_to_send()), "b", deflate_window_bits=window)
    client.receive_data(answer)
    (response,) = client.events_received()
    assert isinstance(response, Response)
    assert client.handshake_exc is None
    assert client.state is State.OPEN
    assert client.subprotocol == "b"
    assert len(client.extensions) == 1
    machine = Implementation(name).new(agreed, deflate_min_size=1)
    text = "to and fro " * 500
    for _ in range(3):
        client.send_text(text.encode())
        (event,) = serve(machine, client.data_to_send()).events
        assert event.data == text
        machine.send_text(text)
        client.receive_data(output(machine))
        (frame,) = client.events_received()
        assert bytes(frame.data).decode() == text


@both
def test_wsproto_agrees_with_us(name: str) -> None:
    client = WSConnection(ConnectionType.CLIENT)
    request = ws.Request("example.org", "/", extensions=[WSProtoDeflate()], subprotocols=["a"])
    answer, agreed = _answer(client.send(request), "a")
    client.receive_data(answer)
    (accepted,) = client.events()
    assert isinstance(accepted, ws.AcceptConnection)
    assert accepted.subprotocol == "a"
    assert agreed is not None
    assert len(accepted.extensions) == 1
    machine = Implementation(name).new(agreed, deflate_min_size=1)
    for text in ("Hello", "Hello", "€" * 3000):
        (event,) = serve(machine, [client.send(ws.TextMessage(text))]).events
        assert event.data == text
        machine.send_text(text)
        wire = output(machine)
        assert frames(wire)[0].first == 0xC1
        client.receive_data(wire)
        assert "".join(part.data for part in client.events()) == text
