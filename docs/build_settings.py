"""Write ``reference/settings.md`` from the declarations of the options.

python docs/build_settings.py            write the page
python docs/build_settings.py --check    fail if the page is not what would be written
"""

from __future__ import annotations

import sys
from pathlib import Path

from pagi.server.config import OPTIONS, SLICES, Option
from pagi.server.config.kinds import Choice, Switch

PAGE = Path(__file__).parent / "reference" / "settings.md"

_INTRODUCTION = """\
# Settings

<!-- Made by docs/build_settings.py from the declarations; do not edit. -->

Each option can be given in four places:

| Place | Form | Example |
| --- | --- | --- |
| command line | the flag | `pagi run main:app --max-body-size 10MB` |
| environment | `PAGI_` and the name in capitals | `PAGI_MAX_BODY_SIZE=10MB` |
| file | the name, in `pagi.toml` or `pyproject.toml` (`[tool.pagi]`) | `max_body_size = "10MB"` |
| Python | a keyword of `pagi.run` and `pagi.serve` | `pagi.run(app, max_body_size=10_000_000)` |

The first that has a value wins: flag or keyword, then variable, then file, then the default.
`pagi config` prints the effective value of each option and where it came from; `pagi check` says
what is wrong or doubtful.

Where to listen is one choice: `host` and `port`, or `socket`, or `fd`, or `listen`. The first of
the four places above that names any of them decides; what the lower ones say of the others is then
disregarded. To name two of them in the same place is an error.

Values as text:

- **Times** are seconds, such as `30` or `0.5`; `0` or `none` switches the timeout off.
- **Sizes** are bytes, or a number with a unit: `k`, `kB`, `MB`, `GB` count in thousands, `KiB`,
  `MiB`, `GiB` in 1024s.
- **On or off** is `true`, `yes`, `on`, `1` or `false`, `no`, `off`, `0`; the flags come in pairs.
- **Lists** are separated by commas in a variable; a flag is repeated; the file has a list.

In the file `-` may stand for `_` in a name. Relative paths are relative to the current directory.
"""

_TITLES = {
    "": "Configuration file",
    "listening": "Listening",
    "tls": "TLS",
    "proxies": "Proxies",
    "process": "Processes",
    "application": "Application",
    "development": "Development",
    "http1": "Limits of HTTP/1.1",
    "http2": "HTTP/2",
    "http2_limits": "Limits of HTTP/2",
    "timeouts": "Timeouts",
    "flow": "Flow control",
    "websocket": "WebSockets",
    "websocket_limits": "Limits of WebSockets",
    "sse": "Event streams",
    "headers": "Response headers",
    "logging": "Logging",
}


def page() -> str:
    """Return the whole page."""
    parts = [_INTRODUCTION]
    for slice_name in (*SLICES, ""):
        parts.append(f"## {_TITLES[slice_name]}\n")
        parts += [_entry(o) for o in OPTIONS.values() if o.slice_name == slice_name]
    return "\n".join(parts)


def _entry(option: Option) -> str:
    keys = option.names if option.declared.in_file else ()
    rows = [
        ("Flag", _code(_flags(option))),
        ("Variable", _code(option.variables)),
        ("In the file", _code(keys) or "not possible"),
        ("Keyword", _code(option.names)),
        ("In `Config`", f"`{_attribute(option)}`"),
        ("Value", _value(option)),
        ("Default", _default(option)),
    ]
    table = "".join(f"| {name} | {text} |\n" for name, text in rows)
    return f"### {option.name}\n\n{option.declared.help}\n\n| | |\n| --- | --- |\n{table}"


def _flags(option: Option) -> tuple[str, ...]:
    off = (option.declared.off_flag,) if option.declared.off_flag else ()
    if isinstance(option.kind, Switch):
        off = ("--no-" + option.flags[0][2:],)
    return (*option.flags, *off)


def _attribute(option: Option) -> str:
    return ".".join(filter(None, (option.slice_name, option.field)))


def _value(option: Option) -> str:
    if isinstance(option.kind, Choice):
        return _code(tuple(map(str, option.kind.words)))
    return option.kind.unit


def _default(option: Option) -> str:
    if option.declared.derived:
        return option.declared.derived
    return _code((option.default_text,)) if option.default_text else "empty"


def _code(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def main(arguments: list[str]) -> int:
    """Write the page, or compare it."""
    text = page()
    if "--check" not in arguments:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE} is out of date; run: python docs/build_settings.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
