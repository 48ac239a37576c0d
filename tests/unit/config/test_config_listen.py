"""`Listen`: the grammar of places to listen on."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from pagi.server.config import Listen
from pagi.server.config.tls import NamedCertificate


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
        ("plain:fd:3", Listen("fd", fd=3, role="plain")),
        ("plain:/run/app.sock", Listen("unix", path="/run/app.sock", role="plain")),
        ("plain:[::]:80", Listen("tcp", host="::", port=80, role="plain")),
        ("redirect:0.0.0.0:80", Listen("tcp", host="0.0.0.0", port=80, role="redirect")),
        ("plain:80", Listen("tcp", host="plain", port=80)),
        ("redirect:80", Listen("tcp", host="redirect", port=80)),
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
        ("redirect:", "neither host:port"),
        ("plain:redirect:a:80", "is ambiguous"),
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
        ({"fd": 3, "role": "plain"}, Listen("fd", fd=3, role="plain")),
        ({"host": "a", "port": 1, "role": "redirect"}, Listen("tcp", "a", 1, role="redirect")),
        (
            {"host": "a", "port": 1, "ssl_certfile": "/c", "ssl_verify_client": "required"},
            Listen("tcp", "a", 1, tls=(("cert", "/c"), ("verify_client", "required"))),
        ),
        (
            {"host": "a", "port": 1, "ssl_sni": ["b=/b", "c=/c:/k"]},
            Listen(
                "tcp",
                "a",
                1,
                tls=(("sni", (NamedCertificate("b", "/b"), NamedCertificate("c", "/c", "/k"))),),
            ),
        ),
    ],
)
def test_reads_tables(table: dict[str, Any], listen: Listen) -> None:
    assert Listen.from_table(table) == listen
    assert Listen.from_table(listen.to_table()) == listen


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
        ({"fd": 3, "role": "both"}, "use serve or plain or redirect"),
        ({"fd": 3, "role": ["plain"]}, "use serve or plain or redirect"),
        ({"fd": 3, "role": "plain", "ssl_cert": "/c"}, "has no options of TLS"),
        ({"fd": 3, "ssl_verify_client": "maybe"}, "ssl_verify_client: 'maybe'"),
        ({"fd": 3, "ssl_redirect": "/c"}, "unknown key 'ssl_redirect'"),
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
