"""An application in each framework, served by ``pagi run`` as a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.client import ask, connected
from tests.integration.conftest import command, digest
from tests.integration.frameworks.common import PIECES
from tests.integration.test_frameworks import Framework, every

MIB = 1_048_576
UPLOAD = 20 * MIB
#: What a server may hold of an upload of 20 MiB, with all that the framework loads meanwhile.
MEMORY = 10 * MIB


async def upload(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65536):
        yield bytes(65536)


@every
async def test_run(framework: Framework, big_file: bytes, tmp_path: Path) -> None:
    target = f"tests.integration.frameworks.{framework.name}_app:app"
    with command(target, tmp_path, "--no-access-log") as server:
        async with connected(server.port) as client:
            plain = await client.ask("GET", "/json")
            await client.ask("POST", "/upload", (), upload(MIB))
            before = server.peak_memory
            uploaded = await client.ask("POST", "/upload", (), upload(UPLOAD))
            grown = server.peak_memory - before
            streamed = await client.ask("GET", "/stream")
        async with connected(server.port) as client:
            await client.begin("GET", "/slow")
            await client.head()
            assert await client.piece()
        after = await ask(server.port, "GET", "/json")

    assert server.status == 0
    assert plain.json == after.json == {"hello": "world"}
    assert uploaded.json["size"] == UPLOAD
    assert uploaded.json["sha256"] == digest(bytes(UPLOAD))
    assert grown < MEMORY
    assert streamed.chunks == PIECES
    assert "Traceback" not in server.log
    if framework.lifespan:
        assert server.notes[0] == "startup"
        assert server.notes[-1] == "shutdown"
    else:
        assert "has no lifespan" in server.log


@pytest.mark.once
async def test_several_workers(big_file: bytes, tmp_path: Path) -> None:
    target = "tests.integration.frameworks.starlette_app:app"
    with command(target, tmp_path, "--workers", "2", "--no-access-log") as server:
        answers = [await ask(server.port, "GET", "/json") for _ in range(20)]

    assert server.status == 0
    assert {answer.status for answer in answers} == {200}
    # A worker that was still loading when the stop came has neither.
    assert server.notes.count("startup") == server.notes.count("shutdown") in (1, 2)
    assert "Traceback" not in server.log
