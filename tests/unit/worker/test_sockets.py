"""Listeners: what is bound, with which rights, what is left behind, and every refusal in words."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pagi.server.config.listen import Listen
from pagi.server.errors import EXIT_LISTENING, StartError
from pagi.server.worker import sockets
from pagi.server.worker.sockets import BoundSocket, adopt_fd, bind, bind_beside, bind_tcp, bind_unix
from tests.network import has_ipv6

Keep = Callable[[Any], Any]


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def keep() -> Iterator[Keep]:
    """Return a function that takes sockets (or a list) and closes them after the test."""
    kept: list[Any] = []

    def keeper(item: Any) -> Any:
        kept.extend(item if isinstance(item, list) else [item])
        return item

    yield keeper
    for item in kept:
        item.close()


def port_of(bound: BoundSocket) -> int:
    return int(bound.sock.getsockname()[1])


def refusal(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    with pytest.raises(StartError) as caught:
        call(*arguments, **options)
    assert caught.value.exit_status == EXIT_LISTENING
    assert "\n" not in caught.value.message
    return caught.value.message


def answers(family: int, address: Any) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        return client.connect_ex(address) == 0


# --- TCP -------------------------------------------------------------------------------------


def test_tcp_socket_listens_and_does_not_block(keep: Keep) -> None:
    [bound] = keep(bind_tcp("127.0.0.1", 0, backlog=5))
    sock = bound.sock
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    assert not sock.getblocking()
    assert not sock.get_inheritable()
    assert answers(socket.AF_INET, ("127.0.0.1", port_of(bound)))


def test_tcp_address_text(keep: Keep) -> None:
    [bound] = keep(bind_tcp("127.0.0.1", 0, backlog=5))
    assert bound.kind == "tcp"
    assert bound.address_text == f"http://127.0.0.1:{port_of(bound)}"
    assert bound.address("https") == f"https://127.0.0.1:{port_of(bound)}"
    bound.close()
    assert bound.address_text.startswith("http://127.0.0.1:")


@needs_ipv6
def test_ipv6_address_text(keep: Keep) -> None:
    [bound] = keep(bind_tcp("::1", 0, backlog=5))
    assert bound.address_text == f"http://[::1]:{port_of(bound)}"


@needs_ipv6
@pytest.mark.parametrize("host", ["", None])
def test_every_interface_is_a_socket_for_each_family_on_one_port(
    keep: Keep, host: str | None
) -> None:
    bound = keep(bind_tcp(host, 0, backlog=5))
    assert [item.sock.family for item in bound] == [socket.AF_INET, socket.AF_INET6]
    assert len({port_of(item) for item in bound}) == 1
    assert bound[1].sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


@needs_ipv6
def test_two_colons_take_both_families(keep: Keep) -> None:
    [bound] = keep(bind_tcp("::", 0, backlog=5))
    assert answers(socket.AF_INET6, ("::1", port_of(bound)))
    assert answers(socket.AF_INET, ("127.0.0.1", port_of(bound)))


@needs_ipv6
def test_two_colons_leave_ipv4_to_a_listener_beside_it(keep: Keep) -> None:
    [v4] = keep(bind_tcp("0.0.0.0", 0, backlog=5))
    port = port_of(v4)
    both = [Listen.tcp("0.0.0.0", port), Listen.tcp("::", port)]
    [v6] = keep(bind(both[1], backlog=5, reuseport=False, beside=both))
    assert v6.sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    message = refusal(bind, both[1], backlog=5, reuseport=False)
    assert message.startswith(f"port {port} on :: is already in use")


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_name_with_several_addresses_gets_one_port(
    keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, "127.0.0.1", "127.0.0.2", "127.0.0.1")
    bound = keep(bind_tcp("name", 0, backlog=5))
    assert [item.sock.getsockname()[0] for item in bound] == ["127.0.0.1", "127.0.0.2"]
    assert len({port_of(item) for item in bound}) == 1


def test_another_port_is_tried_if_the_chosen_one_is_taken_elsewhere(
    keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, "127.0.0.1", "127.0.0.2")
    real = sockets._listen_tcp
    opened: list[socket.socket] = []

    def once_taken(family: Any, address: Any, *options: Any) -> socket.socket:
        if address[0] == "127.0.0.2" and len(opened) == 1:
            opened.append(opened[0])
            raise OSError(errno.EADDRINUSE, "Address already in use")
        opened.append(real(family, address, *options))
        return opened[-1]

    monkeypatch.setattr(sockets, "_listen_tcp", once_taken)
    bound = keep(bind_tcp("name", 0, backlog=5))
    assert len(bound) == 2
    assert opened[0].fileno() == -1


def test_no_port_free_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "127.0.0.1", "127.0.0.2")
    real = sockets._listen_tcp

    def taken(family: Any, address: Any, *options: Any) -> socket.socket:
        if address[0] == "127.0.0.2":
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return real(family, address, *options)

    monkeypatch.setattr(sockets, "_listen_tcp", taken)
    assert "no port that is free on every address of name" in refusal(
        bind_tcp, "name", 0, backlog=5
    )


def test_absent_address_of_a_name_is_passed_over(
    keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, "192.0.2.1", "127.0.0.1")
    [bound] = keep(bind_tcp("name", 0, backlog=5))
    assert bound.sock.getsockname()[0] == "127.0.0.1"


def test_reuseport_lets_others_listen_too(keep: Keep) -> None:
    [first] = keep(bind_tcp("127.0.0.1", 0, backlog=5, reuseport=True))
    [second] = keep(bind_tcp("127.0.0.1", port_of(first), backlog=5, reuseport=True))
    assert port_of(first) == port_of(second)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", pytest.param("::", marks=needs_ipv6), pytest.param("", marks=needs_ipv6)]
)
def test_one_listener_more_on_the_same_address(keep: Keep, host: str) -> None:
    first = keep(bind_tcp(host, 0, backlog=5, reuseport=True))
    second = keep([bind_beside(bound, 5) for bound in first])
    assert [item.address_text for item in second] == [item.address_text for item in first]
    assert all(item.shared for item in first + second)
    for one, other in zip(first, second, strict=True):
        assert one.sock.family == other.sock.family
        if one.sock.family == socket.AF_INET6:
            option = socket.IPPROTO_IPV6, socket.IPV6_V6ONLY
            assert one.sock.getsockopt(*option) == other.sock.getsockopt(*option)


def test_no_listener_more_on_an_address_that_is_not_shared(keep: Keep) -> None:
    [alone] = keep(bind_tcp("127.0.0.1", 0, backlog=5))
    assert not alone.shared
    assert "already in use" in refusal(bind_beside, alone, 5)


def test_reuseport_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    assert "leave --reuseport away" in refusal(bind_tcp, "127.0.0.1", 0, backlog=5, reuseport=True)


# --- TCP refusals ----------------------------------------------------------------------------


def test_port_in_use(keep: Keep) -> None:
    [bound] = keep(bind_tcp("127.0.0.1", 0, backlog=5))
    port = port_of(bound)
    assert refusal(bind_tcp, "127.0.0.1", port, backlog=5) == (
        f"port {port} on 127.0.0.1 is already in use;"
        " choose another with --port, or stop the other server"
    )


def test_port_in_use_on_one_address_closes_the_others(
    keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Several: whoever else is busy here may have the same port on the other address.
    candidates = [keep(bind_tcp("127.0.0.2", 0, backlog=5))[0] for _ in range(5)]
    resolve_to(monkeypatch, "127.0.0.1", "127.0.0.2")
    for taken in candidates:
        message = refusal(bind_tcp, "name", port_of(taken), backlog=5)
        if "on 127.0.0.2 is already in use" in message:
            break
    else:
        pytest.fail(message)
    assert not answers(socket.AF_INET, ("127.0.0.1", port_of(taken)))


def test_address_of_another_machine() -> None:
    message = refusal(bind_tcp, "192.0.2.1", 0, backlog=5)
    assert message.startswith("cannot listen on 192.0.2.1: no interface of this machine has")
    assert "--host" in message


@pytest.mark.parametrize("host", ["name.invalid", "a" * 70 + ".example", "a..b"])
def test_unknown_host(host: str) -> None:
    message = refusal(bind_tcp, host, 0, backlog=5)
    assert message.startswith(f"unknown host {host!r} (")
    assert "--host" in message


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "permission denied to bind to port 80: low ports need root"),
        (errno.EPERM, "permission denied to bind to port 80: low ports need root"),
        (errno.EAFNOSUPPORT, "cannot listen on 127.0.0.1: this machine has no IPv6"),
        (errno.EINVAL, "cannot listen on 127.0.0.1 port 80: Invalid argument"),
    ],
)
def test_other_refusals(monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    made: list[socket.socket] = []

    class Refusing(socket.socket):
        def bind(self, address: Any) -> None:
            made.append(self)
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "socket", Refusing)
    assert refusal(bind_tcp, "127.0.0.1", 80, backlog=5).startswith(words)
    assert made[0].fileno() == -1


# --- Unix ------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)  # the full path may be longer than a socket's may
    return "app.sock"


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_unix_socket_is_private(path: str) -> None:
    umask = os.umask(0)
    try:
        bound = bind_unix(path, backlog=5)
        assert os.umask(0) == 0  # restored
    finally:
        os.umask(umask)
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    assert mode_of(path) == 0o600
    assert bound.kind == "unix"
    assert bound.address_text == "unix:app.sock"
    assert not bound.sock.getblocking()
    assert answers(socket.AF_UNIX, path)
    bound.close()
    bound.close()
    assert not os.path.exists(path)


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666, 0o777, 0o200])
def test_unix_socket_has_the_mode_and_is_never_more_open(
    path: str, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    seen: list[int] = []
    real = os.chmod

    def chmod(target: str, wanted: int) -> None:
        seen.append(mode_of(target))
        real(target, wanted)

    monkeypatch.setattr(os, "chmod", chmod)
    bound = bind_unix(path, mode, backlog=5)
    assert mode_of(path) == mode
    assert seen == ([] if mode == 0o600 else [0o600])
    bound.close()


def test_stale_socket_is_replaced(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(path)
    bound = bind_unix(path, backlog=5)
    assert answers(socket.AF_UNIX, path)
    bound.close()


def test_socket_in_use_is_left_alone(path: str, keep: Keep) -> None:
    keep(bind_unix(path, backlog=5))
    assert refusal(bind_unix, path, backlog=5) == (
        "the socket app.sock is already in use;"
        " choose another path with --socket, or stop the other server"
    )
    assert answers(socket.AF_UNIX, path)


def test_socket_with_a_full_backlog_is_in_use(path: str, keep: Keep) -> None:
    keep(bind_unix(path, backlog=0))
    waiting = keep([socket.socket(socket.AF_UNIX) for _ in range(4)])
    for client in waiting:
        client.setblocking(False)
        client.connect_ex(path)
    assert "already in use" in refusal(bind_unix, path, backlog=5)


def test_datagram_socket_is_left_alone(path: str, keep: Keep) -> None:
    other = keep(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    other.bind(path)
    assert "already in use" in refusal(bind_unix, path, backlog=5)
    assert os.path.exists(path)


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_is_left_alone(path: str, kind: str) -> None:
    if kind == "file":
        Path(path).write_text("precious")
    elif kind == "directory":
        os.mkdir(path)
    else:
        with socket.socket(socket.AF_UNIX) as old:
            old.bind("elsewhere.sock")
        os.symlink("elsewhere.sock", path)
    message = refusal(bind_unix, path, backlog=5)
    assert message.startswith("app.sock exists and is not a socket; remove it")
    assert os.path.lexists(path)


def test_close_leaves_the_socket_of_a_successor(path: str) -> None:
    first = bind_unix(path, backlog=5)
    os.unlink(path)
    second = bind_unix(path, backlog=5)
    first.close()
    assert answers(socket.AF_UNIX, path)
    second.close()
    assert not os.path.exists(path)


def test_close_in_a_forked_worker_leaves_the_file(path: str) -> None:
    # In a process of its own, because forking beside threads of other tests is not safe.
    program = (
        "import os, sys\n"
        "from pagi.server.worker.sockets import bind_unix\n"
        "bound = bind_unix('app.sock', backlog=5)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    bound.close()\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "print(os.path.exists('app.sock'))\n"
        "bound.close()\n"
        "print(os.path.exists('app.sock'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "False"]


def test_close_in_another_process_leaves_the_file(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = bind_unix(path, backlog=5)
    monkeypatch.setattr(os, "getpid", lambda: 0)
    bound.close()
    assert bound.sock.fileno() == -1
    assert os.path.exists(path)


def test_close_after_the_file_is_gone(path: str) -> None:
    bound = bind_unix(path, backlog=5)
    os.unlink(path)
    bound.close()
    assert bound.sock.fileno() == -1


def test_unix_path_too_long() -> None:
    longest = "/tmp/" + "x" * (sockets._PATH_BYTES - 5)
    message = refusal(bind_unix, longest + "é", backlog=5)
    assert "is too long for a Unix socket" in message
    assert "--socket" in message


def test_longest_unix_path(path: str) -> None:
    longest = "x" * sockets._PATH_BYTES
    bound = bind_unix(longest, backlog=5)
    assert bound.address_text == f"unix:{longest}"
    bound.close()


def test_unix_directory_missing(path: str) -> None:
    message = refusal(bind_unix, "missing/app.sock", backlog=5)
    assert message == "cannot make the socket missing/app.sock: there is no directory missing"


@pytest.mark.parametrize(
    ("call", "number", "words"),
    [
        ("bind", errno.EACCES, "permission denied to make the socket app.sock"),
        ("bind", errno.EROFS, "permission denied to make the socket app.sock"),
        ("bind", errno.EADDRINUSE, "the socket app.sock is already in use"),
        ("bind", errno.ENOTDIR, "cannot make the socket app.sock: there is no directory ."),
        ("bind", errno.EIO, "cannot make the socket app.sock: Input/output error"),
        ("listen", errno.EINVAL, "cannot make the socket app.sock: Invalid argument"),
    ],
)
def test_unix_refusals_leave_nothing(
    path: str, monkeypatch: pytest.MonkeyPatch, call: str, number: int, words: str
) -> None:
    made: list[socket.socket] = []

    def refuse(self: socket.socket, *_: Any) -> None:
        made.append(self)
        raise OSError(number, os.strerror(number))

    class Refusing(socket.socket):
        """A socket that refuses one call."""

    setattr(Refusing, call, refuse)
    monkeypatch.setattr(socket, "socket", Refusing)
    umask = os.umask(0o022)
    try:
        assert refusal(bind_unix, path, backlog=5).startswith(words)
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(umask)
    assert not os.path.exists(path)
    assert made[0].fileno() == -1


# --- inherited -------------------------------------------------------------------------------


def test_adopted_tcp_socket(keep: Keep) -> None:
    [parent] = keep(bind_tcp("127.0.0.1", 0, backlog=5))
    copy = os.dup(parent.sock.fileno())
    os.set_inheritable(copy, True)
    os.set_blocking(copy, True)
    bound = keep(adopt_fd(copy))
    assert bound.sock.fileno() == copy
    assert bound.address_text == parent.address_text
    assert not bound.sock.getblocking()
    assert not bound.sock.get_inheritable()


def test_adopted_unix_socket_keeps_its_file(path: str, keep: Keep) -> None:
    parent = keep(bind_unix(path, backlog=5))
    bound = adopt_fd(os.dup(parent.sock.fileno()))
    assert bound.address_text == "unix:app.sock"
    bound.close()
    assert answers(socket.AF_UNIX, path)


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="abstract names are Linux's")
def test_adopted_abstract_socket(keep: Keep) -> None:
    parent = keep(socket.socket(socket.AF_UNIX))
    parent.bind(f"\0pagi-{os.getpid()}")
    parent.listen()
    bound = keep(adopt_fd(os.dup(parent.fileno())))
    assert bound.address_text == f"unix:@pagi-{os.getpid()}"


def test_descriptor_that_is_not_open() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    assert refusal(adopt_fd, writing).startswith(f"descriptor {writing} is not open; pass the")


def test_descriptor_that_is_no_socket(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w") as file:
        message = refusal(adopt_fd, file.fileno())
        os.fstat(file.fileno())
    assert " is not a socket; pass the descriptor of a listening socket with --fd" in message


@pytest.mark.parametrize(
    ("family", "kind", "words"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, "is a socket that does not listen"),
        (socket.AF_INET, socket.SOCK_DGRAM, "is not a stream socket"),
        (socket.AF_UNIX, socket.SOCK_DGRAM, "is not a stream socket"),
        (getattr(socket, "AF_NETLINK", -1), socket.SOCK_RAW, "is neither a TCP nor a Unix socket"),
    ],
)
def test_descriptor_of_a_socket_of_no_use(family: int, kind: int, words: str) -> None:
    if family == -1:
        pytest.skip("this system has no netlink")
    with socket.socket(family, kind) as other:
        assert words in refusal(adopt_fd, other.fileno())
        os.fstat(other.fileno())  # left open


# --- from the configuration ------------------------------------------------------------------


def test_bind_takes_each_kind_of_listener(path: str, keep: Keep) -> None:
    [tcp] = keep(bind(Listen.tcp("127.0.0.1", 0), backlog=5, reuseport=True))
    assert tcp.sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    [unix] = keep(bind(Listen.unix(path), backlog=5, reuseport=True))
    assert mode_of(path) == 0o600
    [shared] = keep(bind(Listen.unix("other.sock", 0o660), backlog=5, reuseport=False))
    assert mode_of("other.sock") == 0o660
    copy = Listen.inherited(os.dup(tcp.sock.fileno()))
    [adopted] = keep(bind(copy, backlog=5, reuseport=False))
    assert [item.kind for item in (tcp, unix, shared, adopted)] == ["tcp", "unix", "unix", "tcp"]
