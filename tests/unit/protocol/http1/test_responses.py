"""Sending: framing, hygiene, keep-alive and the errors that are ours."""

from __future__ import annotations

from typing import Any

import pytest

from pagi.protocol.connection import DefaultFields
from pagi.protocol.errors import LocalProtocolError
from pagi.protocol.http1.limits import HTTP1Limits
from pagi.protocol.http1.reasons import REASONS, status_line
from pagi.protocol.http1.states import WriteState
from tests.unit.protocol.http1.driving import DATED, DEFAULTS, new, output

OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = (b"content-type", b"text/plain")


def asked(
    implementation: Any, method: str = "GET", version: str = "1.1", fields: str = "", **limits: Any
) -> Any:
    """Return a connection that has received a request without body."""
    connection = new(implementation, **limits)
    head = f"{method} / HTTP/{version}\r\nHost: a\r\n{fields}\r\n"
    (event,) = connection.receive_data(head.encode(), 0.0)
    assert event.end
    return connection


# --- framing ---


def test_declared_length(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [PLAIN, (b"Content-Length", b"5")])
    connection.send_body(1, b"he")
    connection.send_body(1, b"")
    connection.send_body(1, b"llo", end=True)
    assert output(connection) == (
        OK + b"content-type: text/plain\r\n" + DATED + b"content-length: 5\r\n\r\nhello"
    )
    assert connection.idle


def test_known_size(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [PLAIN], size=5)
    connection.send_body(1, b"hello", end=True)
    assert output(connection) == (
        OK + b"content-type: text/plain\r\n" + DATED + b"content-length: 5\r\n\r\nhello"
    )


def test_known_size_of_nothing(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [], size=0)
    connection.send_body(1, b"", end=True)
    assert output(connection) == OK + DATED + b"content-length: 0\r\n\r\n"


def test_chunked(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [PLAIN])
    connection.send_body(1, b"hello")
    connection.send_body(1, b"")
    connection.send_body(1, b"x" * 26)
    connection.send_body(1, b"", end=True)
    assert output(connection) == (
        OK
        + b"content-type: text/plain\r\n"
        + DATED
        + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1a\r\n"
        + b"x" * 26
        + b"\r\n0\r\n\r\n"
    )
    assert connection.idle


