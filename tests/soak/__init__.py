"""The server under a mixture of good and bad clients for minutes: ``make soak``.

Attributes:
    BLOCK: one MiB of bytes from which every body is cut, in the application and in the clients.
"""

from __future__ import annotations

import random

BLOCK = random.Random(7).randbytes(1_048_576)
