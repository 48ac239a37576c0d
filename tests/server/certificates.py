"""Certificates for tests: an authority of our own, a server's, and clients'."""

from __future__ import annotations

import functools
import ssl
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import trustme

__all__ = ["Certificates", "certificates", "client_context"]


@dataclass(frozen=True)
class Certificates:
    """Files in PEM.

    Attributes:
        cert: of ``localhost`` and ``127.0.0.1``.
        key: of that certificate.
        ca: who issued them all.
        client: certificate and key of a client.
        stranger: the same, issued by somebody else.
    """

    cert: str
    key: str
    ca: str
    client: str
    stranger: str

    @property
    def renewed(self) -> Certificates:
        """The same, with another certificate of the server's."""
        folder = Path(self.cert).parent
        return replace(self, cert=str(folder / "cert2"), key=str(folder / "key2"))

    @property
    def named(self) -> str:
        """Certificate and key for ``named.example`` and ``*.wild.example``."""
        return str(Path(self.cert).parent / "named")

    @property
    def options(self) -> dict[str, Any]:
        """Options of a server that shows the certificate."""
        return {"ssl_cert": self.cert, "ssl_key": self.key}


@functools.cache
def certificates() -> Certificates:
    """Make them, once in each run."""
    folder = Path(tempfile.mkdtemp(prefix="pagi-certificates-"))
    authority, other = trustme.CA(), trustme.CA()
    own = authority.issue_cert("localhost", "127.0.0.1")
    client = authority.issue_cert(common_name="Doe, Jane", organization_name=" #Org+")
    stranger = other.issue_cert(common_name="stranger")
    files = {
        "cert": own.cert_chain_pems[0],
        "key": own.private_key_pem,
        "ca": authority.cert_pem,
        "client": client.private_key_and_cert_chain_pem,
        "stranger": stranger.private_key_and_cert_chain_pem,
    }
    for name, blob in files.items():
        blob.write_to_path(str(folder / name))
    named = authority.issue_cert("named.example", "*.wild.example")
    named.private_key_and_cert_chain_pem.write_to_path(str(folder / "named"))
    renewed = authority.issue_cert("localhost", "127.0.0.1")
    renewed.cert_chain_pems[0].write_to_path(str(folder / "cert2"))
    renewed.private_key_pem.write_to_path(str(folder / "key2"))
    return Certificates(**{name: str(folder / name) for name in files})


def client_context(*alpn: str, identity: str | None = None) -> ssl.SSLContext:
    """Return a client's context that trusts the authority.

    Args:
        alpn: protocols to offer; none for no ALPN.
        identity: file with certificate and key to show.
    """
    context = ssl.create_default_context(cafile=certificates().ca)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if identity is not None:
        context.load_cert_chain(identity)
    return context
