"""`HostGuard`: names that an admin listener answers to."""

from __future__ import annotations

from typing import Any

import pytest

from pagi.server.config import Listen
from pagi.server.worker.admin_hosts import HostGuard

TCP = ("127.0.0.1", 9100)


def scope(host: str | None, server: Any = TCP) -> dict[str, Any]:
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    return {"type": "http", "headers": headers, "server": server}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:9100",
        "10.1.2.3:80",
        "[::1]",
        "[::1]:9100",
        "[fe80::1]:9100",
        "localhost",
        "LocalHost:9100",
        "localhost.",
        "admin.internal:9100",
        "ADMIN.internal.",
        None,
    ],
)
def test_own_names(host: str | None) -> None:
    guard = HostGuard([Listen.tcp("Admin.Internal", 9100)])
    assert not guard.refuses(scope(host))


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example",
        "attacker.example:9100",
        "localhost.attacker.example",
        "127.0.0.1.attacker.example:9100",
        "notlocalhost",
        "[attacker.example]",
        "2130706433",
        "0x7f.1",
        "",
        ":9100",
        "\xff",
    ],
)
def test_strange_names(host: str) -> None:
    assert HostGuard([Listen.tcp("127.0.0.1", 9100)]).refuses(scope(host))
    assert not HostGuard([]).refuses(scope(host, ("/run/admin.sock", None)))
    assert not HostGuard([]).refuses(scope(host, None))


def test_each_of_several_hosts_must_be_known() -> None:
    twice = {
        "headers": [(b"host", b"localhost"), (b"host", b"attacker.example")],
        "server": TCP,
    }
    assert HostGuard([]).refuses(twice)
