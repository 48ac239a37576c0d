"""Event streams by sse-starlette, in an application of Starlette; see `common`.

``GET /pinged`` is silent but for a ping every twentieth of a second; when its client has left, the
journal says ``told of the end``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.integration.frameworks.common import cued, hello_and_silence, journal, ticks


async def as_json(request: Request) -> Response:
    return JSONResponse({"hello": "world"})


async def silent(request: Request) -> Response:
    return EventSourceResponse(hello_and_silence())


async def ticking(request: Request) -> Response:
    return EventSourceResponse(ticks())


async def on_cue(request: Request) -> Response:
    return EventSourceResponse(cued(request.headers.get("last-event-id")))


async def pinged(request: Request) -> Response:
    async def left(message: Any) -> None:
        journal.note("told of the end")

    return EventSourceResponse(hello_and_silence(), ping=0.05, client_close_handler_callable=left)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    journal.note("startup")
    yield
    journal.note("shutdown")


def make_app() -> Starlette:
    """Make the application."""
    routes = [
        Route("/json", as_json),
        Route("/silent", silent),
        Route("/ticks", ticking),
        Route("/cued", on_cue),
        Route("/pinged", pinged),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


app = make_app()
