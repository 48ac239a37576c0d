"""Who is measured: how each server is recognised, started, and what it cannot do.

All run one worker process with the application of `benchmarks.apps`, access log off unless the
scenario is about it, and limits on connections and idle time wide enough for every scenario.
"""

from __future__ import annotations

import enum
import importlib.metadata
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.certificate import CERTIFICATE, KEY
from benchmarks.messages import Flow
from benchmarks.scenarios import SCENARIO_NAMES, SCENARIOS, Kind, Scenario, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from benchmarks.messages import Messages

APP = "benchmarks.apps:app"
STARLETTE = "Starlette FileResponse"
HOST = "127.0.0.1"


def _omitted(reason: str, flows: Iterable[Flow]) -> dict[str, str]:
    """Returns the reason for each scenario with such messages."""
    return {
        scenario.name: reason
        for scenario in SCENARIOS
        if scenario.messages and scenario.messages.flow in flows
    }


def _silent(reason: str, *wires: Wire) -> dict[str, str]:
    """Returns the reason for each scenario on such wires."""
    return {scenario.name: reason for scenario in SCENARIOS if scenario.wire in wires}


H2_OMITTED = _silent("speaks no HTTP/2", Wire.H2C, Wire.H2)
TLS_OMITTED = _silent("is measured without TLS", Wire.HTTPS) | H2_OMITTED
LOG_OMITTED = {"access-log": "has no access log"}
WEBSOCKET_OMITTED = _omitted("has no WebSocket", set(Flow) - {Flow.EVENTS})
DEFLATE_OMITTED = _omitted("does not compress WebSocket messages", {Flow.DEFLATE})
EVENTS_OMITTED = _omitted("ends an answer with its first part", {Flow.EVENTS})


class Role(enum.Enum):
    """What a server is in the comparison."""

    OURS = "ours"
    PEER = "peer"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Start:
    """The circumstances of one start.

    Attributes:
        site: Directory of the static files.
        scratch: Directory for files of this start; its `output` takes stdout and stderr.
        programs: Directory of the compiled programs.
    """

    scenario: Scenario
    port: int
    site: Path
    scratch: Path
    programs: Path

    @property
    def logging(self) -> bool:
        """Whether the access log is on."""
        return self.scenario.access_log

    @property
    def wire(self) -> Wire:
        """What is to be spoken."""
        return self.scenario.wire

    def tls(self, certificate: str, key: str) -> list[str]:
        """Returns the arguments for TLS, under the names that a server has for them."""
        if not self.wire.encrypted:
            return []
        files = str(self.programs / CERTIFICATE), str(self.programs / KEY)
        return [certificate, files[0], key, files[1]]

    @property
    def deflating(self) -> bool:
        """Whether WebSocket messages are compressed; some servers do it only if told to."""
        messages = self.scenario.messages
        return messages is not None and messages.flow is Flow.DEFLATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One contestant.

    Attributes:
        distributions: What has to be installed, the server itself first.
        program: An executable that has to be on the path instead.
        omits: Scenarios that it does not offer, with the reason.
        about: Arguments that make the server print what it runs on.
        only: If not empty, the scenarios that it takes part in.
        files: By which facility it serves files.
    """

    name: str
    command: Callable[[Start], list[str]]
    role: Role = Role.PEER
    distributions: tuple[str, ...] = ()
    program: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    omits: Mapping[str, str] = field(default_factory=dict)
    about: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    files: str = STARLETTE

    def missing(self) -> str:
        """Returns what is not installed, empty if nothing is missing."""
        if self.program and not shutil.which(self.program):
            return self.program
        return ", ".join(name for name in self.distributions if not distribution_version(name))

    def version(self) -> str:
        """Returns the versions of the server and of what it runs on."""
        if self.program:
            return _program_version(self.program)
        first, *others = self.distributions
        text = distribution_version(first)
        if others:
            text += f" ({', '.join(f'{name} {distribution_version(name)}' for name in others)})"
        if self.about:
            text = _output([sys.executable, *self.about], self.environment) or text
        return text

    def takes(self, scenario: Scenario) -> bool:
        """Tells whether the server takes part in the scenario at all."""
        return scenario.name in (self.only or SCENARIO_NAMES)


def distribution_version(name: str) -> str:
    """Returns the version of an installed distribution, empty if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _output(command: list[str], environment: Mapping[str, str]) -> str:
    """Returns what a command prints, on one line; empty if it fails."""
    merged = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=merged)
    lines = (done.stdout + done.stderr).split("\n")
    return "" if done.returncode else "; ".join(line.strip() for line in lines if line.strip())


