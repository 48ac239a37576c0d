"""The application in Quart."""

from __future__ import annotations

from typing import Any

from quart import Quart, Response, request, send_file
from quart.datastructures import FileStorage

from tests.integration.frameworks.common import (
    COOKIES,
    Deliberate,
    Tally,
    big_file,
    form_report,
    journal,
    pieces,
    slow_pieces,
)


async def as_json() -> dict[str, str]:
    return {"hello": "world"}


async def item(name: str) -> dict[str, Any]:
    return {"name": name, "q": request.args.getlist("q")}


async def upload() -> dict[str, Any]:
    tally = Tally()
    async for piece in request.body:
        tally.add(piece)
    return tally.report()


async def form() -> dict[str, Any]:
    title = (await request.form)["title"]
    file: FileStorage = (await request.files)["file"]
    return form_report(title, file.filename, file.read())


async def stream() -> Response:
    return Response(pieces(), content_type="text/plain")


async def slow() -> Response:
    response = Response(slow_pieces(), content_type="text/plain")
    response.timeout = None
    return response


async def file() -> Response:
    return await send_file(big_file(), conditional=True)


async def state() -> dict[str, Any]:
    from quart import current_app

    return {"state": current_app.config["GREETING"]}


async def error() -> None:
    raise Deliberate


async def cookies() -> Response:
    response = Response("")
    for name, value in COOKIES.items():
        response.set_cookie(name, value)
    return response


def in_thread() -> dict[str, int]:
    return {"sum": 6}


def make_app() -> Quart:
    """Make the application."""
    app = Quart(__name__)
    app.config["MAX_CONTENT_LENGTH"] = None

    @app.before_serving
    async def before() -> None:
        journal.note("startup")
        app.config["GREETING"] = "ready"

    @app.after_serving
    async def after() -> None:
        journal.note("shutdown")

    app.add_url_rule("/json", view_func=as_json)
    app.add_url_rule("/items/<name>", view_func=item)
    app.add_url_rule("/upload", view_func=upload, methods=["POST"])
    app.add_url_rule("/form", view_func=form, methods=["POST"])
    app.add_url_rule("/stream", view_func=stream)
    app.add_url_rule("/slow", view_func=slow)
    app.add_url_rule("/files/big.bin", view_func=file)
    app.add_url_rule("/state", view_func=state)
    app.add_url_rule("/error", view_func=error)
    app.add_url_rule("/cookies", view_func=cookies)
    app.add_url_rule("/thread", view_func=in_thread)
    return app


app = make_app()
