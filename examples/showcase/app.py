"""The application that ``make serve`` serves: a page of experiments on one small server.

Run it:  make serve     or    pagi run examples/showcase/app.py
See it:  http://127.0.0.1:8000/

It is one ``async def app(scope, receive, send)`` without a framework. Each experiment of the page
is one handler below, and the page shows the handler's own source. It also runs on a plain ASGI
server; what such a server cannot tell, the page says.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import mimetypes
import os
import random
import sys
import tempfile
import time
from base64 import b64encode
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

HERE = Path(__file__).resolve().parent
STATIC = HERE / "static"
ROOT = HERE.parent.parent

MIB = 1_048_576
SAMPLE_SIZE = 4 * MIB

PAGE_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
DOCS_POLICY = (  # the documentation brings inline styles and scripts of its theme
    b"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SAFE: Headers = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]

HANDLERS: dict[str, Handler] = {}
ALONE: dict[str, Any] = {}  # stands in for the lifespan's state


def handles(path: str) -> Callable[[Handler], Handler]:
    """Register a handler for ``path`` and all that is below it."""

    def register(handler: Handler) -> Handler:
        HANDLERS[path] = handler
        return handler

    return register


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request, or live through one lifespan."""
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    facts = facts_of(scope)
    facts["requests"] += 1
    handler = HANDLERS.get("/".join(scope["path"].split("/")[:3]), static)
    try:
        await handler(scope, receive, send)
    except OSError:  # the client has gone: nobody is left to be told
        facts["left"] += 1


# --- the life of the process -----------------------------------------------------------------


def new_facts() -> dict[str, Any]:
    """Make what all requests share: counters, and the file that the range experiment fetches."""
    data = random.Random(20).randbytes(SAMPLE_SIZE)
    with tempfile.NamedTemporaryFile(prefix="pagi-sample-", suffix=".bin", delete=False) as sample:
        sample.write(data)
    return {
        "since": time.time(),
        "requests": 0,
        "left": 0,
        "sample": sample.name,
        "digest": b64encode(hashlib.sha256(data).digest()),
        "endings": deque(maxlen=6),
        "floods": {},
    }


def facts_of(scope: Scope) -> dict[str, Any]:
    """Find the shared facts: in the lifespan's state, or, on a server without one, here."""
    state = scope.get("state") or ALONE
    if "facts" not in state:
        state["facts"] = new_facts()
    facts: dict[str, Any] = state["facts"]
    return facts


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Make the shared facts before the first request and clean up after the last."""
    facts = new_facts()
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            if "state" in scope:
                scope["state"]["facts"] = facts  # each request gets a copy of the dict, one object
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            os.unlink(facts["sample"])
            await send({"type": "lifespan.shutdown.complete"})
            return


# --- small tools -----------------------------------------------------------------------------


async def respond(
    send: Send, status: int, body: bytes, kind: bytes = b"text/plain; charset=utf-8"
) -> None:
    """Send a whole response."""
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *SAFE]
    headers.append((b"cache-control", b"no-store"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def respond_json(send: Send, value: object, status: int = 200) -> None:
    """Send a value as JSON."""
    await respond(send, status, json.dumps(value).encode(), b"application/json")


def number(scope: Scope, name: str, default: int, least: int, most: int) -> int:
    """Read a number from the query string and keep it within bounds."""
    text = parse_qs(scope["query_string"].decode("latin-1")).get(name, [""])[0]
    value = int(text) if text.isdecimal() and len(text) < 9 else default
    return min(max(value, least), most)


def name_in(scope: Scope) -> str:
    """Read the last part of the path, such as the name that the page gave an experiment."""
    return str(scope["path"]).rpartition("/")[2][:40]


def memory() -> int:
    """Return the resident memory of this process in bytes, or 0 where it is not known."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def shown(value: object) -> object:
    """Turn a value of a scope into JSON."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {str(key): shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [shown(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return type(value).__name__


# --- experiments -----------------------------------------------------------------------------


@handles("/api/scope")
async def request(scope: Scope, receive: Receive, send: Send) -> None:
    """Send the request back as the server saw it."""
    keys = {key: shown(value) for key, value in scope.items() if key not in ("state", "app")}
    await respond_json(send, keys)


@handles("/api/process")
async def process(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell what the process has done since its lifespan began."""
    facts = facts_of(scope)
    loop = type(asyncio.get_running_loop())
    await respond_json(
        send,
        {
            "seconds": time.time() - facts["since"],
            "requests": facts["requests"],
            "left": facts["left"],
            "memory": memory(),
            "pid": os.getpid(),
            "python": ".".join(map(str, sys.version_info[:3])),
            "loop": loop.__module__.partition(".")[0],
            "state": "state" in scope,
        },
    )


