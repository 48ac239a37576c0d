"""The application in FastAPI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import BackgroundTasks, FastAPI, Form, Query, Request, Response, UploadFile
from fastapi.responses import FileResponse, StreamingResponse

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
    return app


app = make_app()
