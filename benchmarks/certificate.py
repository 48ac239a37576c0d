"""The certificate that all servers show."""

from __future__ import annotations

from pathlib import Path

__all__ = ["CERTIFICATE", "KEY", "make_certificate"]

CERTIFICATE = "certificate.pem"
KEY = "key.pem"


def make_certificate(directory: Path) -> None:
    """Makes one for 127.0.0.1 (ECDSA, P-256), and its key in PKCS#8, which all servers can read."""
    import trustme
    from cryptography.hazmat.primitives import serialization

    issued = trustme.CA().issue_cert("127.0.0.1", "localhost")
    issued.cert_chain_pems[0].write_to_path(str(directory / CERTIFICATE))
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    (directory / KEY).write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
