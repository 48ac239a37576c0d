"""The options of TLS. They are called ``ssl_…``, as everywhere in the field."""

# The call that a dataclass must not have as a default is here one to `dataclasses.field`, inside
# `option`; ruff cannot see that.
# ruff: noqa: RUF009

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final, Literal, NamedTuple, TypeAlias

from pagi.server.config.kinds import (
    NOTHING,
    Choice,
    FileOrOff,
    Kind,
    Seconds,
    Text,
    text_of,
)
from pagi.server.config.option import declaration, option

__all__ = [
    "TLS",
    "ClientVerification",
    "MinimumVersion",
    "NamedCertificate",
    "NamedCertificates",
    "read_tls_changes",
    "show_tls_changes",
]

ClientVerification: TypeAlias = Literal["off", "optional", "required"]
MinimumVersion: TypeAlias = Literal["tlsv1_2", "tlsv1_3"]

_VERIFICATION: Kind[ClientVerification] = Choice("off", "optional", "required")
_VERSION: Kind[MinimumVersion] = Choice("tlsv1_2", "tlsv1_3")


class NamedCertificate(NamedTuple):
    """The certificate for a name that clients ask for (RFC 6066 §3).

    Attributes:
        name: in lower case; ``*.`` in front stands for one label.
        cert: file with the certificate.
        key: file with its key; the same one where it is empty.
    """

    name: str
    cert: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.name}={self.cert}" + (f":{self.key}" if self.key else "")


_NAME: Final = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


class NamedCertificates(Kind["tuple[NamedCertificate, ...]"]):
    """Certificates by names, one or several."""

    unit = "list of certificates"
    metavar = "NAME=CERT[:KEY]"
    expected = "write example.org=cert.pem or example.org=cert.pem:key.pem"
    repeatable = True

    def read(self, text: str) -> tuple[NamedCertificate, ...]:
        """Read some separated by commas, or ``none``."""
        if text.lower() in NOTHING:
            return ()
        return tuple(self._one(part.strip()) for part in text.split(",") if part.strip())

    def accept(self, value: object) -> tuple[NamedCertificate, ...]:
        """Take text or a sequence of texts."""
        if isinstance(value, Sequence) and not isinstance(value, str):
            return tuple(self._one(str(text_of(self, str(item)))) for item in value)
        return self.read(text_of(self, value))

    def _one(self, text: str) -> NamedCertificate:
        name, equals, files = text.partition("=")
        cert, _, key = files.partition(":")
        if not equals or not cert or _NAME.fullmatch(name.lower()) is None:
            raise ValueError(f"{text!r} is no certificate for a name; {self.expected}")
        return NamedCertificate(name.lower(), cert, key)

    def show(self, value: tuple[NamedCertificate, ...]) -> str:
        """Return them, separated by commas, or ``none``."""
        return ",".join(map(str, value)) or "none"

    def native(self, value: tuple[NamedCertificate, ...]) -> object:
        """Return a list."""
        return [str(each) for each in value]


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
    sni: tuple[NamedCertificate, ...] = option(
        (),
        NamedCertificates(),
        "Certificates for names; ssl_cert is for clients that ask for another. Repeatable.",
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

    def changed(self, changes: tuple[tuple[str, object], ...]) -> TLS:
        """Return a copy in which some fields differ."""
        return replace(self, **dict(changes)) if changes else self  # type: ignore[arg-type]


def read_tls_changes(
    table: Mapping[str, object],
) -> tuple[tuple[tuple[str, object], ...], dict[str, object]]:
    """Take the options of TLS out of a table; return them, by field, and the rest of the table.

    Raises:
        ValueError: one of them has an impossible value.
    """
    rest = dict(table)
    found: list[tuple[str, object]] = []
    for field in fields(TLS):
        declared = declaration(field.metadata)
        if declared is None:
            continue
        for name in ("ssl_" + field.name, *declared.aliases):
            if name in rest:
                try:
                    found.append((field.name, declared.kind.accept_file(rest.pop(name))))
                except ValueError as exc:
                    raise ValueError(f"{name}: {exc}") from None
    return tuple(found), rest


def show_tls_changes(changes: tuple[tuple[str, object], ...]) -> dict[str, object]:
    """Return them as `read_tls_changes` reads them back."""
    kinds = {field.name: declaration(field.metadata) for field in fields(TLS)}
    shown: dict[str, object] = {}
    for name, value in changes:
        declared = kinds[name]
        assert declared is not None
        shown["ssl_" + name] = declared.kind.native(value)
    return shown
