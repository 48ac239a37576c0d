"""An upload of any size: the body is hashed while it arrives and never held.

Shows: ``http.request`` messages with ``more_body``; request trailers; back-pressure by itself (the
server reads no faster than the application receives).

Run it:  pagi run examples.streaming_upload:app
Ask it:  curl -T some-file http://127.0.0.1:8000/
"""

import hashlib


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    digest, size, more, trailers = hashlib.sha256(), 0, True, []
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return  # the client gave up in the middle: there is no upload
        digest.update(message["body"])
        size += len(message["body"])
        more = message["more_body"]
        trailers = message.get("trailers", [])
    answer = f"{digest.hexdigest()}  {size} bytes\n"
    answer += "".join(f"{name.decode()}: {value.decode('latin-1')}\n" for name, value in trailers)
    body = answer.encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
