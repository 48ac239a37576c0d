"""Work after the response: the client has its answer, the application goes on.

Shows: an application may outlive its response. The server sends the response and serves the next
request on the same connection meanwhile; a stop of the server waits for the work.

Run it:  pagi run examples.background_work:app
Ask it:  curl -i http://127.0.0.1:8000/
"""

import asyncio


async def send_mail():
    """Stand for something slow that the client need not wait for."""
    await asyncio.sleep(2)
    print("mail sent", flush=True)


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    body = b"Accepted. The mail goes out in a moment.\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    await send_mail()
