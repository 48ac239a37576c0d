"""A response in pieces: a clock that ticks for ten seconds.

Shows: body messages with ``more_body``; each piece leaves at once; a client that goes away ends it.

Run it:  pagi run examples.streaming_response:app
Ask it:  curl -N http://127.0.0.1:8000/
"""

import asyncio
import time


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    try:
        for _ in range(10):
            line = time.strftime("%H:%M:%S\n").encode()
            await send({"type": "http.response.body", "body": line, "more_body": True})
            await asyncio.sleep(1)
        await send({"type": "http.response.body", "body": b"done\n"})
    except OSError:
        # The client has gone: `send` says so, and there is nobody left to answer.
        return
