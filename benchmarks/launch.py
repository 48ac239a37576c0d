"""Starts a server that has no command line fit for use here.

Usage: `python -m benchmarks.launch NAME PORT`. freastal has no command line at all; that of
fastpysgi looks for applications only among installed packages.
"""

from __future__ import annotations

import sys
from importlib import import_module

from benchmarks.apps import app

HOST = "127.0.0.1"


def main(name: str, port: int) -> None:
    """Serves the application until the process is ended."""
    if name == "freastal":
        import_module(name).serve_asgi(app, host=HOST, port=port)
    elif name == "fastpysgi":
        import_module(name).run(app, host=HOST, port=port, loglevel=2)
    else:
        raise SystemExit(f"unknown server {name}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
