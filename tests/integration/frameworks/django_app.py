"""The application in Django, which is configured here, without a project."""

from __future__ import annotations

from typing import Any

import django
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
    Deliberate,
    Tally,
    big_file,
    form_report,
    pieces,
    slow_pieces,
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
]


def make_app() -> Any:
    """Make the application. It knows no lifespan."""
    return get_asgi_application()


app = make_app()
