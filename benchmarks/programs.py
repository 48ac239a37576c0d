"""Clients that others have written: h2load and wrk load, curl asks once.

They serve where TLS or HTTP/2 is spoken, which our own load generator does not. Both end in the
middle: the requests then under way, at most one for each stream, are the server's work and not
counted. That is below a thousandth of a measurement.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.outcome import Outcome
from benchmarks.scenarios import Wire

if TYPE_CHECKING:
    from benchmarks.scenarios import Scenario

__all__ = ["ask", "load_command", "parse_h2load", "parse_wrk"]

ANSWER_SECONDS = 10
HANDSHAKES_PER_SECOND = 700
"""Below what the slowest server can do with one core."""
_CURL_WAYS = {
    Wire.PLAIN: "--http1.1",
    Wire.HTTPS: "--http1.1",
    Wire.H2C: "--http2-prior-knowledge",
    Wire.H2: "--http2",
}
_CURL_REFUSED = 7
_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7}
_NO_ERRORS = "0 failed, 0 errored, 0 timeout"


def _address(scenario: Scenario, port: int) -> str:
    scheme = "https" if scenario.wire.encrypted else "http"
    return f"{scheme}://127.0.0.1:{port}{scenario.target}"


def ask(scenario: Scenario, port: int) -> tuple[int, bytes]:
    """Returns status and body of the answer to one request on a connection of its own.

    Raises:
        ConnectionRefusedError: Nobody listens yet.
        ConnectionError: There was no whole answer.
    """
    done = subprocess.run(
        [
            *("curl", "--silent", "--insecure", "--max-time", str(ANSWER_SECONDS)),
            *("--write-out", "%{stderr}%{http_code} %{http_version}", _CURL_WAYS[scenario.wire]),
            _address(scenario, port),
        ],
        capture_output=True,
        check=False,
    )
    if done.returncode == _CURL_REFUSED:
        raise ConnectionRefusedError
    if done.returncode:
        raise ConnectionError(f"curl ended with {done.returncode}")
    status, version = done.stderr.decode().split()
    if (version == "2") != (scenario.wire in (Wire.H2C, Wire.H2)):
        raise ConnectionError(f"spoke HTTP/{version}")
    return int(status), done.stdout


def load_command(scenario: Scenario, port: int, seconds: float, log: Path) -> list[str]:
    """Returns the command that loads a server; h2load writes its latencies to `log`."""
    address = _address(scenario, port)
    if scenario.wire.encrypted and scenario.close:
        # wrk would resume its sessions; these connections come at a steady pace, each with a
        # full handshake.
        log.unlink(missing_ok=True)
        count = str(max(1, round(seconds)) * HANDSHAKES_PER_SECOND)
        return [
            *("h2load", "--h1", "--requests", count, "--clients", count),
            *("--rate", str(HANDSHAKES_PER_SECOND // 10), "--rate-period", "100ms"),
            *("--log-file", str(log), address),
        ]
    if scenario.wire in (Wire.H2C, Wire.H2):
        log.unlink(missing_ok=True)
        return [
            *("h2load", "--clients", str(scenario.connections)),
            *("--max-concurrent-streams", str(scenario.streams)),
            *("--duration", str(max(1, round(seconds)))),
            *("--log-file", str(log), address),
        ]
    return [
        *("wrk", "--threads", "1", "--connections", str(scenario.connections)),
        *("--duration", str(max(1, round(seconds))), "--latency"),
        address,
    ]


def parse_h2load(text: str, log: Path, scenario: Scenario) -> Outcome:
    """Reads the report of h2load and the latencies of all requests."""
    seconds = re.search(r"finished in ([0-9.]+)(us|ms|s|m),", text)
    counts = re.search(r"(\d+) done, (\d+) succeeded, (.*)", text)
    statuses = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
    sizes = re.search(r"\((\d+)\) data", text)
    if not (seconds and counts and statuses and sizes):
        return _nothing(text)
    done = int(counts[1])
    errors = {f"not 2xx: {statuses[0]}": 1} if int(statuses[1]) < done else {}
    if counts[3] != _NO_ERRORS:
        errors[counts[3]] = 1
    expected = done * len(scenario.answer)
    under_way = scenario.connections * scenario.streams * len(scenario.answer)
    if not expected <= int(sizes[1]) <= expected + under_way:
        errors[f"{sizes[1]} bytes of bodies instead of {expected}"] = 1
    latencies = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
    return Outcome(
        requests=done,
        seconds=float(seconds[1]) * _UNITS[seconds[2]] / 1e6,
        p50=latencies[len(latencies) // 2] if latencies else 0,
        p99=latencies[len(latencies) * 99 // 100] if latencies else 0,
        reopened=0,
        client_processor=0.0,
        errors=errors,
        sample="",
    )


def parse_wrk(text: str, scenario: Scenario) -> Outcome:
    """Reads the report of wrk."""
    counts = re.search(r"(\d+) requests in ([0-9.]+)(us|ms|s|m),", text)
    if not counts:
        return _nothing(text)
    percentiles = {
        share: round(float(value) * _UNITS[unit])
        for share, value, unit in re.findall(r"(50|99)%\s+([0-9.]+)(us|ms|s|m)", text)
    }
    wrong = re.findall(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", text)
    requests = int(counts[1])
    return Outcome(
        requests=requests,
        seconds=float(counts[2]) * _UNITS[counts[3]] / 1e6,
        p50=percentiles.get("50", 0),
        p99=percentiles.get("99", 0),
        reopened=0,
        client_processor=0.0,
        errors=dict.fromkeys(wrong, 1),
        sample="",
    )


def _nothing(text: str) -> Outcome:
    last = text.strip().splitlines()[-1:] or ["no report"]
    return Outcome(0, 0.0, 0, 0, 0, 0.0, {"no report": 1}, last[0])
