"""The application in Starlette, with what only Starlette has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.integration.frameworks.common import (
    COOKIES,
    DENIAL,
    ENOUGH,
    GREETING,
    PROTOCOL,
    Deliberate,
    Tally,
    big_file,
    cued,
    encoded,
    form_report,
    hello_and_silence,
    journal,
    pieces,
    slow_pieces,
    ticks,
)


async def as_json(request: Request) -> Response:
    return JSONResponse({"hello": "world"})


async def item(request: Request) -> Response:
    return JSONResponse(
        {"name": request.path_params["name"], "q": request.query_params.getlist("q")}
    )


async def upload(request: Request) -> Response:
    tally = Tally()
    async for piece in request.stream():
        tally.add(piece)
    return JSONResponse(tally.report())


async def form(request: Request) -> Response:
    async with request.form() as fields:
        file: Any = fields["file"]
        content = await file.read()
        return JSONResponse(form_report(str(fields["title"]), file.filename, content))


async def stream(request: Request) -> Response:
    return StreamingResponse(pieces(), media_type="text/plain")


async def slow(request: Request) -> Response:
    return StreamingResponse(slow_pieces(), media_type="text/plain")


async def file(request: Request) -> Response:
    return FileResponse(big_file())


async def state(request: Request) -> Response:
    return JSONResponse({"state": request.state.greeting})


async def error(request: Request) -> Response:
    raise Deliberate


async def cookies(request: Request) -> Response:
    response = JSONResponse(None)
    for name, value in COOKIES.items():
        response.set_cookie(name, value)
    return response


async def background(request: Request) -> Response:
    async def work(name: str) -> None:
        await asyncio.sleep(0.05)
        journal.note(name)

    return JSONResponse({}, background=BackgroundTask(work, "background done"))


async def disconnected(request: Request) -> Response:
    """Ask again and again whether the client has gone."""
    if await request.is_disconnected():
        journal.note("gone from the start")
    journal.note("asking")
    while not await request.is_disconnected():  # what people write
        await asyncio.sleep(0.01)
    journal.note("noticed")
    return JSONResponse(None)


async def timeout(request: Request) -> Response:
    """Use what needs a current task in the very first step of a request."""
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
    except TimeoutError:
        return JSONResponse({"timed out": True})
    return JSONResponse({"timed out": False})


async def tasks(request: Request) -> Response:
    """Run a task group of anyio, one task of which is cancelled."""
    done: list[int] = []

    async def work(number: int) -> None:
        await anyio.sleep(0.001 * number)
        done.append(number)

    async with anyio.create_task_group() as group:
        for number in (3, 1, 2):
            group.start_soon(work, number)
    with anyio.move_on_after(0.01) as limit:
        await anyio.sleep_forever()
    return JSONResponse({"done": sorted(done), "cancelled": limit.cancelled_caught})


async def in_thread(request: Request) -> Response:
    return JSONResponse({"sum": await anyio.to_thread.run_sync(sum, (1, 2, 3))})


async def silent(request: Request) -> Response:
    return StreamingResponse(encoded(hello_and_silence()), media_type="text/event-stream")


async def ticking(request: Request) -> Response:
    return StreamingResponse(encoded(ticks()), media_type="text/event-stream")


async def on_cue(request: Request) -> Response:
    events = cued(request.headers.get("last-event-id"))
    return StreamingResponse(encoded(events), media_type="text/event-stream")


async def ws_echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message["code"])
            if "text" in message:
                await socket.send_text(message["text"])
            else:
                await socket.send_bytes(message["bytes"])
    except WebSocketDisconnect as left:
        journal.note(f"left {left.code}")


async def ws_chosen(socket: WebSocket) -> None:
    headers = [(name.encode(), value.encode()) for name, value in GREETING.items()]
    await socket.accept(PROTOCOL, headers)
    await socket.close()


async def ws_refused(socket: WebSocket) -> None:
    await socket.close()


async def ws_denied(socket: WebSocket) -> None:
    status, text = DENIAL
    await socket.send_denial_response(Response(text, status, GREETING))


async def ws_enough(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive_text()
    await socket.close(*ENOUGH)


async def ws_flood(socket: WebSocket) -> None:
    await socket.accept()
    while True:
        await socket.send_bytes(bytes(1000))


async def ws_broken(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive_text()
    raise Deliberate


async def ws_broken_early(socket: WebSocket) -> None:
    raise Deliberate


async def ws_deaf(socket: WebSocket) -> None:
    """Wait for anything but the client."""
    await socket.accept()
    await asyncio.Event().wait()


class Stamp(BaseHTTPMiddleware):
    """The middleware that runs the application in a task of its own."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["x-stamp"] = "yes"
        return response


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    journal.note("startup")
    yield {"greeting": "ready"}
    journal.note("shutdown")


ROUTES = [
    Route("/json", as_json),
    Route("/items/{name}", item),
    Route("/upload", upload, methods=["POST"]),
    Route("/form", form, methods=["POST"]),
    Route("/stream", stream),
    Route("/slow", slow),
    Route("/files/big.bin", file),
    Route("/state", state),
    Route("/error", error),
    Route("/cookies", cookies),
    Route("/background", background),
    Route("/disconnected", disconnected, methods=["GET", "POST"]),
    Route("/timeout", timeout),
    Route("/tasks", tasks),
    Route("/thread", in_thread),
    Route("/silent", silent),
    Route("/ticks", ticking),
    Route("/cued", on_cue),
    WebSocketRoute("/ws/echo", ws_echo),
    WebSocketRoute("/ws/chosen", ws_chosen),
    WebSocketRoute("/ws/refused", ws_refused),
    WebSocketRoute("/ws/denied", ws_denied),
    WebSocketRoute("/ws/enough", ws_enough),
    WebSocketRoute("/ws/flood", ws_flood),
    WebSocketRoute("/ws/broken", ws_broken),
    WebSocketRoute("/ws/broken-early", ws_broken_early),
    WebSocketRoute("/ws/deaf", ws_deaf),
]


def make_app() -> Starlette:
    """Make the application; below ``/stamped`` it goes through `BaseHTTPMiddleware`."""
    stamped = Mount("/stamped", routes=ROUTES, middleware=[Middleware(Stamp)])
    return Starlette(routes=[*ROUTES, stamped], lifespan=lifespan)


app = make_app()
