"""A file, or the range of it that the client asks for (RFC 9110 §14).

Shows: a file body with ``offset`` and ``length``. The server opens the file and sends it without
copying it through the process where it can.

Run it:  pagi run examples.file_ranges:app
Ask it:  curl -i http://127.0.0.1:8000/            the whole file: this one
         curl -i -r 0-99 http://127.0.0.1:8000/    its first hundred bytes
         curl -i -r -100 http://127.0.0.1:8000/    its last hundred
"""

import os
import re

FILE = __file__


def wanted_range(field, size):
    """Return first and last byte, or ``None`` for the whole; first > last cannot be satisfied."""
    match = re.fullmatch(rb"bytes=(\d*)-(\d*)", field, re.ASCII)
    if match is None or match.groups() == (b"", b""):
        return None  # several ranges, or another unit: a server may ignore them
    first, last = match.groups()
    if not first:
        count = int(last)
        return (max(size - count, 0), size - 1) if count else (size, -1)
    return int(first), min(int(last), size - 1) if last else size - 1


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    size = os.stat(FILE).st_size
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"accept-ranges", b"bytes")]
    span = wanted_range(dict(scope["headers"]).get(b"range", b""), size)
    status, (first, last) = (200, (0, size - 1)) if span is None else (206, span)
    if first > last:
        headers.append((b"content-range", b"bytes */%d" % size))
        await send({"type": "http.response.start", "status": 416, "headers": headers})
        await send({"type": "http.response.body"})
        return
    if status == 206:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (first, last, size)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send(
        {
            "type": "http.response.body",
            "file": FILE,
            "offset": first,
            "length": last - first + 1,
        }
    )
