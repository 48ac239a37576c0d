"""Opening listeners: before any fork and without an event loop.

Every function returns sockets that listen and do not block, or raises `StartError` with one line
that says what is wrong and what to do; no function leaves a socket or a file behind when it raises.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from pagi.server.config.listen import Listen
from pagi.server.errors import EXIT_LISTENING, StartError

__all__ = ["BoundSocket", "adopt_fd", "bind", "bind_beside", "bind_tcp", "bind_unix"]

SocketKind: TypeAlias = Literal["tcp", "unix"]

#: ``sockaddr_un.sun_path`` without its closing NUL.
_PATH_BYTES: Final = 107 if sys.platform == "linux" else 103
#: How often a free port is looked for that is free on every address.
_PORT_TRIES: Final = 20
#: The machine lacks the address or its family: no fault if another address of the name works.
_ABSENT: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class BoundSocket:
    """A listening socket and what is to be cleaned up with it.

    Attributes:
        sock: the socket; listening and non-blocking.
        kind: ``"tcp"`` or ``"unix"``.
        shared: whether it has SO_REUSEPORT, so that more can listen on its address.
        listen: what the configuration says of it.
        scheme: ``"https"`` if it speaks TLS.
    """

    def __init__(
        self, sock: socket.socket, *, owned_path: str | None = None, shared: bool = False
    ) -> None:
        """Wrap ``sock``; ``owned_path`` is the socket file that this process made for it."""
        self.sock = sock
        self.kind: SocketKind = "unix" if sock.family == socket.AF_UNIX else "tcp"
        self.shared = shared
        self.listen: Listen | None = None
        self.scheme = "http"
        self._owned: tuple[str, tuple[int, int], int] | None = None
        if owned_path is not None:
            self._owned = owned_path, _identity(owned_path), os.getpid()
        self._name = sock.getsockname()

    @property
    def port(self) -> int | None:
        """The TCP port; also known when the socket is closed."""
        return int(self._name[1]) if self.kind == "tcp" else None

    @property
    def address_text(self) -> str:
        """The address for people: ``http://127.0.0.1:8000``, ``unix:/run/app.sock``."""
        return self.address(self.scheme)

    def address(self, scheme: str) -> str:
        """Return the address for people, under ``scheme`` if it is TCP."""
        if self.kind == "unix":
            path = os.fsdecode(self._name)
            return f"unix:@{path[1:]}" if path.startswith("\0") else f"unix:{path}"
        host, port = self._name[:2]
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    @property
    def owned_path(self) -> str | None:
        """The socket file that this process removes at the end."""
        return None if self._owned is None else self._owned[0]

    def disown(self) -> None:
        """Leave the socket file to another process."""
        self._owned = None

    def close(self) -> None:
        """Close the socket; closing twice does nothing.

        A socket file is removed if it is still this one and if this is the process that made it:
        a worker that closes its copy leaves the file to the others.
        """
        owned, self._owned = self._owned, None
        # Before the socket is closed: as long as it is open, its inode number is not used again.
        if owned is not None and self.sock.fileno() >= 0:
            path, identity, pid = owned
            if pid == os.getpid():
                _unlink_if(path, identity)
        self.sock.close()


def bind(
    listen: Listen,
    *,
    backlog: int,
    reuseport: bool,
    beside: Sequence[Listen] = (),
    owner: tuple[int, int] | None = None,
) -> list[BoundSocket]:
    """Open a listener of the configuration.

    Args:
        listen: a Unix socket without a mode gets 0600.
        backlog: connections that may wait to be accepted.
        reuseport: set SO_REUSEPORT; only for TCP, ignored for the others.
        beside: all listeners of the configuration. The address ``::`` takes IPv4 as well, unless
            one of these takes IPv4 on the same port.
        owner: user and group whose Unix sockets shall be.

    Raises:
        StartError: it cannot be opened.
    """
    if listen.kind == "unix":
        mode = 0o600 if listen.mode is None else listen.mode
        return [bind_unix(listen.path, mode, backlog=backlog, owner=owner)]
    if listen.kind == "fd":
        return [adopt_fd(listen.fd)]
    dual = not any(
        other.kind == "tcp" and ":" not in other.host and other.port == listen.port != 0
        for other in beside
    )
    return bind_tcp(listen.host, listen.port, backlog=backlog, reuseport=reuseport, dual_stack=dual)


# --- TCP -------------------------------------------------------------------------------------

_Address: TypeAlias = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]


