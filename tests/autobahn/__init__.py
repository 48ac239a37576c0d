"""The Autobahn test suite, 517 cases of a WebSocket client, against the server: ``make autobahn``.

Attributes:
    ROOT: the folder of the project.
    FOLDER: what is made here: the suite with a Python 2.7 of its own, and the reports.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "autobahn"
