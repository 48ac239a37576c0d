"""TLS on our own transport: the handshake, bytes both ways, flow control and all ends."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from tests.unit.connection.pairs import OURS, pattern, receive_all, turns, until
from tests.unit.connection.tls_pairs import CHUNK, TLSScene


@pytest.fixture(params=OURS)
def kind(request: pytest.FixtureRequest) -> str:
    """Every twin with every poller."""
    return str(request.param)


# ----------------------------------------------------------------- the handshake


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
async def test_a_handshake_in_pieces(kind: str, step: int) -> None:
    async with TLSScene(kind) as scene:
        pair = await scene.start()
        await pair.shake_hands(step)
        pair.say(b"hello")
        await until(lambda: pair.notes.data)
        assert pair.notes.calls == ["made", b"hello"]
        assert pair.opening.calls == ["made"]
        pair.transport.write(b"world")
        assert await pair.hear(5) == b"world"


async def test_a_request_right_behind_the_handshake(kind: str) -> None:
    async with TLSScene(kind) as scene:
        pair = await scene.start()
        while True:
            try:
                pair.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await pair.send_records()
                await turns(2)
                pair.feed()
        pair.peer.sendall(pair.records(b"one", b"two"))  # the client's last flight is before it
        await until(lambda: pair.notes.data == b"onetwo")
        assert pair.notes.names == ["made", "data"]


async def test_what_the_transport_tells(kind: str) -> None:
    async with TLSScene(kind) as scene:
        pair = await scene.connect()
        found = pair.transport.get_extra_info("ssl_object")
        assert found.version() == "TLSv1.3"
        assert pair.transport.get_extra_info("sslcontext") is found.context
        assert pair.transport.get_extra_info("peername") == pair.peer.getsockname()
        assert pair.transport.get_extra_info("nothing", "default") == "default"
        assert pair.transport.get_protocol() is pair.notes


async def test_a_peer_that_does_not_speak_tls(kind: str) -> None:
    async with TLSScene(kind) as scene:
        pair = await scene.start()
        pair.peer.send(b"GET / HTTP/1.1\r\n\r\n")
        assert await pair.receive_to_end() == b"plain"
        pair.peer.send(b"more, which is thrown away")
        await turns()
        assert pair.opening.names == ["data"]
        pair.peer.close()
        await until(lambda: pair.opening.lost)
        assert pair.opening.names == ["data", "lost"]


async def test_a_handshake_that_fails(kind: str) -> None:
    async with TLSScene(kind) as scene:
        pair = await scene.start()
        pair.peer.send(bytes((0x16, 3, 1, 0, 4)) + b"junk")
        alert = await pair.receive_to_end()
        assert alert[0] == 0x15
        pair.peer.send(b"more, which is thrown away")
        await turns()
        pair.peer.close()
        await until(lambda: pair.opening.lost)
        error, end = pair.opening.calls
        assert isinstance(error, ssl.SSLError)
        assert end == ("lost", None)


@pytest.mark.parametrize("said", [b"", bytes((0x16, 3, 1, 2))])
async def test_a_peer_that_leaves_before(kind: str, said: bytes) -> None:
    async with TLSScene(kind) as scene:
        pair = await scene.start()
        pair.peer.send(said)
        await turns()
        pair.peer.close()
        await until(lambda: pair.opening.lost)
        assert pair.opening.names == ["lost"]


# ----------------------------------------------------------------- bytes of the peer


async def test_much_comes_in_few_calls(kind: str) -> None:
    data = pattern(1_000_000)
    async with TLSScene(kind) as scene:
        pair = await scene.connect()
        records = pair.records(*(data[at : at + 16_384] for at in range(0, len(data), 16_384)))
        while records:
            records = records[pair.peer.send(records[:50_000]) :]
            await turns(2)
        await until(lambda: len(pair.notes.data) == len(data))
        assert pair.notes.data == data
        assert len(pair.notes.calls) < 40


async def test_a_record_byte_by_byte(kind: str) -> None:
    async with TLSScene(kind) as scene:
        pair = await scene.connect()
        for byte in pair.records(b"slow"):
            pair.peer.send(bytes((byte,)))
            await turns(2)
        await until(lambda: pair.notes.data)
        assert pair.notes.calls == ["made", b"slow"]


async def test_reading_is_paused_amid_what_has_come(kind: str) -> None:
    pieces = [bytes((number,)) * 16_384 for number in range(10)]
    async with TLSScene(kind) as scene:
        pair = await scene.connect(data=lambda notes: notes.transport.pause_reading())
        records = pair.records(*pieces)
        while records:
            try:
                records = records[pair.peer.send(records) :]
            except BlockingIOError:
                pair.transport.resume_reading()
            await turns(2)
        for _ in range(40):
            size = len(pair.notes.data)
            await turns()
            assert len(pair.notes.data) == size
            assert pair.transport.is_reading() is False
            if size == 163_840:
                break
            pair.transport.resume_reading()
            await until(lambda size=size: len(pair.notes.data) > size)  # type: ignore[misc]
        assert pair.notes.data == b"".join(pieces)


async def test_a_goodbye(kind: str) -> None:
    async with TLSScene(kind) as scene:
        pair = await scene.connect()
        pair.notes.keep_open = True
        pair.tls.write(b"last")
        with pytest.raises(ssl.SSLWantReadError):
            pair.tls.unwrap()
        await pair.send_records()
        await until(lambda: "eof" in pair.notes.calls)
        pair.peer.shutdown(socket.SHUT_WR)
        await turns()
        assert pair.notes.calls == ["made", b"last", "eof"]
        pair.transport.write(b"answer")
        pair.transport.close()
        assert (await pair.receive_to_end()) != b""
        await until(lambda: pair.notes.lost)


@pytest.mark.parametrize("keep_open", [True, False])
async def test_a_peer_that_leaves_without_a_word(kind: str, keep_open: bool) -> None:
    async with TLSScene(kind) as scene:
        pair = await scene.connect()
        pair.notes.keep_open = keep_open
        pair.peer.shutdown(socket.SHUT_WR)
        await until(lambda: "eof" in pair.notes.calls)
        if keep_open:
            pair.transport.write(b"still here")
            assert await pair.hear(10) == b"still here"
            pair.transport.close()
        await until(lambda: pair.notes.lost)
        assert pair.notes.names == ["made", "eof", "lost"]


async def test_what_is_no_record(kind: str) -> None:
    async with TLSScene(kind) as scene:
        pair = await scene.connect()
        record = bytearray(pair.records(b"changed on its way"))
        record[-1] ^= 1
        pair.peer.send(record)
        await until(lambda: pair.notes.lost)
        assert pair.notes.names == ["made", "lost"]
        assert issubclass(pair.notes.error, ssl.SSLError)


async def test_a_protocol_that_fails_later(kind: str) -> None:
    async with TLSScene(kind) as scene:
        pair = await scene.connect(data=lambda notes: notes.hooks["then"](notes))
        pair.notes.hooks["then"] = lambda notes: notes.transport.pause_reading()
        pair.say(*[bytes(16_384)] * 3)
        pair.say(*[bytes(16_384)] * 3)
        await until(lambda: pair.notes.data)
        await turns()

        def fail(notes: object) -> None:
            raise ValueError("of the protocol")

        pair.notes.hooks["then"] = fail
        pair.transport.resume_reading()
        await until(lambda: pair.notes.lost)
        assert isinstance(scene.take_error(), ValueError)


# ----------------------------------------------------------------- our bytes


async def test_pieces_leave_together(kind: str) -> None:
    async with TLSScene(kind) as scene:
        pair = await scene.connect()
        pair.decrypt()
        pair.transport.writelines([b"head", b"", b"body"])
        data = receive_all(pair.peer)
        assert int.from_bytes(data[3:5], "big") + 5 == len(data)  # one record
        pair.incoming.write(data)
        assert pair.decrypt() == b"headbody"


@pytest.mark.parametrize("pieces", [1, 3, 500])
async def test_more_than_the_system_takes(kind: str, pieces: int) -> None:
    data = pattern(3_000_000)
    async with TLSScene(kind) as scene:
        pair = await scene.connect(small=True)
        step = len(data) // pieces
        for start in range(0, len(data), step):
            pair.transport.write(data[start : start + step])
        waiting = pair.backlog
        assert waiting > len(data) // 2
        # Of what waits, no more than a chunk is there twice.
        assert waiting < len(data) + 2 * CHUNK
        assert await pair.hear(len(data)) == data
        await until(lambda: pair.backlog == 0)
        await turns()
        assert scene.idle()
        assert pair.notes.calls == ["made", "pause", "resume"]


async def test_water_marks(kind: str) -> None:
    async with TLSScene(kind) as scene:
        pair = await scene.connect(small=True)
        transport = pair.transport
        with pytest.raises(ValueError, match="water marks"):
            transport.set_write_buffer_limits(high=1, low=2)
        transport.set_write_buffer_limits(high=1_000_000)
        assert transport.get_write_buffer_limits() == (250_000, 1_000_000)
        transport.write(bytes(900_000))
        assert pair.notes.calls == ["made"]
        transport.write(bytes(900_000))
        assert pair.notes.calls == ["made", "pause"]
        transport.set_write_buffer_limits(high=0, low=0)
        await pair.hear(1_800_000)
        await until(lambda: "resume" in pair.notes.calls)
        assert pair.backlog == 0
        transport.set_write_buffer_limits(low=10)
        assert transport.get_write_buffer_limits() == (10, 40)


# ----------------------------------------------------------------- the end


@pytest.mark.parametrize("size", [0, 5, 1_000_000])
async def test_closing_says_goodbye_behind_all_bytes(kind: str, size: int) -> None:
    data = pattern(size)
    async with TLSScene(kind) as scene:
        pair = await scene.connect(small=True)
        pair.transport.write(data)
        pair.transport.close()
        pair.transport.close()
        assert pair.transport.is_closing()
        pair.transport.write(b"ignored")
        assert await pair.hear_to_end() == data
        await until(lambda: pair.notes.lost)
        assert pair.notes.error is None
        assert pair.peer.recv(1) == b""


@pytest.mark.parametrize("size", [0, 1_000_000])
async def test_the_sending_side_alone(kind: str, size: int) -> None:
    data = pattern(size)
    async with TLSScene(kind) as scene:
        pair = await scene.connect(small=True)
        pair.notes.keep_open = True
        assert pair.transport.can_write_eof()
        pair.transport.write(data)
        pair.transport.write_eof()
        with pytest.raises(RuntimeError):
            pair.transport.write(b"more")
        with pytest.raises(RuntimeError):
            pair.transport.writelines([b"more"])
        assert await pair.hear_to_end() == data
        pair.say(b"heard")
        await until(lambda: pair.notes.data == b"heard")
        pair.transport.close()
        await until(lambda: pair.notes.lost)
        assert pair.peer.recv(1) == b""


async def test_an_abort(kind: str) -> None:
    async with TLSScene(kind) as scene:
        pair = await scene.connect(small=True)
        pair.transport.write(bytes(1_000_000))
        pair.transport.abort()
        pair.transport.write(b"ignored")
        assert pair.transport.is_closing()
        await until(lambda: pair.notes.lost)
        assert pair.backlog == 0
        assert pair.transport.get_protocol() is None


def unread_in(transport: Any) -> int:
    """Return how many bytes of a peer a transport holds; only of the Python twin."""
    return int(transport._incoming.pending)


@pytest.mark.parametrize("how", ["close", "goodbye"])
async def test_what_comes_after_the_end_stays_in_the_system(kind: str, how: str) -> None:
    """A peer that reads nothing keeps the transport; what it sends must not pile up in it."""
    async with TLSScene(kind) as scene:
        pair = await scene.connect(small=True, eof=lambda notes: notes.transport.close())
        pair.transport.write(bytes(4_000_000))
        if how == "close":
            pair.transport.close()
        else:
            pair.tls.write(b"last")
            try:
                pair.tls.unwrap()
            except ssl.SSLWantReadError:
                pass
            pair.peer.sendall(pair.outgoing.read())
            await until(lambda: "eof" in pair.notes.names)
        record = bytes((0x17, 3, 3, 0x40, 0)) + bytes(16_384)
        pair.peer.setblocking(False)
        taken = 0
        for _ in range(2000):
            await turns()
            try:
                taken += pair.peer.send(record)
            except BlockingIOError:
                break
        else:
            pytest.fail(f"{taken} bytes were taken")
        if kind.startswith("py"):
            assert unread_in(pair.transport) < 100_000


async def test_a_peer_that_asks_for_answers_and_reads_none_is_given_up(kind: str) -> None:
    """TLS 1.3 lets a peer ask for new keys again and again (RFC 8446 §4.6.3)."""
    async with TLSScene(kind) as scene:
        pair = await scene.connect(small=True)
        pair.transport.write(bytes(4_000_000))  # the peer reads nothing
        if kind.startswith("c-"):
            pytest.skip("the client cannot ask for keys, and the compiled twin hides its parts")
        # What many requests for new keys make OpenSSL put there.
        pair.transport._outgoing.write(bytes(20_000))
        pair.say(b"hello")
        await until(lambda: pair.notes.lost)
        assert pair.notes.calls[-1] == ("lost", ConnectionAbortedError)
