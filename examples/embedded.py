"""A server inside a program that has its own event loop.

Shows: ``async with pagi.serve(app, port=0)``: the server starts, the program does its own work, and
the server stops at the end of the block. Port 0 lets the system choose one.

Run it:  python examples/embedded.py
"""

import asyncio

import pagi


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"Hello from inside\n"})


async def main():
    async with pagi.serve(app, port=0, lifespan="off", access_log=None) as server:
        print("serving on", *server.addresses)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        print(answer.decode())


if __name__ == "__main__":
    asyncio.run(main())
