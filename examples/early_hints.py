"""Early hints: tell the browser what it will need while the answer is still being made.

Shows: the extension ``http.response.early_hint`` (103, RFC 8297), and how to do without it.

Run it:  pagi run examples.early_hints:app
Ask it:  curl -i http://127.0.0.1:8000/    (curl shows both heads; browsers use hints over HTTP/2)
"""

import asyncio

PAGE = b'<!doctype html><link rel="stylesheet" href="/style.css"><title>Hints</title><p>Hello\n'


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    if "http.response.early_hint" in scope.get("extensions", {}):
        links = [b"</style.css>; rel=preload; as=style"]
        await send({"type": "http.response.early_hint", "links": links})
    await asyncio.sleep(0.5)  # a slow database
    headers = [(b"content-type", b"text/html; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE})
