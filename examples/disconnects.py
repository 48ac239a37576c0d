"""Clients that leave: notice it at once, stop the work, and know why.

Shows: ``scope["pagi.connection"]``: ``end_future`` beside slow work, and ``on_end``
with the reason.

Run it:  pagi run examples.disconnects:app
Ask it:  curl -m 2 http://127.0.0.1:8000/     leaves after two seconds
         curl http://127.0.0.1:8000/          waits for the answer
"""

import asyncio


async def slow_work():
    """Stand for a query that takes five seconds."""
    await asyncio.sleep(5)
    return b"the answer\n"


def note(reason, detail):
    """Say how the request ended."""
    print(f"ended: {reason or 'complete'}" + (f" ({detail})" if detail else ""), flush=True)


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    connection = scope["pagi.connection"]
    connection.on_end(note)

    work = asyncio.create_task(slow_work())
    gone = connection.end_future()
    await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        work.cancel()  # nobody waits for it any more
        return
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": work.result()})
