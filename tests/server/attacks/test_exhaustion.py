"""Attacks on memory, time and descriptors (rows 13, 14, 15, 59) and on sockets (row 61)."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Awaitable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.conftest import TRANSPORTS
from tests.server.attacks.site import Recorder, Site, attacked, process
from tests.server.attacks.wire import Wire, eventually, get

HEAD = b"GET / HTTP/1.1\r\nHost: h\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
MIB = 1 << 20


# --- row 13 ----------------------------------------------------------------------------------


async def dribble(wire: Wire, data: bytes, size: int) -> int:
    """Send ``data`` in pieces, each in a packet of its own; stop when the server has answered.

    Returns:
        bytes sent.
    """
    loop = asyncio.get_running_loop()
    answered = loop.create_future()
    loop.add_reader(wire.sock.fileno(), lambda: answered.done() or answered.set_result(None))
    sent = 0
    try:
        while sent < len(data) and not answered.done():
            if not await wire.send(data[sent : sent + size]):
                break
            sent += size
            await asyncio.sleep(0)
    finally:
        loop.remove_reader(wire.sock.fileno())
    return sent


@pytest.mark.spec("HTTP-54")
@pytest.mark.parametrize(
    ("data", "status", "limit"),
    [
        (HEAD + b"X: " + b"a" * MIB, 431, 5000),
        (HEAD + b"x: y\r\n" * 170_000, 431, 5000),
        (HEAD + b"a" * MIB, 431, 5000),
        (b"GET /" + b"a" * MIB, 414, 3000),
        (b"A" * MIB, 414, 3000),
        (HEAD + b"X: " + b"\r" * MIB, 431, 5000),
        (HEAD + b"\r\r\r" * MIB, 431, 5000),
    ],
    ids=["value", "fields", "name", "target", "method", "CRs", "line of CRs"],
)
async def test_row_13_oversized_head_in_single_bytes(data: bytes, status: int, limit: int) -> None:
    """It is refused where the limit is, not where the head ends."""
    async with attacked(max_head_size=5000, max_target_size=3000) as site:
        async with await site.open() as wire:
            sent = await dribble(wire, data, 1)
            assert sent < limit + 1000
            assert (await wire.refusal()).status == status
        assert site.app.seen == []
    assert f"{status} protocol_error" in site.log


@pytest.mark.spec("HTTP-54")
async def test_row_13_many_oversized_heads_hold_no_memory() -> None:
    """Fifty peers dribble a head each up to the limit of 64 KiB and stay."""
    async with process("count", "--no-access-log") as site:
        before = site.resident()
        wires = [await site.open() for _ in range(50)]
        for wire in wires:
            await wire.send(HEAD + b"X: " + b"a" * 64_000)
        for wire in wires:
            await dribble(wire, b"b" * 100, 1)
        assert (await get(site.port)).status == 200
        assert site.resident() - before < 50 * 3 * 65_536 + 4 * MIB
        for wire in wires:
            await wire.send(b"b" * 2000)
            assert (await wire.refusal()).status == 431
            wire.close()


# --- row 14 ----------------------------------------------------------------------------------


@pytest.mark.spec("HTTP-54", "HTTP-13")
async def test_row_14_tiny_chunks_cost_linear_time_and_no_memory() -> None:
    """Twice as many chunks of one byte cost twice the time, and never more memory."""
    async with process("count", "--no-access-log") as site:

        async def upload(size: int, chunk: bytes) -> float:
            begun = site.processor_seconds()
            async with await site.open() as wire:
                await wire.send(CHUNKED)
                for _ in range(size // 10_000):
                    assert await wire.send(chunk * 10_000)
                await wire.send(b"0\r\n\r\n")
                answer = await wire.answer()
                assert answer.body.split()[0] == b"%d" % size
                # A message for each chunk would cost the application dearly.
                assert int(answer.body.split()[1]) < size / 100
            return site.processor_seconds() - begun

        await upload(100_000, b"1\r\na\r\n")
        before = site.resident()
        small = await upload(500_000, b"1\r\na\r\n")
        large = await upload(1_000_000, b"1\r\na\r\n")
        assert large < 3.5 * small + 0.2
        assert site.resident_peak() - before < 8 * MIB


@pytest.mark.spec("HTTP-13")
async def test_row_14_a_body_in_single_bytes_that_nobody_receives() -> None:
    """What waits for an application that does not read is bounded, in bytes and in pieces."""
    async with process("blocked", "--no-access-log") as site:
        before = site.resident()
        async with await site.open() as wire:
            await wire.send(CHUNKED)
            await wire.send_while(b"1\r\na\r\n" * 5000, 0.3)
        async with await site.open() as wire:
            await wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n")
            await wire.send_while(bytes(65_536), 0.3)
        assert site.resident_peak() - before < 8 * MIB
        assert (await get(site.port, b"/open")).status == 200


# --- row 15 ----------------------------------------------------------------------------------


class Endless(Recorder):
    """``/endless`` never ends, ``/wait`` waits for the client to leave; others as ever."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/endless":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            try:
                while True:
                    body = {"type": "http.response.body", "body": bytes(65_536), "more_body": True}
                    await send(body)
            except OSError:
                while (message := await receive())["type"] != "http.disconnect":
                    pass
                self.ends.append(message["reason"])
        else:
            await super().__call__(scope, receive, send)


