"""What tests of the HTTP/2 engine have in common."""

from __future__ import annotations

import pytest

from tests.unit.protocol.http2 import driving, test_machine

ENGINES = driving.twins("connection", "HTTP2Connection")


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.__module__[-2:].lstrip("_"))
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `Pair` use one implementation, then the other."""
    monkeypatch.setattr(test_machine, "HTTP2Connection", request.param)
