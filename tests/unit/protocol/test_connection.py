"""`DefaultFields`, and that the machine is what drivers are promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pagi import _build
from pagi.protocol.connection import DefaultFields, HTTPConnection
from pagi.protocol.http1 import connection
from pagi.protocol.http1.limits import HTTP1Limits
from tests.unit.protocol.http1.driving import compiled_is_built

if TYPE_CHECKING:
    promised: type[HTTPConnection] = connection.HTTP1Connection


@pytest.mark.parametrize(
    ("date", "server", "wire"),
    [
        (b"", b"", b""),
        (b"d", b"", b"date: d\r\n"),
        (b"", b"s", b"server: s\r\n"),
        (b"d", b"s", b"date: d\r\nserver: s\r\n"),
    ],
)
def test_default_fields(date: bytes, server: bytes, wire: bytes) -> None:
    fields = DefaultFields(date, server)
    assert fields.wire == wire
    fields.set_date(b"")
    assert fields.wire == (b"server: s\r\n" if server else b"")


def test_the_machine_has_what_is_promised() -> None:
    machine = connection.HTTP1Connection(HTTP1Limits(), DefaultFields())
    names = [name for name in vars(HTTPConnection) if not name.startswith("_")]
    assert len(names) > 8
    assert all(callable(getattr(machine, name)) for name in names)
    assert machine.finished is False


def test_the_facade_chooses_the_compiled_one() -> None:
    module = connection.HTTP1Connection.__module__
    assert module.endswith("_c" if compiled_is_built() else "_py")
    assert _build.active_twins()["pagi.protocol.http1._connection_c"] == compiled_is_built()