TIMEOUTS = {
    "header_timeout": 1,
    "body_timeout": 1,
    "write_timeout": 1,
    "keepalive_timeout": 1,
    "linger_timeout": 0.5,
}


async def _closed_in_time(wire: Wire, begun: float) -> bytes:
    rest = await wire.rest()
    seconds = monotonic() - begun
    # A deadline is never early, late by the resolution and a tick, and the machine is shared.
    assert 0.9 <= seconds < 6.0, seconds
    return rest


async def _silent(site: Site, begun: float) -> None:
    async with await site.open() as wire:
        assert await _closed_in_time(wire, begun) == b""


async def _only_line_ends(site: Site, begun: float) -> None:
    async with await site.open() as wire:
        await wire.send(b"\r\n")
        assert await _closed_in_time(wire, begun) == b""


async def _slow_head(site: Site, begun: float) -> None:
    """A byte now and then buys no time."""
    async with await site.open() as wire:
        for byte in HEAD + b"X: " + b"a" * 100:
            if wire.was_reset or not await wire.send(bytes([byte])):
                break
            try:
                async with asyncio.timeout(0.1):
                    wire.waiting += await wire.receive()
                break
            except TimeoutError:
                pass
        assert (await _closed_in_time(wire, begun)).startswith(b"HTTP/1.1 408 ")


async def _slow_second_head(site: Site, begun: float) -> None:
    async with await site.open() as wire:
        await wire.send(HEAD + b"\r\n" + HEAD)
        assert (await wire.answer()).status == 200
        assert (await _closed_in_time(wire, begun)).startswith(b"HTTP/1.1 408 ")


async def _idle(site: Site, begun: float) -> None:
    async with await site.open() as wire:
        await wire.send(HEAD + b"\r\n")
        assert (await wire.answer()).status == 200
        assert await _closed_in_time(wire, begun) == b""


async def _stalled_body(site: Site, begun: float, head: bytes) -> None:
    async with await site.open() as wire:
        await wire.send(head)
        assert (await _closed_in_time(wire, begun)).startswith(b"HTTP/1.1 408 ")


async def _stalled_after_continue(site: Site, begun: float) -> None:
    async with await site.open() as wire:
        head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        await wire.send(head)
        assert (await wire.answer()).status == 100
        assert (await _closed_in_time(wire, begun)).startswith(b"HTTP/1.1 408 ")


