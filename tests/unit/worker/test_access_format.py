"""Access-log formats: every atom and preset, escaping, and faults in a format."""

from __future__ import annotations

import importlib
import json
import locale
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagi.server.errors import EXIT_CONFIGURATION, StartError
from pagi.server.worker import access_format, access_pieces
from pagi.server.worker.access_format import PRESETS, Clock, _parse, compile_format
from tests.unit.protocol.http1.driving import implementations

NOON = 1770724496.0  # 2026-02-10 11:54:56 UTC
ALL_PRESETS = [*PRESETS, "json"]


def scope(**changes: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "raw_path": b"/items",
        "query_string": b"page=2",
        "http_version": "1.1",
        "headers": [
            (b"host", b"example.org"),
            (b"user-agent", b"curl/8"),
            (b"referer", b"http://x/"),
        ],
    } | changes


def render(
    form: str,
    client: str = "192.0.2.1",
    status: int | None = 200,
    sent: int = 12,
    duration: float = 0.0123456,
    reason: str | None = None,
    **changes: Any,
) -> str:
    clock = Clock()
    clock.set(NOON)
    line = compile_format(form, clock).render(
        client, scope(**changes), status, sent, duration, reason
    )
    assert line.endswith("\n")
    assert line.count("\n") == 1
    return line[:-1]


def reject(form: str, status: int = 400, reason: str | None = None, detail: str = "bad") -> str:
    clock = Clock()
    clock.set(NOON)
    line = compile_format(form, clock).render_rejected("192.0.2.1", status, reason, detail)
    assert line.endswith("\n")
    return line[:-1]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("%h", "192.0.2.1"),
        ("%l%u", "--"),
        ("%t", "10/Feb/2026:11:54:56 +0000"),
        ("%r", "GET /items?page=2 HTTP/1.1"),
        ("%m", "GET"),
        ("%U", "/items"),
        ("%q", "?page=2"),
        ("%H", "HTTP/1.1"),
        ("%s", "200"),
        ("%b %B", "12 12"),
        ("%d", "0.012"),
        ("%D", "12346"),
        ("%T", "0"),
        ("%{s}T %{ms}T %{us}T", "0 12.346 12346"),
        ("%{Host}i %{USER-AGENT}i", "example.org curl/8"),
        ("%{X-Absent}i", "-"),
        ("%{reason}x %{detail}x", "- -"),
        ("%p", str(os.getpid())),
        ("%%", "%"),
        ("100%% of %s", "100% of 200"),
        ("{%s} {{}} 'a' \"b\" \\n é", "{200} {{}} 'a' \"b\" \\n é"),
        ("%m%m", "GETGET"),
    ],
)
def test_atoms(form: str, expected: str) -> None:
    assert render(form) == expected


@pytest.mark.parametrize(
    ("form", "values", "expected"),
    [
        ("%h", {"client": ""}, "-"),
        ("%h", {"client": "unix"}, "unix"),
        ("%s", {"status": None}, "-"),
        ("%s", {"status": 0}, "-"),
        ("%b %B", {"sent": 0}, "- 0"),
        ("%q|%r", {"query_string": b""}, "|GET /items HTTP/1.1"),
        ("%H", {"http_version": "2"}, "HTTP/2"),
        ("%{reason}x", {"reason": "client_closed"}, "client_closed"),
        ("[%{Referer}i]", {"headers": [(b"referer", b"")]}, "[]"),
        ("%{A}i", {"headers": [(b"a", b"1"), (b"a", b"2")]}, "2"),
        ("%d %D %T", {"duration": 0.0}, "0.000 0 0"),
        ("%d", {"duration": 0.9994}, "0.999"),
        ("%d", {"duration": 0.9996}, "1.000"),
        ("%d %T %{ms}T", {"duration": 75.5}, "75.500 75 75500.000"),
    ],
)
def test_atoms_at_the_edges(form: str, values: dict[str, Any], expected: str) -> None:
    assert render(form, **values) == expected


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("clf", '192.0.2.1 - - [10/Feb/2026:11:54:56 +0000] "GET /items?page=2" 200 0.012s'),
        (
            "combined",
            '192.0.2.1 - - [10/Feb/2026:11:54:56 +0000] "GET /items?page=2 HTTP/1.1" 200 12'
            ' "http://x/" "curl/8"',
        ),
        (
            "common",
            '192.0.2.1 - - [10/Feb/2026:11:54:56 +0000] "GET /items?page=2 HTTP/1.1" 200 12',
        ),
        ("tiny", "GET /items?page=2 200 12.346ms"),
    ],
)
def test_presets(preset: str, expected: str) -> None:
    assert render(preset) == expected


