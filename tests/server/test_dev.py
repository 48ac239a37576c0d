"""``pagi dev`` with real processes: changes, mistakes, open streams, a watcher that dies."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Final

import pytest

import pagi
from tests.conftest import LOOP, TRANSPORTS
from tests.server.attacks.wire import Answer, Wire, eventually, get
from tests.server.processes import PATIENCE, Command, Journal

#: Answers with its version and process; ``/events`` and WebSockets stay open for ever.
APP: Final = """\
import asyncio, os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.Event().wait()
    if scope["path"] == "/fail":
        raise LookupError("<script>no such cow</script>")
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"text/event-stream")]})
    if scope["path"] == "/events":
        await send({"type": "http.response.body", "body": b"data: x\\n\\n", "more_body": True})
        await asyncio.Event().wait()
    await send({"type": "http.response.body", "body": b"%s %%d" %% os.getpid()})
"""
BROKEN: Final = "import os\n\ndef app(:\n"
UPGRADE: Final = (
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
#: Close frame, code 1012: the service restarts.
RESTARTS: Final = (1012).to_bytes(2, "big")

BROWSER: Final = b"Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"


class Developer:
    """Somebody who writes ``main.py`` and looks at what is served."""

    def __init__(self, site: Command, directory: Path) -> None:
        self.site = site
        self.path = directory / "main.py"

    def write(self, text: str) -> None:
        """Save the file, as editors do."""
        draft = self.path.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(self.path)

    def version(self, name: str) -> None:
        """Save another version of the application."""
        self.write(APP % name)

    async def sees(self, condition: Callable[[Answer], bool], fields: bytes = b"") -> Answer:
        """Ask until the answer is what was expected."""
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self.ask(b"/", fields)
                if condition(answer):
                    return answer
                await asyncio.sleep(0.01)

    async def sees_version(self, name: str) -> int:
        """Ask until a version answers; return its process."""
        answer = await self.sees(lambda answer: answer.body.startswith(name.encode() + b" "))
        return int(answer.body.split()[1])

    async def ask(self, target: bytes, fields: bytes = b"") -> Answer:
        """Make one request."""
        async with await Wire.open(self.site.port) as wire:
            head = b"GET %b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%b\r\n" % (target, fields)
            await wire.send(head)
            return await wire.answer()

    async def reads(self, words: str, count: int = 1) -> None:
        """Wait until lines in the terminal have these words."""
        await eventually(lambda: sum(words in line for line in self.site.lines) >= count, PATIENCE)

    async def end(self) -> None:
        """Press Ctrl-C."""
        self.site.tell_group(signal.SIGINT)
        assert await self.site.ended() == 0, self.site.lines


@asynccontextmanager
async def developing(
    directory: Path, text: str = APP % "one", *options: str, watchfiles: bool = False
) -> AsyncIterator[Developer]:
    """Run ``pagi dev main:app`` in a directory and wait until it watches."""
    work, path = directory / "work", directory / "path"
    work.mkdir()
    path.mkdir()
    (work / "main.py").write_text(text)
    if not watchfiles:  # as if it were not installed
        (path / "watchfiles.py").write_text("raise ImportError('hidden')")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PAGI_EN")}
    python_path = os.pathsep.join(filter(None, (str(path), environ.get("PYTHONPATH"))))
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pagi", "dev", "main:app", "--no-config", "--port", "0"),
        *("--loop", LOOP, "--transports", TRANSPORTS, *options),
        cwd=work,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**environ, "PYTHONPATH": python_path},
        start_new_session=True,
    )
    site = Command(running, Journal(directory / "journal"))
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    following = asyncio.ensure_future(site.follow(started))
    try:
        site.port = await asyncio.wait_for(started, PATIENCE)
        developer = Developer(site, work)
        await developer.reads("watching ")
        yield developer
    finally:
        try:
            os.killpg(running.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        await running.wait()
        await following


def children(pid: int) -> set[int]:
    """Return the children of a process."""
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


# --- changes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "watchfiles",
    [
        False,
        pytest.param(
            True,
            marks=pytest.mark.skipif(
                importlib.util.find_spec("watchfiles") is None, reason="watchfiles is missing"
            ),
        ),
    ],
    ids=["polling", "watchfiles"],
)
async def test_a_change_is_served_and_no_request_fails(watchfiles: bool, tmp_path: Path) -> None:
    async with developing(tmp_path, watchfiles=watchfiles) as developer:
        await developer.sees_version("one")
        over = False

        async def ask() -> None:
            while not over:
                assert (await get(developer.site.port)).status == 200

        async with asyncio.TaskGroup() as group:
            group.create_task(ask())
            try:
                developer.version("two")
                await developer.sees_version("two")
                developer.version("red")  # of the same size, and within the same second
                await developer.sees_version("red")
            finally:
                over = True
        await developer.reads("main.py changed; reloading", 2)
        await developer.reads("reloaded in ", 2)
        assert any("pip install" in line for line in developer.site.lines) is not watchfiles
        await developer.end()


async def test_the_newest_of_many_changes_wins(tmp_path: Path) -> None:
    async with developing(tmp_path) as developer:
        await developer.sees_version("one")
        for number in range(1, 8):
            developer.version(f"v{number}")
            await developer.reads("changed; reloading", number if number < 3 else 2)
        await developer.sees_version("v7")
        await developer.end()


async def test_one_that_takes_its_time_to_load_is_given_up_for_a_newer_one(tmp_path: Path) -> None:
    async with developing(tmp_path) as developer:
        await developer.sees_version("one")
        developer.write("import time\n\ntime.sleep(600)\n")
        await developer.reads("changed; reloading")
        await developer.sees_version("one")
        developer.version("two")
        await developer.sees_version("two")
        assert not any("ended with" in line for line in developer.site.lines)
        await developer.end()


async def test_files_that_are_not_watched_change_nothing(tmp_path: Path) -> None:
    options = ("--reload-include", "*.yaml", "--reload-exclude", "made_*.py")
    async with developing(tmp_path, APP % "one", *options) as developer:
        worker = await developer.sees_version("one")
        directory = developer.path.parent
        for name in ("notes.txt", "made_now.py", ".hidden.py"):
            (directory / name).write_text("1")
        (directory / "__pycache__").mkdir(exist_ok=True)
        (directory / "__pycache__" / "main.py").write_text("1")
        (directory / "words.yaml").write_text("1")
        await developer.reads("words.yaml changed; reloading")
        await developer.sees(lambda answer: answer.body != b"one %d" % worker)
        changes = [line for line in developer.site.lines if "changed; reloading" in line]
        assert len(changes) == 1, changes
        await developer.end()


# --- mistakes --------------------------------------------------------------------------------


async def test_a_syntax_error_is_shown_until_it_is_mended(tmp_path: Path) -> None:
    async with developing(tmp_path) as developer:
        await developer.sees_version("one")
        developer.write(BROKEN)
        answer = await developer.sees(lambda answer: answer.status == 500)
        assert answer.fields[b"content-type"] == b"text/plain; charset=utf-8"
        assert b"main.py:3: SyntaxError" in answer.body
        assert b"def app(:" in answer.body
        page = await developer.ask(b"/", BROWSER)
        assert page.status == 500
        assert page.fields[b"content-type"] == b"text/html; charset=utf-8"
        assert b"The application cannot be loaded" in page.body
        await developer.reads("main.py:3: SyntaxError")
        await developer.reads("waiting for the next change")
        assert not any("importlib" in line for line in developer.site.lines)
        developer.version("two")
        await developer.sees_version("two")
        await developer.end()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BROKEN, b"SyntaxError"),
        ("import no_such_cow\n", b"No module named 'no_such_cow'"),
        ("raise SystemExit(3)\n", b"ended the process"),
        (
            "async def app(scope, receive, send):\n    await receive()\n"
            "    await send({'type': 'lifespan.startup.failed', 'message': 'no hay'})\n",
            b"Lifespan startup failed: no hay",
        ),
    ],
    ids=["syntax", "import", "exit", "startup"],
)
async def test_what_is_broken_at_first_is_shown_as_well(
    text: str, said: bytes, tmp_path: Path
) -> None:
    async with developing(tmp_path, text) as developer:
        answer = await developer.sees(lambda answer: answer.status == 500)
        assert said in answer.body
        await developer.reads(said.decode())
        developer.version("two")
        await developer.sees_version("two")
        await developer.end()


async def test_a_process_that_ends_while_it_loads_leaves_the_older_one(tmp_path: Path) -> None:
    async with developing(tmp_path) as developer:
        await developer.sees_version("one")
        developer.write("import os\nos._exit(9)\n")
        await developer.reads("what was there before goes on")
        await developer.sees_version("one")
        developer.version("two")
        await developer.sees_version("two")
        await developer.end()


async def test_an_exception_has_a_page(tmp_path: Path) -> None:
    async with developing(tmp_path) as developer:
        page = await developer.ask(b"/fail", BROWSER + b"Cookie: id=hay\r\n")
        assert page.status == 500
        assert b"&lt;script&gt;no such cow" in page.body
        assert b"<script" not in page.body
        assert b"id=hay" not in page.body
        await developer.reads("LookupError: <script>no such cow</script>")
        await developer.end()


async def _fails(scope: object, receive: object, send: object) -> None:
    raise LookupError("no such cow")


@pytest.mark.parametrize("env", ["production", "none", None])
async def test_other_than_development_says_nothing(
    env: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal is no proof of development, though it is taken for a default."""
    monkeypatch.setattr("sys.stdin", _Terminal())
    options = {} if env is None else {"env": env}
    async with pagi.serve(_fails, port=0, lifespan="off", access_log=None, **options) as server:
        assert server.config.application.env == (env or "development")
        for fields in (b"", BROWSER, b"Accept: application/json\r\n"):
            async with await Wire.open(server.port or 0) as wire:
                await wire.send(b"GET / HTTP/1.1\r\nHost: h\r\n%b\r\n" % fields)
                answer = await wire.answer()
            assert (answer.status, answer.body) == (500, b"Internal Server Error")
            assert answer.fields[b"content-type"] == b"text/plain; charset=utf-8"


