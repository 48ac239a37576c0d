"""What curl gets to see."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from examples import early_hints, file_ranges, streaming_upload, trailers
from tests.integration.client import raw
from tests.integration.conftest import Serving, digest
from tests.integration.echo import app as echo

CURL = shutil.which("curl")
pytestmark = [
    pytest.mark.skipif(CURL is None, reason="curl is not installed (apt-get install curl)"),
    pytest.mark.once,
]

FILE = Path(file_ranges.FILE).read_bytes()


@dataclass
class Said:
    """What curl wrote: to standard output, and about the talk (``-v``) to standard error."""

    out: bytes
    talk: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def fields(self) -> dict[str, str]:
        """The request fields that the echo application saw."""
        return dict(self.json["fields"])


async def curl(*arguments: str, stdin: bytes = b"") -> Said:
    """Run curl verbosely; it must succeed."""
    assert CURL is not None
    process = await asyncio.create_subprocess_exec(
        CURL, "--silent", "--show-error", "--verbose", "--noproxy", "*", "--max-time", "20",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, talk = await process.communicate(stdin)
    text = talk.decode("latin-1")
    assert process.returncode == 0, text
    return Said(out, text)


def at(server: Any, path: str = "/") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


# spec: HTTP-28
async def test_keep_alive(serving: Serving) -> None:
    async with serving(echo) as server:
        count = ["--write-out", "%{num_connects}", "--output", "/dev/null"]
        said = await curl(*count, at(server, "/a"), "--next", "-sv", *count, at(server, "/b"))

    assert said.out == b"10"


# spec: HTTP-28
async def test_no_keep_alive_when_curl_says_close(serving: Serving) -> None:
    async with serving(echo) as server:
        said = await curl("-H", "Connection: close", at(server))

    assert "< connection: close" in said.talk.lower()
    assert "Closing connection" in said.talk


# spec: HTTP-23
async def test_head(serving: Serving) -> None:
    async with serving(file_ranges.app) as server:
        said = await curl("--head", at(server))

    head = said.out.decode().lower()
    assert head.startswith("http/1.1 200 ok\r\n")
    assert f"content-length: {len(FILE)}\r\n" in head


# spec: HTTP-33
@pytest.mark.parametrize(
    ("wanted", "first", "last"), [("0-99", 0, 100), ("100-", 100, None), ("-100", -100, None)]
)
async def test_range(wanted: str, first: int, last: int | None, serving: Serving) -> None:
    async with serving(file_ranges.app) as server:
        said = await curl("--range", wanted, at(server))

    assert "< HTTP/1.1 206 Partial Content" in said.talk
    assert said.out == FILE[first:last]


async def test_range_that_cannot_be_satisfied(serving: Serving) -> None:
    async with serving(file_ranges.app) as server:
        said = await curl("--range", "9999999-", at(server))

    assert "< HTTP/1.1 416 Range Not Satisfiable" in said.talk
    assert said.out == b""


async def test_download_is_resumed(serving: Serving, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(FILE[:200])
    async with serving(file_ranges.app) as server:
        await curl("--continue-at", "-", "--output", str(part), at(server))

    assert part.read_bytes() == FILE


async def test_upload_is_resumed(serving: Serving, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    async with serving(echo) as server:
        said = await curl("--continue-at", "4", "--upload-file", str(file), at(server, "/file"))

    assert said.json["method"] == "PUT"
    assert said.fields["content-range"] == "bytes 4-9/10"
    assert (said.json["size"], said.json["sha256"]) == (6, digest(b"456789"))


# spec: HTTP-10, HTTP-53
async def test_chunked_upload(serving: Serving) -> None:
    data = bytes(range(256)) * 20_000
    async with serving(streaming_upload.app) as server:
        said = await curl("--upload-file", "-", at(server), stdin=data)

    assert "> Transfer-Encoding: chunked" in said.talk
    assert said.out.decode() == f"{digest(data)}  {len(data)} bytes\n"


# spec: HTTP-12
async def test_expect_100_continue(serving: Serving) -> None:
    async with serving(echo) as server:
        expect = ["--expect100-timeout", "15", "-H", "Expect: 100-continue"]
        said = await curl(*expect, "--data-binary", "@-", at(server), stdin=b"data")

    assert said.talk.count("< HTTP/1.1 100 Continue") == 1
    assert said.json["size"] == 4


# spec: HTTP-12
async def test_expectation_that_is_refused(serving: Serving) -> None:
    async with serving(echo) as server:
        expect = ["--expect100-timeout", "15", "-H", "Expect: 100-continue"]
        size = ["--write-out", " %{size_upload}"]
        said = await curl(*expect, *size, "--data-binary", "@-", at(server, "/refuse"), stdin=FILE)

    assert "100 Continue" not in said.talk
    assert "< HTTP/1.1 403 Forbidden" in said.talk
    assert said.out == b"no 0"


# spec: HTTP-44
async def test_expectation_that_nobody_knows(serving: Serving) -> None:
    async with serving(echo) as server:
        said = await curl("-H", "Expect: the-unexpected", at(server))

    assert "< HTTP/1.1 417 Expectation Failed" in said.talk


# spec: EXT-3
async def test_early_hints(serving: Serving) -> None:
    async with serving(early_hints.app) as server:
        said = await curl(at(server))

    first, _, rest = said.talk.partition("< HTTP/1.1 200 OK")
    assert "< HTTP/1.1 103 Early Hints" in first
    assert "< link: </style.css>; rel=preload; as=style" in first
    assert rest
    assert said.out == early_hints.PAGE


async def test_header_of_nine_kibibytes(serving: Serving) -> None:
    value = "v" * 9 * 1024
    async with serving(echo) as server:
        said = await curl("-H", f"X-Long: {value}", at(server))

    assert said.fields["x-long"] == value


# spec: HTTP-44
async def test_header_beyond_the_limit(serving: Serving) -> None:
    async with serving(echo, max_head_size=8192) as server:
        said = await curl("-H", f"X-Long: {'v' * 9 * 1024}", at(server))

    assert "< HTTP/1.1 431 Request Header Fields Too Large" in said.talk


# spec: HTTP-21, HTTP-28
async def test_http_1_0(serving: Serving) -> None:
    async with serving(echo) as server:
        plain = await curl("--http1.0", at(server))
        stream = await curl("--http1.0", at(server, "/stream"))

    assert plain.json["version"] == "1.0"
    assert "chunked" not in stream.talk
    assert stream.out.count(b"\n") == 10


# spec: HTTP-29
async def test_upgrade_that_is_not_offered(serving: Serving) -> None:
    async with serving(echo) as server:
        said = await curl("--http2", at(server))

    assert "> Upgrade: h2c" in said.talk
    assert "< HTTP/1.1 200 OK" in said.talk


# spec: HTTP-6
async def test_absolute_target(serving: Serving) -> None:
    async with serving(echo) as server:
        said = await curl("--noproxy", "", "--proxy", at(server), "http://name.test/a%20b?c=d")

    assert (said.json["path"], said.json["query"]) == ("/a b", "c=d")
    assert said.fields["host"] == "name.test"


# spec: HTTP-6
async def test_asterisk(serving: Serving) -> None:
    async with serving(echo) as server:
        said = await curl("--request", "OPTIONS", "--request-target", "*", at(server))

    assert (said.json["method"], said.json["path"]) == ("OPTIONS", "*")


# spec: HTTP-4
async def test_path_as_it_is(serving: Serving) -> None:
    async with serving(echo) as server:
        said = await curl("--path-as-is", at(server, "/a/../b//c/%2e%2e/d?x=/../"))

    assert said.json["raw_path"] == "/a/../b//c/%2e%2e/d"
    assert said.json["path"] == "/a/../b//c/../d"
    assert said.json["query"] == "x=/../"


async def test_form_of_several_parts(serving: Serving) -> None:
    async with serving(echo) as server:
        said = await curl("--form", "name=value", "--form", "file=@-", at(server), stdin=FILE)

    assert said.fields["content-type"].startswith("multipart/form-data; boundary=")
    assert said.json["size"] == int(said.fields["content-length"])


async def test_many_at_once(serving: Serving) -> None:
    async with serving(echo) as server:
        said = await curl("--parallel", "--parallel-immediate", at(server, "/[1-30]"))

    assert said.out.count(b'"method": "GET"') == 30


async def test_unix_socket(serving: Serving, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with serving(echo, listen=[f"unix:{path}"]):
        said = await curl("--unix-socket", str(path), "http://localhost/x")

    assert said.json["path"] == "/x"
    assert said.json["client"] is None


# spec: HTTP-42, CORE-30
async def test_curl_gives_up(serving: Serving) -> None:
    reasons: list[str | None] = []
    ended = asyncio.Event()

    def note(reason: str | None, detail: str | None) -> None:
        reasons.append(reason)
        ended.set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["pagi.connection"].on_end(note)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"on and on\n", "more_body": True})
            await asyncio.sleep(0.01)

    async with serving(app) as server:
        with pytest.raises(AssertionError, match="timed out"):
            await curl("--max-time", "0.3", "--output", "/dev/null", at(server))
        await ended.wait()

    assert reasons == ["client_closed"]


# --- what curl cannot say, by a raw socket ---------------------------------------------------


# spec: HTTP-11
async def test_trailers_of_a_request(serving: Serving) -> None:
    async with serving(echo) as server:
        answer = await raw(
            server.port,
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            b"3\r\nabc\r\n0\r\nX-Checked: yes\r\n\r\n",
        )

    report = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert report["trailers"] == [["x-checked", "yes"]]
    assert report["size"] == 3


# spec: EXT-5
async def test_trailers_of_a_response(serving: Serving) -> None:
    async with serving(trailers.app) as server:
        said = await curl("--raw", at(server))

    assert b"\r\n0\r\nrepr-digest: sha-256=:" in said.out


# spec: HTTP-51, HTTP-45, HTTP-46
async def test_two_hosts(serving: Serving) -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
    async with serving(echo) as server:
        answer = await raw(server.port, request + request)

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.count(b"HTTP/1.1") == 1
    assert b"\r\nconnection: close\r\n" in answer
