"""The application in FastAPI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import (
    BackgroundTasks,
    FastAPI,
    Form,
    Header,
    Query,
    Request,
    Response,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
)
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

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
    form_report,
    hello_and_silence,
    journal,
    pieces,
    slow_pieces,
    ticks,
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    journal.note("startup")
    yield {"greeting": "ready"}
    journal.note("shutdown")


async def as_json() -> dict[str, str]:
    return {"hello": "world"}


async def item(name: str, q: Annotated[list[str], Query()]) -> dict[str, Any]:
    return {"name": name, "q": q}


async def upload(request: Request) -> dict[str, Any]:
    tally = Tally()
    async for piece in request.stream():
        tally.add(piece)
    return tally.report()


async def form(title: Annotated[str, Form()], file: UploadFile) -> dict[str, Any]:
    return form_report(title, file.filename, await file.read())


async def stream() -> StreamingResponse:
    return StreamingResponse(pieces(), media_type="text/plain")


async def slow() -> StreamingResponse:
    return StreamingResponse(slow_pieces(), media_type="text/plain")


async def file() -> FileResponse:
    return FileResponse(big_file())


async def state(request: Request) -> dict[str, Any]:
    return {"state": request.state.greeting}


async def error() -> None:
    raise Deliberate


async def cookies(response: Response) -> None:
    for name, value in COOKIES.items():
        response.set_cookie(name, value)


async def background(tasks: BackgroundTasks) -> dict[str, Any]:
    async def work(name: str) -> None:
        await asyncio.sleep(0.05)
        journal.note(name)

    tasks.add_task(work, "background done")
    return {}


def in_thread() -> dict[str, int]:
    return {"sum": 6}


async def silent() -> AsyncIterator[ServerSentEvent]:
    async for data in hello_and_silence():
        yield ServerSentEvent(raw_data=data)


async def ticking() -> AsyncIterator[ServerSentEvent]:
    async for data in ticks():
        yield ServerSentEvent(raw_data=data)


async def on_cue(
    last_event_id: Annotated[str | None, Header()] = None,
) -> AsyncIterator[ServerSentEvent]:
    async for data in cued(last_event_id):
        yield ServerSentEvent(raw_data=data)


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
    raise WebSocketException(1008, "not you")


async def ws_denied(socket: WebSocket) -> None:
    status, text = DENIAL
    await socket.send_denial_response(Response(text, status, GREETING))


async def ws_checked(socket: WebSocket, number: int) -> None:
    """Get the client's ``number`` checked, before it is accepted."""
    await socket.accept()
    await socket.send_json(number)
    await socket.close()


async def ws_enough(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive_text()
    code, reason = ENOUGH
    raise WebSocketException(code, reason)


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


def make_app() -> FastAPI:
    """Make the application."""
    app = FastAPI(lifespan=lifespan)
    app.add_api_route("/json", as_json, methods=["GET", "HEAD", "OPTIONS"])
    app.add_api_route("/items/{name}", item)
    app.add_api_route("/upload", upload, methods=["POST"])
    app.add_api_route("/form", form, methods=["POST"])
    app.add_api_route("/stream", stream, response_model=None)
    app.add_api_route("/slow", slow, response_model=None)
    app.add_api_route("/files/big.bin", file, response_model=None, methods=["GET", "HEAD"])
    app.add_api_route("/state", state)
    app.add_api_route("/error", error)
    app.add_api_route("/cookies", cookies)
    app.add_api_route("/background", background)
    app.add_api_route("/thread", in_thread)
    app.add_api_route("/silent", silent, response_class=EventSourceResponse)
    app.add_api_route("/ticks", ticking, response_class=EventSourceResponse)
    app.add_api_route("/cued", on_cue, response_class=EventSourceResponse)
    app.add_api_websocket_route("/ws/echo", ws_echo)
    app.add_api_websocket_route("/ws/chosen", ws_chosen)
    app.add_api_websocket_route("/ws/refused", ws_refused)
    app.add_api_websocket_route("/ws/denied", ws_denied)
    app.add_api_websocket_route("/ws/checked", ws_checked)
    app.add_api_websocket_route("/ws/enough", ws_enough)
    app.add_api_websocket_route("/ws/flood", ws_flood)
    app.add_api_websocket_route("/ws/broken", ws_broken)
    app.add_api_websocket_route("/ws/broken-early", ws_broken_early)
    return app


app = make_app()