class _Terminal:
    def isatty(self) -> bool:
        return True


async def test_a_reload_in_production_says_nothing_either(tmp_path: Path) -> None:
    async with developing(tmp_path, BROKEN, "--env", "production") as developer:
        answer = await developer.sees(lambda answer: answer.status == 500, BROWSER)
        assert answer.body == b"Internal Server Error"
        await developer.reads("SyntaxError")
        await developer.end()


# --- streams, and the processes --------------------------------------------------------------


async def test_open_streams_do_not_delay_a_reload(tmp_path: Path) -> None:
    async with developing(tmp_path) as developer:
        port = developer.site.port
        async with await Wire.open(port) as events, await Wire.open(port) as talk:
            await events.send(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n")
            await events.until(b"data: x\n\n")
            await talk.send(UPGRADE)
            await talk.until(b"\r\n\r\n")
            worker = await developer.sees_version("one")
            developer.version("two")
            await developer.reads("changed; reloading")
            began = monotonic()
            await developer.sees_version("two")
            assert monotonic() - began < 1.5, "the new code has waited for the streams"
            # The older worker ends them, and then itself, though their applications wait for ever.
            assert RESTARTS in await talk.receive()
            assert (await events.rest()).endswith(b"0\r\n\r\n")
            assert not events.was_reset
            assert monotonic() - began < 2.5
        await eventually(lambda: not _lives(worker), 4)
        await developer.end()


async def test_a_watcher_that_dies_is_replaced(tmp_path: Path) -> None:
    async with developing(tmp_path) as developer:
        worker = await developer.sees_version("one")
        (watcher,) = children(developer.site.pid) - {worker}
        os.kill(watcher, signal.SIGKILL)
        await developer.reads("watcher 0")
        # Perhaps before the new one looks for the first time.
        developer.version("two")
        await developer.sees_version("two")
        developer.version("three")
        await developer.sees_version("three")
        await developer.end()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
async def test_nothing_is_left(number: signal.Signals, tmp_path: Path) -> None:
    async with developing(tmp_path) as developer:
        worker = await developer.sees_version("one")
        pids = children(developer.site.pid)
        assert worker in pids
        assert len(pids) == 2
        async with await Wire.open(developer.site.port) as events:
            await events.send(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n")
            await events.until(b"data: x\n\n")
            began = monotonic()
            if number == signal.SIGKILL:
                developer.site.tell(number)
                assert await developer.site.ended() == -number
            else:
                await developer.end()
                assert monotonic() - began < 3, "it has waited for the stream"
            for pid in pids:
                await eventually(lambda pid=pid: not _lives(pid), PATIENCE)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="reload_dir: 'hay' is not a directory"):
        async with developing(tmp_path, APP % "one", "--reload-dir", "hay"):
            pass


async def test_an_object_is_not_loaded_anew() -> None:
    with pytest.raises(pagi.StartError, match="use pagi dev"):
        await pagi.serve(_fails, port=0, reload=True)
    with pytest.raises(pagi.StartError, match="use pagi dev"):
        pagi.run(_fails, port=0, reload=True)
