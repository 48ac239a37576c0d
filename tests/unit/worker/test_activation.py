"""Sockets that another program opened."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pagi.server.config import Config, Listen, Listening, load
from pagi.server.errors import StartError
from pagi.server.worker.activation import Claim, Inherited
from pagi.server.worker.process import bind_all
from tests.network import has_ipv6


@pytest.fixture
def passed() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def config(**options: Any) -> Config:
    return load({"config_file": None, **options}, environ={})


def duplicate(sock: socket.socket) -> int:
    """Return a descriptor that the code under test may close."""
    return os.dup(sock.fileno())


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def claimed(claim: Claim) -> dict[str, list[str]]:
    found = {
        place.place: [bound.address_text for bound in sockets]
        for place, sockets in claim.sockets.items()
    }
    claim.close()
    return found


def test_the_variables_are_taken(passed: socket.socket) -> None:
    first, second = duplicate(passed), duplicate(passed)
    if second != first + 1:
        pytest.skip("descriptors are not in a row")
    environ = {
        "LISTEN_FDS": "2",
        "LISTEN_PID": str(os.getpid()),
        "LISTEN_FDNAMES": "web",
        "HOME": "/root",
    }
    inherited = Inherited.take(environ, first)
    assert environ == {"HOME": "/root"}
    address = f"http://127.0.0.1:{passed.getsockname()[1]}"
    claim = inherited.claim(config())
    assert claimed(claim) == {f"fd:{first}": [address], f"fd:{second}": [address]}


@pytest.mark.parametrize(
    "environ",
    [
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "many", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "²", "LISTEN_PID": str(os.getpid())},
        {},
    ],
)
def test_variables_that_are_not_for_us(environ: dict[str, str], passed: socket.socket) -> None:
    environ = dict(environ)
    descriptor = duplicate(passed)
    inherited = Inherited.take(environ, descriptor)
    assert environ == {}
    assert claimed(inherited.claim(config())) == {}
    assert is_open(descriptor)
    os.close(descriptor)


def test_a_place_that_is_configured_gets_its_socket(passed: socket.socket) -> None:
    port = passed.getsockname()[1]
    inherited = Inherited({duplicate(passed): ""})
    sockets = bind_all(config(listen=[f"127.0.0.1:{port}", "127.0.0.1:0"]), inherited)
    try:
        first, second = sockets
        assert first.port == port
        assert second.port not in (port, 0)
        assert first.listen == Listen.tcp("127.0.0.1", port)
    finally:
        for bound in sockets:
            bound.close()
    assert passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_a_descriptor_that_is_configured(passed: socket.socket) -> None:
    descriptor = duplicate(passed)
    claim = Inherited({descriptor: ""}).claim(config(fd=descriptor))
    assert list(claimed(claim)) == [f"fd:{descriptor}"]


def test_what_is_left_over_is_closed(
    passed: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    logging.getLogger("pagi").propagate = True
    descriptor = duplicate(passed)
    sockets = bind_all(config(port=0), Inherited({descriptor: "web"}))
    for bound in sockets:
        bound.close()
    assert not is_open(descriptor)
    port = passed.getsockname()[1]
    assert f"{descriptor} (web, 127.0.0.1:{port}) is none of the listeners" in caplog.text


def test_a_unix_socket_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        claim = Inherited({duplicate(sock): ""}).claim(config(socket="./app.sock"))
        assert claimed(claim) == {"unix:./app.sock": [f"unix:{path}"]}
        assert path.exists()


def test_both_families_by_one_socket() -> None:
    if not has_ipv6():
        pytest.skip("no IPv6 here")
    family = socket.AF_INET6
    with socket.create_server(("::", 0), family=family, dualstack_ipv6=True) as sock:
        port = sock.getsockname()[1]
        for host in ("::", "0.0.0.0"):
            claim = Inherited({duplicate(sock): ""}).claim(config(host=host, port=port))
            assert list(claimed(claim).values()) == [[f"http://[::]:{port}"]]


def test_ipv6_alone_is_not_ipv4() -> None:
    if not has_ipv6():
        pytest.skip("no IPv6 here")
    family = socket.AF_INET6
    with socket.create_server(("::", 0), family=family, dualstack_ipv6=False) as sock:
        port = sock.getsockname()[1]
        claim = Inherited({duplicate(sock): ""}).claim(config(host="0.0.0.0", port=port))
        assert claimed(claim) == {}


def test_a_host_that_is_unknown_matches_nothing(passed: socket.socket) -> None:
    port = passed.getsockname()[1]
    claim = Inherited({duplicate(passed): ""}).claim(config(host="no.such.host.invalid", port=port))
    assert claimed(claim) == {}


def test_a_configuration_made_by_hand_counts_as_configured(passed: socket.socket) -> None:
    made = Config(listening=Listening(port=0))
    assert claimed(Inherited({duplicate(passed): ""}).claim(made)) == {}


def test_what_does_not_listen_is_refused(passed: socket.socket) -> None:
    good = duplicate(passed)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        with pytest.raises(StartError, match="is not a stream socket"):
            Inherited({good: "", duplicate(sock): ""}).claim(config())
    assert not is_open(good)


def test_descriptors_that_are_not_open(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("pagi").propagate = True
    inherited = Inherited({1_000_000: "web"})
    assert claimed(inherited.claim(config(port=0))) == {}
    assert "1000000 (web, no listening socket) is none" in caplog.text
