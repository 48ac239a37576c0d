"""`Lifespan`: every outcome of startup and shutdown, the notice, and the context of requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest

from pagi.interface.callables import App, Receive, Scope, Send
from pagi.interface.errors import MessageError
from pagi.server.errors import EXIT_STARTUP, StartError
from pagi.server.worker import lifespan as module
from pagi.server.worker.lifespan import Lifespan

MODES = ["auto", "on"]
READY = {"type": "lifespan.startup.complete"}
DONE = {"type": "lifespan.shutdown.complete"}


class Log(logging.Handler):
    """A logger of its own and what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.logger = logging.Logger("test", logging.DEBUG)
        self.logger.addHandler(self)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def told(self) -> list[tuple[str, str]]:
        return [(record.levelname, record.getMessage()) for record in self.records]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FAREWELL", 0.01)
    monkeypatch.setattr(module, "CANCEL_GRACE", 0.02)


def make(app: App, log: Log, mode: Any = "auto", **options: Any) -> Lifespan:
    defaults: dict[str, Any] = {
        "startup_timeout": None,
        "shutdown_timeout": None,
        "worker_num": None,
        "is_worker": False,
    }
    return Lifespan(app, mode=mode, logger=log.logger, **defaults | options)


class Recorder:
    """An application that answers everything and keeps what it received."""

    def __init__(self, answer: dict[str, Any] = READY) -> None:
        self.answer = answer
        self.received: list[str] = []
        self.scope: Scope = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        while True:
            message = await receive()
            self.received.append(message["type"])
            if message["type"] == "lifespan.startup":
                await send(self.answer)
            elif message["type"] == "lifespan.shutdown":
                await send(DONE)
                return