def test_last_chunk_in_one_piece(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [])
    connection.send_body(1, b"hello", end=True)
    assert output(connection).endswith(b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")


def test_large_pieces_are_not_copied(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [])
    large = b"x" * 70_000
    connection.send_body(1, large)
    connection.send_body(1, large, end=True)
    pieces = connection.data_to_send()
    assert [piece is large for piece in pieces] == [False, True, False, True, False]
    assert pieces[2] == b"\r\n11170\r\n"
    assert pieces[4] == b"\r\n0\r\n\r\n"


def test_a_large_last_piece(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [], size=70_000)
    large = b"x" * 70_000
    connection.send_body(1, large, end=True)
    assert connection.buffered(1) > 70_000
    assert connection.data_to_send()[1] is large
    assert connection.buffered(1) == 0


def test_small_pieces_are_joined(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [])
    for _ in range(100):
        connection.send_body(1, b"x" * 100)
    assert len(connection.data_to_send()) == 1


def test_http_1_0_ends_with_the_connection(implementation: Any) -> None:
    connection = asked(implementation, version="1.0", fields="Connection: keep-alive\r\n")
    connection.send_head(1, 200, [])
    connection.send_body(1, b"hello", end=True)
    assert output(connection) == OK + DATED + b"connection: close\r\n\r\nhello"
    assert connection.finished


def test_http_1_0_keep_alive(implementation: Any) -> None:
    connection = asked(implementation, version="1.0", fields="Connection: keep-alive\r\n")
    connection.send_head(1, 200, [], size=5)
    connection.send_body(1, b"hello", end=True)
    assert b"\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello" in output(connection)
    assert connection.idle


@pytest.mark.parametrize("status", [204, 304])
def test_no_body(status: int, implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, status, [], size=5)
    connection.send_body(1, b"hello", end=True)
    assert output(connection) == status_line(status) + DATED + b"\r\n"
    assert connection.idle


def test_length_of_bodiless_answers(implementation: Any) -> None:
    expected = {204: b"", 304: b"content-length: 5\r\n", 205: b"content-length: 0\r\n"}
    for status, line in expected.items():
        connection = asked(implementation)
        connection.send_head(1, status, [(b"content-length", b"5")])
        connection.send_body(1, b"hello")
        connection.send_body(1, b"", end=True)
        assert output(connection) == status_line(status) + DATED + line + b"\r\n"
        assert connection.idle


def test_head_has_the_fields_of_get(implementation: Any) -> None:
    for fields, size, line in (
        ([(b"content-length", b"5")], None, b"content-length: 5\r\n"),
        ([(b"content-length", b"5")], 0, b"content-length: 5\r\n"),
        ([], 5, b"content-length: 5\r\n"),
        ([], 0, b""),
        ([], None, b""),
    ):
        connection = asked(implementation, "HEAD")
        connection.send_head(1, 200, fields, size=size)
        connection.send_body(1, b"hello")
        connection.send_body(1, b"", end=True)
        assert output(connection) == OK + DATED + line + b"\r\n"
        assert connection.idle


def test_success_of_connect_is_no_message(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 0.0)
    connection.send_head(1, 200, [], size=2)
    connection.send_body(1, b"hi", end=True)
    assert output(connection) == OK + DATED + b"connection: close\r\n\r\nhi"
    assert connection.finished


def test_refusal_of_connect_is_one(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 0.0)
    connection.send_head(1, 403, [], size=2)
    connection.send_body(1, b"no", end=True)
    assert b"content-length: 2\r\n" in output(connection)
    assert connection.idle


# --- lengths that do not agree ---


def test_too_much(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [(b"content-length", b"5")])
    connection.send_body(1, b"hel")
    with pytest.raises(LocalProtocolError, match="1 bytes longer"):
        connection.send_body(1, b"lo!")
    connection.send_body(1, b"lo", end=True)
    assert output(connection).endswith(b"\r\n\r\nhello")
    assert connection.idle


def test_too_little(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [(b"content-length", b"5")])
    with pytest.raises(LocalProtocolError, match="2 bytes shorter"):
        connection.send_body(1, b"hel", end=True)
    assert output(connection).endswith(b"\r\n\r\nhel")
    assert connection.finished


def test_size_that_contradicts_the_declaration(implementation: Any) -> None:
    connection = asked(implementation)
    with pytest.raises(LocalProtocolError, match="content-length is 5, the body has 6 bytes"):
        connection.send_head(1, 200, [(b"content-length", b"5")], size=6)
    connection.send_head(1, 500, [], size=0)
    connection.send_body(1, b"", end=True)
    assert output(connection).startswith(b"HTTP/1.1 500")
    assert connection.idle


# --- connection options and hop-by-hop fields ---


def test_application_may_close(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [(b"Connection", b"foo, Close")], size=0)
    connection.send_body(1, b"", end=True)
    assert output(connection) == OK + DATED + b"content-length: 0\r\nconnection: close\r\n\r\n"
    assert connection.finished


def test_hop_by_hop_fields_are_dropped(implementation: Any) -> None:
    connection = asked(implementation)
    fields = [
        (b"Transfer-Encoding", b"chunked"),
        (b"connection", b"keep-alive, x"),
        (b"Keep-Alive", b"timeout=5"),
        (b"proxy-connection", b"keep-alive"),
        (b"upgrade", b"h2c"),
        (b"x", b"y"),
    ]
    connection.send_head(1, 200, fields, size=0)
    assert output(connection) == OK + b"x: y\r\n" + DATED + b"content-length: 0\r\n\r\n"


def test_426_names_the_protocol(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 426, [(b"Upgrade", b"websocket")], size=0)
    sent = output(connection)
    assert b"\r\nUpgrade: websocket\r\n" in sent
    assert b"\r\nconnection: upgrade\r\n" in sent


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ([], DATED),
        ([(b"Date", b"now")], b"Date: now\r\nserver: test\r\n"),
        ([(b"SERVER", b"x")], b"SERVER: x\r\ndate: Tue, 15 Nov 1994 08:12:31 GMT\r\n"),
        ([(b"server", b"x"), (b"date", b"now")], b"server: x\r\ndate: now\r\n"),
    ],
)
def test_default_fields(fields: Any, lines: bytes, implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, fields, size=0)
    assert output(connection) == OK + lines + b"content-length: 0\r\n\r\n"


