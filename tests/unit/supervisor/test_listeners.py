"""`Listeners`: one set for all workers, or one for each."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pagi.server.config import load
from pagi.server.errors import EXIT_LISTENING, StartError
from pagi.server.supervisor import listeners as module
from pagi.server.supervisor.listeners import Listeners
from pagi.server.worker import process, sockets
from pagi.server.worker.sockets import BoundSocket


@contextmanager
def opened(*places: str, **options: Any) -> Iterator[Listeners]:
    """Open listeners and close them at the end."""
    listen = list(places) or ["127.0.0.1:0"]
    made = Listeners(load({"config_file": None, "listen": listen, **options}, environ={}))
    try:
        yield made
    finally:
        made.close()


def is_open(bound: BoundSocket) -> bool:
    return bound.sock.fileno() >= 0


def test_all_workers_share_the_same(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with opened("127.0.0.1:0", f"unix:{path}", workers=3) as listeners:
        first, second, third = (listeners.of(number) for number in (1, 2, 3))
        assert first == second == third
        assert [bound.kind for bound in first] == ["tcp", "unix"]
        assert listeners.text == f"http://127.0.0.1:{first[0].port}, unix:{path}"
    assert not any(map(is_open, first))
    assert not path.exists()


def test_with_reuseport_each_has_its_own_tcp_listeners(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with opened("127.0.0.1:0", f"unix:{path}", workers=3, reuseport=True) as listeners:
        sets = [listeners.of(number) for number in (1, 2, 3)]
        assert len({own[0] for own in sets}) == 3
        assert len({own[0].port for own in sets}) == 1
        assert len({own[1] for own in sets}) == 1
    assert not any(is_open(bound) for own in sets for bound in own)


def test_a_worker_closes_those_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with opened("127.0.0.1:0", f"unix:{path}", workers=2, reuseport=True) as listeners:
        own, other = listeners.of(1), listeners.of(2)
        listeners.close(but=own)
        assert all(map(is_open, own))
        assert path.exists()
        assert not is_open(other[0])


def test_a_worker_that_shares_closes_nothing() -> None:
    with opened(workers=2) as listeners:
        listeners.close(but=listeners.of(2))
        assert all(map(is_open, listeners.of(1)))


def test_closing_twice_does_nothing() -> None:
    with opened(workers=2, reuseport=True) as listeners:
        listeners.close()


@pytest.mark.parametrize("reuseport", [False, True])
def test_more_workers_get_theirs_and_fewer_leave_them(reuseport: bool) -> None:
    with opened(workers=1, reuseport=reuseport) as listeners:
        (first,) = listeners.of(1)
        listeners.provide(3)
        (third,) = listeners.of(3)
        assert (third is first) == (not reuseport)
        assert third.port == first.port
        assert (third.listen, third.scheme) == (first.listen, first.scheme)
        listeners.provide(1)
        listeners.provide(3)
        assert listeners.of(3) == [third]
        assert is_open(third)
    assert not is_open(first)
    assert not is_open(third)


def test_they_accept_each_on_its_own() -> None:
    """The kernel gives every connection to one of them, and those of closed ones to nobody."""
    with opened(workers=2, reuseport=True) as listeners:
        (first,), (second,) = listeners.of(1), listeners.of(2)
        first.close()
        for _ in range(10):
            assert second.port is not None
            with socket.create_connection(("127.0.0.1", second.port), 5):
                second.sock.setblocking(True)
                second.sock.accept()[0].close()


def test_workers_without_a_supervisor_need_one_set_as_well() -> None:
    with opened(max_requests=1) as listeners:
        assert len(listeners.of(1)) == 1


@pytest.mark.parametrize("when", ["first", "later"])
def test_all_or_none(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[BoundSocket] = []

    def bind_beside(bound: BoundSocket, backlog: int) -> BoundSocket:
        if len(made) == 3:
            raise StartError("no descriptors", EXIT_LISTENING)
        made.append(sockets.bind_beside(bound, backlog))
        return made[-1]

    def bind_all(*arguments: Any) -> list[BoundSocket]:
        made.extend(process.bind_all(*arguments))
        return made[:]

    monkeypatch.setattr(module, "bind_beside", bind_beside)
    monkeypatch.setattr(module, "bind_all", bind_all)
    places = ["127.0.0.1:0", "127.0.0.1:0"]
    if when == "first":
        with pytest.raises(StartError, match="no descriptors"):
            with opened(*places, workers=3, reuseport=True):
                pass
        assert not any(map(is_open, made))
        return
    with opened(*places, workers=1, reuseport=True) as listeners:
        with pytest.raises(StartError, match="no descriptors"):
            listeners.provide(2)
        assert [is_open(bound) for bound in made] == [True, True, False]
    assert not any(map(is_open, made))
