"""`StartError` and the exit statuses."""

from __future__ import annotations

import pickle

from pagi.server import errors


def test_statuses_differ_and_leave_0_and_1_free() -> None:
    statuses = [getattr(errors, name) for name in errors.__all__ if name.startswith("EXIT_")]
    assert sorted(statuses) == [2, 3, 4, 5, 6]


def test_carries_message_and_status() -> None:
    error = errors.StartError("no such host", errors.EXIT_LISTENING)
    assert str(error) == error.message == "no such host"
    assert error.exit_status == errors.EXIT_LISTENING


def test_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(errors.StartError("text", errors.EXIT_STARTUP)))
    assert (error.message, error.exit_status) == ("text", errors.EXIT_STARTUP)
