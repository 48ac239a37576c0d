"""Trailers: fields that come after the body, because they are not known before.

Shows: the extension ``http.response.trailers`` with a digest (RFC 9530) of what was streamed.

Run it:  pagi run examples.trailers:app
Ask it:  curl -i --raw http://127.0.0.1:8000/
"""

import base64
import hashlib


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    able = "http.response.trailers" in scope.get("extensions", {})
    headers = [(b"content-type", b"text/plain")]
    if able:
        headers.append((b"trailer", b"repr-digest"))
    await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": able})
    digest = hashlib.sha256()
    for count in range(3, 0, -1):
        line = b"%d\n" % count
        digest.update(line)
        await send({"type": "http.response.body", "body": line, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
    if able:
        value = b"sha-256=:%b:" % base64.b64encode(digest.digest())
        await send({"type": "http.response.trailers", "headers": [(b"repr-digest", value)]})
