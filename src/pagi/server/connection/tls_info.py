"""What an application learns of an encrypted connection: the extension ``tls``."""

from __future__ import annotations

import logging
import ssl
from functools import cached_property
from typing import Any, Final

__all__ = ["ServerContext", "tls_extension"]

_VERSIONS: Final = {
    "SSLv3": 0x0300,
    "TLSv1": 0x0301,
    "TLSv1.1": 0x0302,
    "TLSv1.2": 0x0303,
    "TLSv1.3": 0x0304,
}
#: Short names of RFC 4514 §3 and RFC 4519; others go by the names that OpenSSL has for them.
_SHORT: Final = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}
_logger: Final = logging.getLogger("pagi.connection")


class ServerContext(ssl.SSLContext):
    """A context that knows what `ssl` does not tell.

    Attributes:
        certificate: the server's own, in PEM.
    """

    certificate: str | None = None

    @cached_property
    def suites(self) -> dict[str, int]:
        """The numbers of the cipher suites, by OpenSSL's names; they are settled when asked for."""
        return {suite["name"]: suite["id"] & 0xFFFF for suite in self.get_ciphers()}


def tls_extension(transport: Any) -> dict[str, Any] | None:
    """Return the value of the extension, or ``None`` for a connection that is not encrypted.

    What cannot be found out is ``None`` in it.
    """
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return None
    try:
        return _describe(tls)
    except Exception as exc:  # never the end of a connection that works
        _logger.warning("the tls extension is incomplete", exc_info=exc)
        return {**_NOTHING, "client_cert_chain": []}


_NOTHING: Final[dict[str, Any]] = {
    "server_cert": None,
    "client_cert_chain": [],
    "client_cert_name": None,
    "client_cert_error": None,
    "tls_version": None,
    "cipher_suite": None,
}


def _describe(tls: Any) -> dict[str, Any]:
    context = tls.context
    cipher = tls.cipher()
    own = isinstance(context, ServerContext)
    chain = _client_chain(tls)
    return {
        "server_cert": context.certificate if own else None,
        "client_cert_chain": chain,
        "client_cert_name": _name(tls.getpeercert() or {}) if chain else None,
        "client_cert_error": None,  # a certificate that is not right does not get this far
        "tls_version": _VERSIONS.get(tls.version()),
        "cipher_suite": context.suites.get(cipher[0]) if own and cipher else None,
    }


def _client_chain(tls: Any) -> list[str]:
    """Return what the client has shown, in PEM, its own certificate first."""
    leaf = tls.getpeercert(True)
    if leaf is None:
        return []
    shown = _shown(tls)
    return [ssl.DER_cert_to_PEM_cert(der) for der in (shown or [leaf])]


def _shown(tls: Any) -> list[bytes]:
    if hasattr(tls, "get_unverified_chain"):  # 3.13
        return [bytes(der) for der in tls.get_unverified_chain()]
    inner = getattr(tls, "_sslobj", None)  # 3.10 to 3.12 have it there
    found = inner.get_unverified_chain() if inner is not None else None
    return [ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in found or ()]


def _name(certificate: dict[str, Any]) -> str | None:
    """Return the subject as RFC 4514 writes it: the last part first."""
    subject = certificate.get("subject")
    if not subject:
        return None
    parts = ["+".join(f"{_SHORT.get(n, n)}={_escaped(v)}" for n, v in rdn) for rdn in subject]
    return ",".join(reversed(parts))


def _escaped(value: str) -> str:
    """RFC 4514 §2.4."""
    text = "".join(f"\\{char}" if char in '"+,;<>\\' else char for char in value)
    text = text.replace("\0", "\\00")
    if text[:1] in (" ", "#"):
        text = "\\" + text
    if text.endswith(" ") and len(text) > 1:
        text = text[:-1] + "\\ "
    return text
