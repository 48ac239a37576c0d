"""``pagi check`` and the advice it gives."""

from __future__ import annotations

import errno
import importlib.util
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from pagi.cli import advice as advice_module
from pagi.cli.advice import advice
from pagi.server.config import load
from tests.unit.cli.conftest import Command

APP = "async def app(scope, receive, send): pass\n"


def remarks(place: Path, **given: Any) -> list[str]:
    """Return the advice for options, apart from what every machine may lack."""
    given.setdefault("env", "production")
    if not {"port", "socket", "fd", "listen"} & set(given):
        given["port"] = 0
    config = load(given, environ={}, directory=str(place))
    return [text for text in advice(config) if "is not installed" not in text]


def test_nothing_to_say(place: Path) -> None:
    assert remarks(place) == []


def test_a_port_that_is_taken(place: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert remarks(place, port=port) == [
            f"127.0.0.1:{port}: port {port} is taken by another process now; "
            "stop it, or choose another port"
        ]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "port 80 needs privileges; choose one from 1024 up"),
        (errno.EPERM, "port 80 needs privileges"),
        (errno.EADDRNOTAVAIL, "no interface of this machine has that address"),
        (errno.EINVAL, "cannot be bound: Invalid argument"),
    ],
)
def test_reasons_of_the_system(
    number: int, words: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(socket.socket):
        def bind(self, address: Any) -> None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr("socket.socket", Refusing)
    (remark,) = remarks(place, port=80)
    assert remark.startswith(f"127.0.0.1:80: {words}")


def test_a_host_that_does_not_exist(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    assert remarks(place, host="nosuchhost") == [
        "nosuchhost:0: the host 'nosuchhost' cannot be resolved (Name or service not known)"
    ]


def test_unix_sockets(place: Path) -> None:
    assert remarks(place, socket="new.sock") == []
    assert remarks(place, socket="new.sock", socket_mode=0o666) == [
        "unix:new.sock: with mode 0666 every user of this machine may connect; "
        "0660 lets only owner and group"
    ]
    assert remarks(place, socket="nodir/new.sock") == [
        "unix:nodir/new.sock: there is no directory nodir; make it"
    ]
    Path("plain").write_text("")
    assert remarks(place, socket="plain") == [
        "unix:plain: something else than a socket is there; remove it, or use another path"
    ]
    Path("dangling").symlink_to("nowhere")
    assert "something else" in remarks(place, socket="dangling")[0]
    with socket.socket(socket.AF_UNIX) as other:
        other.bind("live.sock")
        assert remarks(place, socket="live.sock") == []  # left behind: nobody listens
        other.listen()
        assert remarks(place, socket="live.sock") == [
            "unix:live.sock: another process accepts connections there now; stop it"
        ]


def test_what_this_user_may_not_write(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("log").write_text("")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert remarks(place, socket="new.sock") == [
        "unix:new.sock: the directory . does not let this user create the socket"
    ]
    assert remarks(place, access_log="log") == ["access_log: log is not writable for this user"]
    assert remarks(place, access_log="new") == ["access_log: this user cannot create new"]


def test_access_log_paths(place: Path) -> None:
    assert remarks(place, access_log="new.log") == []
    assert remarks(place, access_log="nodir/log") == [
        "access_log: there is no directory nodir; make it"
    ]
    assert remarks(place, access_log=".") == ["access_log: . is a directory; name a file in it"]
    Path("log").write_text("")
    assert remarks(place, access_log="log") == []
    assert not Path("new.log").exists()


def test_descriptors(place: Path) -> None:
    with socket.socket() as inherited, Path(os.devnull).open() as file:
        assert remarks(place, fd=inherited.fileno()) == []
        number = file.fileno()
        assert remarks(place, fd=number) == [f"fd:{number}: descriptor {number} is not a socket"]
    assert remarks(place, fd=9999) == [
        "fd:9999: this process has no descriptor 9999; its parent must pass it"
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"socket_mode": "0660"}, "socket_mode: there is no Unix socket to apply it to"),
        ({"reuseport": True}, "reuseport: with one worker it changes nothing"),
        ({"reuseport": True, "socket": "x.sock"}, "reuseport: it applies to TCP only"),
        ({"env": "development", "listen": "0.0.0.0:0"}, "env: development, and yet every machine"),
        ({"workers": 1000}, "workers: 1000 on "),
        ({"shutdown_timeout": 0}, "shutdown_timeout: off, so a stop waits"),
        ({"header_timeout": 0}, "header_timeout: off, so a client that sends its request head"),
        ({"body_timeout": 0}, "body_timeout: off, so a client that stops in the middle"),
        ({"write_timeout": 0}, "write_timeout: off, so a client that stops reading"),
        ({"timeout": 0}, "keepalive_timeout: off, so idle connections are never closed"),
        ({"max_body_size": 0}, "max_body_size: no limit, so the application alone decides"),
        ({"max_connections": 10**9}, "max_connections: 1000000000, but this process may have only"),
        ({"quiet": True, "log_level": "debug"}, "log_level: quiet is on and wins"),
    ],
)
def test_what_may_not_be_meant(given: dict[str, Any], words: str, place: Path) -> None:
    (remark,) = remarks(place, **given)
    assert remark.startswith(words)


