"""The application in Falcon."""

from __future__ import annotations

from typing import Any

from falcon.asgi import App, Request, Response

from tests.integration.frameworks.common import (
    COOKIES,
    Deliberate,
    Tally,
    files,
    form_report,
    journal,
    pieces,
    slow_pieces,
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
    app.add_static_route("/files", str(files()))
    return app


app = make_app()