def test_default_fields_may_be_empty(implementation: Any) -> None:
    for fields in ([], [(b"x", b"y")]):
        connection = implementation(HTTP1Limits(), DefaultFields())
        connection.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0.0)
        connection.send_head(1, 200, [*fields, (b"date", b"now")], size=0)
        lines = b"".join(b"%b: %b\r\n" % field for field in fields)
        assert output(connection) == OK + lines + b"date: now\r\ncontent-length: 0\r\n\r\n"


def test_default_fields_are_shared(implementation: Any) -> None:
    defaults = DefaultFields(b"one", b"s")
    connection = implementation(HTTP1Limits(), defaults)
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0.0)
    defaults.set_date(b"two")
    connection.send_head(1, 200, [], size=0)
    assert b"\r\ndate: two\r\nserver: s\r\n" in output(connection)


# --- what is fit for the wire ---

UNFIT: list[tuple[object, str]] = [
    *(
        ((b"x", b"a" + bytes([byte]) + b"b"), "control")
        for byte in (*range(9), *range(10, 32), 127)
    ),
    *(((b"a" + bytes([byte]) + b"b", b"x"), "token") for byte in (*range(33), 58, 127, 128, 255)),
    ((b"", b"x"), "token"),
    ((b"x", b"a\r\nset-cookie: b"), "control"),
    (("x", b"y"), "bytes"),
    ((b"x", "y"), "bytes"),
    ((b"x", None), "bytes"),
    ((b"x", bytearray(b"y")), "bytes"),
    ((b"x",), "pair"),
    ((b"x", b"y", b"z"), "pair"),
    (None, "pair"),
    ((b"content-length", b"-1"), "number"),
    ((b"content-length", b"5, 5"), "number"),
    ((b"content-length", b""), "number"),
    ((b"content-length", b"9223372036854775808"), "number"),
    ((b"content-length", b"00000000000000000001"), "number"),
]


@pytest.mark.parametrize(("field", "words"), UNFIT)
def test_unfit_fields(field: Any, words: str, implementation: Any) -> None:
    connection = asked(implementation)
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match=words):
            connection.send_head(1, 200, [PLAIN, field])
    assert output(connection) == b""
    connection.send_head(1, 500, [], size=0)
    connection.send_body(1, b"", end=True)
    assert output(connection).startswith(b"HTTP/1.1 500 ")
    assert connection.idle


class Named(bytes):
    """Bytes that lie about themselves to whoever asks them politely."""

    def __bytes__(self) -> bytes:
        return b"\r\n"

    def lower(self) -> bytes:
        return b"content-length"


def test_subclasses_of_bytes_are_what_they_hold(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [(Named(b"x-a"), Named(b"1")), (Named(b"x-b"), b"2")])
    connection.send_body(1, b"hello", end=True)
    assert output(connection).startswith(OK + b"x-a: 1\r\nx-b: 2\r\n" + DATED)
    with pytest.raises(LocalProtocolError, match="control"):
        asked(implementation).send_head(1, 200, [(Named(b"x-a"), Named(b"1\n"))])


def test_content_length_twice(implementation: Any) -> None:
    connection = asked(implementation)
    with pytest.raises(LocalProtocolError, match="twice"):
        connection.send_head(1, 200, [(b"content-length", b"5"), (b"Content-Length", b"5")])


def test_fit_values(implementation: Any) -> None:
    connection = asked(implementation)
    values = [b"", b"a\tb", b" x ", bytes(range(32, 127)), bytes(range(128, 256))]
    connection.send_head(1, 200, [(b"x", value) for value in values], size=0)
    sent = output(connection)
    for value in values:
        assert b"\r\nx: " + value + b"\r\n" in sent


def test_lists_serve_as_fields(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, ([b"x", b"y"], [b"content-type", b"z"]), size=0)
    assert b"\r\nx: y\r\ncontent-type: z\r\n" in output(connection)


def test_many_fields(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [(b"x-%d" % number, b"y") for number in range(3000)], size=0)
    assert output(connection).count(b": y\r\n") == 3000


def test_remembered_lines_are_bounded(implementation: Any) -> None:
    connection = asked(implementation)
    fields = [(b"content-type", b"%d" % number) for number in range(3000)]
    connection.send_head(1, 200, [*fields, *fields, (b"vary", b"x" * 1000)], size=0)
    assert output(connection).count(b"content-type: ") == 6000


@pytest.mark.parametrize("status", [100, 199, 99, 1000, 0, -1])
def test_no_final_status(status: int, implementation: Any) -> None:
    connection = asked(implementation)
    with pytest.raises(LocalProtocolError, match="not a final status"):
        connection.send_head(1, status, [])


