"""Attacks through the application's data (rows 19, 20) and on the log (row 22)."""

from __future__ import annotations

import json
from typing import Any

import pytest

import pagi
from tests.server.attacks.site import Recorder, attacked, process

GET = b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n"


class Responder(Recorder):
    """Answers with what a test gave it; ``/alive`` answers as ever.

    Attributes:
        message: the ``http.response.start`` to send.
        errors: what ``send`` raised.
    """

    def __init__(self, message: dict[str, Any], *, catches: bool) -> None:
        super().__init__()
        self.message = message
        self.catches = catches
        self.errors: list[Exception] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/alive":
            await super().__call__(scope, receive, send)
            return
        try:
            await send({"type": "http.response.start", "status": 200, **self.message})
            await send({"type": "http.response.body", "body": b"evil"})
        except Exception as exc:
            self.errors.append(exc)
            if not self.catches:
                raise
            await send({"type": "http.response.start", "status": 400, "headers": []})
            await send({"type": "http.response.body", "body": b"caught"})


SPLIT = b"x\r\nSet-Cookie: evil=1\r\n\r\nHTTP/1.1 200 OK\r\n\r\nevil"
FIELDS = [
    (b"x", SPLIT),
    (b"location", b"/" + SPLIT),
    (b"set-cookie", b"a=" + SPLIT),
    (b"content-type", SPLIT),
    (b"x", b"a\nb"),
    (b"x", b"a\rb"),
    (b"x", b"\r\n folded"),
    (b"x", b"a\x00b"),
    (b"x", b"\x00"),
    (b"x", b"a\x0bb"),
    (b"x", b"a\x1b[2Jb"),
    (b"x", b"a\x7f"),
    (b"x" * 100, b"a" * 100 + b"\n"),
    (b"x\r\ny", b"a"),
    (b"x\ny", b"a"),
    (b"x:y", b"a"),
    (b"x y", b"a"),
    (b"x ", b"a"),
    (b" x", b"a"),
    (b"x\x00", b"a"),
    (b"x\xe9", b"a"),
    (b"", b"a"),
    (b":", b"a"),
    (b"x" * 100 + b"\r", b"a"),
    (b"content-length", b"4\r\nx: y"),
    (b"content-length", b"-1"),
    (b"content-length", b"+4"),
    (b"content-length", b"4,4"),
    (b"content-length", b""),
    (b"content-length", "４".encode()),
    (b"content-length", b"9" * 30),
    (b"content-length", b"5"),
    (b"content-length", b"3"),
    (b"connection", b"close\r\nx: y"),
    (b"transfer-encoding", b"chunked\r\nx: y"),
    ("x", "a"),
    ("x\r\n", "a"),
    (b"x", "a\r\nb"),
    (b"x", None),
    (b"x", 1),
    (b"x",),
    (b"x", b"a", b"b"),
    b"x",
    None,
]


@pytest.mark.spec("HTTP-40")
@pytest.mark.parametrize("catches", [False, True])
@pytest.mark.parametrize("form", [list, tuple])
@pytest.mark.parametrize("field", FIELDS)
async def test_row_19_and_20_fields_of_the_application(
    field: Any, form: Any, catches: bool
) -> None:
    """An error in the application, nothing of it on the wire, and the worker lives."""
    app = Responder({"headers": form([(b"x-first", b"1"), field])}, catches=catches)
    async with attacked(app, errors_expected=True) as site:
        async with await site.open() as wire:
            await wire.send(GET % b"/" + GET % b"/after")
            answer = await wire.answer()
            assert answer.status == (400 if catches else 500)
            assert answer.body == (b"caught" if catches else b"Internal Server Error")
            assert b"x-first" not in answer.fields
            wire.half_close()
            rest = await wire.rest()
        assert b"evil" not in rest
        assert app.errors
        assert isinstance(app.errors[0], pagi.MessageError), app.errors


@pytest.mark.parametrize(
    "status", ["200", b"200", 200.0, True, None, 10**30, "200 OK\r\nx: y", [200], 1000, 0]
)
async def test_row_19_statuses_of_the_application(status: Any) -> None:
    app = Responder({"status": status}, catches=False)
    async with attacked(app, errors_expected=True) as site:
        async with await site.open() as wire:
            await wire.send(GET % b"/")
            assert (await wire.refusal()).status == 500
        assert isinstance(app.errors[0], pagi.MessageError), app.errors


async def test_row_19_a_reason_phrase_is_never_the_applications() -> None:
    app = Responder({"reason": SPLIT, "phrase": SPLIT, "status": 299}, catches=False)
    async with attacked(app) as site, await site.open() as wire:
        await wire.send(GET % b"/")
        answer = await wire.answer()
        assert answer.status == 299
        assert b"\r" not in answer.phrase
        assert answer.body == b"evil"


@pytest.mark.spec("EXT-1")
@pytest.mark.parametrize(
    "link", [b"</a>; rel=x\r\nx: y", b"\n", b"\x00", b"</a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"]
)
async def test_row_19_early_hints_of_the_application(link: bytes) -> None:
    class Hints(Recorder):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            self.note(scope)
            if scope["path"] == "/":
                await send({"type": "http.response.early_hint", "links": [link]})
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x"})

    async with attacked(Hints(), errors_expected=True) as site, await site.open() as wire:
        await wire.send(GET % b"/")
        assert (await wire.refusal()).status == 500