def _program_version(program: str) -> str:
    """Returns the version of a program without the copyright lines."""
    text = _output([program, "-v" if program == "nginx" else "--version"], {})
    return text.partition(";")[0].removeprefix("nginx version: ")


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def _pagi(start: Start) -> list[str]:
    log = ["--access-log", str(start.scratch / "access.log")]
    return _module(
        *("pagi", "run", APP, "--host", HOST, "--port", str(start.port)),
        *(log if start.logging else ["--no-access-log"]),
        *start.tls("--ssl-cert", "--ssl-key"),
    )


def _uvicorn(http: str) -> Callable[[Start], list[str]]:
    def command(start: Start) -> list[str]:
        log = ["--access-log", "--log-level", "info"]
        return _module(
            *("uvicorn", APP, "--host", HOST, "--port", str(start.port)),
            *("--http", http, "--loop", "uvloop", "--timeout-keep-alive", "75"),
            *(log if start.logging else ["--no-access-log", "--log-level", "warning"]),
            *start.tls("--ssl-certfile", "--ssl-keyfile"),
        )

    return command


def _hypercorn(start: Start) -> list[str]:
    return _module(
        *("hypercorn", APP, "--bind", f"{HOST}:{start.port}"),
        *("--worker-class", "uvloop", "--keep-alive", "75"),
        *(["--access-logfile", "-"] if start.logging else []),
        *start.tls("--certfile", "--keyfile"),
    )


def _granian(start: Start) -> list[str]:
    static = ["--static-path-route", "/static", "--static-path-mount", str(start.site)]
    return _module(
        *("granian", APP, "--interface", "asgi", "--host", HOST, "--port", str(start.port)),
        *("--workers", "1", "--loop", "uvloop", "--backlog", "8192", "--backpressure", "8192"),
        *(static if start.scenario.file else []),
        *(["--access-log"] if start.logging else ["--no-access-log", "--log-level", "warning"]),
        *start.tls("--ssl-certificate", "--ssl-keyfile"),
    )


def _gunicorn(start: Start) -> list[str]:
    return _module(
        *("gunicorn", APP, "--worker-class", "asgi", "--bind", f"{HOST}:{start.port}"),
        *("--workers", "1", "--asgi-loop", "uvloop", "--keep-alive", "75"),
        *("--worker-connections", "10000", "--log-level", "warning"),
        *(["--access-logfile", "-"] if start.logging else []),
        *("--http-protocols", "h2,h1", "--http2-cleartext", "prior-knowledge"),
        *start.tls("--certfile", "--keyfile"),
    )


def _h2corn(start: Start) -> list[str]:
    return _module(
        *("h2corn", APP, "--bind", f"{HOST}:{start.port}", "--timeout-keep-alive", "75"),
        "--access-log" if start.logging else "--no-access-log",
        *start.tls("--certfile", "--keyfile"),
    )


def _peregrine(start: Start) -> list[str]:
    return _module(
        *("peregrine", "--host", HOST, "--port", str(start.port)),
        *("--keep-alive", "75000", "--max-connections", "10000"),
        *(["--static-dir", f"/static={start.site}"] if start.scenario.file else []),
        *(["--access-log"] if start.logging else ["--log-level", "warning"]),
        *(["--ws-compress"] if start.deflating else []),
        *start.tls("--tls-cert", "--tls-key"),
        APP,
    )


def _freastal(start: Start) -> list[str]:
    return _module("benchmarks.launch", "freastal", str(start.port))


def _socketify(start: Start) -> list[str]:
    return _module(
        *("socketify", APP, "--interface", "asgi", "--host", HOST, "--port", str(start.port)),
        *("--disable-listen-log", "true"),
        *(["--ws-per-message-deflate", "true"] if start.deflating else []),
    )


def _m0serve(start: Start) -> list[str]:
    return _module(
        *("m0serve", APP, "--host", HOST, "--port", str(start.port), "--workers", "1"),
        *("--max-body", "64m", "--max-keepalive-requests", "0", "--idle-timeout", "75"),
        *(["--static", f"/static={start.site}"] if start.scenario.file else []),
        *(["--access-log"] if start.logging else []),
    )


def _fastpysgi(start: Start) -> list[str]:
    return _module("benchmarks.launch", "fastpysgi", str(start.port))


NGINX_CONFIGURATION = """\
daemon off;
master_process off;
pid {scratch}/nginx.pid;
error_log {scratch}/nginx-error.log;
events {{ worker_connections 10000; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    keepalive_timeout 75s;
    client_body_temp_path {scratch}/nginx-body;
    proxy_temp_path {scratch}/nginx-proxy;
    fastcgi_temp_path {scratch}/nginx-fastcgi;
    uwsgi_temp_path {scratch}/nginx-uwsgi;
    scgi_temp_path {scratch}/nginx-scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096 {wire};
        {tls}
        location = / {{ default_type text/plain; return 200 "Hello, World!"; }}
        location /static/ {{ alias {site}/; }}
    }}
}}
"""