def bind_tcp(
    host: str | None,
    port: int,
    *,
    backlog: int,
    reuseport: bool = False,
    dual_stack: bool = True,
) -> list[BoundSocket]:
    """Listen on every address of ``host``.

    Args:
        host: address or name; ``None`` and ``""`` mean every interface, IPv4 and IPv6 by a socket
            each.
        port: 0 lets the system choose: one port for all addresses.
        backlog: connections that may wait to be accepted.
        reuseport: set SO_REUSEPORT, so that other processes can listen on the same port.
        dual_stack: ``"::"`` takes IPv4 as well, by the same socket.

    Raises:
        StartError: an address cannot be had. Of a name with several addresses, those that this
            machine does not have are passed over as long as one is left.
    """
    if reuseport and not hasattr(socket, "SO_REUSEPORT"):
        raise _error("this system has no SO_REUSEPORT; leave --reuseport away")
    addresses = _resolve(host, port)
    v6only = not dual_stack or len(addresses) > 1
    for _ in range(_PORT_TRIES):
        bound = _bind_each(addresses, backlog, reuseport, v6only)
        if bound is not None:
            return bound
    raise _error(f"found no port that is free on every address of {host or 'this machine'}")


def _resolve(host: str | None, port: int) -> list[_Address]:
    if not host:
        return [(socket.AF_INET, ("0.0.0.0", port)), (socket.AF_INET6, ("::", port, 0, 0))]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no host name"
        raise _error(
            f"unknown host {host!r} ({why}); use an address such as 127.0.0.1 or 0.0.0.0,"
            " or a name that resolves, with --host"
        ) from None
    addresses: list[_Address] = []
    for family, _, _, _, address in found:
        if (family, address) not in addresses:
            addresses.append((family, address))  # type: ignore[arg-type]  # AF_INET and AF_INET6
    return addresses


def _bind_each(
    addresses: list[_Address], backlog: int, reuseport: bool, v6only: bool
) -> list[BoundSocket] | None:
    """Bind all addresses; ``None`` if the port that the first one got is taken on another."""
    sockets: list[socket.socket] = []
    absent: StartError | None = None
    chosen = 0
    try:
        for family, (host, port, *rest) in addresses:
            try:
                sock = _listen_tcp(
                    family, (host, chosen or port, *rest), backlog, reuseport, v6only
                )
            except OSError as error:
                if error.errno in _ABSENT:
                    absent = absent or _explain(error, host, port)
                    continue
                if error.errno == errno.EADDRINUSE and chosen and not port:
                    _close_all(sockets)
                    return None
                raise _explain(error, host, port) from None
            sockets.append(sock)
            chosen = sock.getsockname()[1]
    except BaseException:
        _close_all(sockets)
        raise
    if absent is not None and not sockets:
        raise absent
    return [BoundSocket(sock, shared=reuseport) for sock in sockets]


def bind_beside(bound: BoundSocket, backlog: int) -> BoundSocket:
    """Listen once more on the address of a TCP listener that is shared. Raises StartError."""
    sock = bound.sock
    address = sock.getsockname()
    v6only = sock.family == socket.AF_INET6 and bool(
        sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    )
    try:
        beside = BoundSocket(_listen_tcp(sock.family, address, backlog, True, v6only), shared=True)
    except OSError as error:
        raise _explain(error, *address[:2]) from None
    beside.listen, beside.scheme = bound.listen, bound.scheme
    return beside


