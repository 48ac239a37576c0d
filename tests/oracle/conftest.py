"""How long the oracles are asked: ``TEST_ORACLE_EXAMPLES`` sets the number of examples."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "pagi",
    max_examples=int(os.environ.get("TEST_ORACLE_EXAMPLES", "150")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
    database=None,
)
settings.load_profile("pagi")
