"""The application in Quart."""

from __future__ import annotations

import asyncio
from typing import Any

from quart import Quart, Response, abort, request, send_file, websocket
from quart.datastructures import FileStorage

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


async def silent() -> Response:
    response = Response(encoded(hello_and_silence()), content_type="text/event-stream")
    response.timeout = None
    return response


async def ticking() -> Response:
    response = Response(encoded(ticks()), content_type="text/event-stream")
    response.timeout = None
    return response


async def on_cue() -> Response:
    events = cued(request.headers.get("Last-Event-ID"))
    response = Response(encoded(events), content_type="text/event-stream")
    response.timeout = None
    return response


async def ws_echo() -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send(await websocket.receive())
    except asyncio.CancelledError:  # this is how Quart says that the client has left
        journal.note("left")
        raise


async def ws_chosen() -> None:
    await websocket.accept(GREETING, PROTOCOL)
    await websocket.close(1000)


async def ws_refused() -> None:
    await websocket.close(1000)


async def ws_denied() -> Response:
    status, text = DENIAL
    return Response(text, status, GREETING)


async def ws_aborted() -> None:
    abort(418)


async def ws_enough() -> None:
    await websocket.receive()
    await websocket.close(*ENOUGH)


async def ws_flood() -> None:
    await websocket.accept()
    while True:
        await websocket.send(bytes(1000))


async def ws_broken() -> None:
    await websocket.receive()
    raise Deliberate


async def ws_broken_early() -> None:
    raise Deliberate


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
    app.add_url_rule("/silent", view_func=silent)
    app.add_url_rule("/ticks", view_func=ticking)
    app.add_url_rule("/cued", view_func=on_cue)
    app.add_websocket("/ws/echo", view_func=ws_echo)
    app.add_websocket("/ws/chosen", view_func=ws_chosen)
    app.add_websocket("/ws/refused", view_func=ws_refused)
    app.add_websocket("/ws/denied", view_func=ws_denied)
    app.add_websocket("/ws/aborted", view_func=ws_aborted)
    app.add_websocket("/ws/enough", view_func=ws_enough)
    app.add_websocket("/ws/flood", view_func=ws_flood)
    app.add_websocket("/ws/broken", view_func=ws_broken)
    app.add_websocket("/ws/broken-early", view_func=ws_broken_early)
    return app


app = make_app()