NGINX_WIRES = {Wire.PLAIN: "", Wire.HTTPS: "ssl", Wire.H2C: "http2", Wire.H2: "ssl http2"}


def _nginx(start: Start) -> list[str]:
    configuration = start.scratch / "nginx.conf"
    tls = start.tls("ssl_certificate", "ssl_certificate_key")
    configuration.write_text(
        NGINX_CONFIGURATION.format(
            scratch=start.scratch,
            port=start.port,
            site=start.site,
            wire=NGINX_WIRES[start.wire],
            tls="{} {}; {} {};".format(*tls) if tls else "",
        )
    )
    return [shutil.which("nginx") or "nginx", "-c", str(configuration)]


def _floor(start: Start) -> list[str]:
    scenario = start.scenario
    if scenario.messages:
        return _floor_messages(start, scenario.messages)
    canned = start.scratch / "answer"
    canned.write_bytes(scenario.canned_answer())
    return [
        str(start.programs / "floor"),
        str(start.port),
        str(len(scenario.request(start.port))),
        str(canned),
        "close" if scenario.close else "keep",
        *([str(start.site / scenario.file.value)] if scenario.file else []),
    ]


def _floor_messages(start: Start, messages: Messages) -> list[str]:
    first = start.scratch / "message"
    first.write_bytes(messages.first())
    mode = messages.flow.value if messages.flow in (Flow.BROADCAST, Flow.EVENTS) else "echo"
    mode = "singly" if messages.singly else mode
    program = str(start.programs / "floor_messages")
    return [program, str(start.port), str(first), mode, str(messages.count)]


SERVERS: tuple[Server, ...] = (
    Server(
        name="floor",
        command=_floor,
        role=Role.REFERENCE,
        program="cc",
        only=tuple(
            scenario.name
            for scenario in SCENARIOS
            if scenario.kind is Kind.LOAD
            and scenario.wire is Wire.PLAIN
            and scenario.name not in ("json", "json-stdlib", "access-log")
        ),
        files="sendfile",
    ),
    Server(
        name="pagi",
        command=_pagi,
        role=Role.OURS,
        distributions=("pagi-web",),
        about=("-m", "pagi", "version"),
        files="http.response.pathsend",
    ),
    Server(
        name="pagi-pure",
        command=_pagi,
        role=Role.OURS,
        distributions=("pagi-web",),
        about=("-m", "pagi", "version"),
        environment={"PAGI_PURE_PYTHON": "1"},
        files="http.response.pathsend",
    ),
    Server(
        name="uvicorn",
        command=_uvicorn("httptools"),
        distributions=("uvicorn", "httptools", "websockets", "uvloop"),
        omits=H2_OMITTED,
    ),
    Server(
        name="uvicorn-zttp",
        command=_uvicorn("zttp"),
        distributions=("uvicorn", "zttp", "websockets", "uvloop"),
        omits=H2_OMITTED,
    ),
    Server(
        name="hypercorn",
        command=_hypercorn,
        distributions=("hypercorn", "h11", "wsproto", "uvloop"),
    ),
    Server(
        name="granian",
        command=_granian,
        distributions=("granian", "uvloop"),
        omits=DEFLATE_OMITTED,
        files="--static-path-mount",
    ),
    Server(
        name="gunicorn-asgi",
        command=_gunicorn,
        distributions=("gunicorn", "gunicorn_h1c", "uvloop"),
        omits=DEFLATE_OMITTED,
    ),
    Server(
        name="h2corn",
        command=_h2corn,
        distributions=("h2corn", "uvloop"),
        files="http.response.pathsend",
    ),
    Server(
        name="peregrine",
        command=_peregrine,
        distributions=("peregrine-server", "uvloop"),
        files="--static-dir",
    ),
    Server(
        name="freastal",
        command=_freastal,
        distributions=("freastal",),
        omits=LOG_OMITTED | WEBSOCKET_OMITTED | EVENTS_OMITTED | TLS_OMITTED,
    ),
    Server(
        name="socketify",
        command=_socketify,
        distributions=("socketify",),
        omits=LOG_OMITTED | TLS_OMITTED,
    ),
    Server(
        name="m0serve",
        command=_m0serve,
        distributions=("m0serve",),
        omits={"websocket-64k": "takes no message of 64 KiB"} | DEFLATE_OMITTED | TLS_OMITTED,
        files="--static",
    ),
    Server(
        name="fastpysgi",
        command=_fastpysgi,
        distributions=("fastpysgi",),
        omits=LOG_OMITTED | WEBSOCKET_OMITTED | TLS_OMITTED,
    ),
    Server(
        name="nginx",
        command=_nginx,
        role=Role.REFERENCE,
        program="nginx",
        only=("file-100k", "file-10m", "h2c", "h2", "https", "handshake"),
        files="sendfile",
    ),
)