@pytest.mark.parametrize(
    "field",
    [(b"x", b"a\r\nb: c"), (b"x\n", b"a"), (b"content-length", b"4"), (b"host", b"x"), (b"", b"")],
)
async def test_row_19_trailers_of_the_application(field: tuple[bytes, bytes]) -> None:
    """They come when the body is on its way: the response is cut, not completed."""

    class Trailers(Recorder):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            self.note(scope)
            start = {"type": "http.response.start", "status": 200, "headers": [], "trailers": True}
            await send(start)
            await send({"type": "http.response.body", "body": b"x"})
            fields = [field] if scope["path"] == "/" else []
            await send({"type": "http.response.trailers", "headers": fields})

    async with attacked(Trailers(), errors_expected=True) as site:
        async with await site.open() as wire:
            await wire.send(GET % b"/" + GET % b"/after")
            rest = await wire.rest()
        assert rest.endswith(b"\r\n\r\n1\r\nx\r\n")
        assert rest.count(b"HTTP/1.1") == 1
        assert site.app.seen[0] == ("GET", b"/")
        assert ("GET", b"/after") not in site.app.seen


# --- row 22 ----------------------------------------------------------------------------------

FORMATS = [
    "clf",
    "combined",
    "common",
    "tiny",
    "json",
    '%h %l %u %t "%r" %m %U %q %H %s %b %B %d %D %T %p "%{User-Agent}i" %{X-Evil}i %{reason}x',
]
EVIL = b"\"'\\ \xff\xfe\xc2\x85\xe2\x80\xa8 \xc2\x9b2J {0} %s %(x)s ${x} \t end"
TARGET = b'/%0a%0d%1b[2J%00"\'\\<>{0}%s?q=%0aGET"\\{1}%(x)s'


@pytest.mark.parametrize("form", FORMATS)
async def test_row_22_the_log_is_not_written_by_clients(form: str) -> None:
    """One request is one line of printable ASCII, and no field breaks out of its quotes."""
    async with attacked(access_log_format=form) as site:
        async with await site.open() as wire:
            head = GET[:-2] % TARGET
            for name in (b"User-Agent", b"Referer", b"X-Evil", b"X-Request-ID", b"Traceparent"):
                head += name + b": " + EVIL + b"\r\n"
            await wire.send(head + b"\r\n")
            assert (await wire.answer()).status == 200
        bad = [
            b"GET /\x1b[2J HTTP/1.1\r\nHost: h\r\n\r\n",
            b"\x1b[31m / HTTP/1.1\r\nHost: h\r\n\r\n",
            GET[:-2] % b"/" + b"X: \x1b[2J\r\n\r\n",
            GET[:-2] % b"/" + b"A\rB: fake line\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: \x1b]0;title\x07\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: \x9b2J\r\n\r\n",
        ]
        for data in bad:
            assert (await site.refused(data)).status == 400
    lines = site.log.split("\n")
    assert lines.pop() == ""
    assert len(lines) == 1 + len(bad) + 1  # and that it lives
    assert all(line.isascii() and line.isprintable() for line in lines)
    if form == "json":
        parsed = [json.loads(line) for line in lines]
        assert parsed[0]["path"].encode("latin-1") == TARGET.partition(b"?")[0]
        assert parsed[0]["user_agent"].encode("latin-1") == EVIL
        assert [entry["status"] for entry in parsed] == [200, *[400] * len(bad), 200]
    else:
        bare = lines[0].replace('\\"', "")
        assert bare.count('"') == form_quotes(form)


def form_quotes(form: str) -> int:
    """Return how many quotation marks a line of a format has by itself."""
    return {"clf": 2, "combined": 6, "common": 2, "tiny": 0}.get(form, form.count('"'))


@pytest.mark.parametrize("shape", ["text", "json"])
async def test_row_22_the_servers_log_is_not_written_by_clients(shape: str) -> None:
    """The application fails with what the client sent in the message of its error."""
    options = ("--log-format", shape, "--log-level", "debug")
    async with process("fails", *options, errors_expected=True) as site:
        async with await site.open() as wire:
            await wire.send(GET % b"/%1b%5b2J%0a2026-01-01T00:00:00.000Z%20[1]%20INFO%20forged")
            assert (await wire.refusal()).status == 500
        for data in (b"\x1b[2J\r\n\r\n", GET[:-2] % b"/" + b"X: \x1b[2J\nforged\r\n\r\n"):
            async with await site.open() as wire:
                await wire.send(data)
                assert (await wire.refusal()).status == 400
    text = "\n".join(site.lines)
    assert "\x1b" not in text
    assert "forged" in text, "the error was logged"
    assert not [line for line in site.lines if line.startswith("2026-01-01")]
    if shape == "json":
        records = [line for line in site.lines if line.startswith("{")]
        assert any("forged" in json.loads(line).get("traceback", "") for line in records)
