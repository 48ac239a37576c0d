"""Things that live as long as the process: made at startup, shared by requests, closed at the end.

Shows: the lifespan, its ``state``, and ``lifespan.shutdown.notice``, which comes when a stop begins
and requests are still open.

Run it:  pagi run examples.lifespan_state:app
Ask it:  curl http://127.0.0.1:8000/
Stop it: Ctrl-C
"""


class Counter:
    """Stand for a database pool."""

    def __init__(self):
        self.count = 0

    def next(self):
        """Count one more."""
        self.count += 1
        return self.count


async def lifespan(scope, receive, send):
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            scope["state"]["counter"] = Counter()
            await send({"type": "lifespan.startup.complete", "shutdown_notice": True})
        elif message["type"] == "lifespan.shutdown.notice":
            print("a stop begins; requests may still be open", flush=True)
        elif message["type"] == "lifespan.shutdown":
            print(f"{scope['state']['counter'].count} requests were served", flush=True)
            await send({"type": "lifespan.shutdown.complete"})
            return


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    # Each request has its own dict; the counter in it is the same object for all of them.
    body = b"request no. %d\n" % scope["state"]["counter"].next()
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
