"""The response to an error in development: forms, escaping, masking, bounds."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import pytest

from pagi.server.worker import error_page
from pagi.server.worker.error_page import MASK, show_error

HTML = b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def scope(accept: bytes | None = None, *fields: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    accepts = [] if accept is None else [(b"accept", accept)]
    return {
        "type": "http",
        "method": "GET",
        "raw_path": b"/cows",
        "query_string": b"",
        "http_version": "1.1",
        "client": ("127.0.0.1", 1),
        "headers": [*accepts, *fields],
        **more,
    }


def failure(text: str = "no hay") -> BaseException:
    try:
        raise LookupError(text)
    except LookupError as error:
        return error


def shown(
    scope: dict[str, Any], error: BaseException | None = None
) -> tuple[dict[bytes, bytes], str]:
    response = show_error(scope, error)
    assert response is not None
    fields, body = response
    assert len(dict(fields)) == len(fields)
    return dict(fields), body.decode()


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (HTML, b"text/html; charset=utf-8"),
        (b"TEXT/HTML", b"text/html; charset=utf-8"),
        (None, b"text/plain; charset=utf-8"),
        (b"*/*", b"text/plain; charset=utf-8"),
        (b"", b"text/plain; charset=utf-8"),
        (b"text/plain, text/html", b"text/plain; charset=utf-8"),
        (b"image/webp,*/*", b"text/plain; charset=utf-8"),
        (b"application/json", b"application/json"),
        (b"application/json, text/plain, */*", b"application/json"),
        (b"application/vnd.api+json;v=1", b"application/json"),
    ],
)
def test_the_form_that_the_client_prefers(accept: bytes | None, media: bytes) -> None:
    fields, body = shown(scope(accept), failure())
    assert fields[b"content-type"] == media
    assert fields[b"cache-control"] == b"no-store"
    assert fields[b"x-content-type-options"] == b"nosniff"
    assert "LookupError" in body
    assert "no hay" in body


def test_the_page_loads_and_runs_nothing() -> None:
    fields, body = shown(scope(HTML), failure())
    policy = fields[b"content-security-policy"].decode()
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    (style,) = re.findall(r"<style>(.*?)</style>", body, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert not re.search(r"<script|<link|<img|url\(|@import|style=|https?://", body)


EVIL = "<script>alert('\"&')</script>"


def test_every_text_is_escaped() -> None:
    request = scope(
        HTML,
        (b"x-field", EVIL.encode()),
        (b"<b>", b"1"),
        raw_path=f"/{EVIL}".encode(),
        query_string=EVIL.encode(),
        method=EVIL,
    )
    kind = type(EVIL, (Exception,), {})
    error = kind(EVIL)
    error.__cause__ = kind(EVIL)
    exec(compile(f"def {'f'}(e):\n    raise e  # {EVIL}", EVIL, "exec"), names := {})
    try:
        names["f"](error)
    except Exception:
        pass
    _, body = shown(request, error)
    assert "&lt;script&gt;alert" in body
    for part in ("<script", "alert('", "<b>1", "<th><b>"):
        assert part not in body


@pytest.mark.parametrize(
    "name",
    [
        b"cookie",
        b"authorization",
        b"proxy-authorization",
        b"x-api-key",
        b"x-auth-token",
        b"x-csrf-token",
        b"x-amz-security-token",
        b"client-secret",
        b"x-password",
        b"x-session-id",
        b"x-hub-signature-256",
    ],
)
@pytest.mark.parametrize("accept", [HTML, b"application/json", b"*/*"])
def test_secret_fields_are_masked(name: bytes, accept: bytes) -> None:
    _, body = shown(scope(accept, (name, b"xyzzy"), (b"x-plain", b"plugh")), failure())
    assert "xyzzy" not in body
    assert name.decode() in body
    assert "plugh" in body


def test_secrets_of_the_query_are_masked() -> None:
    query = b"page=2&access_token=xyzzy&Password=xyzzy&code=xyzzy&api_key=xyzzy&flag"
    referer = (b"referer", b"http://h/?token=xyzzy&page=3")
    _, body = shown(scope(b"application/json", referer, query_string=query), failure())
    assert "xyzzy" not in body
    found = json.loads(body)
    path = found["request"]["path"]
    assert path.startswith(f"/cows?page=2&access_token={MASK}&")
    assert path.endswith("&flag")
    assert ["referer", f"http://h/?token={MASK}&page=3"] in found["headers"]


def test_the_request_and_the_versions() -> None:
    found = json.loads(shown(scope(b"application/json"), failure())[1])
    assert found["error"] == "LookupError"
    assert found["request"] == {
        "method": "GET",
        "path": "/cows",
        "http": "1.1",
        "client": "127.0.0.1:1",
    }
    assert re.fullmatch(r"Python [\d.]+\S*, pagi [\d.]+\S*", found["versions"])
    frame = found["exceptions"][0]["frames"][-1]
    assert (frame["function"], frame["own"]) == ("failure", True)


def test_no_response_at_all() -> None:
    _, body = shown(scope(), None)
    assert "returned without sending a response" in body


def test_a_client_of_a_unix_socket() -> None:
    assert "Client" not in shown(scope(HTML, client=None), failure())[1]


def test_it_is_bounded() -> None:
    fields = [(b"x-%d" % number, b"y" * 10_000) for number in range(500)]
    request = scope(HTML, *fields, query_string=b"a" * 100_000)
    _, body = shown(request, failure("x" * 1_000_000))
    assert len(body) < 200_000


def test_bytes_that_are_no_text() -> None:
    request = scope(HTML, (b"x-field", b"\xff\xfe"), raw_path=b"/\xff")
    _, body = shown(request, failure("\udc80 lone"))
    assert "\\udc80 lone" in body


def test_a_page_that_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(error_page, "html_of", lambda _: 1 / 0)
    assert show_error(scope(HTML), failure()) is None
    assert "the error page cannot be made" in caplog.text


def test_libraries_are_folded() -> None:
    try:
        json.loads("{")
    except ValueError as error:
        _, body = shown(scope(HTML), error)
    assert re.search(r"<details class=.fold.><summary>\d+ frames? of libraries", body)
