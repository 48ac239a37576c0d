"""The joint states of both directions: which exist, and what each allows."""

from __future__ import annotations

from typing import Any

import pytest

from pagi.protocol.errors import LocalProtocolError
from pagi.protocol.http1 import states
from pagi.protocol.http1.states import ReadState, WriteState
from tests.unit.protocol.http1.driving import new, output

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"

R, W = ReadState, WriteState

# From each joint state, what each step leads to; None: LocalProtocolError, and no change.
# Steps: rest = rest of the request, bad = a violation, eof, head, body, end, close, reset
TABLE: dict[tuple[ReadState, WriteState], dict[str, tuple[ReadState, WriteState] | None]] = {
    (R.HEAD, W.IDLE): {
        "bad": (R.CLOSED, W.CLOSED),
        "eof": (R.CLOSED, W.CLOSED),
        "head": None,
        "body": None,
        "end": None,
        "close": (R.CLOSED, W.CLOSED),
        "reset": (R.HEAD, W.IDLE),
    },
    (R.BODY, W.HEAD): {
        "rest": (R.DONE, W.HEAD),
        "bad": (R.CLOSED, W.CLOSED),
        "eof": (R.CLOSED, W.CLOSED),
        "head": (R.BODY, W.BODY),
        "body": None,
        "end": None,
        "close": (R.BODY, W.HEAD),
        "reset": (R.CLOSED, W.CLOSED),
    },
    (R.BODY, W.BODY): {
        "rest": (R.DONE, W.BODY),
        "bad": (R.CLOSED, W.CLOSED),
        "eof": (R.CLOSED, W.CLOSED),
        "head": None,
        "body": (R.BODY, W.BODY),
        "end": (R.BODY, W.DONE),
        "close": (R.BODY, W.BODY),
        "reset": (R.CLOSED, W.CLOSED),
    },
    (R.BODY, W.DONE): {
        "rest": (R.HEAD, W.IDLE),
        "bad": (R.CLOSED, W.CLOSED),
        "eof": (R.CLOSED, W.CLOSED),
        "head": None,
        "body": None,
        "end": None,
        "close": (R.CLOSED, W.CLOSED),
        "reset": (R.CLOSED, W.CLOSED),
    },
    (R.DONE, W.HEAD): {
        "eof": (R.DONE, W.HEAD),
        "head": (R.DONE, W.BODY),
        "body": None,
        "end": None,
        "close": (R.DONE, W.HEAD),
        "reset": (R.CLOSED, W.CLOSED),
    },
    (R.DONE, W.BODY): {
        "eof": (R.DONE, W.BODY),
        "head": None,
        "body": (R.DONE, W.BODY),
        "end": (R.HEAD, W.IDLE),
        "close": (R.DONE, W.BODY),
        "reset": (R.CLOSED, W.CLOSED),
    },
    (R.TUNNEL, W.TUNNEL): {
        "eof": (R.CLOSED, W.TUNNEL),
        "head": None,
        "body": (R.TUNNEL, W.TUNNEL),
        "end": (R.CLOSED, W.CLOSED),
        "close": (R.TUNNEL, W.TUNNEL),
        "reset": (R.CLOSED, W.CLOSED),
    },
    (R.CLOSED, W.TUNNEL): {
        "eof": (R.CLOSED, W.TUNNEL),
        "head": None,
        "body": (R.CLOSED, W.TUNNEL),
        "end": (R.CLOSED, W.CLOSED),
        "close": (R.CLOSED, W.TUNNEL),
        "reset": (R.CLOSED, W.CLOSED),
    },
    (R.CLOSED, W.CLOSED): {
        "rest": (R.CLOSED, W.CLOSED),
        "bad": (R.CLOSED, W.CLOSED),
        "eof": (R.CLOSED, W.CLOSED),
        "head": None,
        "body": None,
        "end": None,
        "close": (R.CLOSED, W.CLOSED),
        "reset": (R.CLOSED, W.CLOSED),
    },
}

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def _reach(connection: Any, state: tuple[ReadState, WriteState]) -> None:
    """Bring a new connection into a joint state."""
    read, write = state
    if write == W.TUNNEL:
        connection.receive_data(UPGRADE, 0.0)
        connection.switch(1, [])
        if read == R.CLOSED:
            connection.receive_eof(0.0)
    elif read == R.CLOSED:
        connection.receive_data(b"\x00", 0.0)
    elif read in (R.BODY, R.DONE):
        connection.receive_data(CHUNKED if read == R.BODY else GET, 0.0)
        if write in (W.BODY, W.DONE):
            connection.send_head(1, 200, [])
        if write == W.DONE:
            connection.send_body(1, b"", end=True)
    assert (connection.read_state, connection.write_state) == state


def _take(connection: Any, step: str) -> None:
    if step == "rest":
        connection.receive_data(b"0\r\n\r\n", 0.0)
    elif step == "bad":
        connection.receive_data(b"\x00\r\n", 0.0)
    elif step == "eof":
        connection.receive_eof(0.0)
    elif step == "head":
        connection.send_head(1, 200, [])
    elif step in ("body", "end"):
        connection.send_body(1, b"x", end=step == "end")
    elif step == "close":
        connection.close()
    else:
        connection.reset(1, "app_abort")


@pytest.mark.parametrize(
    ("state", "step"), [(state, step) for state, steps in TABLE.items() for step in steps]
)
def test_joint_states(state: tuple[Any, Any], step: str, implementation: Any) -> None:
    connection = new(implementation)
    _reach(connection, state)
    output(connection)
    expected = TABLE[state][step]
    if expected is None:
        with pytest.raises(LocalProtocolError):
            _take(connection, step)
        assert output(connection) == b""
        expected = state
    else:
        _take(connection, step)
    assert (connection.read_state, connection.write_state) == expected
    output(connection)
    assert connection.finished == (expected[1] == W.CLOSED)


def test_no_other_joint_state_is_reached(implementation: Any) -> None:
    """Walk from the beginning through all sequences of four steps."""
    steps = ["get", "chunked", "upgrade", "rest", "bad", "eof", "head", "end", "switch", "close"]
    seen = set()

    def walk(path: tuple[str, ...]) -> None:
        connection = new(implementation)
        for step in path:
            try:
                if step in ("get", "chunked", "upgrade"):
                    data = {"get": GET, "chunked": CHUNKED, "upgrade": UPGRADE}[step]
                    connection.receive_data(data, 0.0)
                elif step == "switch":
                    connection.switch(1, [])
                else:
                    _take(connection, step)
            except LocalProtocolError:
                return
        seen.add((ReadState(connection.read_state), WriteState(connection.write_state)))
        if len(path) < 4:
            for step in steps:
                walk((*path, step))

    walk(())
    assert seen == set(TABLE)


def test_constants_are_the_members() -> None:
    for kind, prefix in ((ReadState, "READ_"), (WriteState, "WRITE_")):
        for member in kind:
            assert getattr(states, prefix + member.name) == member
