"""The typed scopes: complete, documented, resolvable at run time."""

from __future__ import annotations

import re
from typing import Any, get_args, get_type_hints, is_typeddict

import pytest

from pagi.interface import scopes
from pagi.interface.handles import ConnectionHandle, TransportHandle

SCOPES = get_args(scopes.AnyScope)
REQUEST_SCOPES = [scopes.HTTPScope, scopes.SSEScope, scopes.WebSocketScope]
TYPED_DICTS = [
    value
    for name in scopes.__all__
    if is_typeddict(value := getattr(scopes, name))
    and "Extensions" not in name  # functional form: documented by a string below it
]


def documented_keys(kind: Any) -> set[str]:
    """Collect the keys that the docstrings of ``kind`` and of its base describe."""
    text = kind.__doc__ or ""
    if kind in REQUEST_SCOPES:
        text += scopes._RequestScope.__doc__ or ""  # 3.11 does not keep the bases of a TypedDict
    elif kind is scopes.LifespanInfo:
        text += scopes.PAGIInfo.__doc__ or ""
    found = re.findall(r"^ +([a-z_0-9.]+(?:, [a-z_0-9.]+)*): ", text, re.MULTILINE)
    return {key for group in found for key in group.split(", ")}


def test_every_public_name_exists() -> None:
    assert [name for name in scopes.__all__ if not hasattr(scopes, name)] == []


def test_scope_types_are_distinct() -> None:
    types = [get_args(get_type_hints(scope)["type"])[0] for scope in SCOPES]

    assert types == ["http", "sse", "websocket", "lifespan"]


@pytest.mark.parametrize("kind", TYPED_DICTS, ids=lambda kind: kind.__name__)
def test_every_key_is_documented(kind: Any) -> None:
    assert set(get_type_hints(kind)) - documented_keys(kind) == set(get_type_hints(kind)) & {"type"}


@pytest.mark.parametrize("kind", REQUEST_SCOPES, ids=lambda kind: kind.__name__)
def test_requests_carry_both_handles(kind: Any) -> None:
    hints = get_type_hints(kind)

    assert hints["pagi.connection"] is ConnectionHandle
    assert hints["pagi.transport"] is TransportHandle


def test_websocket_scope_has_no_method() -> None:
    assert "method" not in get_type_hints(scopes.WebSocketScope)


def test_optional_keys_are_the_ones_that_asgi_makes_optional() -> None:
    assert scopes.HTTPScope.__optional_keys__ == {"client", "server", "state"}
    assert scopes.LifespanScope.__optional_keys__ == frozenset()
    assert scopes.Extensions.__required_keys__ == frozenset()
