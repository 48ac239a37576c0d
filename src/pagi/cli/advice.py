"""What ``pagi check`` has to say about a configuration that is possible but perhaps not meant.

Every function yields remarks of one line. They look at this machine now: a port that is taken may
be free when the server starts, so none of them is an error.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from importlib.util import find_spec

from pagi.cli.service_advice import file_remarks, service_advice
from pagi.server.config import Config, Listen
from pagi.server.config.kinds import available_cores

__all__ = ["advice"]

_OTHERS_MAY_WRITE = 0o002
_TIMEOUTS = {
    "header_timeout": "a client that sends its request head slowly holds a connection for ever",
    "body_timeout": "a client that stops in the middle of a body holds a request for ever",
    "write_timeout": "a client that stops reading holds a response for ever",
    "keepalive_timeout": "idle connections are never closed",
}
_WORKERS_PER_CORE = 4


def advice(config: Config) -> Iterator[str]:
    """Yield everything worth a remark, listeners first."""
    for listen in config.listening.addresses():
        yield from _listener(listen, config.listening.reuseport)
    yield from _listening(config)
    yield from _processes(config)
    yield from service_advice(config)
    yield from _limits(config)
    yield from _logging(config)


def _listener(listen: Listen, reuseport: bool) -> Iterator[str]:
    if listen.kind == "tcp":
        yield from _tcp(listen, reuseport)
    elif listen.kind == "unix":
        yield from _unix(listen)
    else:
        yield from _descriptor(listen)


def _tcp(listen: Listen, reuseport: bool) -> Iterator[str]:
    """Bind for a moment, without listening: nothing else tells as surely."""
    try:
        found = socket.getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        yield f"{listen}: the host {listen.host!r} cannot be resolved ({error.strerror})"
        return
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if reuseport:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            try:
                sock.bind(address)
            except OSError as error:
                yield f"{listen}: {_bind_reason(error, listen.port)}"
                return


def _bind_reason(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken by another process now; stop it, or choose another port"
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"port {port} needs privileges; choose one from 1024 up, or give the process "
            "CAP_NET_BIND_SERVICE"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return "no interface of this machine has that address"
    return f"cannot be bound: {error.strerror}"


def _unix(listen: Listen) -> Iterator[str]:
    if listen.mode is not None and listen.mode & _OTHERS_MAY_WRITE:
        yield (
            f"{listen}: with mode {listen.mode:04o} every user of this machine may connect; "
            "0660 lets only owner and group"
        )
    directory = os.path.dirname(listen.path) or "."
    if not os.path.isdir(directory):
        yield f"{listen}: there is no directory {directory}; make it"
    elif not os.access(directory, os.W_OK | os.X_OK):
        yield f"{listen}: the directory {directory} does not let this user create the socket"
    elif os.path.lexists(listen.path):
        yield from _existing(listen)


def _existing(listen: Listen) -> Iterator[str]:
    try:
        is_socket = stat.S_ISSOCK(os.stat(listen.path).st_mode)
    except OSError:
        is_socket = False
    if not is_socket:
        yield f"{listen}: something else than a socket is there; remove it, or use another path"
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        if sock.connect_ex(listen.path) in (0, errno.EAGAIN, errno.EINPROGRESS):
            yield f"{listen}: another process accepts connections there now; stop it"


def _descriptor(listen: Listen) -> Iterator[str]:
    try:
        mode = os.fstat(listen.fd).st_mode
    except OSError:
        yield f"{listen}: this process has no descriptor {listen.fd}; its parent must pass it"
        return
    if not stat.S_ISSOCK(mode):
        yield f"{listen}: descriptor {listen.fd} is not a socket"


def _listening(config: Config) -> Iterator[str]:
    listening = config.listening
    places = listening.addresses()
    if config.sources.get("socket_mode", "default") != "default" and all(
        place.kind != "unix" for place in places
    ):
        yield "socket_mode: there is no Unix socket to apply it to"
    if listening.reuseport and all(place.kind != "tcp" for place in places):
        yield "reuseport: it applies to TCP only, and there is no TCP listener"
    elif listening.reuseport and config.process.workers <= 1:
        yield "reuseport: with one worker it changes nothing"
    if config.application.env == "development" and any(
        place.host in ("0.0.0.0", "::") for place in places
    ):
        yield "env: development, and yet every machine of the network can connect"


def _processes(config: Config) -> Iterator[str]:
    process = config.process
    cores = available_cores()
    if process.workers > _WORKERS_PER_CORE * cores:
        yield (
            f"workers: {process.workers} on {cores} cores; more than one for each core "
            "costs memory and gains little"
        )
    if process.loop == "auto" and find_spec("uvloop") is None:
        yield (
            "uvloop is not installed: plain asyncio is used, which is slower; "
            "'pip install uvloop' adds it"
        )
    for name, chosen in (("uvloop", process.loop), ("aiofastnet", process.transports)):
        if chosen == name and find_spec(name) is None:
            yield (
                f"{name} is not installed: the server will not start; 'pip install {name}' adds it"
            )
    if process.shutdown_timeout is None:
        yield "shutdown_timeout: off, so a stop waits for the slowest request, if need be for ever"


def _limits(config: Config) -> Iterator[str]:
    for name, effect in _TIMEOUTS.items():
        if getattr(config.timeouts, name) is None:
            yield f"{name}: off, so {effect}"
    if config.http1.max_body_size is None:
        yield "max_body_size: no limit, so the application alone decides how much it takes in"
    limit = config.listening.connection_limit()
    descriptors = config.listening.descriptor_limit()
    if limit >= descriptors:
        yield (
            f"max_connections: {limit}, but this process may have only {descriptors} descriptors "
            "open; raise 'ulimit -n'"
        )


def _logging(config: Config) -> Iterator[str]:
    path = config.logging.access_log
    if path not in (None, "-"):
        yield from file_remarks("access_log", str(path))
    if config.logging.quiet and config.sources.get("log_level", "default") != "default":
        yield "log_level: quiet is on and wins: only errors are logged"
