"""TLS contexts: what the options come to, with one line for each thing that can be wrong."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pagi.server.config.tls import TLS
from pagi.server.connection.tls_info import ServerContext
from pagi.server.errors import EXIT_CONFIGURATION, StartError

__all__ = ["Certificates", "make_tls_context"]

#: Suites of TLS 1.2 with forward secrecy and authenticated encryption; HTTP/2 forbids all others
#: (RFC 9113 §9.2.2). Those of TLS 1.3 are all fine.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_VERSIONS: Final = {"tlsv1_2": ssl.TLSVersion.TLSv1_2, "tlsv1_3": ssl.TLSVersion.TLSv1_3}
_VERIFICATIONS: Final = {
    "off": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}


class Certificates:
    """The context that new connections get; renewed when its files change.

    Connections that stand keep theirs. Files that are wrong, or half written, leave all as it is.

    Args:
        settings: with a certificate.
        alpn: see `make_tls_context`.
        logger: told of each renewal and of each file that cannot be used, once.

    Attributes:
        context: the current one.

    Raises:
        StartError: a file is missing or wrong.
    """

    def __init__(self, settings: TLS, alpn: Sequence[str], logger: logging.Logger) -> None:
        self._settings = settings
        self._alpn = alpn
        self._logger = logger
        self._state = self._look()
        self.context = make_tls_context(settings, alpn)

    def _look(self) -> list[object]:
        """Return what changes when a file is replaced or written."""
        found: list[object] = []
        settings = self._settings
        paths = [settings.cert, settings.key, settings.ca]
        paths += [path for each in settings.sni for path in (each.cert, each.key)]
        for path in paths:
            try:
                state = os.stat(path) if path else None
            except OSError as exc:
                found.append(exc.errno)
            else:
                found.append(state and (state.st_mtime_ns, state.st_size, state.st_ino))
        return found

    def renew(self) -> None:
        """Look at the files, and take what has changed; called once a second."""
        state = self._look()
        if state == self._state:
            return
        self._state = state
        try:
            self.context = make_tls_context(self._settings, self._alpn)
        except (StartError, OSError) as exc:
            self._logger.error("the changed certificate is not used: %s", exc)
        else:
            self._logger.info("the certificate %s has been renewed", self._settings.cert)


def make_tls_context(settings: TLS, alpn: Sequence[str]) -> ServerContext:
    """Return a context that all connections of a listener share.

    Args:
        settings: with a certificate.
        alpn: names of the protocols that are offered, the favourite first (RFC 7301).

    Raises:
        StartError: a file is missing or wrong; the text says which, and what to do.
    """
    assert settings.cert is not None
    default = _one_context(settings, alpn, settings.cert, settings.key or "", "ssl_cert", "ssl_key")
    named = {
        each.name: _one_context(settings, alpn, each.cert, each.key, "ssl_sni", "ssl_sni")
        for each in settings.sni
    }

    def choose(tls: Any, name: str | None, _: ssl.SSLContext) -> None:
        found = _for_name(named, name)
        if found is not None:
            tls.context = found

    if named:
        default.sni_callback = choose
    return default


def _for_name(named: dict[str, ServerContext], name: str | None) -> ServerContext | None:
    """Return the context for a name that a client asks for (RFC 6066 §3), if there is one."""
    if not name:
        return None
    name = name.lower().rstrip(".")
    return named.get(name) or named.get("*." + name.partition(".")[2])


def _one_context(
    settings: TLS, alpn: Sequence[str], cert: str, key: str, cert_option: str, key_option: str
) -> ServerContext:
    certificate = _readable(cert, "certificate", cert_option)
    key_file = _readable(key, "key", key_option) if key else certificate
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.minimum_version = _VERSIONS[settings.min_version]
    try:
        context.set_ciphers(settings.ciphers or _CIPHERS)
    except ssl.SSLError:
        raise _wrong(f"ssl_ciphers: OpenSSL knows no suite in {settings.ciphers!r}") from None
    _load_pair(context, certificate, key_file, settings.key_password)
    context.certificate = _first_certificate(certificate)
    _load_issuers(context, settings)
    context.set_alpn_protocols(list(alpn))
    return context


def _wrong(text: str) -> StartError:
    return StartError(text, EXIT_CONFIGURATION)


def _readable(path: str, what: str, option: str) -> Path:
    try:
        Path(path).read_bytes()
    except FileNotFoundError:
        raise _wrong(f"the {what} {path} does not exist; correct {option}") from None
    except OSError as exc:
        raise _wrong(f"the {what} {path} cannot be read ({exc.strerror}); see {option}") from None
    return Path(path)


def _load_pair(context: ssl.SSLContext, certificate: Path, key: Path, password: str) -> None:
    def give_password() -> str:
        # Without this OpenSSL would ask at the terminal, and a server without one would hang.
        return password

    try:
        context.load_cert_chain(certificate, key, give_password)
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            text = f"the key {key} does not belong to the certificate {certificate}"
        elif exc.reason in ("BAD_DECRYPT", "BAD_PASSWORD_READ", "PROBLEMS_GETTING_PASSWORD"):
            text = f"the password of the key {key} is wrong or missing; set ssl_key_password"
        else:
            text = (
                f"{certificate} and {key} are no certificate and key in PEM"
                f" ({exc.reason or exc}); check ssl_cert and ssl_key"
            )
        raise _wrong(text) from None


def _load_issuers(context: ssl.SSLContext, settings: TLS) -> None:
    if settings.verify_client == "off":
        return
    if settings.ca is None:
        raise _wrong(f"ssl_verify_client is {settings.verify_client}, which needs ssl_ca")
    issuers = _readable(settings.ca, "file of issuers", "ssl_ca")
    try:
        context.load_verify_locations(issuers)
    except ssl.SSLError:
        raise _wrong(f"{issuers} holds no certificates in PEM; check ssl_ca") from None
    context.verify_mode = _VERIFICATIONS[settings.verify_client]


def _first_certificate(path: Path) -> str | None:
    """Return the server's own certificate, as it is in the file."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    text = path.read_text("latin-1")
    start = text.find(begin)
    stop = text.find(end, start)
    return text[start : stop + len(end)] + "\n" if 0 <= start < stop else None
