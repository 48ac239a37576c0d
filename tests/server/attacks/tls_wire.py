"""The hostile client over TLS."""

from __future__ import annotations

import ssl

from tests.server.attacks.wire import Wire

__all__ = ["TLSWire"]


class TLSWire(Wire):
    """One encrypted connection: what is sent and received are the bytes within."""

    async def shake_hands(self, context: ssl.SSLContext) -> TLSWire:
        """Begin; returns itself."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._put_out()
                self._incoming.write(await super().receive())
            else:
                await self._put_out()
                return self

    async def _put_out(self) -> bool:
        data = self._outgoing.read()
        return not data or await super().send(data)

    async def send(self, data: bytes) -> bool:
        """Encrypt and send all of ``data``; tell whether the server let us."""
        if data:
            self._tls.write(data)
        return await self._put_out()

    async def receive(self, size: int = 1 << 18) -> bytes:
        """Receive what is there; empty at the end, however it came."""
        while True:
            try:
                return self._tls.read(size)
            except ssl.SSLWantReadError:
                data = await super().receive(size)
                if not data:
                    return b""
                self._incoming.write(data)
            except ssl.SSLZeroReturnError:
                return b""
