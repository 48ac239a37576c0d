"""Hooks of the documentation build: the rules of the specification can be linked to."""

from __future__ import annotations

import re
from typing import Any

_RULE = re.compile(r"<p><strong>([A-Z]+-\d+)</strong>")


def on_page_content(html: str, **_: Any) -> str:
    """Give each rule an anchor: ``spec/http.html#http-12``."""
    return _RULE.sub(
        lambda rule: f'<p class="rule" id="{rule[1].lower()}"><strong>{rule[1]}</strong>', html
    )
