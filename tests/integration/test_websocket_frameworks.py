"""The WebSocket endpoints of each framework, as they are."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

import pytest

from tests.integration.conftest import Serving, told
from tests.integration.frameworks.common import (
    DENIAL,
    ENOUGH,
    GREETING,
    PROTOCOL,
    journal,
    watched,
)
from tests.integration.sockets import GRACE, MANY, STOP, closing, opened, refusal, stop
from tests.integration.test_frameworks import FRAMEWORKS, Framework, every

MIB = 1_048_576
DENYING = [framework for framework in FRAMEWORKS if framework.denies]


@pytest.fixture(autouse=True)
def clean(big_file: bytes) -> None:
    """Begin with an empty journal."""
    journal.clear()


def left(framework: Framework, code: int) -> str:
    """Return what an endpoint notes when its client has left."""
    return f"left {code}" if framework.tells_code else "left"


# spec: WS-11, WS-12
@every
@pytest.mark.parametrize("compression", ["deflate", None])
async def test_echo(framework: Framework, compression: str | None, serving: Serving) -> None:
    texts = ["text", "€ 😀", "x" * MIB]
    blocks = [b"\0\xff", bytes(MIB)]
    async with serving(framework.make_app()) as server:
        async with opened(server.port, "/ws/echo", compression=compression) as socket:
            for sent in texts:
                await socket.send(sent)
                assert await socket.recv() == sent
        async with opened(server.port, "/ws/echo?bytes=1", compression=compression) as socket:
            for block in blocks:
                await socket.send(block)
                assert await socket.recv() == block


# spec: WS-2, WS-6, WS-21
@every
async def test_subprotocol_and_fields(framework: Framework, serving: Serving) -> None:
    offered = ["chat.v1", PROTOCOL, "chat.v3"]
    async with serving(framework.make_app()) as server:
        async with opened(server.port, "/ws/chosen", subprotocols=offered) as socket:
            code, _ = await closing(socket)

    assert socket.subprotocol == PROTOCOL
    assert socket.response is not None
    assert GREETING.items() <= dict(socket.response.headers.raw_items()).items()
    assert code == 1000


# spec: WS-7
@every
async def test_refusal(framework: Framework, serving: Serving) -> None:
    async with serving(framework.make_app()) as server:
        answer = await refusal(server.port, "/ws/refused")

    assert answer.status_code == 403


# spec: WS-8
@pytest.mark.parametrize("framework", DENYING, ids=lambda framework: framework.name)
async def test_denial(framework: Framework, serving: Serving) -> None:
    async with serving(framework.make_app()) as server:
        answer = await refusal(server.port, "/ws/denied")

    status, text = DENIAL
    assert answer.status_code == status
    assert answer.body == text.encode()
    assert GREETING.items() <= dict(answer.headers.raw_items()).items()


# spec: WS-8
async def test_quart_aborts_with_a_response(serving: Serving) -> None:
    framework = next(one for one in FRAMEWORKS if one.name == "quart")
    async with serving(framework.make_app()) as server:
        answer = await refusal(server.port, "/ws/aborted")

    assert answer.status_code == 418


# spec: WS-7
async def test_fastapi_refuses_what_does_not_validate(serving: Serving) -> None:
    framework = next(one for one in FRAMEWORKS if one.name == "fastapi")
    async with serving(framework.make_app()) as server:
        answer = await refusal(server.port, "/ws/checked?number=many")
        async with opened(server.port, "/ws/checked?number=5") as socket:
            number = await socket.recv()

    assert answer.status_code == 403
    assert number == "5"


# spec: WS-21
@every
async def test_the_endpoint_closes(framework: Framework, serving: Serving) -> None:
    async with serving(framework.make_app()) as server:
        async with opened(server.port, "/ws/enough") as socket:
            await socket.send("anything")
            closed = await closing(socket)

    assert closed == ENOUGH


# spec: WS-22
@every
async def test_the_client_closes(framework: Framework, serving: Serving) -> None:
    async with serving(framework.make_app()) as server:
        for code in (1000, 1001, 4321):
            async with opened(server.port, "/ws/echo") as socket:
                await socket.send("hello")
                await socket.recv()
                await socket.close(code, "bye")
                closed = await closing(socket)
            await journal.until(left(framework, code))
            journal.clear()

            assert closed[0] == code


# spec: WS-23
@every
async def test_the_client_vanishes(framework: Framework, serving: Serving) -> None:
    async with serving(watched(framework.make_app())) as server:
        async with opened(server.port, "/ws/echo") as socket:
            await socket.send("hello")
            await socket.recv()
            socket.transport.abort()
            await journal.until(left(framework, 1006))
        await journal.until("ended /ws/echo")


# spec: WS-16, CORE-24
@every
@pytest.mark.parametrize("how", ["closes", "vanishes"])
async def test_the_client_leaves_while_it_is_sent_to(
    framework: Framework, how: str, serving: Serving
) -> None:
    async with serving(watched(framework.make_app())) as server:
        async with opened(server.port, "/ws/flood", compression=None, close_timeout=0.5) as socket:
            for _ in range(5):
                assert await socket.recv() == bytes(1000)
            if how == "closes":
                leaving = asyncio.create_task(socket.close(1001))
                await journal.until("ended /ws/flood")  # before it reads what was sent
                await closing(socket)
                await leaving
            else:
                socket.transport.abort()
                await journal.until("ended /ws/flood")


# spec: WS-27
@every
async def test_an_endpoint_that_raises(
    framework: Framework, serving: Serving, log: list[logging.LogRecord]
) -> None:
    async with serving(framework.make_app()) as server:
        async with opened(server.port, "/ws/broken") as socket:
            await socket.send("hello")
            code, _ = await closing(socket)
        reports = [told(record) for record in log if record.name == "pagi.error"]
        log.clear()

    assert code == (framework.broken_code or 1011)
    assert len(reports) == (framework.broken_code is None)
    assert all("Deliberate" in report and "closed with 1011" in report for report in reports)


# spec: WS-10
@every
async def test_an_endpoint_that_raises_before_the_accept(
    framework: Framework, serving: Serving, log: list[logging.LogRecord]
) -> None:
    async with serving(framework.make_app()) as server:
        answer = await refusal(server.port, "/ws/broken-early")
        reports = [told(record) for record in log if record.name == "pagi.error"]
        log.clear()

    answers = framework.denies or framework.broken_code is None
    assert answer.status_code == (500 if answers else 403)
    assert len(reports) == (framework.broken_code is None)
    assert all("Deliberate" in report for report in reports)


# spec: WS-28, LIFE-12
@every
async def test_a_stop(framework: Framework, serving: Serving) -> None:
    async with serving(watched(framework.make_app()), shutdown_grace=GRACE) as server:
        async with AsyncExitStack() as stack:
            sockets = [
                await stack.enter_async_context(opened(server.port, "/ws/echo"))
                for _ in range(MANY)
            ]
            stopped = await stop(server, [closing(socket) for socket in sockets])

    assert {code for code, _ in stopped.seen} == {1012}
    assert stopped.seconds < STOP
    assert journal.notes.count(left(framework, 1012)) == MANY
    assert journal.notes.count("ended /ws/echo") == MANY
    if framework.lifespan:
        assert journal.notes[-1] == "shutdown"


# spec: WS-28, LIFE-12
@pytest.mark.filterwarnings(  # asgiref would like any awaitable, but can only see coroutines
    "ignore:async_to_sync was passed a non-async-marked callable:UserWarning"
)
async def test_a_stop_with_channels_consumers_in_threads(serving: Serving) -> None:
    framework = next(one for one in FRAMEWORKS if one.name == "django")
    async with serving(watched(framework.make_app()), shutdown_grace=GRACE) as server:
        async with AsyncExitStack() as stack:
            sockets = [
                await stack.enter_async_context(opened(server.port, "/ws/echo-in-thread"))
                for _ in range(MANY)
            ]
            for socket in sockets:
                await socket.send("hello")
                assert await socket.recv() == "hello"
            stopped = await stop(server, [closing(socket) for socket in sockets])

    assert {code for code, _ in stopped.seen} == {1012}
    assert stopped.seconds < STOP
    assert journal.notes.count("left 1012") == MANY


# spec: WS-28, CORE-42
async def test_a_stop_with_endpoints_that_do_not_receive(serving: Serving) -> None:
    framework = FRAMEWORKS[0]
    async with serving(watched(framework.make_app()), shutdown_grace=GRACE) as server:
        async with AsyncExitStack() as stack:
            sockets = [
                await stack.enter_async_context(opened(server.port, "/ws/deaf"))
                for _ in range(MANY)
            ]
            stopped = await stop(server, [closing(socket) for socket in sockets])

    assert {code for code, _ in stopped.seen} == {1012}
    assert stopped.seconds < STOP
    assert journal.notes.count("ended /ws/deaf") == MANY
    assert journal.notes[-1] == "shutdown"
