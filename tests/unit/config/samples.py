"""A value other than the default for every option."""

from __future__ import annotations

from typing import Any

from pagi.server.config import OPTIONS
from pagi.server.config.kinds import Choice, FileOrOff, LogFormat, Mount, Origins, Switch
from pagi.server.config.listen_kinds import Host, Listens, Mode
from pagi.server.config.process_kinds import Umask
from pagi.server.config.proxies import Trusted
from pagi.server.config.tls import NamedCertificates

_NUMBERS = {
    "h2_connection_window_size": "70000",
    "h2_max_frame_size": "20000",
    "h2_max_header_list_size": "300",
    "write_high_watermark": "70000",
    "ws_deflate_window_bits": "15",
    "ws_deflate_memory_level": "9",
}

#: Options that are refused without a certificate.
_WITH_CERTIFICATE = ("ssl_key", "ssl_sni", "ssl_ca")


def companions(name: str) -> dict[str, str]:
    """Return other options that an option is refused without."""
    if name in _WITH_CERTIFICATE:
        return {"ssl_cert": "/run/cert.pem"}
    if name == "proxy_protocol":
        return {"trusted_proxies": "10.0.0.1"}
    return {"log_file": "/run/server.log"} if name == "daemon" else {}


def sample(name: str) -> tuple[str, Any]:
    """Return text for an option that is not its default, and the value the text stands for."""
    option = OPTIONS[name]
    kind = option.kind
    if isinstance(kind, Switch):
        text = "false" if option.default else "true"
    elif isinstance(kind, Choice):
        text = next(word for word in reversed(kind.words) if word != option.default)
    elif isinstance(kind, Listens):
        text = "127.0.0.2:81,unix:/run/x.sock"
    elif isinstance(kind, Origins):
        text = "https://example.org,http://[::1]:81"
    elif isinstance(kind, Trusted):
        text = "10.0.0.0/8,::1,unix,*"
    elif isinstance(kind, NamedCertificates):
        text = "example.org=/run/cert.pem:/run/key.pem,*.example.net=/run/both.pem"
    elif isinstance(kind, FileOrOff):
        text = "/run/other"
    elif isinstance(kind, (Host, Mount, LogFormat, Mode, Umask)):
        text = {
            Host: "::1",
            Mount: "/mount",
            LogFormat: "%h",
            Mode: "0640",
            Umask: "0027",
        }[type(kind)]
    else:
        text = _NUMBERS.get(name, "19")
    value = kind.read(text)
    assert value != option.default
    return text, value
