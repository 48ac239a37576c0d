"""The application in Django and, for WebSockets, Channels; configured here, without a project."""

from __future__ import annotations

from typing import Any

import django
from channels.exceptions import DenyConnection
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path
from django.views import View

from tests.integration.frameworks.common import (
    COOKIES,
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

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="only in tests",
        USE_TZ=True,
        LOGGING_CONFIG=None,
    )
    django.setup()


class AsJSON(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return JsonResponse({"hello": "world"})


async def item(request: HttpRequest, name: str) -> HttpResponse:
    return JsonResponse({"name": name, "q": request.GET.getlist("q")})


async def upload(request: HttpRequest) -> HttpResponse:
    tally = Tally()
    while piece := request.read(65536):
        tally.add(piece)
    return JsonResponse(tally.report())


async def form(request: HttpRequest) -> HttpResponse:
    file: Any = request.FILES["file"]
    return JsonResponse(form_report(request.POST["title"], file.name, file.read()))


async def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(pieces(), content_type="text/plain")


async def slow(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(slow_pieces(), content_type="text/plain")


async def file(request: HttpRequest) -> FileResponse:
    return FileResponse(big_file().open("rb"))


async def error(request: HttpRequest) -> HttpResponse:
    raise Deliberate


async def cookies(request: HttpRequest) -> HttpResponse:
    response = HttpResponse()
    for name, value in COOKIES.items():
        response.set_cookie(name, value)
    return response


def in_thread(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"sum": 6})


async def silent(request: HttpRequest) -> StreamingHttpResponse:
    events = encoded(hello_and_silence())
    return StreamingHttpResponse(events, content_type="text/event-stream")


async def ticking(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(encoded(ticks()), content_type="text/event-stream")


async def on_cue(request: HttpRequest) -> StreamingHttpResponse:
    events = cued(request.headers.get("Last-Event-ID"))
    return StreamingHttpResponse(encoded(events), content_type="text/event-stream")


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(text_data, bytes_data)

    async def disconnect(self, code: int) -> None:
        journal.note(f"left {code}")


class EchoInThread(WebsocketConsumer):
    """The same, in code that may block."""

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.send(text_data, bytes_data)

    def disconnect(self, code: int) -> None:
        journal.note(f"left {code}")


class Chosen(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        headers = [(name.encode(), value.encode()) for name, value in GREETING.items()]
        await self.accept(PROTOCOL, headers)
        await self.close()


class Refused(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        raise DenyConnection


class Enough(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.close(*ENOUGH)


class Flood(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.accept()
        while True:
            await self.send(bytes_data=bytes(1000))


class Broken(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        raise Deliberate


class BrokenEarly(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        raise Deliberate


CONSUMERS = [
    path("ws/echo", Echo.as_asgi()),
    path("ws/echo-in-thread", EchoInThread.as_asgi()),
    path("ws/chosen", Chosen.as_asgi()),
    path("ws/refused", Refused.as_asgi()),
    path("ws/enough", Enough.as_asgi()),
    path("ws/flood", Flood.as_asgi()),
    path("ws/broken", Broken.as_asgi()),
    path("ws/broken-early", BrokenEarly.as_asgi()),
]

urlpatterns = [
    path("json", AsJSON.as_view()),
    path("items/<name>", item),
    path("upload", upload),
    path("form", form),
    path("stream", stream),
    path("slow", slow),
    path("files/big.bin", file),
    path("error", error),
    path("cookies", cookies),
    path("thread", in_thread),
    path("silent", silent),
    path("ticks", ticking),
    path("cued", on_cue),
]


def make_app() -> Any:
    """Make the application. It knows no lifespan."""
    sockets = URLRouter(CONSUMERS)
    return ProtocolTypeRouter({"http": get_asgi_application(), "websocket": sockets})


app = make_app()
