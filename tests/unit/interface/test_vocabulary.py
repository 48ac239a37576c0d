"""Tokens, errors, the native mark: what server and application must agree on by value."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from pagi.interface import errors, native, tokens
from pagi.interface.errors import Disconnected, MessageError


# spec: CORE-43
def test_literal_and_set_of_reasons_agree() -> None:
    assert set(get_args(tokens.StandardReason)) == tokens.DISCONNECT_REASONS


def test_reasons_are_plain_words() -> None:
    assert all(reason.replace("_", "").isalpha() for reason in tokens.DISCONNECT_REASONS)


def test_versions_are_those_of_the_contract() -> None:
    assert (tokens.ASGI_VERSION, tokens.ASGI_SPEC_VERSION) == ("3.0", "2.5")
    assert (tokens.PAGI_VERSION, tokens.PAGI_SPEC_VERSION) == ("1.0", "1.0")


def test_public_names_exist() -> None:
    for module in (errors, native, tokens):
        assert all(hasattr(module, name) for name in module.__all__)


def test_disconnected_is_an_os_error_with_the_reason() -> None:
    with pytest.raises(OSError, match=r"the client has gone \(write_timeout\)") as caught:
        raise Disconnected("write_timeout")

    assert isinstance(caught.value, Disconnected)
    assert caught.value.reason == "write_timeout"


def test_disconnected_defaults_to_the_usual_reason() -> None:
    assert Disconnected().reason == "client_closed"


def test_message_error_is_a_runtime_error() -> None:
    assert issubclass(MessageError, RuntimeError)
    assert not issubclass(MessageError, OSError)


def test_native_marks_and_returns_the_application() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({})

    assert not native.is_native(app)
    assert native.native(app) is app
    assert native.is_native(app)


def test_native_mark_of_a_class_holds_for_its_instances() -> None:
    @native.native
    class Application:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({})

    assert native.is_native(Application())


def test_a_truthy_attribute_is_not_the_mark() -> None:
    class Imposter:
        __pagi_native__ = 1

    assert not native.is_native(Imposter())
