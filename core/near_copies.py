"""What this process showed last, so that Redis need not be asked. ``core.cache`` alone uses it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SECONDS = 1.0  # how long a copy is believed without asking
WAIT_SECONDS = 0.25  # how long a stale one is shown unasked while another reader rebuilds it
# Bytes as Redis has them; in a process they take half as much again. Some 400 pages: a worker without any
# takes 115 MB, and 160 are what it may take.
MOST_BYTES = 16 * 1024 * 1024
MOST_BUMPS = 256  # remembered longer than they have to be

Key = tuple[str, str]  # the alias of its room, and its key there


@dataclass(slots=True)
class Entry:
    """A value, the tokens it was built under, and its ages (Unix seconds; ``checked``: monotonic).

    One that ``is_waiting`` is stale, and shown while another reader builds what comes after it.
    """

    value: Any
    tokens: dict[str, str]
    built: float
    until: float
    checked: float = 0.0  # when Redis was asked what is today's
    size: int = 0  # bytes in Redis
    is_waiting: bool = False
    label: tuple[str, str] = ("", "")  # its room and what it is about, for the metrics


class NearCopies:
    """At most ``MOST_BYTES`` of entries, the unused ones go first; nobody asks Redis under its lock."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Key, Entry] = OrderedDict()
        self._bytes = 0
        self._bumps: dict[str, float] = {}  # scope -> monotonic second of its last bump here
        self._lock = threading.Lock()

    def get(self, key: Key) -> Entry | None:
        """Return what is kept under ``key``, whatever its age."""
        return self._entries.get(key)

    def believed(self, key: Key) -> Entry | None:
        """Return it if it was checked just now and nothing is known against it."""
        entry = self._entries.get(key)
        if entry is None or self.is_bumped(entry):
            return None
        seconds = WAIT_SECONDS if entry.is_waiting else SECONDS
        return entry if time.monotonic() - entry.checked <= seconds else None

    def may_be_todays(self, entry: Entry) -> bool:
        """Whether only its tokens can tell that ``entry`` is not to be shown any more."""
        return not entry.is_waiting and time.time() <= entry.until and not self.is_bumped(entry)

    def is_bumped(self, entry: Entry) -> bool:
        """Whether this process wrote over it since it was checked."""
        return any(self._bumps.get(name, 0) >= entry.checked for name in entry.tokens)

    def put(self, key: Key, entry: Entry) -> None:
        with self._lock:
            self._put(key, entry)

    def confirm(self, key: Key, entry: Entry, asked: float) -> None:
        """Believe ``entry`` again: it was today's at the monotonic second ``asked``.

        What this process wrote since then is in the bumps. Nothing, if a newer one or none is kept now.
        """
        with self._lock:
            if self._entries.get(key) is entry:
                entry.checked = asked
                self._entries.move_to_end(key)

    def wait(self, key: Key, entry: Entry) -> None:
        """Show ``entry``, which is stale, until what comes after it can be here."""
        entry.is_waiting = True
        with self._lock:
            known = self._entries.get(key)
            if known is None or known.built <= entry.built:  # who rebuilds may be a thread of ours
                self._put(key, entry)

    def _put(self, key: Key, entry: Entry) -> None:
        self._drop(key)
        self._entries[key] = entry
        self._bytes += entry.size
        while self._bytes > MOST_BYTES:
            self._drop(next(iter(self._entries)))

    def drop(self, key: Key) -> None:
        with self._lock:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size

    def bumped(self, scopes: Sequence[str]) -> None:
        """This process wrote over what was built from ``scopes``."""
        now = time.monotonic()
        with self._lock:
            if len(self._bumps) > MOST_BUMPS:
                self._bumps = {k: v for k, v in self._bumps.items() if now - v <= SECONDS}
            self._bumps.update(dict.fromkeys(scopes, now))

    def clear(self) -> None:
        """Know nothing, as a new process does."""
        with self._lock:
            self._entries.clear()
            self._bumps.clear()
            self._bytes = 0
