"""The years in which it all happened: fixed, so that the same seed makes the same rows."""

from __future__ import annotations

from datetime import UTC, datetime

from .copying import microseconds

START = microseconds(datetime(2023, 11, 1, tzinfo=UTC))
END = microseconds(datetime(2026, 11, 1, tzinfo=UTC))
SPAN = END - START
DAY = 86_400_000_000
