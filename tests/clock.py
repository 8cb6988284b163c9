"""The limits' clock, stopped, so that no window ends in the middle of a test."""

from __future__ import annotations

from unittest import mock


class Clock:
    """Stands in for the module ``time`` where requests are counted."""

    def __init__(self):
        self.now = 1_800_000_000

    def time(self):
        return self.now


def stop_clock(test) -> Clock:
    """Stop the clock of django-ratelimit and of our own counts until ``test`` ends."""
    clock = Clock()
    for place in ("django_ratelimit.core.time", "core.ratelimit.time"):
        patcher = mock.patch(place, clock)
        patcher.start()
        test.addCleanup(patcher.stop)
    return clock
