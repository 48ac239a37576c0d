"""Kinds of values: what they read, accept, refuse and show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pagi.server.config.kinds import (
    Choice,
    FileOrOff,
    Kind,
    LogFormat,
    Mount,
    Origins,
    Seconds,
    Size,
    SizeOrNone,
    Switch,
    Text,
    Whole,
    Workers,
    _time_share,
    available_cores,
    nearest,
)
from pagi.server.config.listen import Listen
from pagi.server.config.listen_kinds import Descriptor, Host, Listens, Mode, Port, SocketPath
from pagi.server.config.process_kinds import Account, Umask

WORDS: Kind[Any] = Choice("auto", "on", "off")

READ: list[tuple[Kind[Any], str, Any]] = [
    (Text(), "", ""),
    (Text(), "pagi/1", "pagi/1"),
    (Host(), "::1", "::1"),
    (Host(), "[::1]", "::1"),
    (Host(), "localhost", "localhost"),
    (Port(), "0", 0),
    (Port(), "65535", 65_535),
    (Mount(), "", ""),
    (Mount(), "/a/b", "/a/b"),
    (LogFormat("clf", "json"), "json", "json"),
    (LogFormat("clf", "json"), "%h %s", "%h %s"),
    (FileOrOff(), "none", None),
    (FileOrOff(), "OFF", None),
    (FileOrOff(), "./none", "./none"),
    (FileOrOff(), "-", "-"),
    (SocketPath(), "/run/x.sock", "/run/x.sock"),
    (SocketPath(), "unix:/run/x.sock", "/run/x.sock"),
    (SocketPath(), "none", None),
    (Switch(), "Yes", True),
    (Switch(), "0", False),
    (WORDS, "ON", "on"),
    (Whole(), "10_000", 10_000),
    (Whole(1, 5), "5", 5),
    (Descriptor(), "3", 3),
    (Descriptor(), "none", None),
    (Workers(), "4", 4),
    (Workers(), "auto", available_cores()),
    (Origins(), "https://A.example, http://b:81", ("https://a.example", "http://b:81")),
    (Origins(), "null", ("null",)),
    (Origins(), "none", ()),
    (Seconds(), "0", None),
    (Seconds(), "off", None),
    (Seconds(), "0.5", 0.5),
    (Seconds(), "1e2", 100.0),
    (Size(), "0", 0),
    (Size(), "12", 12),
    (Size(), "12B", 12),
    (Size(), "64k", 64_000),
    (Size(), "64KiB", 65_536),
    (Size(), "64 kib", 65_536),
    (Size(), "10MB", 10_000_000),
    (Size(), "1.5MiB", 1_572_864),
    (Size(), "2Gi", 2 << 30),
    (SizeOrNone(), "0", None),
    (SizeOrNone(), "none", None),
    (SizeOrNone(), "1k", 1000),
    (Mode(), "0660", 0o660),
    (Listens(), "", ()),
    (Listens(), "none", ()),
    (Listens(), "a:1, fd:3", (Listen("tcp", host="a", port=1), Listen("fd", fd=3))),
]


@pytest.mark.parametrize(("kind", "text", "value"), READ)
def test_reads_text(kind: Kind[Any], text: str, value: Any) -> None:
    assert kind.read(text) == value
    assert kind.accept(text) == value
    assert kind.accept_file(text) == value


@pytest.mark.parametrize(("kind", "text", "value"), READ)
def test_what_is_shown_is_read_back(kind: Kind[Any], text: str, value: Any) -> None:
    assert kind.read(kind.show(value)) == value


@pytest.mark.parametrize(("kind", "text", "value"), READ)
def test_the_native_form_is_accepted_back(kind: Kind[Any], text: str, value: Any) -> None:
    assert kind.accept_file(kind.native(value)) == value


ACCEPTED: list[tuple[Kind[Any], Any, Any]] = [
    (Port(), 8000, 8000),
    (FileOrOff(), None, None),
    (FileOrOff(), False, None),
    (FileOrOff(), Path("/tmp/x"), "/tmp/x"),
    (Switch(), True, True),
    (Whole(), 7, 7),
    (Workers(), 0, 0),
    (Descriptor(), 5, 5),
    (Descriptor(), None, None),
    (Descriptor(), False, None),
    (Origins(), ["https://a.example"], ("https://a.example",)),
    (Origins(), (), ()),
    (Seconds(), 0, None),
    (Seconds(), None, None),
    (Seconds(), False, None),
    (Seconds(), 3, 3.0),
    (Size(), 4096, 4096),
    (SizeOrNone(), None, None),
    (SizeOrNone(), False, None),
    (SizeOrNone(), 0, None),
    (Mode(), 0o600, 0o600),
    (Listens(), Listen.tcp("a", 1), (Listen.tcp("a", 1),)),
    (Listens(), {"fd": 3}, (Listen.inherited(3),)),
    (Listens(), [{"host": "a", "port": 1}, "./a,b"], (Listen.tcp("a", 1), Listen.unix("./a,b"))),
]


@pytest.mark.parametrize(("kind", "given", "value"), ACCEPTED)
def test_accepts_native_values(kind: Kind[Any], given: Any, value: Any) -> None:
    assert kind.accept(given) == value


REFUSED: list[tuple[Kind[Any], Any, str]] = [
    (Text(), "a\nb", "without line breaks"),
    (Text(), 5, "write text"),
    (Host(), "", "127.0.0.1"),
    (Host(), "*", "0.0.0.0"),
    (Host(), "a:80", "give the port as port"),
    (Host(), "http://a", "only the name or address"),
    (Host(), "a b", "not a host name"),
    (Port(), "65536", "the highest is 65535"),
    (Port(), 65_536, "at most 65535"),
    (Port(), "-1", "from 0 to 65535"),
    (Port(), "http", "from 0 to 65535"),
    (Port(), "tcp://10.0.0.1:80", "enableServiceLinks"),
    (Port(), True, "from 0 to 65535|write a whole number"),
    (Mount(), "app", "begin with /"),
    (Mount(), "/app/", "do not end with it"),
    (LogFormat("clf", "combined"), "combind", "did you mean 'combined'"),
    (LogFormat("clf", "combined"), "xyz", "write clf, combined or a format"),
    (FileOrOff(), "a\0b", "write a path"),
    (FileOrOff(), 5, "write a path"),
    (SocketPath(), "/" + "x" * 200, "too long"),
    (Switch(), "maybe", "write true or false"),
    (Switch(), 1, "write true or false"),
    (WORDS, "never", "choose auto, on or off"),
    (WORDS, None, "choose auto, on or off"),
    (Whole(1, 5), "6", "at least 1 and at most 5"),
    (Whole(1, 5), 0, "at least 1"),
    (Whole(), "1.5", "whole number"),
    (Whole(), True, "whole number"),
    (Whole(), 1.5, "whole number"),
    (Descriptor(), "x", "descriptor number"),
    (Descriptor(), True, "descriptor number"),
    (Descriptor(), -1, "descriptor number"),
    (Workers(), "four", "or auto"),
    (Workers(), 8000, "from 0 to 1024"),
    (Origins(), "example.org", "scheme://host"),
    (Origins(), "https://example.org/", "without a path"),
    (Origins(), ["https://a", "https://b c"], "scheme://host"),
    (Origins(), "https://user@example.org", "scheme://host"),
    (Seconds(), "soon", "0 for no limit"),
    (Seconds(), "", "is not a time"),
    (Seconds(), "nan", "is not a time"),
    (Seconds(), float("inf"), "is not a time"),
    (Seconds(), -1, "is not a time"),
    (Seconds(), True, "is not a time"),
    (Size(), "10 parrots", "64KiB, 10MB"),
    (Size(), "", "is not a size"),
    (Size(), "inf", "is not a size"),
    (Size(), "1e999", "is not a size"),
    (Size(), "0.5", "is not a size"),
    (Size(), -1, "is not a size"),
    (Size(16), "3", "the least that works is 16"),
    (Size(), 1.0, "is not a size"),
    (SizeOrNone(), -1, "is not a size"),
    (SizeOrNone(), "x", "is not a size"),
    (Mode(), "660", "three octal digits: 0660"),
    (Mode(), "0999", "three octal digits"),
    (Mode(), 0o1777, "in octal"),
    (Listens(), "localhost", "localhost:8000"),
    (Listens(), 5, "host:port, unix:PATH or fd:N"),
    (Listens(), [5], "host:port, unix:PATH or fd:N"),
]


@pytest.mark.parametrize(("kind", "given", "words"), REFUSED)
def test_refuses_and_says_what_to_write(kind: Kind[Any], given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        kind.accept(given)
    assert "\n" not in str(caught.value)


def test_a_mode_in_the_file_is_text() -> None:
    with pytest.raises(ValueError, match='in quotes: "0660"'):
        Mode().accept_file(660)


def test_a_listener_with_a_mode_is_a_table_in_the_file() -> None:
    value = (Listen.unix("/run/x", 0o660), Listen.tcp("a", 1))
    native = Listens().native(value)
    assert native == [{"socket": "/run/x", "socket_mode": "0660"}, "a:1"]
    assert Listens().accept_file(native) == value


def test_a_listener_with_options_of_tls_is_a_table_in_the_file() -> None:
    value = (Listen("tcp", "a", 1, tls=(("cert", "/c"),)), Listen("fd", fd=3, role="redirect"))
    native = Listens().native(value)
    assert native == [{"host": "a", "port": 1, "ssl_cert": "/c"}, "redirect:fd:3"]
    assert Listens().accept_file(native) == value


def test_nearest() -> None:
    assert nearest("prt", ["port", "host"]) == "port"
    assert nearest("zzz", ["port", "host"]) is None


def test_cores_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert available_cores() == 3


@pytest.mark.parametrize(
    ("given", "value"),
    [("www-data", "www-data"), ("65534", "65534"), (0, "0"), ("none", None), (None, None)],
)
def test_accounts(given: object, value: str | None) -> None:
    kind = Account()
    assert kind.accept(given) == value
    assert kind.accept_file(kind.native(value)) == value
    assert kind.read(kind.show(value)) == value


@pytest.mark.parametrize("given", ["-1", "a b", "a:b", "4294967295", "²", -1, True, 1.5])
def test_what_no_account_is_called(given: object) -> None:
    with pytest.raises(ValueError, match="write a name such as www-data, or a number"):
        Account().accept(given)


@pytest.mark.parametrize("given", ["0027", 0o27])
def test_masks(given: object) -> None:
    kind = Umask()
    assert kind.accept(given) == 0o27
    assert kind.show(0o27) == kind.native(0o27) == "0027"
    assert kind.accept(None) is None
    assert kind.accept_file(kind.native(None)) is None


def test_a_mask_in_the_file_is_text() -> None:
    assert Umask().accept_file("0027") == 0o27
    with pytest.raises(ValueError, match='write the mask in quotes: "0027"'):
        Umask().accept_file(27)
    for wrong in ("27", "0999", 0o1000, True):
        with pytest.raises(ValueError, match="is not octal mask"):
            Umask().accept(wrong)


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("150000 100000\n", 2),
        ("10000 100000\n", 1),
        ("800000 100000\n", 8),
        ("max 100000\n", 1 << 20),
        ("", 1 << 20),
        ("1 0\n", 1 << 20),
    ],
)
def test_a_share_of_time_counts_as_cores(text: str, cores: int, tmp_path: Path) -> None:
    path = tmp_path / "cpu.max"
    path.write_text(text)
    assert _time_share(str(path)) == cores
    assert _time_share(str(tmp_path / "none")) == 1 << 20
