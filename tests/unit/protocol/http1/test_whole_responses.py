"""`send_response` is `send_head` and `send_body` in one call, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from pagi.protocol.errors import LocalProtocolError
from tests.unit.protocol.http1.driving import new, output

FIELDS: list[list[tuple[bytes, bytes]]] = [
    [],
    [(b"content-type", b"text/plain"), (b"content-length", b"5")],
    [(b"connection", b"close")],
    [(b"date", b"now"), (b"upgrade", b"x")],
    [(b"content-length", b"6")],
    [(b"x", b"a\nb")],
]


def _state(connection: Any) -> tuple[Any, ...]:
    return (
        output(connection),
        connection.read_state,
        connection.write_state,
        connection.keep_alive,
        connection.finished,
        connection.idle,
        connection.pending,
    )


@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize("status", [200, 204, 205, 304, 404, 426, 199])
@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "HEAD / HTTP/1.1", "GET / HTTP/1.0"])
def test_equivalence(
    line: str, status: int, fields: list[tuple[bytes, bytes]], implementation: Any
) -> None:
    for body in (b"hello", b"", b"x" * 20_000):
        apart, whole = new(implementation), new(implementation)
        for connection in (apart, whole):
            connection.receive_data(f"{line}\r\nHost: a\r\n\r\n".encode() * 2, 0.0)
        faults = []
        for connection in (apart, whole):
            try:
                if connection is apart:
                    connection.send_head(1, status, fields, size=len(body))
                    connection.send_body(1, body, end=True)
                else:
                    connection.send_response(1, status, fields, body)
            except LocalProtocolError as error:
                faults.append(str(error))
        assert len(faults) in (0, 2)
        assert len(set(faults)) <= 1
        assert _state(apart) == _state(whole)


def test_out_of_turn(implementation: Any) -> None:
    connection = new(implementation)
    with pytest.raises(LocalProtocolError):
        connection.send_response(1, 200, [], b"")
