"""The status page, as it is without JavaScript, and what may run in it."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

from pagi.server.worker.admin_history import History
from pagi.server.worker.admin_page import page, page_headers
from pagi.server.worker.admin_status import status_document
from pagi.server.worker.scoreboard import DRAINING
from tests.unit.worker.boards import Board, count

SERVER = {"version": "1.0 <b>", "python": "3.11.7", "loop": "uvloop", "compiled": True}


def made(board: Board) -> str:
    history = History(0.0)
    for second in (0, 1):
        history.add(board.view(second))
    return page(status_document(board.view(), history, 0.0, SERVER))


class Elements(HTMLParser):
    """Collects tags with attributes, and text by the id of the element it is in."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_numbers_are_there_without_javascript() -> None:
    board = Board(2)
    count(board.slots[0], times=1234)
    count(board.slots[1], status=500, reason="client_closed")
    board.slots[0].connections = 77
    board.slots[1].state = DRAINING
    texts = Elements(made(board)).texts
    for text in ("degraded", "1 of 2", "1,235 in all", "77", "101", "102", "draining", "500"):
        assert text in texts, text
    assert "client_closed" in texts
    assert "%%" not in made(board)


def test_the_reason_stands_at_the_top() -> None:
    board = Board(1)
    board.site.state = DRAINING
    assert "the server is stopping" in Elements(made(board)).texts


def test_a_server_that_has_done_nothing() -> None:
    texts = Elements(made(Board(0))).texts
    assert texts.count("nothing yet") == 3
    assert "1 of 1" in texts


def test_text_is_escaped() -> None:
    assert "1.0 &lt;b&gt;" in made(Board())


def test_the_page_needs_nothing_from_elsewhere() -> None:
    elements = Elements(made(Board()))
    for tag, attributes in elements.tags:
        for name in ("src", "href", "action", "srcset"):
            address = attributes.get(name) or ""
            assert not re.match(r"[a-z]+://|//", address), (tag, address)
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
    assert "url(" not in made(Board())
    assert "@import" not in made(Board())


def test_only_its_own_script_and_style_may_run() -> None:
    headers = dict(page_headers())
    policy: dict[str, Any] = {
        words[0]: words[1:]
        for words in map(str.split, headers[b"content-security-policy"].decode().split(";"))
    }
    assert policy["default-src"] == ["'none'"]
    assert policy["connect-src"] == ["'self'"]
    assert policy["frame-ancestors"] == ["'none'"]
    html = made(Board())
    for tag in ("script", "style"):
        found = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert len(found) == 1
        digest = b64encode(sha256(found[0].encode()).digest()).decode()
        assert policy[f"{tag}-src"] == [f"'sha256-{digest}'"]