def test_reuseport_with_several_workers_is_fine(place: Path) -> None:
    assert remarks(place, reuseport=True, workers=2) == []


def test_ipv6_listener(place: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    assert [text for text in remarks(place, listen="[::1]:0") if "no interface" not in text] == []


@pytest.mark.parametrize(
    ("loop", "words"),
    [("auto", "plain asyncio is used, which is slower"), ("uvloop", "the server will not start")],
)
def test_a_loop_that_is_not_installed(
    loop: str, words: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advice_module, "find_spec", lambda _: None)
    config = load(
        {"loop": loop, "transports": "asyncio", "port": 0}, environ={}, directory=str(place)
    )
    (remark,) = advice(config)
    assert remark == f"uvloop is not installed: {words}; 'pip install uvloop' adds it"
    assert importlib.util.find_spec("uvloop_that_is_not_there") is None


# --- the command -----------------------------------------------------------------------------


def test_all_good(place: Path, pagi: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pagi.cli.check.advice", lambda _: iter(()))
    Path("main.py").write_text(APP)
    result = pagi("check", "main:app", "--port", "0")
    assert result == (0, "the application and the configuration are good\n", "")


def test_remarks_do_not_fail(place: Path, pagi: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pagi.cli.check.advice", lambda _: iter(["workers: many"]))
    monkeypatch.setenv("PAGI_SOMETHING", "1")
    Path("main.py").write_text(APP)
    result = pagi("check", "main:app")
    assert result.status == 0
    assert result.out == "the application and the configuration are good, 2 to consider\n"
    assert result.err.splitlines() == [
        "pagi: note: PAGI_SOMETHING is no option of this server and was left alone",
        "pagi: note: workers: many",
    ]


def test_every_kind_of_fault_at_once(place: Path, pagi: Command) -> None:
    result = pagi("check", "zzz:app", "--workers", "four", "--timeout", "soon")
    assert (result.status, result.out) == (3, "")
    assert [line.split(":")[1] for line in result.err.splitlines()] == [
        " workers",
        " keepalive_timeout",
        " there is no module 'zzz' (looked in "[: len(" there is no module 'zzz' (looked in ")]
        + f"{place} and the Python path); run from its directory, or use --app-dir",
    ]


def test_a_fault_of_the_application(place: Path, pagi: Command) -> None:
    result = pagi("check", "zzz:app", "--port", "0", "-q")
    assert result.status == 4
    assert result.err.startswith("pagi: there is no module 'zzz'")


def test_a_format_that_does_not_compile(place: Path, pagi: Command) -> None:
    Path("main.py").write_text(APP)
    result = pagi("check", "main:app", "--access-log-format", "%Y", "--port", "0")
    assert result.status == 3
    assert result.err.startswith("pagi: access log format: ")


def test_the_application_knows_the_environment(place: Path, pagi: Command) -> None:
    Path("main.py").write_text("import os\nassert os.environ['PAGI_ENV'] == 'development'\n" + APP)
    assert pagi("check", "main:app", "-E", "development", "--port", "0").status == 0
