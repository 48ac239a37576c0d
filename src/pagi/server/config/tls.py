"""The options of TLS. They are called ``ssl_…``, as everywhere in the field."""

# The call that a dataclass must not have as a default is here one to `dataclasses.field`, inside
# `option`; ruff cannot see that.
# ruff: noqa: RUF009

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pagi.server.config.kinds import Choice, FileOrOff, Kind, Seconds, Text
from pagi.server.config.option import option

__all__ = ["TLS", "ClientVerification", "MinimumVersion"]

ClientVerification: TypeAlias = Literal["off", "optional", "required"]
MinimumVersion: TypeAlias = Literal["tlsv1_2", "tlsv1_3"]

_VERIFICATION: Kind[ClientVerification] = Choice("off", "optional", "required")
_VERSION: Kind[MinimumVersion] = Choice("tlsv1_2", "tlsv1_3")


@dataclass(frozen=True, slots=True)
class TLS:
    """Certificates, and what is asked of clients. With a certificate every listener speaks TLS."""

    cert: str | None = option(
        None,
        FileOrOff(),
        "Certificate in PEM, with those of its issuers behind it.",
        aliases=("ssl_cert_file", "ssl_certfile"),
    )
    key: str | None = option(
        None,
        FileOrOff(),
        "Private key of the certificate in PEM; it may be in the same file.",
        aliases=("ssl_key_file", "ssl_keyfile"),
    )
    key_password: str = option(
        "", Text(), "Password of the key; better set by a variable than by a flag."
    )
    ca: str | None = option(
        None,
        FileOrOff(),
        "Certificates in PEM of those who issue clients' certificates.",
        aliases=("ssl_ca_file", "ssl_ca_certs"),
    )
    verify_client: ClientVerification = option(
        "off", _VERIFICATION, "Whether clients may or must show a certificate that ssl_ca issued."
    )
    min_version: MinimumVersion = option("tlsv1_2", _VERSION, "Oldest version that is spoken.")
    ciphers: str = option(
        "", Text(), "Cipher suites of TLS 1.2 in OpenSSL's notation; an empty text means ours."
    )
    handshake_timeout: float | None = option(
        10.0, Seconds(), "From connecting until the handshake is complete."
    )

    @property
    def wanted(self) -> bool:
        """Whether a certificate is configured."""
        return self.cert is not None