def _close_all(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _listen_tcp(
    family: socket.AddressFamily,
    address: tuple[str | int, ...],
    backlog: int,
    reuseport: bool,
    v6only: bool,
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        # A restart must not wait for the old connections' TIME_WAIT.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuseport:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6 and address[0] == "::":
            # Systems differ in the default.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        sock.bind(address)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def _explain(error: OSError, host: str, port: int) -> StartError:
    if error.errno == errno.EADDRINUSE:
        return _error(
            f"port {port} on {host} is already in use;"
            " choose another with --port, or stop the other server"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return _error(
            f"permission denied to bind to port {port}: low ports need root or the capability"
            " CAP_NET_BIND_SERVICE; choose a port from 1024 up with --port"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return _error(
            f"cannot listen on {host}: no interface of this machine has that address;"
            " use one of its own with --host, or 0.0.0.0 or :: for all"
        )
    if error.errno == errno.EAFNOSUPPORT:
        return _error(f"cannot listen on {host}: this machine has no IPv6; use --host 0.0.0.0")
    return _error(f"cannot listen on {host} port {port}: {error.strerror}")


# --- Unix ------------------------------------------------------------------------------------


def bind_unix(
    path: str, mode: int = 0o600, *, backlog: int, owner: tuple[int, int] | None = None
) -> BoundSocket:
    """Listen on a Unix stream socket.

    A socket file at ``path`` that nobody answers on is left over from a server that was killed,
    and is replaced. The file is never more open than ``mode``, not even for a moment. Changes the
    process's umask meanwhile, so other threads must not create files then.

    Args:
        path: of the socket file.
        mode: permission bits of the file.
        backlog: connections that may wait to be accepted.
        owner: user and group that the file shall belong to.

    Raises:
        StartError: somebody listens there, something else is there, or it cannot be made.
    """
    if len(os.fsencode(path)) > _PATH_BYTES:
        raise _error(
            f"{path!r} is too long for a Unix socket (at most {_PATH_BYTES} bytes);"
            " choose a shorter path with --socket"
        )
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made: tuple[int, int] | None = None
    try:
        sock.setblocking(False)
        _remove_stale(path)
        _bind_private(sock, path)
        made = _identity(path)
        if owner is not None:
            os.chown(path, *owner, follow_symlinks=False)
        if mode != 0o600:
            os.chmod(path, mode)
        sock.listen(backlog)
        return BoundSocket(sock, owned_path=path)
    except BaseException as error:
        if made is not None:
            _unlink_if(path, made)
        sock.close()
        if isinstance(error, OSError):
            raise _explain_unix(error, path) from None
        raise


def _bind_private(sock: socket.socket, path: str) -> None:
    umask = os.umask(0o177)
    try:
        sock.bind(path)
    finally:
        os.umask(umask)


def _remove_stale(path: str) -> None:
    """Remove the socket file of a server that is gone. Raises StartError if it is not."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise _error(
            f"{path} exists and is not a socket; remove it, or choose another path with --socket"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        refused = probe.connect_ex(path) == errno.ECONNREFUSED
    if not refused:  # connected, or its backlog is full, or it is not ours to ask
        raise _in_use(path)
    _unlink_if(path, (found.st_dev, found.st_ino))


def _in_use(path: str) -> StartError:
    return _error(
        f"the socket {path} is already in use;"
        " choose another path with --socket, or stop the other server"
    )


def _explain_unix(error: OSError, path: str) -> StartError:
    if error.errno == errno.EADDRINUSE:
        return _in_use(path)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        directory = os.path.dirname(path) or "."
        return _error(f"cannot make the socket {path}: there is no directory {directory}")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return _error(
            f"permission denied to make the socket {path}: its directory is not writable"
            " for this user; choose another path with --socket"
        )
    return _error(f"cannot make the socket {path}: {error.strerror}")


def _identity(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def _unlink_if(path: str, identity: tuple[int, int]) -> None:
    """Remove ``path`` if it is still the file of that device and inode number."""
    try:
        if _identity(path) == identity:
            os.unlink(path)
    except OSError:
        return  # gone already, or no longer ours to remove


# --- inherited -------------------------------------------------------------------------------


def adopt_fd(descriptor: int, owned_path: str | None = None) -> BoundSocket:
    """Use a listening socket that the parent process left open.

    It is made non-blocking and is no longer inherited by programs that this process starts. When
    this raises, the descriptor is left open.

    Args:
        descriptor: of the socket.
        owned_path: its socket file, if that is ours to remove; otherwise it stays on close.

    Raises:
        StartError: it is not open, not a stream socket, or does not listen.
    """
    name = f"descriptor {descriptor}"
    remedy = "pass the descriptor of a listening socket with --fd"
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        what = "is not open" if error.errno == errno.EBADF else "is not a socket"
        raise _error(f"{name} {what}; {remedy}") from None
    fault = _fault(sock)
    if fault:
        sock.detach()
        raise _error(f"{name} {fault}; {remedy}")
    sock.setblocking(False)
    sock.set_inheritable(False)
    if owned_path is not None and not os.path.lexists(owned_path):
        owned_path = None
    shared = sock.family != socket.AF_UNIX and hasattr(socket, "SO_REUSEPORT")
    shared = shared and bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))
    return BoundSocket(sock, owned_path=owned_path, shared=shared)


def _fault(sock: socket.socket) -> str:
    """Tell why connections cannot be accepted from ``sock``; empty if they can."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        return "is neither a TCP nor a Unix socket"
    if sock.type != socket.SOCK_STREAM:
        return "is not a stream socket"
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "is a socket that does not listen"
    return ""


def _error(text: str) -> StartError:
    return StartError(text, EXIT_LISTENING)
