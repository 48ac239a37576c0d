"""What clients of HTTP/2 get to see: curl, nghttp, h2load, httpx, httpx2."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
from typing import Any

import httpx
import httpx2
import pytest

from tests.integration.conftest import Serving
from tests.server.certificates import certificates, client_context
from tests.server.http2_client import connect_http2

pytestmark = pytest.mark.once

CERT = certificates()
DATA = bytes(range(256)) * 4096


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Hash what comes; ``/large`` sends it back, ``/hints`` gives one first."""
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    if scope["path"] == "/hints":
        await send({"type": "http.response.early_hint", "links": [b"</x.css>; rel=preload"]})
    headers = [(b"x-version", scope["http_version"].encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    answer = DATA if scope["path"] == "/large" else hashlib.sha256(body).hexdigest().encode()
    await send({"type": "http.response.body", "body": answer})


async def run(*command: str, stdin: bytes = b"") -> tuple[bytes, str]:
    """Run a client; it must succeed."""
    program = shutil.which(command[0])
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    process = await asyncio.create_subprocess_exec(
        program,
        *command[1:],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, talk = await process.communicate(stdin)
    assert process.returncode == 0, talk.decode("latin-1")
    return out, talk.decode("latin-1")


async def curl(*arguments: str, stdin: bytes = b"") -> tuple[bytes, str]:
    """Run curl."""
    common = ["--silent", "--show-error", "--verbose", "--noproxy", "*", "--max-time", "20"]
    return await run("curl", *common, *arguments, stdin=stdin)


WAYS = {
    "by prior knowledge": (["--http2-prior-knowledge"], {}, "http"),
    "by Upgrade": (["--http2"], {"h2_upgrade": True}, "http"),
    "by ALPN": (["--http2", "--cacert", CERT.ca], CERT.options, "https"),
}


@pytest.mark.parametrize("way", WAYS)
async def test_curl(way: str, serving: Serving) -> None:
    flags, options, scheme = WAYS[way]
    async with serving(app, **options) as server:
        base = f"{scheme}://localhost:{server.port}"
        out, talk = await curl(*flags, f"{base}/")
        assert out.decode() == hashlib.sha256().hexdigest()
        assert "< HTTP/2 200" in talk
        assert "< x-version: 2" in talk
        out, _ = await curl(*flags, f"{base}/large")
        assert out == DATA
        out, talk = await curl(*flags, f"{base}/hints")
        assert "< HTTP/2 103" in talk
        if way != "by Upgrade":  # of requests without a body only
            out, _ = await curl(*flags, "--data-binary", "@-", f"{base}/", stdin=DATA)
            assert out.decode() == hashlib.sha256(DATA).hexdigest()


async def test_an_upgrade_that_is_not_offered(serving: Serving) -> None:
    async with serving(app) as server:
        _, talk = await curl("--http2", f"http://localhost:{server.port}/")
        assert "< HTTP/1.1 200" in talk


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
async def test_httpx(library: Any, serving: Serving) -> None:
    async with serving(app, **CERT.options) as server:
        async with library.AsyncClient(http2=True, verify=client_context("h2")) as client:
            base = f"https://localhost:{server.port}"
            answers = await asyncio.gather(
                *(client.post(f"{base}/{number}", content=DATA) for number in range(20))
            )
            large = await client.get(f"{base}/large")
    assert {answer.http_version for answer in answers} == {"HTTP/2"}
    assert {answer.text for answer in answers} == {hashlib.sha256(DATA).hexdigest()}
    assert large.content == DATA


async def test_nghttp(serving: Serving) -> None:
    async with serving(app) as server:
        base = f"http://127.0.0.1:{server.port}"
        out, _ = await run("nghttp", "--null-out", "--stat", f"{base}/", f"{base}/large")
        assert out.count(b" 200 ") == 2


async def test_h2load(serving: Serving) -> None:
    async with serving(app) as server:
        address = f"http://127.0.0.1:{server.port}/"
        out, _ = await run("h2load", "-n", "2000", "-c", "8", "-m", "16", address)
        found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", out.decode())
        assert found is not None
        assert found.groups() == ("2000", "0", "0")


async def test_the_h2_library(serving: Serving) -> None:
    """Twenty uploads at a time that wait for credit, and a download under flow control."""
    async with serving(app) as server, connect_http2(server) as client:
        digests = await asyncio.gather(
            *(client.ask(f"/{number}", method="POST", body=DATA) for number in range(20))
        )
        large = await client.ask("/large")
    assert {answer.body for answer in digests} == {hashlib.sha256(DATA).hexdigest().encode()}
    assert large.body == DATA
