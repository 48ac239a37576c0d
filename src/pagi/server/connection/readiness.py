"""What a socket is ready for: the values of epoll's EPOLLIN, EPOLLOUT, and EPOLLERR with EPOLLHUP.

Linux has fixed them for ever; elsewhere they are ours. C constants in ``readiness.pxd``.
"""

from __future__ import annotations

from typing import Final

__all__ = ["READABLE", "TROUBLE", "WRITABLE"]

READABLE: Final = 1
WRITABLE: Final = 4
TROUBLE: Final = 24
