"""The scope of a request."""

from __future__ import annotations

from contextvars import Context
from typing import Any

import pytest

from pagi.server.exchange.paths import decode_path
from tests.unit.exchange.scene import Scene, manual, request

EXTENSIONS = {
    "fullflush",
    "http.response.early_hint",
    "http.response.pathsend",
    "http.response.trailers",
    "http.response.zerocopysend",
}


@pytest.mark.spec("CORE-7", "CORE-8", "HTTP-1", "HTTP-2", "HTTP-3", "HTTP-7", "HTTP-8", "EXT-2")
async def test_every_key() -> None:
    scene = await manual(request("get", b"/a%20b", query=b"x=1&y"))

    scope = dict(scene.scope)
    assert scope.pop("pagi.connection") is scene.connection
    assert callable(scope.pop("pagi.transport").buffered_amount)
    assert set(scope.pop("extensions")) >= EXTENSIONS
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "pagi": {"version": "1.0", "spec_version": "1.0"},
        "http_version": "1.1",
        "method": "get",
        "scheme": "http",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"x=1&y",
        "root_path": "",
        "headers": [(b"host", b"h")],
        "client": ("1.2.3.4", 5),
        "server": ("127.0.0.1", 80),
    }
    assert all(type(key) is str for key in scene.scope)
    await scene.close()


@pytest.mark.spec("HTTP-7", "HTTP-6")
async def test_version_and_scheme_of_the_request() -> None:
    scene = await manual(request(http_version="1.0", scheme="https"))

    assert scene.scope["http_version"] == "1.0"
    assert scene.scope["scheme"] == "https"
    await scene.close()


@pytest.mark.spec("HTTP-5")
@pytest.mark.parametrize(
    ("path", "decoded", "raw"),
    [(b"/x", "/api/x", b"/api/x"), (b"/%C3%A9", "/api/é", b"/api/%C3%A9")],
)
async def test_root_path_begins_the_path(path: bytes, decoded: str, raw: bytes) -> None:
    scene = await manual(request(path=path), root_path="/api")

    assert scene.scope["root_path"] == "/api"
    assert scene.scope["path"] == decoded
    assert scene.scope["raw_path"] == raw
    await scene.close()


@pytest.mark.spec("HTTP-9")
async def test_state_is_a_shallow_copy() -> None:
    shared: list[int] = []
    state = {"shared": shared}
    scene = await manual(state=state)

    scene.scope["state"]["mine"] = 1
    scene.scope["state"]["shared"].append(1)

    assert state == {"shared": [1]}
    await scene.close()


@pytest.mark.spec("HTTP-9")
async def test_without_lifespan_no_state() -> None:
    scene = await manual()

    assert "state" not in scene.scope
    await scene.close()


@pytest.mark.spec("EXT-1")
async def test_extensions_of_the_connection_are_added() -> None:
    scene = await manual()
    template = scene.service.scope_for("https", None, ("/run/s", None), {"tls": {}})

    assert set(template["extensions"]) == {*scene.scope["extensions"], "tls"}
    assert template["scheme"] == "https"
    assert template["client"] is None
    assert template["server"] == ("/run/s", None)
    assert "tls" not in scene.service.scope_template["extensions"]
    await scene.close()


@pytest.mark.spec("CORE-9")
async def test_what_an_application_does_to_a_scope_appears_in_no_other() -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append((set(scope), set(scope["state"]), set(scope["extensions"])))
        scope["state"]["mine"] = scope["extensions"]["mine"] = {}
        scope["mine"] = 1
        scope["headers"].append((b"mine", b""))

    scene = Scene(app, state={})
    await scene.run()
    second = Scene(app, state={})
    second.exchange = type(scene.exchange)(scene.service, second.stream, "-")
    await second.run()

    assert scopes[0] == scopes[1]
    await scene.close()
    await second.close()


@pytest.mark.spec("HTTP-4")
@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/", "/"),
        (b"*", "*"),
        (b"//a/../b/./", "//a/../b/./"),
        (b"/%2e%2E/%2F", "/..//"),
        (b"/%E2%82%AC", "/€"),
        (b"/%e2%82%ac", "/€"),
        (b"/%FF%41", "/ÿA"),
        (b"/100%", "/100%"),
        (b"/%zz%4", "/%zz%4"),
        (b"/%%41", "/%A"),
        (b"/%00", "/\0"),
        (b"/a+b", "/a+b"),
    ],
)
def test_path_is_decoded(raw: bytes, path: str) -> None:
    assert decode_path(raw) == path


async def test_context_of_the_lifespan_is_the_default_context() -> None:
    scene = await manual(context=Context())

    assert scene.scope["type"] == "http"
    await scene.close()
