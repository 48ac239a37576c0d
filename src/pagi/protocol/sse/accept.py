"""Whether a request asks for an event stream (RFC 9110 §12.5.1)."""

from __future__ import annotations

from typing import Final

from pagi.protocol.events import Fields

__all__ = ["prefers_event_stream"]

_MAX_RANGES: Final = 64


def prefers_event_stream(fields: Fields) -> bool:
    """Tell whether ``text/event-stream`` is what the ``Accept`` of a request likes best.

    It must be named: ``*/*`` and ``text/*`` do not count. Of ranges with the highest quality it may
    share the first place with any but ``text/html``: a browser that navigates wants the page.
    """
    value = b",".join([value for name, value in fields if name == b"accept"])
    if b"event-stream" not in value.lower():
        return False
    wanted = page = best = 0
    for part in value.split(b",", _MAX_RANGES)[:_MAX_RANGES]:
        media, _, parameters = part.partition(b";")
        media = media.strip(b" \t").lower()
        quality = _quality(parameters)
        best = max(best, quality)
        if media == b"text/event-stream":
            wanted = max(wanted, quality)
        elif media == b"text/html":
            page = max(page, quality)
    return wanted > 0 and wanted == best and wanted > page


def _quality(parameters: bytes) -> int:
    """Return the weight in thousandths; 0 if it is malformed."""
    for parameter in parameters.split(b";"):
        name, _, value = parameter.partition(b"=")
        if name.strip(b" \t").lower() == b"q":
            whole, _, rest = value.strip(b" \t").partition(b".")
            if whole not in (b"0", b"1") or len(rest) > 3 or not (rest or b"0").isdigit():
                return 0
            return min(1000, int(whole) * 1000 + int(rest.ljust(3, b"0") or b"0"))
    return 1000
