"""How much memory this process has."""

from __future__ import annotations

import os
import sys
from typing import Final

__all__ = ["resident_memory"]

_STATM: Final = "/proc/self/statm"
_PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def resident_memory() -> int:
    """Return the resident memory in bytes; the most there ever was where the system tells no more.

    0 where it tells nothing.
    """
    try:
        with open(_STATM, "rb", buffering=0) as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return _peak()


def _peak() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
