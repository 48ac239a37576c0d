"""The same script on our transports and on asyncio's own: the same calls, the same bytes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.unit.connection.pairs import OURS, Notes, Pair, Scene, pattern, receive_all, turns

SIZES = st.sampled_from([0, 1, 10, 1_000, 70_000])
#: What the protocol and its peer do. After each step both get time.
STEPS = st.one_of(
    st.tuples(st.just("write"), SIZES),
    st.tuples(st.just("writelines"), st.lists(SIZES, max_size=20)),
    st.tuples(st.just("peer sends"), SIZES),
    st.tuples(st.just("peer reads"), st.none()),
    st.tuples(st.just("peer ends"), st.none()),
    st.tuples(st.just("peer closes"), st.none()),
    st.tuples(st.just("pause"), st.none()),
    st.tuples(st.just("resume"), st.none()),
    st.tuples(st.just("end"), st.none()),
    st.tuples(st.just("close"), st.none()),
    st.tuples(st.just("abort"), st.none()),
    st.tuples(st.just("limits"), st.sampled_from([0, 10, 100_000])),
)


class Script:
    """Runs steps on one connection and keeps what can be seen from outside.

    Args:
        early: a peer that has gone may be noticed while nobody reads, which asyncio does not.
    """

    def __init__(self, pair: Pair, early: bool) -> None:
        self.pair = pair
        self._early = early
        self.seen: list[Any] = []
        self.received: list[bytes] = []
        self._sent = 0
        self._half_closed = self._gone = False

    def _bytes(self, size: int) -> bytes:
        """Make bytes that have not been written before."""
        begin, self._sent = self._sent, self._sent + size
        return pattern(self._sent)[begin:]

    async def run(self, steps: list[tuple[str, Any]]) -> None:
        for name, argument in steps:
            self._step(name, argument)
            await turns(4)
            self._look()

    def _step(self, name: str, argument: Any) -> None:
        pair, transport = self.pair, self.pair.transport
        if name.startswith("peer"):
            if not self._gone:
                self._peer(name, argument)
            return
        if pair.notes.lost or (self._gone and self._early):  # asyncio's fail when lost
            return
        if name in ("write", "writelines"):
            # What is written to a closing transport is ours to decide.
            if transport.is_closing():
                return
            try:
                if name == "write":
                    transport.write(self._bytes(argument))
                else:
                    self._write_pieces([self._bytes(size) for size in argument])
            except RuntimeError:
                self.seen.append("refused")
        elif name == "limits":
            if argument <= transport.get_write_buffer_limits()[1]:  # else ours resume, not asyncio
                transport.set_write_buffer_limits(high=argument)
        elif name == "resume":
            if "eof" not in pair.notes.calls:  # asyncio tells the end twice
                transport.resume_reading()
        else:
            method = {"pause": "pause_reading", "end": "write_eof"}.get(name, name)
            getattr(transport, method)()

    def _write_pieces(self, pieces: list[bytes]) -> None:
        transport = self.pair.transport
        if type(transport).__module__.startswith("asyncio"):
            transport.write(b"".join(pieces))  # its writelines forgets to pause from 3.12 on
        else:
            transport.writelines(pieces)

    def _peer(self, name: str, argument: Any) -> None:
        peer = self.pair.peer
        if name == "peer reads":
            self._read()
        elif name == "peer closes":
            self._read()
            self._gone = True
            peer.close()
        elif self._half_closed:
            return
        elif name == "peer ends":
            self._half_closed = True
            peer.shutdown(1)
        else:
            try:
                peer.send(pattern(argument))
            except (BlockingIOError, BrokenPipeError):
                pass

    def _read(self) -> None:
        self.received.append(receive_all(self.pair.peer))

    def _look(self) -> None:
        notes = self.pair.notes
        if self._gone and self._early:
            return
        self.seen.append((tuple(notes.names), len(notes.data), self.pair.transport.is_closing()))

    async def finish(self) -> None:
        """Take what is left at both ends, then end what has not ended."""
        notes = self.pair.notes
        if not self._gone:
            for _ in range(60):
                self._read()
                await asyncio.sleep(0)
        self._look()
        if not notes.lost:
            self.pair.transport.abort()
            await turns(4)
        self._look()


async def run(
    kind: str, steps: list[tuple[str, Any]], keep_open: bool, early: bool
) -> tuple[Any, bytes]:
    async with Scene(kind) as scene:
        pair = await scene.pair("unix", small=True)
        pair.notes.keep_open = keep_open
        script = Script(pair, early)
        await script.run(steps)
        await script.finish()
        assert_order(pair.notes)
        return script.seen, b"".join(script.received)


def assert_order(notes: Notes) -> None:
    names = notes.names
    assert names[0] == "made"
    assert names[-1] == "lost"
    assert names.count("made") == names.count("lost") == 1
    assert names.count("eof") <= 1
    flow = [name for name in names if name in ("pause", "resume")]
    assert all(name == ("pause", "resume")[place % 2] for place, name in enumerate(flow))


def on_asyncio(
    kind: str, steps: list[tuple[str, Any]], keep_open: bool, early: bool
) -> tuple[Any, bytes]:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(run(kind, steps, keep_open, early))


@pytest.mark.parametrize("kind", OURS)
@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@seed(1)
@given(steps=st.lists(STEPS, max_size=15), keep_open=st.booleans())
def test_as_asyncio(kind: str, steps: list[tuple[str, Any]], keep_open: bool) -> None:
    early = kind.endswith("epoll")
    ours = on_asyncio(kind, steps, keep_open, early)
    assert ours == on_asyncio("asyncio", steps, keep_open, early)
