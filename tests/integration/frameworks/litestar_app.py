"""The application in Litestar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from litestar import Litestar, MediaType, Request, Response, get, post, route
from litestar.datastructures import State
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import File, Stream

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


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    journal.note("startup")
    app.state.greeting = "ready"
    yield
    journal.note("shutdown")


HANDLERS = [
    as_json, item, upload, form, stream, slow, file, state, error, cookies, in_thread,
]  # fmt: skip


def make_app() -> Litestar:
    """Make the application."""
    return Litestar(HANDLERS, lifespan=[lifespan], openapi_config=None)


app = make_app()
