"""`Listen`: the grammar of places to listen on."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from pagi.server.config import Listen


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("127.0.0.1:8000", Listen("tcp", host="127.0.0.1", port=8000)),
        ("localhost:0", Listen("tcp", host="localhost", port=0)),
        ("[::1]:8000", Listen("tcp", host="::1", port=8000)),
        ("/run/app.sock", Listen("unix", path="/run/app.sock")),
        ("/run/a:80", Listen("unix", path="/run/a:80")),
        ("./a:80", Listen("unix", path="./a:80")),
        ("run/a:80", Listen("unix", path="run/a:80")),
        ("run/app", Listen("unix", path="run/app")),
        ("app.sock", Listen("unix", path="app.sock")),
        ("unix:app", Listen("unix", path="app")),
        ("unix:/run/app.sock", Listen("unix", path="/run/app.sock")),
        ("fd:3", Listen("fd", fd=3)),
    ],
)
def test_parses(text: str, listen: Listen) -> None:
    assert Listen.parse(text) == listen
    assert Listen.parse(str(listen)) == listen


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "neither host:port nor a path"),
        ("localhost", "write localhost:8000, or unix:localhost"),
        ("8000", r"lacks a host; write 127\.0\.0\.1:8000 \(or 0\.0\.0\.0:8000, or fd:8000\)"),
        (":8000", "the host is empty"),
        ("*:8000", r"write 0\.0\.0\.0 \(IPv4\) or ::"),
        ("::1:8000", r"write an IPv6 address as \[::1\]:8000"),
        ("localhost:", "not a port"),
        ("localhost:http", "not a port"),
        ("localhost:70000", "the highest is 65535"),
        ("[]:1", "the host is empty"),
        ("a]:1", "not a host name"),
        ("fd:x", "write fd:3"),
        ("fd:", "write fd:3"),
        ("unix:", "write unix:/run/app.sock"),
        ("/a\0b", "NUL"),
        ("/" + "x" * 103, "too long for a Unix socket"),
    ],
)
def test_refuses(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Listen.parse(text)


@pytest.mark.parametrize(
    ("table", "listen"),
    [
        ({"host": "::", "port": 80}, Listen("tcp", host="::", port=80)),
        ({"host": "a", "port": "80"}, Listen("tcp", host="a", port=80)),
        ({"socket": "/x"}, Listen("unix", path="/x")),
        ({"socket": "/x", "socket_mode": "0660"}, Listen("unix", path="/x", mode=0o660)),
        ({"socket": "/x", "socket_mode": 0o660}, Listen("unix", path="/x", mode=0o660)),
        ({"fd": 3}, Listen("fd", fd=3)),
    ],
)
def test_reads_tables(table: dict[str, Any], listen: Listen) -> None:
    assert Listen.from_table(table) == listen


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "a listener is"),
        ({"host": "a"}, "a listener is"),
        ({"port": 1}, "a listener is"),
        ({"host": "a", "port": 1, "socket": "/x"}, "a listener is"),
        ({"socket_mode": "0600"}, "a listener is"),
        ({"socket": "/x", "socket_mode": True}, "not a file mode"),
        ({"hots": "a", "port": 1}, "unknown key 'hots'"),
        ({"host": "a", "port": True}, "not a port"),
    ],
)
def test_refuses_tables(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Listen.from_table(table)


def test_is_a_value() -> None:
    listen = Listen.unix("/x", 0o600)
    assert listen == pickle.loads(pickle.dumps(listen))
    assert len({listen, Listen.unix("/x", 0o600)}) == 1
    assert str(listen) == "unix:/x"