def test_reason_phrases(implementation: Any) -> None:
    assert status_line(404) == b"HTTP/1.1 404 Not Found\r\n"
    assert status_line(299) == status_line(299) == b"HTTP/1.1 299 \r\n"
    assert len(REASONS) > 60
    connection = asked(implementation)
    connection.send_head(1, 999, [], size=0)
    assert output(connection).startswith(b"HTTP/1.1 999 \r\n")


# --- calls out of turn ---


def test_calls_out_of_turn(implementation: Any) -> None:
    connection = new(implementation)
    early = [
        lambda: connection.send_head(1, 200, []),
        lambda: connection.send_informational(1, 103, []),
        lambda: connection.send_body(1, b"x"),
        lambda: connection.send_body(0, b"x"),
        lambda: connection.send_trailers(1, []),
        lambda: connection.switch(1, []),
        lambda: connection.account_body(0, 1),
    ]
    for call in early:
        with pytest.raises(LocalProtocolError):
            call()
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0.0)
    for call in early[2:]:
        with pytest.raises(LocalProtocolError):
            call()
    connection.send_head(1, 200, [], size=1)
    for call in (early[0], early[1], early[3], early[4], early[5]):
        with pytest.raises(LocalProtocolError):
            call()
    connection.send_body(1, b"x", end=True)
    for call in early:
        with pytest.raises(LocalProtocolError):
            call()
    assert connection.idle


def test_calls_after_the_end(implementation: Any) -> None:
    connection = asked(implementation)
    connection.reset(1, "app_abort")
    for call in (
        lambda: connection.send_head(1, 200, []),
        lambda: connection.send_body(1, b"x"),
        lambda: connection.send_trailers(1, []),
    ):
        with pytest.raises(LocalProtocolError):
            call()
    assert output(connection) == b""
    assert connection.finished


def test_no_switch_unasked(implementation: Any) -> None:
    connection = asked(implementation)
    with pytest.raises(LocalProtocolError, match="did not ask"):
        connection.switch(1, [])


def test_no_switch_in_the_body(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n"
        b"Content-Length: 1\r\n\r\n",
        0.0,
    )
    with pytest.raises(LocalProtocolError, match="not complete"):
        connection.switch(1, [])


def test_a_tunnel_has_one_stream(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", 0.0
    )
    connection.switch(1, [])
    with pytest.raises(LocalProtocolError):
        connection.send_body(2, b"x")


# --- informational ---