def test_json_has_every_member() -> None:
    entry = json.loads(render("json"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("time"))
    assert entry == {
        "client": "192.0.2.1",
        "method": "GET",
        "path": "/items",
        "query": "page=2",
        "http_version": "1.1",
        "status": 200,
        "bytes": 12,
        "duration": 0.012346,
        "reason": None,
        "user_agent": "curl/8",
        "referer": "http://x/",
    }


def test_json_with_nothing_known_and_with_ids() -> None:
    ids = [(b"x-request-id", b"r-1"), (b"traceparent", b"00-ab-cd-01")]
    entry = json.loads(
        render(
            "json",
            client="",
            status=None,
            duration=12.0000004,
            reason="write_timeout",
            headers=ids,
            query_string=b"",
        )
    )
    assert entry["client"] is None
    assert entry["status"] is None
    assert entry["query"] == ""
    assert entry["duration"] == 12.0
    assert entry["reason"] == "write_timeout"
    assert entry["user_agent"] is entry["referer"] is None
    assert entry["request_id"] == "r-1"
    assert entry["traceparent"] == "00-ab-cd-01"


@pytest.mark.parametrize(
    "duration", [0.0, 0.000001, 0.0999995, 0.9999994, 0.9999996, 1.5, 86400.25]
)
def test_json_duration_is_exact_to_the_microsecond(duration: float) -> None:
    assert json.loads(render("json", duration=duration))["duration"] == round(duration, 6)


# --- hostile input ---------------------------------------------------------------------------

HOSTILE = b'/\x1b[31m\r\n127.0.0.1 "\\\x00\x7f\x9b\xff'


def test_client_bytes_are_escaped_in_text() -> None:
    line = render(
        "%U %q %{Evil}i", raw_path=HOSTILE, query_string=HOSTILE, headers=[(b"evil", HOSTILE)]
    )
    escaped = r"/\x1b[31m\x0d\x0a127.0.0.1 \x22\x5c\x00\x7f\x9b\xff"
    assert line == f"{escaped} ?{escaped} {escaped}"


@pytest.mark.parametrize("form", ALL_PRESETS)
def test_every_preset_stays_one_line_of_printable_ascii(form: str) -> None:
    line = render(
        form,
        client="\x1b]0;evil\x07",
        method='G"\n',
        raw_path=HOSTILE,
        query_string=HOSTILE,
        http_version="1.1\r\n",
        reason="x-late",
        headers=[(name, HOSTILE) for name in (b"referer", b"user-agent", b"x-request-id")],
    )
    assert line.isascii()
    assert line.isprintable()
    if form == "json":
        entry = json.loads(line)
        assert entry["path"] == entry["referer"] == entry["request_id"] == HOSTILE.decode("latin-1")
    else:
        assert line.count('"') == PRESETS[form].count('"')


@pytest.mark.parametrize("form", ALL_PRESETS)
def test_percent_encoded_line_end_stays_encoded(form: str) -> None:
    assert "/a%0d%0aforged" in render(form, raw_path=b"/a%0d%0aforged")


@pytest.mark.parametrize("text", ["é", "\udcff", "\u2028", "😀", "\x80"])
@pytest.mark.parametrize("form", ["%h", "json"])
def test_text_beyond_ascii_is_escaped(form: str, text: str) -> None:
    line = render(form, client=text)
    assert line.isascii()
    assert "\\" in line


def test_clean_and_unclean_texts_do_not_mix_up_in_the_memory() -> None:
    formats = compile_format("%h %m %{A}i", Clock())
    for _ in range(3):
        for client, shown in (("a", "a"), ('a"', r"a\x22"), ("", "-")):
            line = formats.render(client, scope(headers=[(b"a", client.encode())]), 200, 0, 0, None)
            value = "" if client == "" else shown
            assert line == f"{shown} GET {value}\n"


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_pieces, "_KNOWN_LIMIT", 8)
    monkeypatch.setattr(access_pieces, "_SEEN_LIMIT", 8)
    known: set[str] = set()
    recognise = access_pieces._recognise(known)
    translated: list[bytes] = []

    def translate(raw: bytes) -> str:
        translated.append(raw)
        return raw.decode()

    seen, remember = access_pieces.remembering(translate, "-")
    for i in range(100):
        recognise(str(i))
        remember(b"%d" % i)
        assert len(known) <= 8
        assert sum(seen(b"%d" % j) is not None for j in range(100)) <= 8
        assert seen(None) == "-"
    recognise("x" * 1000)
    remember(b"x" * 1000)
    assert "x" * 1000 not in known
    assert seen(b"x" * 1000) is None


LINES = [
    importlib.import_module(f"pagi.server.worker._access_line_{twin}") for twin in implementations()
]
PARTS = st.text(max_size=20)
BYTES = st.binary(max_size=40)


@given(
    client=PARTS,
    method=PARTS,
    version=PARTS,
    path=BYTES,
    query=BYTES,
    fields=st.lists(st.tuples(st.sampled_from([b"a", b"b"]), BYTES), max_size=5),
    status=st.none() | st.integers(0, 999),
    sent=st.integers(0, 1 << 50),
    duration=st.floats(0, 1e6) | st.floats(0, 2),
    reason=st.none() | st.just("client_closed"),
)
def test_every_twin_makes_the_same_line(
    client: str,
    method: str,
    version: str,
    path: bytes,
    query: bytes,
    fields: list[tuple[bytes, bytes]],
    status: int | None,
    sent: int,
    duration: float,
    reason: str | None,
) -> None:
    form = "é{'}\\ %h %l %u %t %r %m %U%q %q %H %s %b %B %d %D %T %p %% %{A}i %{ms}T %{reason}x"
    clock = Clock()
    given = scope(
        method=method, http_version=version, raw_path=path, query_string=query, headers=fields
    )
    lines = {
        module.make_render(_parse(form, rejected=False), clock)(
            client, given, status, sent, duration, reason
        )
        for module in LINES
    }
    assert len(lines) == 1