@handles("/api/stream")
async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    """Send lines one by one; each leaves at once and says when it left."""
    count, gap = number(scope, "count", 40, 1, 200), number(scope, "gap", 60, 0, 1000)
    kind = [(b"content-type", b"application/x-ndjson"), (b"cache-control", b"no-store"), *SAFE]
    await send({"type": "http.response.start", "status": 200, "headers": kind})
    begun = time.perf_counter()
    for index in range(count):
        at = round((time.perf_counter() - begun) * 1000, 2)
        line = json.dumps({"index": index, "of": count, "at": at}) + "\n"
        await send({"type": "http.response.body", "body": line.encode(), "more_body": True})
        await asyncio.sleep(gap / 1000)
    await send({"type": "http.response.body", "body": b""})


@handles("/api/upload")
async def upload(scope: Scope, receive: Receive, send: Send) -> None:
    """Take a body of any size piece by piece, and never hold more than one piece."""
    digest, size, samples, trailers = hashlib.sha256(), 0, [(0, memory())], []
    begun, more = time.perf_counter(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body = message.get("body", b"")
        digest.update(body)
        size += len(body)
        if size - samples[-1][0] >= 2 * MIB:
            samples.append((size, memory()))
        more = message.get("more_body", False)
        trailers = message.get("trailers", [])
    seconds = time.perf_counter() - begun
    samples.append((size, memory()))
    report = {"size": size, "sha256": digest.hexdigest(), "seconds": seconds, "memory": samples}
    await respond_json(send, {**report, "trailers": shown(trailers)})


@handles("/api/sample")
async def sample(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a file, or the range of it that the client asks for (RFC 9110 §14)."""
    facts = facts_of(scope)
    headers = dict(scope["headers"])
    first, last = byte_range(headers.get(b"range", b""), SAMPLE_SIZE)
    fields = [
        (b"content-type", b"application/octet-stream"),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", b"no-store"),
        (b"repr-digest", b"sha-256=:%b:" % facts["digest"]),
        *SAFE,
    ]
    if first > last:
        fields += [(b"content-range", b"bytes */%d" % SAMPLE_SIZE), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 416, "headers": fields})
        await send({"type": "http.response.body"})
        return
    whole = last - first + 1 == SAMPLE_SIZE
    fields.append((b"content-length", b"%d" % (last - first + 1)))
    if not whole:
        fields.append((b"content-range", b"bytes %d-%d/%d" % (first, last, SAMPLE_SIZE)))
    status = 200 if whole else 206
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send_file(scope, send, facts["sample"], first, last - first + 1)


def byte_range(field: bytes, size: int) -> tuple[int, int]:
    """Read a ``Range`` of one part; anything else means the whole file, first > last means 416."""
    unit, _, spec = field.partition(b"=")
    start, dash, end = spec.partition(b"-")
    wanted = (start, end) if unit == b"bytes" and dash and b"," not in spec else (b"0", b"")
    if not all(part.isdigit() or not part for part in wanted) or wanted == (b"", b""):
        return 0, size - 1
    if not wanted[0]:
        return (size - min(int(end), size), size - 1) if int(end) else (1, 0)
    last = min(int(wanted[1]), size - 1) if wanted[1] else size - 1
    return int(wanted[0]), last if int(wanted[0]) < size else -1


async def send_file(scope: Scope, send: Send, path: str, offset: int, length: int) -> None:
    """Send a part of a file: the server does it itself where it can, by ``sendfile``."""
    if "pagi" in scope:
        message = {"type": "http.response.body", "file": path, "offset": offset, "length": length}
        await send(message)
        return
    with open(path, "rb") as file:  # noqa: ASYNC230  # small, and only on a plain ASGI server
        file.seek(offset)
        await send({"type": "http.response.body", "body": file.read(length)})


@handles("/api/slow")
async def leave_early(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a slow response and note how it ended, and why."""
    begun, facts, name = time.perf_counter(), facts_of(scope), name_in(scope)

    def note(reason: str | None, detail: str | None = None) -> None:
        after = round(time.perf_counter() - begun, 2)
        ending = {"name": name, "reason": reason, "detail": detail, "after": after}
        facts["endings"].appendleft(ending)

    connection = scope.get("pagi.connection")
    if connection is not None:
        connection.on_end(note)
    gone = asyncio.ensure_future(until_gone(receive))
    kind = [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")]
    try:
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"...\n", "more_body": True})
            if (await asyncio.wait([gone], timeout=0.1))[0]:
                facts["left"] += 1
                break
        else:
            await send({"type": "http.response.body"})
    finally:
        gone.cancel()
        if connection is None:
            note("gone or done", "a plain ASGI server does not say why")


async def until_gone(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


@handles("/api/endings")
async def endings(scope: Scope, receive: Receive, send: Send) -> None:
    """List how the last slow responses ended."""
    await respond_json(send, list(facts_of(scope)["endings"]))


@handles("/api/flood")
async def flood(scope: Scope, receive: Receive, send: Send) -> None:
    """Send as fast as the client takes it; ``send`` waits when the client does not."""
    floods = facts_of(scope)["floods"]
    seen: dict[str, Any] = {"sent": 0, "waits": 0, "open": True}
    floods[name_in(scope)] = seen
    seen["transport"] = transport = scope.get("pagi.transport")
    if transport is not None:
        transport.on_high_water(lambda: seen.update(waits=seen["waits"] + 1))
    while len(floods) > 4:
        del floods[next(iter(floods))]
    block, kind = bytes(64 * 1024), [(b"content-type", b"application/octet-stream"), *SAFE]
    try:
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        while seen["sent"] < 256 * MIB:
            await send({"type": "http.response.body", "body": block, "more_body": True})
            seen["sent"] += len(block)
            await asyncio.sleep(0.002)  # a gentle flood: the page has other things to show
        await send({"type": "http.response.body"})
    finally:
        seen["open"] = False


@handles("/api/flow")
async def flow(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell how far behind the client of a flood is: the numbers of ``pagi.transport``."""
    seen = facts_of(scope)["floods"].get(name_in(scope))
    if seen is None:
        await respond_json(send, None)
        return
    report = {key: seen[key] for key in ("sent", "waits", "open")}
    if (transport := seen["transport"]) is not None:
        report["buffered"] = transport.buffered_amount()
        report["high"], report["low"] = transport.high_water_mark(), transport.low_water_mark()
    await respond_json(send, {**report, "memory": memory()})


@handles("/api/trailers")
async def trailers(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a digest after the body, when it is known: that is what trailers are for."""
    able = "http.response.trailers" in scope.get("extensions", {})
    start = {"type": "http.response.start", "status": 200, "trailers": able}
    fields = [(b"content-type", b"text/plain"), (b"trailer", b"repr-digest, server-timing")]
    await send({**start, "headers": fields if able else fields[:1]})
    begun, digest = time.perf_counter(), hashlib.sha256()
    for verse in (b"Row, row, row your boat\n", b"gently down the stream\n"):
        digest.update(verse)
        await send({"type": "http.response.body", "body": verse, "more_body": True})
    await send({"type": "http.response.body"})
    if able:
        spent = (time.perf_counter() - begun) * 1000
        late = [
            (b"repr-digest", b"sha-256=:%b:" % b64encode(digest.digest())),
            (b"server-timing", b"app;dur=%.2f" % spent),
        ]
        await send({"type": "http.response.trailers", "headers": late})


@handles("/api/drain")
async def drain(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer when the server begins to stop: it says so before it closes anything."""
    connection = scope.get("pagi.connection")
    if connection is None:
        await respond_json(send, {"known": False})
        return
    waits = [connection.drain_future(), asyncio.ensure_future(until_gone(receive))]
    await asyncio.wait(waits, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await respond_json(send, {"known": True, "draining": connection.draining})


@handles("/api/source")
async def source(scope: Scope, receive: Receive, send: Send) -> None:
    """Send the source of an experiment, so that the page cannot lie about it."""
    handler = HANDLERS.get(f"/api/{name_in(scope)}")
    text = inspect.getsource(page if handler is None else handler)
    await respond(send, 200, text.encode())


# --- on the wire -----------------------------------------------------------------------------

WIRE: dict[str, tuple[bytes, bytes]] = {  # name: what is sent at once, what after the first answer
    "early-hints": (b"GET / HTTP/1.1\r\nHost: $\r\nConnection: close\r\n\r\n", b""),
    "trailers": (b"GET /api/trailers HTTP/1.1\r\nHost: $\r\nConnection: close\r\n\r\n", b""),
    "upload": (
        b"POST /api/upload HTTP/1.1\r\nHost: $\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\nTrailer: X-Checked-By\r\n\r\n"
        b"6\r\nHello,\r\n7\r\n world!\r\n0\r\nX-Checked-By: the sender\r\n\r\n",
        b"",
    ),
    "continue": (
        b"POST /api/upload HTTP/1.1\r\nHost: $\r\nConnection: close\r\n"
        b"Content-Length: 13\r\nExpect: 100-continue\r\n\r\n",
        b"Hello, world!",
    ),
    "range": (
        b"HEAD /api/sample HTTP/1.1\r\nHost: $\r\nConnection: close\r\nRange: bytes=0-99\r\n\r\n",
        b"",
    ),
    "pipelined": (
        b"HEAD /api/sample HTTP/1.1\r\nHost: $\r\n\r\n"
        b"GET /api/endings HTTP/1.1\r\nHost: $\r\nConnection: close\r\n\r\n",
        b"",
    ),
    "two-hosts": (b"GET / HTTP/1.1\r\nHost: $\r\nHost: elsewhere\r\n\r\n", b""),
}


@handles("/api/wire")
async def wire(scope: Scope, receive: Receive, send: Send) -> None:
    """Talk to this server over a socket, and show every byte that went either way."""
    server = scope.get("server")
    if server is None or scope["scheme"] != "http" or name_in(scope) not in WIRE:
        await respond_json(send, [], 404)
        return
    host, port = server
    reader, writer = await (
        asyncio.open_unix_connection(host) if port is None else asyncio.open_connection(host, port)
    )
    begin, rest = WIRE[name_in(scope)]
    name = b"localhost" if port is None else f"{host}:{port}".encode()
    spoken = [("sent", begin.replace(b"$", name))]
    try:
        async with asyncio.timeout(5):
            writer.write(spoken[0][1])
            if rest:
                spoken += [("received", await reader.read(65536)), ("sent", rest)]
                writer.write(rest)
            spoken.append(("received", await reader.read()))
    finally:
        writer.close()
    await respond_json(send, [(side, data.decode("latin-1")) for side, data in spoken])


# --- files -----------------------------------------------------------------------------------


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """Send the page, and ahead of it a 103 that names its style sheet and script."""
    if "http.response.early_hint" in scope.get("extensions", {}):
        links = [b"</style.css>; rel=preload; as=style", b"</page.js>; rel=modulepreload"]
        await send({"type": "http.response.early_hint", "links": links})
    await send_whole(scope, send, STATIC / "index.html", PAGE_POLICY)


async def static(scope: Scope, receive: Receive, send: Send) -> None:
    """Send the page, one of its files, or a page of the documentation."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    if scope["method"] not in ("GET", "HEAD"):
        await respond(send, 405, b"This address knows GET and HEAD.\n")
    elif path == "/":
        await page(scope, receive, send)
    elif path.startswith("/docs/"):
        await docs(path.removeprefix("/docs/"), scope, send)
    elif (file := below(STATIC, path[1:])) is not None:
        await send_whole(scope, send, file, PAGE_POLICY)
    else:
        await respond(send, 404, b"There is nothing here.\n")


async def docs(path: str, scope: Scope, send: Send) -> None:
    """Send a page of the documentation, or, while it is not built, its text."""
    built = below(ROOT / "build" / "docs", path or "index.html")
    text = below(ROOT / "docs", path.replace(".html", ".md") or "index.md")
    if built is not None:
        await send_whole(scope, send, built, DOCS_POLICY)
    elif text is not None and text.suffix == ".md":
        await respond(send, 200, text.read_bytes())
    else:
        await respond(send, 404, b"There is no such page. `make docs` builds them.\n")


def below(folder: Path, path: str) -> Path | None:
    """Find a file inside a folder; what leads out of it is not found."""
    try:
        file = (folder / path).resolve()
        return file if file.is_relative_to(folder.resolve()) and file.is_file() else None
    except (OSError, ValueError):
        return None


async def send_whole(scope: Scope, send: Send, file: Path, policy: bytes) -> None:
    """Send a file with its type and length."""
    fields, size = fields_of(file)
    fields += [(b"content-security-policy", policy), (b"cache-control", b"no-cache"), *SAFE]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send_file(scope, send, str(file), 0, size)


def fields_of(file: Path) -> tuple[Headers, int]:
    """Describe a file: its type and length as fields, and its length."""
    kind, size = (
        mimetypes.guess_type(file.name)[0] or "application/octet-stream",
        file.stat().st_size,
    )
    kind += "; charset=utf-8" if kind.startswith("text/") else ""
    return [(b"content-type", kind.encode()), (b"content-length", b"%d" % size)], size