def test_early_hints(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_informational(1, 103, [(b"link", b"</a>; rel=preload")])
    assert output(connection) == b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n"
    connection.send_head(1, 200, [], size=0)
    assert output(connection).startswith(OK)


def test_informational_has_no_framing(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_informational(
        1, 103, [(b"content-length", b"5"), (b"connection", b"close"), (b"upgrade", b"x")]
    )
    assert output(connection) == b"HTTP/1.1 103 Early Hints\r\n\r\n"
    assert connection.keep_alive


def test_no_informational_for_http_1_0(implementation: Any) -> None:
    connection = asked(implementation, version="1.0")
    connection.send_informational(1, 103, [])
    assert output(connection) == b""


@pytest.mark.parametrize("status", [101, 99, 200])
def test_informational_status(status: int, implementation: Any) -> None:
    connection = asked(implementation)
    with pytest.raises(LocalProtocolError, match="not an informational"):
        connection.send_informational(1, status, [])


# --- trailers ---


def test_trailers(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [], size=5, trailers=True)
    connection.send_body(1, b"hello", end=True)
    assert connection.write_state == WriteState.TRAILERS
    assert not connection.idle
    connection.send_trailers(1, [(b"Checksum", b"x")])
    sent = output(connection)
    assert b"\r\ntransfer-encoding: chunked\r\n" in sent
    assert sent.endswith(b"\r\n\r\n5\r\nhello\r\n0\r\nChecksum: x\r\n\r\n")
    assert connection.idle


def test_trailers_end_the_body(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [], trailers=True)
    connection.send_body(1, b"hello")
    connection.send_trailers(1, [])
    assert output(connection).endswith(b"5\r\nhello\r\n0\r\n\r\n")
    assert connection.idle


@pytest.mark.parametrize(
    ("method", "status", "fields", "end"),
    [
        ("GET", 200, [(b"content-length", b"5")], b"hello"),
        ("HEAD", 200, [], b"\r\n\r\n"),
        ("GET", 204, [], b"\r\n\r\n"),
    ],
)
def test_trailers_without_a_place(
    method: str, status: int, fields: Any, end: bytes, implementation: Any
) -> None:
    connection = asked(implementation, method)
    connection.send_head(1, status, fields, trailers=True)
    connection.send_body(1, b"hello", end=True)
    connection.send_trailers(1, [(b"x", b"y")])
    assert output(connection).endswith(end)
    assert connection.idle


def test_trailers_after_too_little(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [(b"content-length", b"5")], trailers=True)
    with pytest.raises(LocalProtocolError, match="shorter"):
        connection.send_trailers(1, [])
    output(connection)
    assert connection.finished


def test_trailers_unannounced(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [])
    with pytest.raises(LocalProtocolError, match="no trailers"):
        connection.send_trailers(1, [])
    connection.send_body(1, b"", end=True)
    assert connection.idle


@pytest.mark.parametrize("name", [b"Content-Length", b"content-type", b"host", b"bad name"])
def test_trailers_that_must_not_be(name: bytes, implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [], trailers=True)
    with pytest.raises(LocalProtocolError):
        connection.send_trailers(1, [(name, b"x")])
    connection.send_trailers(1, [(b"ok", b"x")])
    assert output(connection).endswith(b"\r\n0\r\nok: x\r\n\r\n")


# --- bodies around the machine ---


def test_raw_bodies(implementation: Any) -> None:
    connection = asked(implementation)
    assert not connection.is_body_raw()
    connection.send_head(1, 200, [], size=10)
    assert connection.is_body_raw()
    connection.account_body(1, 6)
    with pytest.raises(LocalProtocolError, match="longer"):
        connection.account_body(1, 5)
    connection.account_body(1, 4)
    connection.send_body(1, b"", end=True)
    assert connection.idle


def test_bodies_that_are_not_raw(implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [])
    assert not connection.is_body_raw()
    with pytest.raises(LocalProtocolError):
        connection.account_body(1, 1)
    connection = asked(implementation, "HEAD")
    connection.send_head(1, 200, [], size=1)
    assert not connection.is_body_raw()


def test_raw_body_that_ends_with_the_connection(implementation: Any) -> None:
    connection = asked(implementation, version="1.0")
    connection.send_head(1, 200, [])
    assert connection.is_body_raw()
    connection.account_body(1, 1)
    connection.send_body(1, b"", end=True)
    output(connection)
    assert connection.finished


def test_consumed_is_for_other_versions(implementation: Any) -> None:
    connection = asked(implementation)
    connection.consumed(1, 5)
    assert connection.write_state == WriteState.HEAD
    assert DEFAULTS.wire == DATED


def test_a_body_can_be_announced(implementation: Any) -> None:
    connection = asked(implementation)
    with pytest.raises(LocalProtocolError, match="no response body is due"):
        connection.expect_body(1, 5)
    connection.send_head(1, 200, [(b"content-length", b"5")])
    connection.expect_body(1, 5)
    with pytest.raises(LocalProtocolError, match="1 bytes longer"):
        connection.expect_body(1, 6)
    connection.send_body(1, b"hello", end=True)
    assert connection.idle
    connection = asked(implementation)
    connection.send_head(1, 200, [])
    connection.expect_body(1, 1_000_000)
    connection.send_body(1, b"", end=True)
    assert connection.idle


def test_an_upgrade_may_be_refused_with_its_name(implementation: Any) -> None:
    connection = asked(implementation, fields="Connection: close\r\n")
    connection.send_head(1, 426, [(b"upgrade", b"x")], size=0)
    sent = output(connection)
    assert b"\r\nconnection: close\r\nconnection: upgrade\r\n" in sent


@pytest.mark.parametrize("size", [1, 15, 16, 255, 256, 4095, 4096, 16_384, 16_385, 100_000])
@pytest.mark.parametrize("end", [False, True])
def test_chunks_of_every_length(size: int, end: bool, implementation: Any) -> None:
    connection = asked(implementation)
    connection.send_head(1, 200, [])
    output(connection)
    data = bytes(range(256)) * (size // 256 + 1)
    connection.send_body(1, data[:size], end=end)
    assert output(connection) == (
        f"{size:x}\r\n".encode() + data[:size] + b"\r\n" + (b"0\r\n\r\n" if end else b"")
    )
