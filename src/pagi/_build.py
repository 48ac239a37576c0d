"""Which implementation of the twinned modules is in use.

The only place that reads ``PAGI_PURE_PYTHON``. A facade module asks `compiled` and then imports
either the extension (``_x_c``) or the Python source (``_x_py``) of the same names.
"""

from __future__ import annotations

import importlib.util
import os
import sys

__all__ = ["active_twins", "compiled"]

_PURE = os.environ.get("PAGI_PURE_PYTHON", "") not in ("", "0")
_active: dict[str, bool] = {}


def compiled(module: str) -> bool:
    """Tell whether the extension ``module`` (full dotted name) exists and is wanted."""
    use = not _PURE and importlib.util.find_spec(module) is not None
    _active[module] = use
    return use


def active_twins() -> dict[str, bool]:
    """Return, for each twin that is loaded or was asked for, whether the compiled one is in use.

    Compiled twins reach each other without their facades, so what is loaded counts too.
    """
    loaded = {
        name: True for name in sys.modules if name.startswith("pagi.") and name.endswith("_c")
    }
    return dict(sorted({**_active, **loaded}.items()))
