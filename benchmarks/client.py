"""One request at a time: waiting until a server answers, and checking the answer byte for byte."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from typing import TYPE_CHECKING

from benchmarks import programs
from benchmarks.scenarios import Wire

if TYPE_CHECKING:
    from benchmarks.processes import ServerProcess
    from benchmarks.scenarios import Scenario

START_SECONDS = 15.0
ANSWER_SECONDS = 10.0
RETRY_SECONDS = 0.0005
MOST_DROPS = 5
"""Connections that a server may accept and drop while it starts, as a supervisor might."""


class WrongAnswerError(Exception):
    """The server does not answer, or not as the scenario asks."""


def _ask(port: int, request: bytes) -> tuple[int, bytes]:
    """Returns status and body of the answer to one request on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS) as connection:
        # A server may refuse a body before it has all of it; its answer tells why.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, response.read()


def await_answer(server: ServerProcess, scenario: Scenario, port: int) -> float:
    """Waits for the first answer and checks it.

    Returns:
        Seconds from the start of the process to the end of the answer.

    Raises:
        WrongAnswerError: The answer is not the right one, or none came.
    """
    request = scenario.request(port)
    deadline = server.started + START_SECONDS
    trouble: Exception | None = None
    drops = 0
    while time.monotonic() < deadline:
        try:
            if scenario.wire is Wire.PLAIN:
                status, body = _ask(port, request)
            else:
                status, body = programs.ask(scenario, port)
        except (OSError, http.client.HTTPException) as error:
            if server.ended():
                raise WrongAnswerError(f"ended at start: {server.last_words()}") from error
            if isinstance(error, TimeoutError):
                raise WrongAnswerError(f"no answer in {ANSWER_SECONDS:.0f} s") from error
            drops += not isinstance(error, ConnectionRefusedError)
            if drops > MOST_DROPS:
                raise WrongAnswerError(f"dropped the connection: {error}") from error
            trouble = error
            time.sleep(RETRY_SECONDS)
            continue
        elapsed = time.monotonic() - server.started
        _check(status, body, scenario)
        return elapsed
    raise WrongAnswerError(f"no answer in {START_SECONDS:.0f} s: {trouble!r}")


def _check(status: int, body: bytes, scenario: Scenario) -> None:
    if status != 200:
        raise WrongAnswerError(f"answered with status {status}")
    if len(body) != len(scenario.answer):
        raise WrongAnswerError(f"answered {len(body)} bytes instead of {len(scenario.answer)}")
    if body != scenario.answer:
        raise WrongAnswerError("answered with the wrong bytes")
