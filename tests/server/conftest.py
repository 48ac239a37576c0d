"""What the tests of the running server share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


class Told(logging.Handler):
    """What the server said in its log."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)

    @property
    def texts(self) -> list[str]:
        """The texts, in order."""
        return [record.getMessage() for record in self.records]

    @property
    def errors(self) -> list[str]:
        """The texts of errors, in order."""
        return [record.getMessage() for record in self.records if record.levelname == "ERROR"]


@pytest.fixture
def told() -> Iterator[Told]:
    """Collect what the server logs, and keep it from the terminal."""
    logger = logging.getLogger("pagi")
    handler, level, propagate = Told(), logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)
    logger.propagate = propagate
