"""A clock that ticks by Server-Sent Events and loses no tick when it is restarted.

Shows: a native application, events with an id, reconnecting, the end of a stream at a stop.

Run it:  pagi run examples.event_stream:app
Look at it:  http://127.0.0.1:8000/
Ask it:  curl -N -H "Accept: text/event-stream" http://127.0.0.1:8000/
"""

import asyncio

import pagi

PAGE = b"""<!doctype html><meta charset="utf-8"><title>Clock</title><h1>-</h1><script>
const source = new EventSource("/");
source.addEventListener("tick", (event) => document.querySelector("h1").textContent = event.data);
</script>"""


@pagi.native
async def app(scope, receive, send):
    """Serve the page to who wants a page, and the ticks to who wants events."""
    if scope["type"] == "sse":
        await ticks(scope, send)
    elif scope["type"] == "http":
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE})
    else:
        raise NotImplementedError(scope["type"])


async def ticks(scope, send):
    """Tick, from where the client was, until it leaves or the server stops."""
    fields = dict(scope["headers"])
    number = int(fields.get(b"last-event-id", b"0"))
    connection = scope["pagi.connection"]
    await send({"type": "sse.start"})
    await send({"type": "sse.keepalive", "interval": 15})
    while not connection.draining:
        number += 1
        event = {"type": "sse.send", "event": "tick", "data": str(number), "id": str(number)}
        try:
            await send({**event, "retry": 1000})
        except pagi.Disconnected:
            return
        await asyncio.sleep(1)
    await send({"type": "sse.close", "reason": "the server stops"})
