"""`pagi cert`: certificates for development, from an authority of one's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pagi.server.errors import EXIT_CONFIGURATION, StartError

__all__ = ["DEFAULT_NAMES", "make_certificate"]

#: Where a server is reached that one develops.
DEFAULT_NAMES = ("localhost", "127.0.0.1", "::1")


def make_certificate(names: Sequence[str], folder: Path) -> str:
    """Write a certificate with its key, and the authority that has issued it.

    An authority that is there already is used again: who trusts it need not be told anew.

    Args:
        names: host names and addresses; none means `DEFAULT_NAMES`.
        folder: made if it does not exist.

    Returns:
        What to do next, for people.

    Raises:
        StartError: trustme is not installed, or the files cannot be written.
    """
    try:
        import trustme
    except ImportError:
        raise StartError(
            "making certificates needs trustme; run: pip install 'pagi-web[cert]'",
            EXIT_CONFIGURATION,
        ) from None
    authority_path, authority_key = folder / "ca.pem", folder / "ca-key.pem"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = authority_path.exists() and authority_key.exists()
        if known:
            authority = trustme.CA.from_pem(authority_path.read_bytes(), authority_key.read_bytes())
        else:
            authority = trustme.CA(organization_name="PAGI development")
            _write(authority_key, authority.private_key_pem.bytes(), 0o600)
            _write(authority_path, authority.cert_pem.bytes(), 0o644)
        issued = authority.issue_cert(*(names or DEFAULT_NAMES))
        cert, key = folder / "cert.pem", folder / "key.pem"
        _write(key, issued.private_key_pem.bytes(), 0o600)
        _write(cert, b"".join(part.bytes() for part in issued.cert_chain_pems), 0o644)
    except OSError as exc:
        raise StartError(f"cannot write to {folder}: {exc}", EXIT_CONFIGURATION) from None
    except ValueError as exc:
        raise StartError(
            f"no certificate for {', '.join(names)}: {exc}", EXIT_CONFIGURATION
        ) from None
    return _next_steps(names or DEFAULT_NAMES, cert, key, authority_path, known)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file that nobody else could read at any moment, if ``mode`` says so."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _next_steps(names: Sequence[str], cert: Path, key: Path, authority: Path, known: bool) -> str:
    if known:
        trust = f"issued by the authority in {authority}, as before"
    else:
        secret = authority.with_name("ca-key.pem")
        trust = (
            f"issued by a new authority; to trust it: curl --cacert {authority} …,\n"
            f"  or import {authority} into the browser. Keep {secret} to yourself:\n"
            "  with it anybody can make certificates that you trust."
        )
    return (
        f"A certificate for {', '.join(names)}:\n"
        f"  {trust}\n"
        f"Serve with it:\n"
        f"  pagi run app:app --ssl-cert {cert} --ssl-key {key}\n"
    )
