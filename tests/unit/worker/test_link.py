"""`Link`: what a worker hears of its supervisor, and says to it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from pagi.server.worker.link import HURRY, IS_READY, REOPEN, STOP, Link
from pagi.server.worker.report import Report
from pagi.server.worker.scoreboard import BOOTING, DRAINING, READY, Scoreboard


class Ends:
    """A link, the supervisor's end of its channel, and what the worker was told."""

    def __init__(self, report: Report) -> None:
        self.supervisor, self.channel = socket.socketpair()
        self.channel.setblocking(False)
        self.supervisor.settimeout(5)
        slot = Scoreboard(1).free()
        assert slot is not None
        slot.take(1, 2, 0)
        self.link = Link(2, self.channel, slot, report)
        self.told: list[str] = []

    def follow(self) -> None:
        commands = {
            word: lambda name=name: self.told.append(name)
            for word, name in ((STOP, "stop"), (HURRY, "hurry"), (REOPEN, "reopen"))
        }
        loop = asyncio.get_running_loop()
        self.link.follow(loop, commands, lambda: self.told.append("lost"))

    async def turns(self) -> None:
        """Let the loop look at the channel: what was sent is there at once."""
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A link that is not followed yet."""
    with closing(Report()) as report:
        made = Ends(report)
        with made.supervisor, made.channel:
            yield made


def test_it_is_known_which_worker_it_is(ends: Ends) -> None:
    assert ends.link.number == 2
    assert ends.link.slot.state == BOOTING


async def test_commands_are_heard_in_order(ends: Ends) -> None:
    ends.follow()
    ends.supervisor.send(REOPEN)
    await ends.turns()
    assert ends.told == ["reopen"]
    ends.supervisor.send(STOP + HURRY + REOPEN)
    await ends.turns()
    assert ends.told == ["reopen", "stop", "hurry", "reopen"]


async def test_what_was_said_before_is_heard(ends: Ends) -> None:
    ends.supervisor.send(STOP)
    ends.follow()
    await ends.turns()
    assert ends.told == ["stop"]


async def test_words_of_a_later_version_are_ignored(ends: Ends) -> None:
    ends.follow()
    ends.supervisor.send(b"\x00?\xff" + HURRY)
    await ends.turns()
    assert ends.told == ["hurry"]


async def test_more_words_than_are_read_at_once(ends: Ends) -> None:
    ends.follow()
    ends.supervisor.send(REOPEN * 200)
    for _ in range(5):
        await ends.turns()
    assert ends.told == ["reopen"] * 200


async def test_the_end_of_the_supervisor_is_told_once(ends: Ends) -> None:
    ends.follow()
    ends.supervisor.send(STOP)
    ends.supervisor.close()
    for _ in range(3):
        await ends.turns()
    assert ends.told == ["stop", "lost"]
    ends.link.leave()


async def test_a_channel_that_breaks_is_its_end(ends: Ends) -> None:
    """Closed with something in it that was not read, it is reset."""
    ends.follow()
    ends.link.ready()
    ends.supervisor.close()
    for _ in range(3):
        await ends.turns()
    assert ends.told == ["lost"]


async def test_who_has_left_hears_nothing(ends: Ends) -> None:
    ends.follow()
    ends.link.leave()
    ends.link.leave()
    ends.supervisor.send(STOP)
    await ends.turns()
    ends.supervisor.close()
    await ends.turns()
    assert ends.told == []


def test_it_says_that_it_is_ready(ends: Ends) -> None:
    ends.link.ready()
    assert ends.supervisor.recv(64) == IS_READY
    assert ends.link.slot.state == READY


def test_it_does_not_matter_if_nobody_hears_it(ends: Ends) -> None:
    ends.supervisor.close()
    ends.link.ready()
    assert ends.link.slot.state == READY


def test_it_shows_that_it_stops(ends: Ends) -> None:
    ends.link.draining()
    assert ends.link.slot.state == DRAINING
