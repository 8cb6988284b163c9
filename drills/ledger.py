"""What was asked to be stored, and what the site said to it."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from threading import Lock

from .client import GOOD, NO_WORD

YES, NO, NO_ANSWER = "acknowledged", "refused", "no answer"


@dataclass(frozen=True)
class Write:
    """One wish. ``key`` names what it is about, ``value`` what it should be, ``place`` where it went."""

    kind: str
    key: tuple
    value: object
    said: str
    at: float
    place: str = ""


def word(kind: str) -> str:
    """What a client's ``kind`` of answer tells of a write.

    A 503 may come after the commit, for whoever cuts Postgres off in between cannot know; and a
    500 tells nothing at all.
    """
    if kind == GOOD:
        return YES
    return NO_ANSWER if kind in NO_WORD or kind.startswith("status 5") else NO


class Ledger:
    """Every write in order; ``reads`` counts the readings that were asked of each debate."""

    def __init__(self) -> None:
        self._writes: list[Write] = []
        self._lock = Lock()
        self.reads: dict[str, int] = defaultdict(int)

    def add(self, kind: str, key: tuple, value: object, answer: str, place: str = "") -> str:
        """Keep one write with the client's ``answer``; returns what that tells of it."""
        said = word(answer)
        with self._lock:
            self._writes.append(Write(kind, key, value, said, time.monotonic(), place))
        return said

    def read(self, slug: str) -> None:
        with self._lock:
            self.reads[slug] += 1

    def of(self, kind: str) -> list[Write]:
        with self._lock:
            return [write for write in self._writes if write.kind == kind]

    def by_key(self, kind: str) -> dict[tuple, list[Write]]:
        found: dict[tuple, list[Write]] = defaultdict(list)
        for write in self.of(kind):
            found[write.key].append(write)
        return found
