"""What is the same for everyone, kept in Redis. Nobody else imports Django's cache."""

from __future__ import annotations

from django.core.cache import caches


def retire_derived() -> None:
    """Drop every derived entry of this site; sessions, counters and queued tasks live elsewhere."""
    caches["default"].clear()
