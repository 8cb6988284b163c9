"""What happens in this process, counted for Prometheus.

A request pays for one ``append``, 60 nanoseconds, and another for each thing that happens
in it; a thread adds up what has gathered once a second and hands it to ``shared``.
"""

from __future__ import annotations

import atexit
import os
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from copy import deepcopy
from multiprocessing import util
from threading import Lock, Timer

from . import names

GATHER_SECONDS = 1.0
MOST_GATHERED = 500_000  # what a process cannot reach in a second; the oldest go then
MOST_SERIES = 5_000  # a label that runs away must not take the memory

Key = tuple[str, ...]  # the metric, then the values of its labels


class Histogram:
    """How many fell into each bucket (the last one has no bound), and their sum."""

    __slots__ = ("counts", "sum")

    def __init__(self, buckets: int) -> None:
        self.counts, self.sum = [0.0] * (buckets + 1), 0.0


class Counts:
    """The numbers of one process since it began."""

    def __init__(self) -> None:
        self.counters: Counter[Key] = Counter()
        self.histograms: dict[Key, Histogram] = {}
        self.held: dict[Key, float] = {}

    def is_empty(self) -> bool:
        return not (self.counters or self.histograms or self.held)

    def observe(self, key: Key, values: Sequence[float]) -> None:
        found = self.histograms.get(key)
        bounds = names.COUNTED[key[0]].buckets
        if found is None:
            if len(self.histograms) >= MOST_SERIES:
                return
            found = self.histograms[key] = Histogram(len(bounds))
        counts = found.counts
        for value in values:
            counts[bisect_left(bounds, value)] += 1
        found.sum += sum(values)


_requests: deque[tuple[str, int, float, int]] = deque(maxlen=MOST_GATHERED)
_events: deque[Key] = deque(maxlen=MOST_GATHERED)
_times: deque[tuple[Key, float]] = deque(maxlen=MOST_GATHERED)
_timer: Timer | None = None
_lock = Lock()
counts = Counts()


def answered(view: str, status: int, seconds: float, queries: int) -> None:
    """Count an answered request."""
    _requests.append((view, status, seconds, queries))
    if _timer is None:
        _start_timer()


def count(*key: str) -> None:
    """Count one thing: the name of a counter and the values of its labels, in their order."""
    _events.append(key)
    if _timer is None:
        _start_timer()


def expect(*key: str) -> None:
    """Say that a counter may move: from 0, for Prometheus does not see the first step of a new one."""
    with _lock:
        if key not in counts.counters:
            _increase(key, 0)
    if _timer is None:
        _start_timer()


def observe(value: float, *key: str) -> None:
    """Count ``value`` in a histogram: its name and the values of its labels."""
    _times.append((key, value))
    if _timer is None:
        _start_timer()


def hold(value: float, *key: str) -> None:
    """Say what a gauge of this process stands at, until it says otherwise or ends."""
    with _lock:
        counts.held[key] = value
    if _timer is None:
        _start_timer()


def _start_timer() -> None:
    # two threads may both start one: the second finds little to add
    global _timer
    timer = Timer(GATHER_SECONDS, flush)
    timer.daemon = True
    _timer = timer
    try:
        timer.start()
    except RuntimeError:  # the interpreter ends; flush is called once more
        _timer = None


def flush(*, always: bool = False) -> None:
    """Add up what has gathered, and hand it over. Never raises.

    Who counted nothing hands over nothing unless ``always``: at the end of a process that could
    not even read its settings there are none.
    """
    global _timer
    from . import shared

    _timer = None  # before: what comes while this runs starts the next one
    # Held while the file is written, so that an older state never takes a newer one's place. Nobody
    # who answers a request waits for it: ``count`` and ``observe`` append without it.
    with _lock:
        _add_up()
        if always or not counts.is_empty():
            shared.hand_over(counts)


def current() -> Counts:
    """A copy of the numbers of this process alone, up to now: others go on counting."""
    with _lock:
        _add_up()
        return deepcopy(counts)


def _add_up() -> None:
    by_view: dict[str, list[tuple[str, int, float, int]]] = {}
    for request in _drained(_requests):
        by_view.setdefault(request[0], []).append(request)
    for view, requests in by_view.items():
        for status, number in Counter([request[1] for request in requests]).items():
            _increase(("requests", view, str(status)), number)
        counts.observe(("request_seconds", view), [request[2] for request in requests])
        counts.observe(("request_queries", view), [request[3] for request in requests])
    for key, number in Counter(_drained(_events)).items():
        _increase(key, number)
    for key, value in _drained(_times):
        counts.observe(key, [value])


def _drained(gathered: deque) -> list:
    return [gathered.popleft() for _each in range(len(gathered))]


def _increase(key: Key, number: int) -> None:
    if key in counts.counters or len(counts.counters) < MOST_SERIES:
        counts.counters[key] += number


def _forget_in_child() -> None:
    """The parent keeps what it counted, its timer and its lock."""
    global counts, _timer, _lock
    _lock = Lock()
    _timer = None
    counts = Counts()
    for gathered in (_requests, _events, _times):
        gathered.clear()


os.register_at_fork(after_in_child=_forget_in_child)
# What gathered in the last second. granian's workers end through multiprocessing: no atexit there.
atexit.register(flush)
util.Finalize(None, flush, exitpriority=1)
