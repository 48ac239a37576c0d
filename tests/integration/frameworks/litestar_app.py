"""The application in Litestar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from litestar import Litestar, MediaType, Request, Response, WebSocket, get, post, route, websocket
from litestar.datastructures import State
from litestar.enums import RequestEncodingType
from litestar.exceptions import WebSocketDisconnect, WebSocketException
from litestar.params import Body
from litestar.response import File, ServerSentEvent, Stream

from tests.integration.frameworks.common import (
    COOKIES,
    ENOUGH,
    GREETING,
    PROTOCOL,
    Deliberate,
    Tally,
    big_file,
    cued,
    form_report,
    hello_and_silence,
    journal,
    pieces,
    slow_pieces,
    ticks,
)

Socket = WebSocket[Any, Any, Any]


@route("/json", http_method=["GET", "HEAD"])
async def as_json() -> dict[str, str]:
    return {"hello": "world"}


@get("/items/{name:str}")
async def item(name: str, q: list[str]) -> dict[str, Any]:
    return {"name": name, "q": q}


@post("/upload", status_code=200, request_max_body_size=None)
async def upload(request: Request[Any, Any, Any]) -> dict[str, Any]:
    tally = Tally()
    async for piece in request.stream():
        tally.add(piece)
    return tally.report()


@post("/form", status_code=200)
async def form(
    data: Annotated[dict[str, Any], Body(media_type=RequestEncodingType.MULTI_PART)],
) -> dict[str, Any]:
    file = data["file"]
    return form_report(data["title"], file.filename, await file.read())


@get("/stream")
async def stream() -> Stream:
    return Stream(pieces(), media_type=MediaType.TEXT)


@get("/slow")
async def slow() -> Stream:
    return Stream(slow_pieces(), media_type=MediaType.TEXT)


@get("/files/big.bin")
async def file() -> File:
    return File(path=big_file())


@get("/state")
async def state(state: State) -> dict[str, Any]:
    return {"state": state.greeting}


@get("/error")
async def error() -> None:
    raise Deliberate


@get("/cookies")
async def cookies() -> Response[None]:
    response: Response[None] = Response(None)
    for name, value in COOKIES.items():
        response.set_cookie(name, value)
    return response


@get("/thread", sync_to_thread=True)
def in_thread() -> dict[str, int]:
    return {"sum": 6}


@get("/silent")
async def silent() -> ServerSentEvent:
    return ServerSentEvent(hello_and_silence())


@get("/ticks")
async def ticking() -> ServerSentEvent:
    return ServerSentEvent(ticks())


@get("/cued")
async def on_cue(request: Request[Any, Any, Any]) -> ServerSentEvent:
    return ServerSentEvent(cued(request.headers.get("last-event-id")))


@websocket("/ws/echo")
async def ws_echo(socket: Socket) -> None:
    await socket.accept()
    try:
        while True:
            message: Any = await socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(detail="left", code=message["code"])
            if "text" in message:
                await socket.send_text(message["text"])
            else:
                await socket.send_bytes(message["bytes"])
    except WebSocketDisconnect as left:
        journal.note(f"left {left.code}")


@websocket("/ws/chosen")
async def ws_chosen(socket: Socket) -> None:
    await socket.accept(PROTOCOL, dict(GREETING))
    await socket.close()


@websocket("/ws/refused")
async def ws_refused(socket: Socket) -> None:
    raise WebSocketException(detail="not you", code=4003)


@websocket("/ws/enough")
async def ws_enough(socket: Socket) -> None:
    await socket.accept()
    await socket.receive_text()
    await socket.close(*ENOUGH)


@websocket("/ws/flood")
async def ws_flood(socket: Socket) -> None:
    await socket.accept()
    while True:
        await socket.send_bytes(bytes(1000))


@websocket("/ws/broken")
async def ws_broken(socket: Socket) -> None:
    await socket.accept()
    await socket.receive_text()
    raise Deliberate


@websocket("/ws/broken-early")
async def ws_broken_early(socket: Socket) -> None:
    raise Deliberate


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    journal.note("startup")
    app.state.greeting = "ready"
    yield
    journal.note("shutdown")


HANDLERS = [
    as_json, item, upload, form, stream, slow, file, state, error, cookies, in_thread,
    silent, ticking, on_cue, ws_echo, ws_chosen, ws_refused, ws_enough, ws_flood, ws_broken,
    ws_broken_early,
]  # fmt: skip


def make_app() -> Litestar:
    """Make the application."""
    return Litestar(HANDLERS, lifespan=[lifespan], openapi_config=None)


app = make_app()
