"""Numbers for people."""

from __future__ import annotations

import pytest

from pagi.server.worker.admin_format import age, count, duration, latency, rate, size


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (count(0), "0"),
        (count(1234567), "1,234,567"),
        (rate(None), "–"),
        (rate(0.0), "0"),
        (rate(0.4), "0.4"),
        (rate(12.4), "12"),
        (rate(12345.6), "12,346"),
        (size(None), "–"),
        (size(0), "0 B"),
        (size(999), "999 B"),
        (size(1000), "1.0 kB"),
        (size(999_499), "999 kB"),
        (size(999_600), "1.0 MB"),
        (size(48_000_000), "48 MB"),
        (size(2.5e15), "2500 TB"),
        (latency(None), "–"),
        (latency(0.0003), "<1 ms"),
        (latency(0.0123), "12 ms"),
        (latency(0.0012), "1.2 ms"),
        (duration(0.00001), "0 ms"),
        (duration(0.0003), "0.3 ms"),
        (duration(0.9996), "1.0 s"),
        (duration(12.34), "12.3 s"),
        (duration(1234), "1234 s"),
        (age(42.9), "42 s"),
        (age(187), "3 min 07 s"),
        (age(3600 * 3 + 7 * 60), "3 h 07 min"),
        (age(86400 * 2 + 3600 * 5), "2 d 05 h"),
    ],
)
def test_formats(made: str, text: str) -> None:
    assert made == text