async def _reads_nothing(site: Site, begun: float) -> None:
    async with await site.open(4096) as wire:
        await wire.send(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
        await eventually(lambda: "write_timeout" in site.app.ends, 10)
        assert 0.9 <= monotonic() - begun < 6.0


async def _sends_on_after_an_error(site: Site, begun: float) -> None:
    async with await site.open() as wire:
        await wire.send(b"nonsense\r\n\r\n")
        while await wire.send(b"more nonsense\r\n"):
            assert monotonic() - begun < 6.0
            await asyncio.sleep(0.05)


@pytest.mark.spec("HTTP-55", "HTTP-56", "HTTP-57", "HTTP-58")
async def test_row_15_whoever_is_slow_is_closed() -> None:
    """All kinds of slowness at once; each is closed at its deadline, and the log says which."""
    async with attacked(Endless(), **TIMEOUTS) as site:
        begun = monotonic()
        attackers: list[Awaitable[None]] = [
            _silent(site, begun),
            _only_line_ends(site, begun),
            _slow_head(site, begun),
            _slow_second_head(site, begun),
            _idle(site, begun),
            _stalled_body(site, begun, CHUNKED + b"5\r\nhel"),
            _stalled_body(site, begun, CHUNKED.replace(b"chunked\r\n", b"chunked\r\nX: y\r\n")),
            _stalled_body(site, begun, HEAD.replace(b"GET", b"PUT") + b"Content-Length: 9\r\n\r\n"),
            _stalled_after_continue(site, begun),
            _reads_nothing(site, begun),
            _sends_on_after_an_error(site, begun),
        ]
        await asyncio.gather(*attackers)
        assert sorted(site.app.ends) == ["client_timeout"] * 4 + ["write_timeout"]
    assert site.log.count(" 408 client_timeout") == 6
    assert site.log.count('"GET /endless HTTP/1.1" 200 write_timeout') == 1


@pytest.mark.spec("HTTP-57", "HTTP-58")
async def test_row_15_whoever_is_slow_but_moves_is_served() -> None:
    """A deadline is about standing still: each of these takes longer than any of them."""

    async def slow_body(site: Site) -> None:
        async with await site.open() as wire:
            await wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n")
            for _ in range(20):
                await wire.send(b"a")
                await asyncio.sleep(0.2)
            assert (await wire.answer()).body == b"served 20"

    async def slow_reader(site: Site, body: bytes) -> None:
        """The response is complete for the application at once, and takes long to arrive."""
        async with await site.open(4096) as wire:
            await wire.send(b"POST /large HTTP/1.1\r\nHost: h\r\n" + body)
            got = 0
            for _ in range(30):
                got += len(await wire.receive(50_000))
                await asyncio.sleep(0.1)
            assert got < MIB, "it was no slow reader"
            while got < 3 * MIB and (data := await wire.receive()):
                got += len(data)
            assert got >= 3 * MIB, f"cut after {got} bytes"

    class Large(Recorder):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] != "/large":
                await super().__call__(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": bytes(3 * MIB)})

    unread = b"Content-Length: 9999999\r\n\r\n" + bytes(100)
    async with attacked(Large(), **TIMEOUTS) as site:
        await asyncio.gather(
            slow_body(site),
            slow_reader(site, b"\r\n"),
            slow_reader(site, b"Connection: close\r\n\r\n"),
            slow_reader(site, unread),
        )


# --- row 59 ----------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="lowers the limit with prlimit")
async def test_row_59_out_of_descriptors() -> None:
    """Sixty-four descriptors and a flood: it warns once, and serves again afterwards."""
    command = ("prlimit", "--nofile=64:64")
    async with process("count", "--max-connections", "1000", command=command) as site:
        before = site.sockets()
        flood = [await site.open() for _ in range(150)]
        for wire in flood:
            await wire.send(HEAD + b"\r\n")
        for wire in flood[:30]:
            assert (await wire.answer()).status == 200
        used = site.processor_seconds()
        await asyncio.sleep(0.5)
        assert site.processor_seconds() - used < 0.3, "it spins"
        for wire in flood:
            wire.close()
        for _ in range(20):
            assert (await get(site.port)).status == 200
        await eventually(lambda: site.sockets() <= before)
    warnings = [line for line in site.lines if "WARNING" in line]
    assert len(warnings) == 1, warnings
    assert "cannot accept connections for now: Too many open files" in warnings[0]


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="lowers the limit with prlimit")
@pytest.mark.spec("HTTP-44")
async def test_row_59_the_limit_of_connections_comes_first() -> None:
    """By default nobody runs out of descriptors: who is too many is told so."""
    command = ("prlimit", "--nofile=512:2048")
    async with process("count", command=command) as site:
        flood = [await site.open() for _ in range(409)]
        for wire in flood:
            await wire.send(HEAD + b"\r\n")
            assert (await wire.answer()).status == 200
        for _ in range(100):
            async with await site.open() as wire:
                assert (await wire.answer()).status == 503
        for wire in flood:
            wire.close()
        await eventually(lambda: site.sockets() < 100)
        assert (await get(site.port)).status == 200
    assert [line for line in site.lines if "WARNING" in line] == []
    assert len([line for line in site.lines if " 503 " in line]) >= 100


