"""Tokens, field values, hosts: the grammar of RFC 9110 and RFC 3986 as compiled patterns.

The only place that says which bytes a name, a value or a host may hold; used in both directions.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "BARE_LF",
    "CHUNK_LINE",
    "FIELD_VALUE_CR",
    "FORBIDDEN_IN_VALUE",
    "ORIGIN_FORM",
    "QUOTED",
    "TARGET",
    "TCHAR",
    "TOKEN",
    "is_authority",
    "is_host",
    "list_members",
]

# tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~"
#         / DIGIT / ALPHA                                                     RFC 9110 §5.6.2
#: One character of a token, as a pattern.
TCHAR: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"

#: token = 1*tchar
TOKEN: Final = re.compile(TCHAR + rb"+")

# field-vchar = VCHAR / obs-text; SP and HTAB may stand between them      RFC 9110 §5.5
#: A byte that no field value may hold: every control character but HTAB.
FORBIDDEN_IN_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

#: What may follow the colon of a field line, CR included.
FIELD_VALUE_CR: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\r")

#: A line end that RFC 9112 §2.2 would let a lenient recipient accept. This one does not.
BARE_LF: Final = re.compile(rb"(?<!\r)\n")

# origin-form = absolute-path [ "?" query ]                               RFC 9112 §3.2.1
# Wider than RFC 3986, which leaves out " < > \ ^ ` { | }: clients send them, and all of them are
# harmless in a target. "#" is not: a fragment never travels.
#: Path and query of a target in origin-form.
ORIGIN_FORM: Final = re.compile(rb"(/[!-\"$->@-~]*)(?:\?([!-\"$-~]*))?")

#: What a target of any form may hold.
TARGET: Final = re.compile(rb"[!-\"$-~]+")

# chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )   RFC 9112 §7.1.1
# quoted-string with qdtext and quoted-pair: RFC 9110 §5.6.4
#: A quoted string, as a pattern.
QUOTED: Final = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
#: Chunk size line without its CRLF; the group is the size. More than 16 digits are not a size.
CHUNK_LINE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[ \t]*"
    + TCHAR
    + rb"+(?:[ \t]*=[ \t]*(?:"
    + TCHAR
    + rb"+|"
    + QUOTED
    + rb"))?)*"
)

# reg-name = *( unreserved / pct-encoded / sub-delims )                   RFC 3986 §3.2.2
# Without ",": a list of hosts is the mark of a field that was merged from several.
_REG_NAME: Final = rb"(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})*"
_IP_LITERAL: Final = rb"\[([0-9A-Fa-f:.]+)\]|\[[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+;=:]+\]"
_HOST: Final = re.compile(rb"(?:" + _IP_LITERAL + rb"|(" + _REG_NAME + rb"))(?::([0-9]{0,5}))?")

_H16: Final = re.compile(rb"[0-9A-Fa-f]{1,4}")
_DEC_OCTET: Final = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4: Final = re.compile(_DEC_OCTET + rb"(?:\." + _DEC_OCTET + rb"){3}")


def is_host(value: bytes) -> bool:
    """Tell whether ``value`` is ``uri-host [ ":" port ]`` (RFC 9110 §7.2); it may be empty.

    A port alone is none: the URI that it makes has an empty host and is invalid (§4.2.1).
    """
    match = _HOST.fullmatch(value)
    if match is None or value[:1] == b":":
        return False
    address, _, port = match.groups()
    if port and int(port) > 65535:
        return False
    return address is None or _is_ipv6(address)


def is_authority(value: bytes) -> bool:
    """Tell whether ``value`` is a host that is not empty and a port (RFC 9112 §3.2.3)."""
    host, colon, port = value.rpartition(b":")
    return bool(colon and host and port) and not port.endswith(b"]") and is_host(value)


def _is_ipv6(address: bytes) -> bool:
    """IPv6address of RFC 3986 §3.2.2: eight groups, or fewer around one ``::``."""
    left, gap, right = address.partition(b"::")
    groups = [group for half in (left, right) if half for group in half.split(b":")]
    size = len(groups)
    if groups and b"." in groups[-1]:
        # ls32 = ( h16 ":" h16 ) / IPv4address, which only ends an address
        if not address.endswith(groups[-1]) or _IPV4.fullmatch(groups.pop()) is None:
            return False
        size += 1
    if any(_H16.fullmatch(group) is None for group in groups):
        return False
    return size <= 7 if gap else size == 8


def list_members(values: list[bytes]) -> list[bytes]:
    """Return the members of a list-based field in lower case, empty ones kept (§5.6.1)."""
    return [member.strip(b" \t").lower() for value in values for member in value.split(b",")]
