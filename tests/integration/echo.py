"""An application that says what it was asked, for the tests of clients."""

from __future__ import annotations

import hashlib
import json
from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the request as JSON: its line, its fields, the size and digest of its body.

    ``/refuse`` answers 403 without reading the body, ``/stream`` with ten lines one by one.
    """
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    if scope["path"] == "/refuse":
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})
    elif scope["path"] == "/stream":
        await stream(send)
    else:
        await echo(scope, receive, send)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    digest, size, trailers, more = hashlib.sha256(), 0, [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        digest.update(message["body"])
        size += len(message["body"])
        more = message["more_body"]
        trailers = message.get("trailers", [])
    report = {
        "method": scope["method"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode(),
        "query": scope["query_string"].decode(),
        "version": scope["http_version"],
        "client": scope["client"],
        "fields": [[part.decode("latin-1") for part in pair] for pair in scope["headers"]],
        "size": size,
        "sha256": digest.hexdigest(),
        "trailers": [[part.decode("latin-1") for part in pair] for pair in trailers],
    }
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(report).encode()})


async def stream(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in range(10):
        line = b"line %d\n" % number
        await send({"type": "http.response.body", "body": line, "more_body": True})
    await send({"type": "http.response.body"})