@pytest.mark.parametrize("name", ["method", "http_version", "raw_path", "query_string", "headers"])
@pytest.mark.parametrize("value", [None, 1, "text", b"bytes", [], [1], [(1, 2)], [(b"a", None)]])
def test_every_twin_refuses_the_same(name: str, value: Any) -> None:
    results = []
    for module in LINES:
        render = module.make_render(_parse("%r %{A}i", rejected=False), Clock())
        try:
            results.append(render("a", scope(**{name: value}), 200, 0, 0.1, None))
        except Exception:
            results.append("refused")
    assert len(set(results)) == 1


# --- rejected requests -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("clf", '192.0.2.1 - - [10/Feb/2026:11:54:56 +0000] "- -" 400 0.000s'),
        ("combined", '192.0.2.1 - - [10/Feb/2026:11:54:56 +0000] "-" 400 - "-" "-"'),
        ("common", '192.0.2.1 - - [10/Feb/2026:11:54:56 +0000] "-" 400 -'),
        ("tiny", "- - 400 0.000ms"),
        ("%m %U%q %H %b %B %d %D %T %{us}T %{s}T %l %u %p %%", None),
        ("%{reason}x|%{detail}x", r"-|bad"),
    ],
)
def test_rejected_requests(form: str, expected: str | None) -> None:
    if expected is None:
        expected = f"- - - - 0 0.000 0 0 0 0 - - {os.getpid()} %"
    assert reject(form) == expected


def test_rejected_in_json() -> None:
    entry = json.loads(reject("json", 431, "protocol_error", 'head "too" long\n'))
    assert entry.pop("time")
    assert entry == {
        "client": "192.0.2.1",
        "method": None,
        "path": None,
        "query": None,
        "http_version": None,
        "status": 431,
        "bytes": None,
        "duration": None,
        "reason": "protocol_error",
        "user_agent": None,
        "referer": None,
        "detail": 'head "too" long\n',
    }


def test_rejected_detail_is_escaped_in_text() -> None:
    assert reject("%{detail}x", detail='a"\n\x1b') == r"a\x22\x0a\x1b"


# --- faults in a format ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("%h %z", ["%z", "%h"]),
        ("%h %", ["'%'", "%%"]),
        ("%{Referer", ["'%{Referer'", "closing brace"]),
        ("%{Referer}", ["'%{Referer}'", "%%"]),
        ("%{Referer}o", ["%{Referer}o", "%{Name}i"]),
        ("%{ns}T", ["%{ns}T", "%{ms}T"]),
        ("%{why}x", ["%{why}x", "%{reason}x"]),
        ("%i", ["%i", "%{User-Agent}i"]),
        ("%{}i", ["%i", "%{User-Agent}i"]),
        ("%{é}i", ["%{é}i", "%{User-Agent}i"]),
        ("combinde", ["combinde", "combined"]),
        ("", ["''", "clf"]),
        ("%h\n%s", ["control character"]),
        ("%h\x1b[0m", ["control character"]),
    ],
)
def test_faults_name_the_atom_and_the_remedy(form: str, words: list[str]) -> None:
    with pytest.raises(StartError) as caught:
        compile_format(form, Clock())
    assert caught.value.exit_status == EXIT_CONFIGURATION
    assert "\n" not in caught.value.message
    assert caught.value.message.startswith("access log format: ")
    for word in words:
        assert word in caught.value.message


def test_operator_text_is_never_code() -> None:
    assert render("{__import__('os')} %h {0} '''") == "{__import__('os')} 192.0.2.1 {0} '''"


# --- the clock -------------------------------------------------------------------------------


@pytest.fixture
def german() -> Iterator[None]:
    before = locale.setlocale(locale.LC_TIME)
    for name in ("de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", ""):
        try:
            locale.setlocale(locale.LC_TIME, name)
            break
        except locale.Error:
            continue
    yield
    locale.setlocale(locale.LC_TIME, before)


@pytest.mark.usefixtures("german")
def test_clock_ignores_the_locale() -> None:
    clock = Clock()
    months = []
    for month in range(12):
        clock.set(NOON + 86400 * 30.4 * month)
        months.append(clock.text[3:6])
    assert " ".join(months) == "Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec Jan"


def test_clock_tells_milliseconds_of_the_present(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    clock.set(NOON)
    monkeypatch.setattr(access_format, "time", lambda: NOON + 0.0421)
    assert clock.iso() == "2026-02-10T11:54:56.042Z"
    monkeypatch.setattr(access_format, "time", lambda: NOON + 1.9999)
    assert clock.iso() == "2026-02-10T11:54:57.999Z"
    assert clock.text == "10/Feb/2026:11:54:57 +0000"
