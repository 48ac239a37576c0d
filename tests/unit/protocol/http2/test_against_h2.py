"""Whole dialogues with the library `h2`: what it sends arrives, what it is sent it takes.

The library checks what the engine does: states of streams, flow control, HPACK. What it cannot
know is checked here: that bytes arrive whole, once and with the right ends, and that nothing is
left of a stream that has ended, neither its state nor credit of the connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from h2.windows import WindowManager
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.protocol.http2.dialogue import LAST_POSSIBLE, Dialogue, Exchange, content
from tests.unit.protocol.http2.driving import twins

METHODS = ["GET", "POST", "HEAD", "CONNECT"]
SIZES = st.one_of(
    st.integers(0, 40),
    st.integers(0, 70_000),
    st.sampled_from([16_383, 16_384, 16_385, 32_768, 65_535, 65_536]),
)
WINDOWS = [0, 1, 10, 1000, 16_384, 65_535, 200_000]
FRAMES = [16_384, 16_385, 50_000, 2**24 - 1]
TABLES = [0, 100, 4096, 65_536]

#: What may happen next, with how often it is drawn.
ACTIONS = {
    "open": 5,
    "upload": 5,
    "upload_trailers": 1,
    "cancel": 1,
    "give_credit": 3,
    "change_settings": 3,
    "ask_for_echo": 1,
    "reprioritize": 1,
    "begin": 4,
    "download": 5,
    "download_trailers": 2,
    "respond": 3,
    "inform": 1,
    "refuse": 1,
    "abort": 1,
    "consume": 3,
    "ping": 1,
    "carry_up": 7,
    "carry_down": 7,
}
#: An action, of which stream, how much, and three bits that each takes as it likes.
STEPS = st.tuples(
    st.sampled_from([name for name, weight in ACTIONS.items() for _ in range(weight)]),
    st.integers(0, 5),
    SIZES,
    st.integers(0, 15),
)
LIMITS = st.fixed_dictionaries(
    {
        "max_concurrent_streams": st.integers(1, 6),
        "window_size": st.sampled_from([300, 5000, 65_535, 100_000]),
        "connection_window_size": st.sampled_from([65_535, 70_001, 150_000]),
        "max_frame_size": st.sampled_from([16_384, 30_000]),
    }
)
#: The end of the connection begins before this step, if ever.
CLOSING = st.none() | st.integers(0, 60)

of_engines = pytest.mark.parametrize("new_engine", twins("connection", "HTTP2Connection"))


@pytest.fixture(autouse=True, scope="module")
def _empty_frames_need_no_credit() -> Iterator[None]:
    """Correct the library: it refuses empty DATA where a window is negative (RFC 9113 §6.9.1)."""
    original = WindowManager.window_consumed

    def consume(self: WindowManager, size: int) -> None:
        if size:
            original(self, size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WindowManager, "window_consumed", consume)
        yield


def choose(exchanges: list[Exchange], index: int) -> Exchange | None:
    return exchanges[index % len(exchanges)] if exchanges else None


def do(dialogue: Dialogue, action: str, index: int, size: int, bits: int) -> None:
    """Do one step, if it is one that may be done now."""
    if action == "carry_up":
        dialogue.carry_up([1, 7, 100, 1 << 30][bits % 4] if size < 5000 else max(size, 1000))
    elif action == "carry_down":
        dialogue.carry_down(None if bits & 1 else size)
    elif action == "ask_for_echo":
        dialogue.ask_for_echo()
    elif action == "ping":
        dialogue.machine.ping()
    elif action == "change_settings":
        dialogue.change_settings(
            WINDOWS[(index + bits) % len(WINDOWS)], FRAMES[bits % 4], TABLES[bits // 4]
        )
    elif action == "open":
        limit = dialogue.limits.max_concurrent_streams
        if dialogue.client.open_outbound_streams < limit and not dialogue.farewells:
            dialogue.open(METHODS[index % 4], index == 0, bits)
    elif action in ("upload", "upload_trailers", "cancel", "give_credit", "reprioritize"):
        do_as_client(dialogue, action, index, size, bits)
    else:
        do_as_server(dialogue, action, index, size, bits)


def do_as_client(dialogue: Dialogue, action: str, index: int, size: int, bits: int) -> None:
    streams = list(dialogue.streams.values())
    sending = choose([each for each in streams if each.client_may_send], index)
    hearing = choose(
        [each for each in streams if not (each.given_up or each.codes or each.down.ends)], index
    )
    if action == "upload" and sending is not None:
        dialogue.upload(sending, size, size % 256 if bits & 1 else 0, bits & 2 != 0)
    elif action == "upload_trailers" and sending is not None and sending.method != "CONNECT":
        dialogue.upload_trailers(sending)
    elif action == "cancel" and hearing is not None:
        if hearing.early == hearing.got_early:  # the library knows no 1xx behind its reset
            dialogue.cancel(hearing)
    elif action == "give_credit" and (hearing is not None or bits & 1):
        dialogue.give_credit(None if bits & 1 else hearing, size + 1)
    elif action == "reprioritize" and sending is not None:
        dialogue.client.prioritize(sending.number, weight=bits + 1)


def do_as_server(dialogue: Dialogue, action: str, index: int, size: int, bits: int) -> None:
    streams = list(dialogue.streams.values())
    sending = [each for each in streams if each.server_may_send and not each.lost]
    waiting = choose([each for each in sending if not each.begun], index)
    begun = choose([each for each in sending if each.begun], index)
    if action == "consume":
        reading = choose([each for each in streams if each.unread], index)
        if reading is not None:
            dialogue.consume(reading, min(size, reading.unread))
    elif action == "begin" and waiting is not None:
        dialogue.begin(waiting, None, bits & 1 != 0)
    elif action == "respond" and waiting is not None:
        dialogue.respond(waiting, size)
    elif action == "inform" and waiting is not None:
        dialogue.inform(waiting)
    elif action == "download" and begun is not None and not begun.down_whole:
        dialogue.download(begun, size if bits & 6 else 0, bits & 1 != 0)
    elif action == "download_trailers" and begun is not None and begun.promised:
        dialogue.download_trailers(begun)
    elif action in ("refuse", "abort"):
        anyone = choose(sending, index)
        if anyone is not None:
            getattr(dialogue, action)(anyone)


def settle(dialogue: Dialogue) -> None:
    """Let everything come to its end: credit for all, ends of all bodies, nothing unread."""
    carry_all(dialogue)
    dialogue.change_settings(1 << 20, 16_384, 4096)
    dialogue.give_credit(None, 1 << 24)
    for _ in range(4):
        carry_all(dialogue)
        for each in dialogue.streams.values():
            if each.unread:
                dialogue.consume(each, each.unread)
            if each.server_may_send and (not each.lost or each.method == "CONNECT"):
                end_response(dialogue, each)
        carry_all(dialogue)
        for each in dialogue.streams.values():
            if is_ignored(dialogue, each) and not each.given_up:
                dialogue.cancel(each)
            elif each.client_may_send:
                dialogue.upload(each, 0, 0, True)
    carry_all(dialogue)


def end_response(dialogue: Dialogue, each: Exchange) -> None:
    if not each.begun:
        dialogue.begin(each, None, False)
    if each.promised:
        dialogue.download_trailers(each)
    else:
        dialogue.download(each, 0, True)


def carry_all(dialogue: Dialogue) -> None:
    """Carry bytes both ways until there are none."""
    for _ in range(3):
        dialogue.carry_up(1 << 30)
        dialogue.carry_down(None)
    dialogue.carry_down(None)
    assert not dialogue.outbox(), "the dialogue does not come to rest"
    assert not dialogue.machine.data_to_send(), "something was left to be pulled"


def is_ignored(dialogue: Dialogue, each: Exchange) -> bool:
    """Tell whether a stream came too late: the engine has said which is the last that it takes."""
    return bool(dialogue.farewells) and each.number > dialogue.farewells[-1]


def check(dialogue: Dialogue) -> None:
    assert sorted(dialogue.pongs) == dialogue.pings or dialogue.machine.finished
    taken = [each for each in dialogue.streams.values() if not is_ignored(dialogue, each)]
    assert sorted(dialogue.closed) == [each.number for each in taken]
    assert dialogue.machine.idle
    assert dialogue.client.open_outbound_streams == 0
    for each in dialogue.streams.values():
        assert not dialogue.machine.is_open(each.number)
        assert dialogue.machine.buffered(each.number) == 0
        if each in taken:
            check_request(each)
            check_response(each)
        else:
            assert not each.requests


def check_request(each: Exchange) -> None:
    """Check what the engine made of what the client sent."""
    up = each.up
    sent = content(each.number, 0, up.sent)
    assert each.requests == 1
    assert len(each.lost) <= 1 + (each.method == "CONNECT")  # its end, and a reset
    if each.given_up or (each.down.ends and not up.ends):
        assert sent.startswith(up.got)
    else:
        assert up.got == sent
        if each.method == "CONNECT" and not up.ends:
            assert [loss.reason for loss in each.lost] == ["client_closed"]
        else:
            assert (up.ends, up.got_trailers) == (1, up.trailers)


def check_response(each: Exchange) -> None:
    """Check what the client heard of what the engine was given."""
    down = each.down
    sent = b"" if each.silent else content(each.number, 0, down.sent)
    if each.refusal is not None:
        sent = each.refusal
    if each.given_up:
        assert sent.startswith(down.got)
        return
    if any(loss.reason == "client_closed" for loss in each.lost):
        # A tunnel ends on both sides together; what the engine was given later goes nowhere.
        assert sent.startswith(down.got)
        assert down.ends == 1 or each.codes
        return
    assert down.got == sent
    assert (down.ends, down.got_trailers) == (1, down.trailers)
    assert each.got_early == each.early
    assert set(each.codes) <= {0}, "only an upload is stopped, and that is no error"


def check_credit(dialogue: Dialogue) -> None:
    """Nothing is unread, so the client must have all credit but what is told to it in sum.

    How much that is shows when it is told: then it must have what it had at the beginning.
    """
    limits = dialogue.limits
    start = max(limits.connection_window_size, 65_535)
    dialogue.open("POST", False, 0)
    carry_all(dialogue)
    (each,) = [each for each in dialogue.streams.values() if each.client_may_send]
    before = dialogue.client.outbound_flow_control_window
    assert start - before <= limits.connection_window_size // 2
    told = dialogue.credits
    while dialogue.credits == told:
        dialogue.upload(each, limits.window_size // 2 + 1, 0, False)
        carry_all(dialogue)
        assert each.unread, "the client has no credit"
        dialogue.consume(each, each.unread)
        carry_all(dialogue)
    assert dialogue.client.outbound_flow_control_window == start


@of_engines
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LIMITS, st.booleans(), st.lists(STEPS, min_size=25, max_size=100), CLOSING)
def test_a_dialogue(
    new_engine: Any, limits: dict[str, int], greeted: bool, steps: list[Any], closing: int | None
) -> None:
    dialogue = Dialogue(new_engine, **limits)
    if greeted:  # what is asked before the settings have gone both ways is another case
        carry_all(dialogue)
    for number, step in enumerate(steps):
        if number == closing:
            dialogue.machine.close()
        do(dialogue, *step)
    settle(dialogue)
    check(dialogue)
    if closing is None or closing >= len(steps):
        assert not dialogue.machine.pinged
        check_credit(dialogue)
    else:
        assert dialogue.machine.finished
        assert dialogue.farewells[0] in (LAST_POSSIBLE, dialogue.farewells[-1])
