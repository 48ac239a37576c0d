"""The application in BlackSheep."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from blacksheep import (
    Application,
    Cookie,
    Request,
    Response,
    Router,
    StreamedContent,
    WebSocket,
    WebSocketDisconnectError,
    json,
)
from blacksheep.server.sse import (
    ServerSentEvent,
    ServerSentEventsResponse,
    TextServerSentEvent,
)

from tests.integration.frameworks.common import (
    COOKIES,
    ENOUGH,
    GREETING,
    PROTOCOL,
    Deliberate,
    Tally,
    cued,
    files,
    form_report,
    hello_and_silence,
    journal,
    pieces,
    slow_pieces,
    ticks,
)


async def as_json() -> Response:
    return json({"hello": "world"})


async def item(request: Request) -> Response:
    name = request.route_values["name"]
    return json({"name": name, "q": request.query["q"]})


async def upload(request: Request) -> Response:
    tally = Tally()
    async for piece in request.stream():
        tally.add(piece)
    return json(tally.report())


async def form(request: Request) -> Response:
    fields: Any = await request.form()
    file = fields["file"][0]
    content = file.data if isinstance(file.data, bytes) else await file.read()
    name = file.file_name
    name = name.decode() if isinstance(name, bytes) else name
    return json(form_report(fields["title"], name, content))


async def stream() -> Response:
    return Response(200, content=StreamedContent(b"text/plain", pieces))


async def slow() -> Response:
    return Response(200, content=StreamedContent(b"text/plain", slow_pieces))


async def error() -> None:
    raise Deliberate


async def cookies() -> Response:
    response = Response(200)
    for name, value in COOKIES.items():
        response.set_cookie(Cookie(name, value))
    return response


def in_thread() -> Response:
    return json({"sum": 6})


async def as_events(source: AsyncIterator[str]) -> AsyncIterator[ServerSentEvent]:
    async for data in source:
        yield TextServerSentEvent(data)


async def silent() -> Response:
    return ServerSentEventsResponse(lambda: as_events(hello_and_silence()))


async def ticking() -> Response:
    return ServerSentEventsResponse(lambda: as_events(ticks()))


async def on_cue(request: Request) -> Response:
    last_id = request.get_first_header(b"last-event-id")
    events = cued(last_id.decode() if last_id else None)
    return ServerSentEventsResponse(lambda: as_events(events))


async def ws_echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            message = await socket.receive()
            if "text" in message:
                await socket.send_text(message["text"])
            else:
                await socket.send_bytes(message["bytes"])
    except WebSocketDisconnectError as left:
        journal.note(f"left {left.code}")


async def ws_chosen(socket: WebSocket) -> None:
    headers = [(name.encode(), value.encode()) for name, value in GREETING.items()]
    await socket.accept(headers, PROTOCOL)
    await socket.close()


async def ws_refused(socket: WebSocket) -> None:
    await socket.close()


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


def make_app() -> Application:
    """Make the application."""
    app = Application(router=Router())
    started: dict[str, str] = {}

    @app.on_start
    async def start(application: Application) -> None:
        journal.note("startup")
        started["greeting"] = "ready"

    @app.on_stop
    async def stop(application: Application) -> None:
        journal.note("shutdown")

    async def state() -> Response:
        return json({"state": started["greeting"]})

    router = app.router
    router.add_get("/json", as_json)
    router.add_head("/json", as_json)
    router.add_get("/items/{name}", item)
    router.add_post("/upload", upload)
    router.add_post("/form", form)
    router.add_get("/stream", stream)
    router.add_get("/slow", slow)
    router.add_get("/state", state)
    router.add_get("/error", error)
    router.add_get("/cookies", cookies)
    router.add_get("/thread", in_thread)
    router.add_get("/silent", silent)
    router.add_get("/ticks", ticking)
    router.add_get("/cued", on_cue)
    router.add_ws("/ws/echo", ws_echo)
    router.add_ws("/ws/chosen", ws_chosen)
    router.add_ws("/ws/refused", ws_refused)
    router.add_ws("/ws/enough", ws_enough)
    router.add_ws("/ws/flood", ws_flood)
    router.add_ws("/ws/broken", ws_broken)
    router.add_ws("/ws/broken-early", ws_broken_early)
    app.serve_files(files(), root_path="files", extensions={".bin"}, cache_time=0)
    return app


app = make_app()
