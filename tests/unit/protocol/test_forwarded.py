"""What proxies state in fields: how far it is read, and what spoils it."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagi.protocol.forwarded import (
    MAX_STEPS,
    NOTHING,
    Address,
    Node,
    Statement,
    read_forwarded,
    read_x_forwarded,
)


def trusts(address: Address) -> bool:
    """Trust 10.0.0.0/8 and fd00::/8."""
    return address.packed[:1] in (b"\x0a", b"\xfd")


def node(host: str, port: int = 0) -> Node:
    return Node(host, port, ip_address(host))


def x_forwarded(*fields: tuple[str, str]) -> Statement:
    return read_x_forwarded(
        [(b"x-forwarded-" + name.encode(), value.encode()) for name, value in fields], trusts
    )


def forwarded(*values: str) -> Statement:
    return read_forwarded([(b"forwarded", value.encode("latin-1")) for value in values], trusts)


LISTS: list[tuple[list[str], Node | None]] = [
    (["203.0.113.7"], node("203.0.113.7")),
    (["6.6.6.6, 203.0.113.7"], node("203.0.113.7")),
    (["6.6.6.6,203.0.113.7,10.0.0.2"], node("203.0.113.7")),
    (["6.6.6.6", "203.0.113.7", "10.0.0.2"], node("203.0.113.7")),
    (["6.6.6.6, 203.0.113.7", " 10.0.0.2 ,\t10.0.0.3"], node("203.0.113.7")),
    (["10.0.0.9, 10.0.0.2"], node("10.0.0.9")),  # the client is inside
    (["203.0.113.7:5678"], node("203.0.113.7", 5678)),
    (["2001:db8::1"], node("2001:db8::1")),
    (["2001:DB8:0::1"], node("2001:db8::1")),
    (["[2001:db8::1]"], node("2001:db8::1")),
    (["[2001:db8::1]:80"], node("2001:db8::1", 80)),
    (["::ffff:203.0.113.7, ::ffff:10.0.0.1"], node("203.0.113.7")),
    (["203.0.113.7, fd00::1"], node("203.0.113.7")),
    (["6.6.6.6, unknown, 10.0.0.1"], Node("unknown", 0, None)),
    (["6.6.6.6, 10.0.0.1,, ,"], node("6.6.6.6")),
    # what is left of the client is the client's, and counts for nothing
    (["<script>, 203.0.113.7"], node("203.0.113.7")),
    (["\x00\xff", '"', "203.0.113.7, 10.0.0.1"], node("203.0.113.7")),
    ([", " * 1000 + "203.0.113.7"], node("203.0.113.7")),
    ([""], None),
    ([" , "], None),
]


@pytest.mark.parametrize(("values", "client"), LISTS)
def test_the_client_is_the_rightmost_that_is_not_trusted(
    values: list[str], client: Node | None
) -> None:
    said = x_forwarded(*[("for", value) for value in values])
    assert said == Statement(client)


@pytest.mark.parametrize(
    "member",
    [
        "localhost",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:99999",
        "1.2.3.4:80:80",
        "1.2.3.4 5.6.7.8",
        "[::1",
        "::1]",
        "[::1]:x",
        "[1.2.3.4]",
        "fe80::1%eth0",
        "for=1.2.3.4",
        '"1.2.3.4"',
        "http://1.2.3.4/",
        "-",
        "\xff",
        "１.2.3.4",
    ],
)
def test_rubbish_of_a_trusted_proxy_spoils_all(member: str) -> None:
    for values in ([member], [f"203.0.113.7, {member}, 10.0.0.1"]):
        fields = [("for", value) for value in values]
        said = x_forwarded(*fields, ("proto", "https"), ("host", "example.org"))
        assert said.fault is not None
        assert said[:3] == (None, None, None)


@pytest.mark.parametrize(
    ("value", "scheme"),
    [("https", "https"), ("HTTP", "http"), ("wss", "https"), ("ws", "http")],
)
def test_schemes(value: str, scheme: str) -> None:
    assert x_forwarded(("proto", value)) == Statement(scheme=scheme)
    assert forwarded(f"proto={value}") == Statement(scheme=scheme)


@pytest.mark.parametrize("value", ["example.org", "example.org:8443", "[::1]:80", "h"])
def test_hosts(value: str) -> None:
    assert x_forwarded(("host", value)) == Statement(host=value.encode())
    assert forwarded(f'host="{value}"') == Statement(host=value.encode())


@pytest.mark.parametrize(
    "fields",
    [
        [("proto", "ftp")],
        [("proto", "")],
        [("proto", "https, http")],
        [("proto", "https"), ("proto", "https")],
        [("host", "")],
        [("host", "a/b")],
        [("host", "a@b")],
        [("host", "a, b")],
        [("host", "a"), ("host", "b")],
        [("host", "a b")],
        [("host", ":80")],
        [("host", "a:99999")],
        [("host", "a\xff")],
    ],
)
def test_one_fault_spoils_all(fields: list[tuple[str, str]]) -> None:
    said = x_forwarded(("for", "203.0.113.7"), *fields)
    assert said.fault is not None
    assert said[:3] == (None, None, None)


def test_others_are_not_read() -> None:
    fields = [
        (b"forwarded", b"for=6.6.6.6;proto=https;host=evil"),
        (b"x-forwarded-port", b"443"),
        (b"x-forwarded-by", b"6.6.6.6"),
        (b"x-real-ip", b"6.6.6.6"),
        (b"client-ip", b"6.6.6.6"),
        (b"x-forwarded", b"for=6.6.6.6"),
    ]
    assert read_x_forwarded(fields, trusts) is NOTHING
    assert read_forwarded([(b"x-forwarded-for", b"6.6.6.6")], trusts) is NOTHING
    assert read_forwarded([], trusts) is NOTHING


FORWARDED: list[tuple[list[str], Statement]] = [
    (["for=203.0.113.7"], Statement(node("203.0.113.7"))),
    (["For=203.0.113.7;PROTO=https;Host=h"], Statement(node("203.0.113.7"), "https", b"h")),
    (['for="203.0.113.7:80"'], Statement(node("203.0.113.7", 80))),
    (['for="[2001:db8::1]:80";by=_secret'], Statement(node("2001:db8::1", 80))),
    (['for="[2001:db8::1]:_port"'], Statement(node("2001:db8::1"))),
    (
        ["for=6.6.6.6, for=203.0.113.7;proto=https, for=10.0.0.2;proto=http"],
        Statement(node("203.0.113.7"), "https"),
    ),
    (
        ["for=6.6.6.6", "for=203.0.113.7;host=a", "for=10.0.0.2;host=b"],
        Statement(node("203.0.113.7"), None, b"a"),
    ),
    (["for=10.0.0.9, for=10.0.0.2"], Statement(node("10.0.0.9"))),
    (["for=unknown;proto=https"], Statement(Node("unknown", 0, None), "https")),
    (["for=6.6.6.6, for=_hidden, for=10.0.0.1"], Statement(Node("_hidden", 0, None))),
    (['for="_gazonk"'], Statement(Node("_gazonk", 0, None))),
    (["for=203.0.113.7 ; proto=http"], Statement(node("203.0.113.7"), "http")),
    (["for=203.0.113.7;;proto=http;"], Statement(node("203.0.113.7"), "http")),
    (['for=203.0.113.7;ext="a, b=\\"c\\"; d"'], Statement(node("203.0.113.7"))),
    (["for=203.0.113.7, ,"], Statement(node("203.0.113.7"))),
    (["for=6.6.6.6, proto=https"], Statement(None, "https")),
    (["for=6.6.6.6, for=10.0.0.1, proto=https"], Statement(None, "https")),
    (["for=6.6.6.6, proto=https, for=10.0.0.1"], Statement(node("10.0.0.1"), "https")),
    # what is left of the client is the client's
    (['for="6.6.6.6', "for=203.0.113.7"], Statement(node("203.0.113.7"))),
    (['for=", for=203.0.113.7'], Statement(node("203.0.113.7"))),
    (['for="6.6.6.6, for="[2001:db8::1]"'], Statement(node("2001:db8::1"))),
    (["\xff;;==, for=203.0.113.7"], Statement(node("203.0.113.7"))),
    (["for=6.6.6.6;proto=ftp, for=203.0.113.7"], Statement(node("203.0.113.7"))),
    # a proxy that copies what it was told into a quoted string
    (['for=203.0.113.7;x="a, for=6.6.6.6"'], Statement(node("203.0.113.7"))),
    (['for=203.0.113.7;x="a, for=\\"6.6.6.6\\""'], Statement(node("203.0.113.7"))),
    (['for=203.0.113.7;x="a\\", for=6.6.6.6"'], Statement(node("203.0.113.7"))),
    ([""], Statement()),
]


@pytest.mark.parametrize(("values", "said"), FORWARDED)
def test_forwarded(values: list[str], said: Statement) -> None:
    assert forwarded(*values) == said


@pytest.mark.parametrize(
    "value",
    [
        "203.0.113.7",
        "for",
        "for=",
        "for =203.0.113.7",
        "for= 203.0.113.7",
        "for=203.0.113.7:80",  # a colon takes quotation marks (RFC 7239 §4)
        "for=[2001:db8::1]",
        'for="2001:db8::1"',  # an address of IPv6 takes brackets (§6)
        'for="203.0.113.7',
        "for=203.0.113.7;for=6.6.6.6",
        "for=203.0.113.7;FOR=203.0.113.7",
        "for=203.0.113.7;proto=ftp",
        "for=203.0.113.7;host=a@b",
        'for=203.0.113.7;host="a/b"',
        'for=203.0.113.7;host=""',
        "for=203.0.113.7 proto=https",
        "for=_",
        "for=some_name",
        'for=""',
        'for=203.0.113.7;x="' + "y" * 2000 + '"',
        'for=203.0.113.7;x="' + "," * 100 + '"',
    ],
)
def test_one_fault_of_a_trusted_proxy_spoils_all(value: str) -> None:
    assert forwarded("for=6.6.6.6;proto=https", value).fault is not None
    assert forwarded(value + ", for=10.0.0.1").fault is not None


def test_how_far_is_looked() -> None:
    most = ["10.0.0.1"] * (MAX_STEPS - 1)
    assert x_forwarded(("for", ",".join(["6.6.6.6", *most]))).client == node("6.6.6.6")
    assert x_forwarded(("for", ",".join(["6.6.6.6", "10.0.0.1", *most]))).fault is not None
    assert x_forwarded(*[("for", "10.0.0.1")] * (MAX_STEPS + 1)).fault is not None
    elements = ["for=10.0.0.1"] * (MAX_STEPS - 1)
    assert forwarded(",".join(["for=6.6.6.6", *elements])).client == node("6.6.6.6")
    assert forwarded(",".join(["for=6.6.6.6", "for=10.0.0.1", *elements])).fault is not None
    assert forwarded(*["for=10.0.0.1"] * (MAX_STEPS + 1)).fault is not None


@pytest.mark.parametrize(
    "piece",
    ["10.0.0.1,", ",", '"', 'for="', ";", "a=b;", " ", "\\", 'a="\\"', "1", ":", "[", "a=1 ;"],
)
def test_time_is_linear(piece: str) -> None:
    value = piece * (60_000 // len(piece))
    begin = perf_counter()
    for _ in range(10):
        x_forwarded(("for", value))
        forwarded(value)
    assert perf_counter() - begin < 1.0


addresses = st.ip_addresses().filter(lambda address: not getattr(address, "ipv4_mapped", None))


def _text(address: Address, brackets: bool) -> str:
    return f"[{address}]" if address.version == 6 and brackets else str(address)


@given(
    client=addresses.filter(lambda address: not trusts(address)),
    proxies=st.lists(st.integers(0x0A000000, 0x0AFFFFFF).map(IPv4Address), max_size=8),
    told=st.lists(
        st.text(st.characters(max_codepoint=255), max_size=20)
        | st.text('",;= \\for_1.[:]', max_size=20),
        max_size=4,
    ),
    cuts=st.lists(st.booleans(), min_size=13, max_size=13),
)
def test_nothing_that_a_client_says_changes_who_it_is(
    client: Address, proxies: list[Address], told: list[str], cuts: list[bool]
) -> None:
    for quoted in (False, True):
        members = list(told)
        for each in (client, *proxies):
            text = _text(each, quoted)
            members.append(f'for="{text}"' if quoted else text)
        values = [members[0]]
        for member, cut in zip(members[1:], cuts, strict=False):
            if cut:
                values.append(member)
            else:
                values[-1] += ", " + member
        name = b"forwarded" if quoted else b"x-forwarded-for"
        read = read_forwarded if quoted else read_x_forwarded
        said = read([(name, value.encode("latin-1")) for value in values], trusts)
        assert said == Statement(Node(str(client), 0, client))


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_nothing_raises(values: list[bytes]) -> None:
    for name in (b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"):
        fields = [(name, value) for value in values]
        read_forwarded(fields, trusts)
        read_x_forwarded(fields, trusts)
