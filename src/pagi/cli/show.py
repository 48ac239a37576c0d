"""``pagi config``: the effective configuration as text, TOML or JSON."""

from __future__ import annotations

import json

from pagi.server.config import Config, effective

__all__ = ["show_config"]


def show_config(config: Config, form: str) -> str:
    """Return every option with value and source, with the closing newline.

    Args:
        config: what to show.
        form: ``text`` for a table, ``toml`` for a file that gives the same configuration when it
            is read back, ``json`` for programs.
    """
    if form == "json":
        return _json(config)
    return _toml(config) if form == "toml" else _table(config)


def _table(config: Config) -> str:
    rows = [
        (option.name, option.kind.show(value) or '""', source)
        for option, value, source in effective(config)
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "".join(
        f"{name:<{widths[0]}}  {value:<{widths[1]}}  {source}\n" for name, value, source in rows
    )


def _toml(config: Config) -> str:
    """Leave out what a file cannot hold, and the places to listen on that do not apply."""
    listening = config.listening
    others = {"host", "port", "socket", "fd", "listen"}
    if listening.listen:
        others -= {"listen"}
    elif listening.fd is not None:
        others -= {"fd"}
    else:
        others -= {"host", "port"} if listening.socket is None else {"socket"}
    return "".join(
        f"{option.name} = {_toml_value(option.kind.native(value))}  # {source}\n"
        for option, value, source in effective(config)
        if option.declared.in_file and option.name not in others
    )


def _toml_value(value: object) -> str:
    if isinstance(value, dict):
        pairs = ", ".join(f"{key} = {_toml_value(item)}" for key, item in value.items())
        return "{ " + pairs + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    # Text, numbers and truth values without control characters are alike in JSON and TOML, but
    # for characters beyond 16 bits, which JSON would write as two.
    return json.dumps(value, ensure_ascii=False)


def _json(config: Config) -> str:
    document = {
        option.name: {"value": option.kind.native(value), "source": source}
        for option, value, source in effective(config)
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
