"""The application in BlackSheep."""

from __future__ import annotations

from typing import Any

from blacksheep import Application, Cookie, Request, Response, Router, StreamedContent, json

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
    app.serve_files(files(), root_path="files", extensions={".bin"}, cache_time=0)
    return app


app = make_app()
