"""`load`: the effective configuration from all its sources.

Precedence: flag or keyword > variable > file > default. The places to listen on are one choice:
the highest source that names any decides, so that ``--socket`` on the command line is not in
conflict with a ``port`` in the file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pagi.server.config.catalogue import OPTIONS, SLICES
from pagi.server.config.config import Config
from pagi.server.config.errors import ConfigError
from pagi.server.config.sources import (
    Entry,
    Layer,
    find_file,
    read_environment,
    read_file,
    read_given,
)

__all__ = ["load"]

#: Ways to say where to listen, of which one applies.
_PLACES = (("host", "port"), ("socket",), ("fd",), ("listen",))


def load(
    given: Mapping[str, object] | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    directory: str = "",
    defaults: Mapping[str, object] | None = None,
    default_labels: Mapping[str, str] | None = None,
) -> Config:
    """Return the effective configuration.

    Args:
        given: options by name or alias, native or as text; they go before all else.
        labels: for each name in ``given`` the flag it came from; without it: ``keyword``.
        environ: variables; the process's own if None.
        directory: where ``pagi.toml`` and ``pyproject.toml`` are looked for.
        defaults: options that are something else than usual if nobody says anything.
        default_labels: for each name in ``defaults`` who says so.

    Raises:
        ConfigError: with every problem found in any of the sources.
    """
    problems: list[str] = []
    notes: list[str] = []
    upper = [
        read_given(given or {}, labels or {}, problems),
        read_environment(os.environ if environ is None else environ, problems, notes),
    ]
    path, file_layer = _file(upper, directory, problems)
    lowest = read_given(defaults or {}, default_labels or {}, problems)
    layers = [*upper, file_layer, lowest]
    _choose_place(layers, problems)
    merged = _merge(layers)
    if path is not None and "config_file" not in merged:
        merged["config_file"] = Entry(path, "default")
    values = _values(merged)
    problems += _conflicts(values)
    if problems:
        raise ConfigError(problems)
    return _assemble(values, merged, notes)


def _file(upper: list[Layer], directory: str, problems: list[str]) -> tuple[str | None, Layer]:
    for layer in upper:
        if "config_file" in layer:
            path = layer["config_file"].value
            break
    else:
        path = find_file(directory)
    return path, read_file(path, problems) if path is not None else {}


def _choose_place(layers: list[Layer], problems: list[str]) -> None:
    """Keep the place that the highest source names; drop others from lower sources."""
    chosen: tuple[str, ...] | None = None
    for layer in layers:
        if chosen is None:
            named = [place for place in _PLACES if any(_names(layer, name) for name in place)]
            if len(named) > 1:
                words = " and ".join(_present(layer, place) for place in named)
                problems.append(f"{words}: only one of these says where to listen; leave one away")
            if named:
                chosen = named[0]
            continue
        for place in _PLACES:
            if place is not chosen:
                for name in place:
                    layer.pop(name, None)


def _names(layer: Layer, name: str) -> bool:
    return name in layer and layer[name].value not in (None, ())


def _present(layer: Layer, place: tuple[str, ...]) -> str:
    return ", ".join(_label(name, layer[name]) for name in place if name in layer)


def _label(name: str, entry: Entry) -> str:
    return entry.source if entry.source.startswith(("-", "PAGI_")) else name


def _merge(layers: list[Layer]) -> Layer:
    merged: Layer = {}
    for layer in reversed(layers):
        merged |= layer
    return merged


def _values(merged: Layer) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, option in OPTIONS.items():
        if name in merged:
            values[name] = merged[name].value
        elif option.declared.derive is not None:
            values[name] = option.declared.derive(values)
        else:
            values[name] = option.default
    return values


def _conflicts(values: Mapping[str, Any]) -> list[str]:
    """Say which options, each possible by itself, are impossible together."""
    problems = []
    low, high = values["write_low_watermark"], values["write_high_watermark"]
    if low > high:
        problems.append(
            f"write_low_watermark: {low} is above write_high_watermark ({high}), so that no send "
            "would go on; lower the one or raise the other"
        )
    if values["daemon"] and values["log_file"] is None and not values["quiet"]:
        problems.append(
            "daemon: nobody would see the server log; set log_file, or quiet to do without it"
        )
    if values["reload"] and values["preload"]:
        problems.append(
            "preload: an application that is loaded before the workers is not loaded anew by "
            "reload; use --no-preload"
        )
    proxied = values["proxy_protocol"] or any(each.proxy_protocol for each in values["listen"])
    if proxied and not values["trusted_proxies"]:
        problems.append(
            "proxy_protocol: no proxy is trusted, so that nobody may speak it; set trusted_proxies"
        )
    problems += _tls_conflicts(values)
    places = [place.place for place in values["listen"] if place.kind != "tcp" or place.port]
    problems += [
        f"listen: {place} is named twice; leave one away"
        for place in dict.fromkeys(places)
        if places.count(place) > 1
    ]
    return problems


def _tls_conflicts(values: Mapping[str, Any]) -> list[str]:
    """Refuse what would be served without TLS although somebody meant otherwise."""
    listens = values["listen"]
    encrypted = values["ssl_cert"] is not None
    problems = [
        f"{name}: there is no certificate; set ssl_cert"
        for name in ("ssl_key", "ssl_sni", "ssl_ca")
        if not encrypted and values[name] and not listens
    ]
    served = [listen for listen in listens if listen.role == "serve"]
    targets = [each for each in served if encrypted or dict(each.tls).get("cert")]
    problems += [
        f"listen: {each} has options of TLS but no certificate; add ssl_cert to them"
        for each in served
        if each.tls and each not in targets
    ]
    if not targets and not values["redirect_port"]:
        problems += [
            f"listen: {each} leads nowhere, as no listener speaks TLS; set ssl_cert, "
            "or redirect_port if another server speaks it"
            for each in listens
            if each.role == "redirect"
        ]
    return problems


def _assemble(values: Mapping[str, Any], merged: Layer, notes: list[str]) -> Config:
    parts: dict[str, dict[str, Any]] = {name: {} for name in SLICES}
    for name, option in OPTIONS.items():
        if option.slice_name:
            parts[option.slice_name][option.field] = values[name]
    slices = {name: slice_type(**parts[name]) for name, slice_type in SLICES.items()}
    sources = {name: merged[name].source if name in merged else "default" for name in OPTIONS}
    return Config(**slices, config_file=values["config_file"], sources=sources, notes=tuple(notes))