@pytest.mark.spec("HTTP-44")
async def test_row_59_too_many_connections() -> None:
    """Who is too many is told so, whether it has sent its request already or not."""
    async with attacked(max_connections=5) as site:
        held = [await site.open() for _ in range(5)]
        for wire in held:
            await wire.send(HEAD + b"\r\n")
            assert (await wire.answer()).status == 200
        for early in (True, False):
            async with await site.open() as wire:
                if early:
                    await wire.send(HEAD + b"\r\n")
                answer = await wire.answer()
                assert answer.status == 503
                assert answer.fields[b"retry-after"] == b"5"
                assert await wire.rest() == b""
        for wire in held:
            wire.close()
    assert site.log.count("503 -") == 2


async def test_row_59_connections_that_leave_before_they_are_accepted() -> None:
    async with attacked() as site:
        for number in range(300):
            wire = await site.open()
            if number % 3 == 0:
                await wire.send(HEAD)
            if number % 2:
                wire.reset()
            else:
                wire.close()
        assert site.app.seen == []


# --- row 61 ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({}, 0o600),
        ({"socket_mode": "0660"}, 0o660),
        ({"socket_mode": "0666"}, 0o666),
    ],
)
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
async def test_row_61_modes_of_unix_sockets(
    options: dict[str, str], mode: int, umask: int, tmp_path: Path
) -> None:
    """Nobody else may connect unless told otherwise, whatever the umask."""
    path = str(tmp_path / "app.sock")
    before = os.umask(umask)
    try:
        async with attacked(socket=path, **options):
            assert stat.S_IMODE(os.stat(path).st_mode) == mode
            assert os.umask(umask) == umask, "the umask of the process was changed"
    finally:
        os.umask(before)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["file", "link", "dangling", "directory", "used"])
async def test_row_61_a_path_that_is_taken_is_left_alone(kind: str, tmp_path: Path) -> None:
    """Neither a file nor what a link points to is replaced, and no other server's socket."""
    import pagi
    from pagi.server.errors import StartError

    path = tmp_path / "app.sock"
    target = tmp_path / "target"
    if kind == "file":
        path.write_text("kept")
    elif kind == "link":
        target.write_text("kept")
        path.symlink_to(target)
    elif kind == "dangling":
        path.symlink_to(target)
    elif kind == "directory":
        path.mkdir()
    else:
        async with attacked(socket=str(path)):
            with pytest.raises(StartError):
                await pagi.serve(Recorder(), socket=str(path), access_log=None)
        return
    with pytest.raises(StartError):
        await pagi.serve(
            Recorder(), socket=str(path), access_log=None, lifespan="off", transports=TRANSPORTS
        )
    assert path.is_symlink() == (kind in ("link", "dangling"))
    if kind in ("file", "link"):
        assert path.read_text() == "kept"
    assert target.exists() == (kind == "link")


async def test_row_61_only_this_machine_by_default() -> None:
    async with attacked() as site:
        assert site.server.sockets[0].sock.getsockname()[0] == "127.0.0.1"
