"""What makes pages stale that name people."""

from __future__ import annotations

from core import cache

# Names as pages show them. One token for all: a name stands on pages nobody can list, and few change.
PEOPLE = "accounts.people"


def people_changed() -> None:
    cache.bump(PEOPLE)
