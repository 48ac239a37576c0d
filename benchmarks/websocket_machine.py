"""Microseconds of the WebSocket machine: ``python -m benchmarks.websocket_machine``.

Receiving takes a masked frame that stands whole in what was read and makes its event; sending makes
the frame and pulls it. Both implementations are measured where the extension is built.
"""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any

from pagi._build import compiled
from pagi.protocol.websocket.deflate import DeflateParameters, Deflater
from pagi.protocol.websocket.limits import WebSocketLimits

if TYPE_CHECKING:
    from collections.abc import Callable

_MASK = b"\x12\x34\x56\x78"
_LIMITS = WebSocketLimits()
_SENTENCE = (
    '{"id": 4711, "user": "Ada", "text": "A message as people write them: not long, not short.",'
    ' "room": "general"}, '
)


def masked(first: int, payload: bytes) -> bytes:
    """Return a frame as a client sends it."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = bytes((first, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + size.to_bytes(8, "big")
    return head + _MASK + bytes(byte ^ _MASK[at & 3] for at, byte in enumerate(payload))


def _receiving(data: bytes, pieces: int = 1) -> Callable[[Any], None]:
    if pieces == 1:
        return lambda machine: machine.receive_data(data, 0.0)
    size = len(data) // pieces + 1
    parts = [data[at : at + size] for at in range(0, len(data), size)]

    def run(machine: Any) -> None:
        for part in parts:
            machine.receive_data(part, 0.0)

    return run


def _sending(message: str | bytes, count: int = 1, compress: bool = False) -> Callable[[Any], None]:
    def run(machine: Any) -> None:
        send = machine.send_text if isinstance(message, str) else machine.send_bytes
        for _ in range(count):
            send(message, compress)
        machine.data_to_send()

    return run


def _echo(data: bytes, message: str) -> Callable[[Any], None]:
    def run(machine: Any) -> None:
        for event in machine.receive_data(data, 0.0):
            machine.send_text(event.data)
        machine.data_to_send()

    return run


def _cases() -> list[tuple[str, bool, int, Callable[[Any], None]]]:
    """Return label, deflate, messages per run, and the run of each case."""
    text = "x" * 32
    accented = "äöü€" * 8
    small = masked(0x81, text.encode())
    large = bytes(range(256)) * 256
    chat = (_SENTENCE * 20)[:2048]
    payload = Deflater(DeflateParameters(server_no_context_takeover=True), 5).deflate(chat.encode())
    agreed = masked(0xC1, payload)
    return [
        ("receive 32 bytes of text", False, 1, _receiving(small)),
        ("receive 32 characters, not ASCII", False, 1, _receiving(masked(0x81, accented.encode()))),
        ("receive 32 bytes, 16 in a packet", False, 16, _receiving(small * 16)),
        ("receive 64 KiB, binary", False, 1, _receiving(masked(0x82, large))),
        ("receive 64 KiB of text", False, 1, _receiving(masked(0x81, b"x" * 65_536))),
        ("receive 64 KiB, binary, in 5 packets", False, 1, _receiving(masked(0x82, large), 5)),
        (
            "receive 64 KiB of text, in 5 packets",
            False,
            1,
            _receiving(masked(0x81, b"x" * 65_536), 5),
        ),
        ("receive 2 KiB of JSON, deflated", True, 1, _receiving(agreed)),
        ("send 32 bytes of text", False, 1, _sending(text)),
        ("send 32 bytes of text, 16 at once", False, 16, _sending(text, 16)),
        ("send 64 KiB, binary", False, 1, _sending(large)),
        ("send 2 KiB of JSON, deflated", True, 1, _sending(chat, compress=True)),
        ("echo 32 bytes of text", False, 1, _echo(small, text)),
        ("echo 32 bytes, 16 in a packet", False, 16, _echo(small * 16, text)),
    ]


def _microseconds(make: Callable[[], Any], run: Callable[[Any], None]) -> float:
    """Return the least of many short measurements: the machine is never quiet for long."""
    machine = make()
    start = time.process_time()
    run(machine)
    count = max(1, int(0.005 / (time.process_time() - start + 1e-6)))
    best = float("inf")
    for _ in range(60):
        start = time.process_time()
        for _ in range(count):
            run(machine)
        best = min(best, (time.process_time() - start) / count)
    return best * 1e6


def main() -> None:
    """Print one line per implementation and case."""
    names = ["_connection_py"]
    if compiled("pagi.protocol.websocket._connection_c"):
        names.append("_connection_c")
    # each deflated message is a stream of its own: the same one can come again and again
    agreed = DeflateParameters(client_no_context_takeover=True, client_max_window_bits=12)
    for name in names:
        kind = importlib.import_module(f"pagi.protocol.websocket.{name}").WebSocketConnection
        for label, deflate, count, run in _cases():
            parameters = agreed if deflate else None
            figure = _microseconds(
                lambda kind=kind, deflate=parameters: kind(_LIMITS, deflate), run
            )
            print(f"{name:16} {label:38} {figure / count:8.3f} µs")


if __name__ == "__main__":
    main()
