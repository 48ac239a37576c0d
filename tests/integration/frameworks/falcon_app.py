"""The application in Falcon."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from falcon import HTTPForbidden, WebSocketDisconnected
from falcon.asgi import App, Request, Response, SSEvent, WebSocket

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


class AsJSON:
    async def on_get(self, request: Request, response: Response) -> None:
        response.media = {"hello": "world"}

    on_head = on_get


class Item:
    async def on_get(self, request: Request, response: Response, name: str) -> None:
        response.media = {"name": name, "q": request.get_param_as_list("q")}


class Upload:
    async def on_post(self, request: Request, response: Response) -> None:
        tally = Tally()
        async for piece in request.stream:
            tally.add(piece)
        response.media = tally.report()


class Form:
    async def on_post(self, request: Request, response: Response) -> None:
        title, name, content = "", None, b""
        async for part in await request.get_media():
            if part.name == "title":
                title = await part.text
            else:
                name, content = part.filename, await part.stream.read()
        response.media = form_report(title, name, content)


class Stream:
    async def on_get(self, request: Request, response: Response) -> None:
        response.content_type = "text/plain"
        response.stream = pieces()


class Slow:
    async def on_get(self, request: Request, response: Response) -> None:
        response.content_type = "text/plain"
        response.stream = slow_pieces()


class State:
    async def on_get(self, request: Request, response: Response) -> None:
        response.media = {"state": request.scope["state"]["greeting"]}


class Error:
    async def on_get(self, request: Request, response: Response) -> None:
        raise Deliberate


class Cookies:
    async def on_get(self, request: Request, response: Response) -> None:
        for name, value in COOKIES.items():
            response.set_cookie(name, value)


async def as_events(source: AsyncIterator[str]) -> AsyncIterator[SSEvent]:
    async for data in source:
        yield SSEvent(text=data)


class Silent:
    async def on_get(self, request: Request, response: Response) -> None:
        response.sse = as_events(hello_and_silence())


class Ticks:
    async def on_get(self, request: Request, response: Response) -> None:
        response.sse = as_events(ticks())


class OnCue:
    async def on_get(self, request: Request, response: Response) -> None:
        response.sse = as_events(cued(request.get_header("Last-Event-ID")))


class Echo:
    async def on_websocket(self, request: Request, socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                # Falcon has no way to take a message of either kind as it is.
                if request.get_param("bytes"):
                    await socket.send_data(await socket.receive_data())
                else:
                    await socket.send_text(await socket.receive_text())
        except WebSocketDisconnected as left:
            journal.note(f"left {left.code}")


class Chosen:
    async def on_websocket(self, request: Request, socket: WebSocket) -> None:
        await socket.accept(PROTOCOL, GREETING)


class Refused:
    async def on_websocket(self, request: Request, socket: WebSocket) -> None:
        raise HTTPForbidden


class Enough:
    async def on_websocket(self, request: Request, socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        await socket.close(*ENOUGH)


class Flood:
    async def on_websocket(self, request: Request, socket: WebSocket) -> None:
        await socket.accept()
        while True:
            await socket.send_data(bytes(1000))


class Broken:
    async def on_websocket(self, request: Request, socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        raise Deliberate


class BrokenEarly:
    async def on_websocket(self, request: Request, socket: WebSocket) -> None:
        raise Deliberate


class Life:
    """What Falcon calls a middleware: it is told of startup and shutdown."""

    async def process_startup(self, scope: Any, event: Any) -> None:
        journal.note("startup")
        scope["state"]["greeting"] = "ready"

    async def process_shutdown(self, scope: Any, event: Any) -> None:
        journal.note("shutdown")


def make_app() -> App:
    """Make the application."""
    app = App(middleware=[Life()])
    app.req_options.default_media_type = "application/json"
    app.resp_options.secure_cookies_by_default = False
    app.add_route("/json", AsJSON())
    app.add_route("/items/{name}", Item())
    app.add_route("/upload", Upload())
    app.add_route("/form", Form())
    app.add_route("/stream", Stream())
    app.add_route("/slow", Slow())
    app.add_route("/state", State())
    app.add_route("/error", Error())
    app.add_route("/cookies", Cookies())
    app.add_route("/silent", Silent())
    app.add_route("/ticks", Ticks())
    app.add_route("/cued", OnCue())
    app.add_route("/ws/echo", Echo())
    app.add_route("/ws/chosen", Chosen())
    app.add_route("/ws/refused", Refused())
    app.add_route("/ws/enough", Enough())
    app.add_route("/ws/flood", Flood())
    app.add_route("/ws/broken", Broken())
    app.add_route("/ws/broken-early", BrokenEarly())
    app.add_static_route("/files", str(files()))
    return app


app = make_app()