def ready_then(after: Callable[[Receive, Send], Awaitable[None]]) -> App:
    """Return an application that gets ready and then does ``after``."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(READY)
        await after(receive, send)

    return app


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def lifespan_tasks() -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "lifespan"]


# --- the good path ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
async def test_startup_and_shutdown(log: Log, mode: str) -> None:
    app = Recorder()
    lifespan = make(app, log, mode)
    await lifespan.startup()
    assert app.received == ["lifespan.startup"]
    await lifespan.shutdown()
    assert app.received == ["lifespan.startup", "lifespan.shutdown"]
    await lifespan.shutdown()
    assert len(app.received) == 2
    assert log.told() == []
    assert lifespan_tasks() == []


@pytest.mark.parametrize(("is_worker", "number"), [(False, None), (True, 3)])
async def test_scope(log: Log, is_worker: bool, number: int | None) -> None:
    app = Recorder()
    lifespan = make(app, log, is_worker=is_worker, worker_num=number)
    await lifespan.startup()
    assert app.scope == {
        "type": "lifespan",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "pagi": {
            "version": "1.0",
            "spec_version": "1.0",
            "is_worker": is_worker,
            "worker_num": number,
        },
        "state": {},
        "extensions": {"lifespan.shutdown.notice": {}},
    }
    assert app.scope["state"] is lifespan.state
    await lifespan.shutdown()


async def test_off_never_calls(log: Log) -> None:
    app = Recorder()
    lifespan = make(app, log, "off")
    await lifespan.startup()
    lifespan.notice()
    await lifespan.shutdown()
    assert app.scope == {}
    assert log.told() == []


async def test_context_variables_of_startup_reach_requests_and_do_not_leak(log: Log) -> None:
    database: ContextVar[str] = ContextVar("database")
    around: ContextVar[str] = ContextVar("around")

    async def wait(receive: Receive, send: Send) -> None:
        await receive()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        database.set("open")
        await ready_then(wait)(scope, receive, send)

    around.set("caller")
    lifespan = make(app, log)
    await lifespan.startup()
    assert database.get(None) is None

    async def request() -> str:
        found = database.get()
        database.set("changed by a request")
        return found

    loop = asyncio.get_running_loop()
    for _ in range(2):
        assert await loop.create_task(request(), context=lifespan.context.copy()) == "open"
    assert lifespan.context[around] == "caller"
    await lifespan.shutdown()


async def test_cancelling_a_receive_loses_no_message(log: Log) -> None:
    got: list[str] = []

    async def after(receive: Receive, send: Send) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(0):
                    got.append((await receive())["type"])
                    return

    lifespan = make(ready_then(after), log)
    await lifespan.startup()
    await lifespan.shutdown()
    assert got == ["lifespan.shutdown"]


# --- the notice ------------------------------------------------------------------------------


async def test_notice_comes_once_to_those_who_asked(log: Log) -> None:
    app = Recorder({**READY, "shutdown_notice": True})
    lifespan = make(app, log)
    lifespan.notice()
    await lifespan.startup()
    lifespan.notice()
    lifespan.notice()
    await lifespan.shutdown()
    lifespan.notice()
    assert app.received == ["lifespan.startup", "lifespan.shutdown.notice", "lifespan.shutdown"]


@pytest.mark.parametrize("answer", [READY, {**READY, "shutdown_notice": False}])
async def test_notice_does_not_come_unasked(log: Log, answer: dict[str, Any]) -> None:
    app = Recorder(answer)
    lifespan = make(app, log)
    await lifespan.startup()
    lifespan.notice()
    await lifespan.shutdown()
    assert app.received == ["lifespan.startup", "lifespan.shutdown"]


# --- decline ---------------------------------------------------------------------------------


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    raise TypeError("only http here")


async def raises_after_receive(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    raise TypeError("only http here")


async def raises_without_text(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError


async def returns(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


async def answers_http(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})


async def cancels_itself(scope: Scope, receive: Receive, send: Send) -> None:
    raise asyncio.CancelledError


def no_coroutine(scope: Scope, receive: Receive, send: Send) -> None:
    """A function of another kind."""


DECLINES: list[tuple[Any, str]] = [
    (raises, "it raised TypeError: only http here"),
    (raises_after_receive, "it raised TypeError: only http here"),
    (raises_without_text, "it raised AssertionError"),
    (returns, "it returned without an answer"),
    (answers_http, "it raised MessageError: http.response.start is no message of a lifespan"),
    (cancels_itself, "it returned without an answer"),
    (no_coroutine, "it raised TypeError: "),
    (lambda scope: None, "it raised TypeError: "),
]


@pytest.mark.parametrize(("app", "how"), DECLINES)
async def test_decline_is_taken_by_auto(log: Log, app: Any, how: str) -> None:
    lifespan = make(app, log)
    await lifespan.startup()
    [(level, text)] = log.told()
    suspicious = app is raises_after_receive
    assert level == ("WARNING" if suspicious else "INFO")
    assert text.startswith(f"the application has no lifespan ({how}")
    assert ("--lifespan on" in text) == suspicious
    lifespan.notice()
    await lifespan.shutdown()
    assert len(log.told()) == 1


@pytest.mark.parametrize(("app", "how"), DECLINES)
async def test_decline_is_fatal_when_on(log: Log, app: Any, how: str) -> None:
    with pytest.raises(StartError, match="--lifespan auto") as caught:
        await make(app, log, "on").startup()
    assert how in caught.value.message
    assert caught.value.exit_status == EXIT_STARTUP


# --- failure of startup ----------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("then", ["return", "raise", "linger"])
async def test_startup_failed(log: Log, mode: str, then: str) -> None:
    ended = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        try:
            if then == "raise":
                raise RuntimeError("no database")
            if then == "linger":
                await asyncio.Event().wait()
        finally:
            ended.append(then)

    lifespan = make(app, log, mode)
    with pytest.raises(StartError) as caught:
        await lifespan.startup()
    assert caught.value.message == "Lifespan startup failed: no database"
    assert caught.value.exit_status == EXIT_STARTUP
    assert ended == [then]
    assert log.told() == []
    await lifespan.shutdown()


@pytest.mark.parametrize(
    ("message", "shown"), [({}, "(no message)"), ({"message": " \n"}, "(no message)")]
)
async def test_startup_failed_without_words(log: Log, message: dict[str, Any], shown: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.failed", **message})

    with pytest.raises(StartError) as caught:
        await make(app, log).startup()
    assert caught.value.message == f"Lifespan startup failed: {shown}"


async def test_startup_failed_with_a_traceback_is_one_line_and_a_detail(log: Log) -> None:
    trace = "Traceback (most recent call last):\n  File x\nRuntimeError: no database\n"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.failed", "message": trace})

    with pytest.raises(StartError) as caught:
        await make(app, log).startup()
    assert caught.value.message == "Lifespan startup failed: RuntimeError: no database"
    assert log.told() == [("ERROR", caught.value.message)]
    assert vars(log.records[0])["detail"] == trace


@pytest.mark.parametrize(
    "message",
    [
        {"type": "lifespan.startup.completed"},
        {"type": "lifespan.shutdown.complete"},
        {"type": "lifespan.startup.complete", "shutdown_notice": "yes"},
        {"type": "lifespan.startup.failed", "message": b"bytes"},
    ],
)
async def test_malformed_answer_is_a_failure_and_no_decline(
    log: Log, message: dict[str, Any]
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(message)

    with pytest.raises(StartError, match=f"Lifespan startup failed: {message['type']}"):
        await make(app, log).startup()


async def test_malformed_answer_can_be_mended(log: Log) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(MessageError):
            await send({"type": "lifespan.startup.completed"})
        await Recorder()(scope, receive, send)

    lifespan = make(app, log)
    await lifespan.startup()
    await lifespan.shutdown()
    assert log.told() == []


@pytest.mark.parametrize("mode", MODES)
async def test_startup_timeout(log: Log, mode: str) -> None:
    cleaned_up = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.append(True)

    with pytest.raises(StartError) as caught:
        await make(app, log, mode, startup_timeout=0.01).startup()
    assert caught.value.message.startswith("Lifespan startup timed out after 0.01s; ")
    assert "--lifespan-startup-timeout" in caught.value.message
    assert caught.value.exit_status == EXIT_STARTUP
    assert cleaned_up == [True]
    assert lifespan_tasks() == []


async def test_zero_is_no_timeout(log: Log) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.01)
        await Recorder()(scope, receive, send)

    lifespan = make(app, log, startup_timeout=0, shutdown_timeout=0)
    await lifespan.startup()
    await lifespan.shutdown()
    assert log.told() == []


# --- cancellation ----------------------------------------------------------------------------


async def test_cancelling_startup_ends_the_application_first(log: Log) -> None:
    cleaned_up = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned_up.append(True)

    lifespan = make(app, log)
    starting = asyncio.create_task(lifespan.startup())
    await settle()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert cleaned_up == [True]
    assert lifespan_tasks() == []
    await lifespan.shutdown()


async def test_application_that_ignores_cancellation_is_named(log: Log) -> None:
    release = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()

    with pytest.raises(StartError, match="timed out"):
        await make(app, log, startup_timeout=0.01).startup()
    assert log.told() == [
        ("ERROR", "the lifespan of the application does not end although cancelled")
    ]
    release.set()
    await asyncio.wait(lifespan_tasks())


async def test_cancelling_shutdown_ends_the_application_first(log: Log) -> None:
    cleaned_up = []

    async def after(receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.append(True)

    lifespan = make(ready_then(after), log)
    await lifespan.startup()
    stopping = asyncio.create_task(lifespan.shutdown())
    await settle()
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert cleaned_up == [True]


# --- after startup ---------------------------------------------------------------------------


async def test_crash_after_startup_is_logged_and_the_server_goes_on(log: Log) -> None:
    crash = asyncio.Event()

    async def after(receive: Receive, send: Send) -> None:
        await crash.wait()
        raise RuntimeError("lost the database")

    lifespan = make(ready_then(after), log)
    await lifespan.startup()
    assert log.told() == []
    crash.set()
    await settle()
    [(level, text)] = log.told()
    assert level == "ERROR"
    assert "failed after startup: RuntimeError: lost the database" in text
    assert log.records[0].exc_info is not None
    lifespan.notice()
    await lifespan.shutdown()
    assert len(log.told()) == 1


async def test_crash_in_the_very_step_of_the_answer_is_a_crash_after_startup(log: Log) -> None:
    async def after(receive: Receive, send: Send) -> None:
        raise RuntimeError("at once")

    lifespan = make(ready_then(after), log, "on")
    await lifespan.startup()
    await settle()
    assert [level for level, _ in log.told()] == ["ERROR"]
    await lifespan.shutdown()


async def test_return_after_startup_is_silent(log: Log) -> None:
    async def after(receive: Receive, send: Send) -> None:
        return

    lifespan = make(ready_then(after), log)
    await lifespan.startup()
    await settle()
    await lifespan.shutdown()
    assert log.told() == []


# --- shutdown --------------------------------------------------------------------------------


async def stop(log: Log, after: Callable[[Receive, Send], Awaitable[None]], **options: Any) -> None:
    lifespan = make(ready_then(after), log, **options)
    await lifespan.startup()
    await lifespan.shutdown()
    if not any("although cancelled" in text for _, text in log.told()):
        assert lifespan_tasks() == []


async def test_shutdown_failed_is_logged(log: Log) -> None:
    async def after(receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "cannot flush"})
        raise RuntimeError("cannot flush")

    await stop(log, after)
    assert log.told() == [("ERROR", "Lifespan shutdown failed: cannot flush")]


async def test_shutdown_failed_with_a_traceback(log: Log) -> None:
    async def after(receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "Traceback\nKeyError: 1"})

    await stop(log, after)
    assert log.told() == [("ERROR", "Lifespan shutdown failed: KeyError: 1")]
    assert vars(log.records[0])["detail"] == "Traceback\nKeyError: 1"


async def test_shutdown_that_raises_is_logged(log: Log) -> None:
    async def after(receive: Receive, send: Send) -> None:
        await receive()
        raise RuntimeError("boom")

    await stop(log, after)
    assert log.told() == [("ERROR", "Lifespan shutdown failed: RuntimeError: boom")]
    assert log.records[0].exc_info is not None


async def test_shutdown_by_return_is_enough(log: Log) -> None:
    async def after(receive: Receive, send: Send) -> None:
        await receive()

    await stop(log, after)
    assert log.told() == []


async def test_shutdown_timeout(log: Log) -> None:
    async def after(receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    await stop(log, after, shutdown_timeout=0.01)
    [(level, text)] = log.told()
    assert level == "WARNING"
    assert text.startswith("Lifespan shutdown timed out after 0.01s; ")
    assert "--lifespan-shutdown-timeout" in text


async def test_lingering_after_the_last_answer_is_ended(log: Log) -> None:
    async def after(receive: Receive, send: Send) -> None:
        await receive()
        await send(DONE)
        await receive()

    await stop(log, after)
    assert log.told() == []


# --- messages in the wrong place -------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (READY, "was sent before lifespan.shutdown was delivered"),
        (DONE, "was sent before lifespan.shutdown was delivered"),
        ({"type": "lifespan.shutdown.notice"}, "is no message of a lifespan"),
        ({"type": "http.response.start"}, "is no message of a lifespan"),
        ({}, "a message is a dict with a type"),
        ({"type": 5}, "a message is a dict with a type"),
        ("lifespan.shutdown.complete", "a message is a dict with a type"),
        (None, "a message is a dict with a type"),
    ],
)
async def test_message_that_does_not_fit_raises_in_the_application(
    log: Log, message: Any, words: str
) -> None:
    raised: list[str] = []

    async def after(receive: Receive, send: Send) -> None:
        try:
            await send(message)
        except MessageError as error:
            raised.append(str(error))
        await receive()
        await send(DONE)

    await stop(log, after)
    assert len(raised) == 1
    assert words in raised[0]
    assert log.told() == []


async def test_second_answer_to_shutdown_raises(log: Log) -> None:
    raised: list[str] = []

    async def after(receive: Receive, send: Send) -> None:
        await receive()
        await send(DONE)
        try:
            await send(DONE)
        except MessageError as error:
            raised.append(str(error))

    await stop(log, after)
    assert raised == ["lifespan.shutdown.complete was sent after the lifespan had ended"]


async def test_wrong_answer_names_what_was_expected(log: Log) -> None:
    raised: list[str] = []

    async def after(receive: Receive, send: Send) -> None:
        await receive()
        try:
            await send(READY)
        except MessageError as error:
            raised.append(str(error))
        await send(DONE)

    await stop(log, after)
    assert raised == [
        "lifespan.startup.complete was sent during shutdown;"
        " expected lifespan.shutdown.complete or lifespan.shutdown.failed"
    ]
