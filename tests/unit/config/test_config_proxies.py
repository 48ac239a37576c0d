"""Options of proxies: who may be named, and what goes with what."""

from __future__ import annotations

from typing import Any

import pytest

from pagi.server.config import ConfigError, Listen, Listening, load
from pagi.server.config.proxies import Trusted


def config(**given: Any) -> Any:
    return load(given, environ={}, directory="/nonexistent")


@pytest.mark.parametrize(
    ("given", "peers"),
    [
        ("none", ()),
        ("", ()),
        ("127.0.0.1", ("127.0.0.1",)),
        ("10.0.0.0/8, fd00::/8 ,unix,*", ("10.0.0.0/8", "fd00::/8", "unix", "*")),
        ("[::1],UNIX", ("::1", "unix")),
        ("2001:DB8:0::/32", ("2001:db8::/32",)),
        ("10.0.0.1/32", ("10.0.0.1/32",)),
        ("0.0.0.0/0", ("0.0.0.0/0",)),
        ("192.168.0.0/255.255.0.0", ("192.168.0.0/16",)),
        (["10.0.0.1", "::1"], ("10.0.0.1", "::1")),
        ((), ()),
    ],
)
def test_peers(given: Any, peers: tuple[str, ...]) -> None:
    kind = Trusted()
    assert kind.accept(given) == peers
    assert kind.read(kind.show(peers)) == peers
    assert kind.accept_file(kind.native(peers)) == peers


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("localhost", "is no peer; write an address"),
        ("10.0.0.1/8", r"write 10\.0\.0\.0/8 for the network, or 10\.0\.0\.1 for the address"),
        ("fd00::1/8", "write fd00::/8 for the network"),
        ("10.0.0.0/33", "is no peer"),
        ("10.0.0.*", "is no peer"),
        ("unix:/run/s", "is no peer"),
        ("10.0.0.1:80", "is no peer"),
        ([1], "is not list of peers"),
        (1, "is not list of peers"),
    ],
)
def test_what_is_no_peer(given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Trusted().accept(given)


def test_nobody_is_trusted_by_default() -> None:
    plain = config()
    assert plain.proxies.trusted_proxies == ()
    assert plain.proxies.forwarded == "x-forwarded"
    assert not plain.listening.proxy_protocol
    with pytest.raises(ConfigError, match="choose none, x-forwarded or forwarded"):
        config(forwarded="both")


def test_listeners_that_say_nothing_follow_the_option() -> None:
    places = (
        Listen.tcp("::", 80),
        Listen("fd", fd=3, proxy_protocol=False),
        Listen("fd", fd=4, role="admin"),
        Listen("fd", fd=5, role="admin", proxy_protocol=True),
    )
    on = Listening(listen=places, proxy_protocol=True).addresses()
    assert [place.proxy_protocol for place in on] == [True, False, None, True]
    off = Listening(listen=places).addresses()
    assert [place.proxy_protocol for place in off] == [None, False, None, True]


def test_a_listener_in_a_table() -> None:
    table = {"host": "::", "port": 80, "proxy_protocol": True}
    listen = Listen.from_table(table)
    assert listen.proxy_protocol is True
    assert listen.to_table() == table
    made = config(listen=[table], trusted_proxies="::1")
    assert made.listening.addresses() == (listen,)
    with pytest.raises(ValueError, match="write true or false"):
        Listen.from_table({"fd": 3, "proxy_protocol": "maybe"})


@pytest.mark.parametrize(
    "given", [{"proxy_protocol": True}, {"listen": [{"fd": 3, "proxy_protocol": "on"}]}]
)
def test_somebody_must_be_there_to_speak_it(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="no proxy is trusted"):
        config(**given)
    config(**given, trusted_proxies="unix")
