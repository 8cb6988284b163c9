"""The numbers of all processes of a machine, added up from one folder.

Each process writes what it counted into a file of its own, which takes the old one's place at
once, and holds a lock beside it for as long as it lives: the kernel lets go of it, whoever ended
the process, and sees it from another container of the same machine. What the dead counted
is added to one archive, so that no counter goes backwards and a year of releases is one
file. prometheus-client's own files are mapped memory: a full disk ends a process that
writes there (SIGBUS), and nobody ever merges them.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import logging
import os
import secrets
import socket
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings

from . import counting
from .counting import Counts, Key
from .names import COUNTED

logger = logging.getLogger(__name__)

ARCHIVE = "archive.json"
ARCHIVE_LOCK = "archive.lock"
LOCK_SECONDS = 1.0  # to wait for another reader; adding up takes milliseconds
INFINITY = "inf"


class Busy(OSError):
    """Another process adds up just now, and takes long."""


class Totals:
    """The numbers of several processes."""

    def __init__(self) -> None:
        self.counters: dict[Key, float] = defaultdict(float)
        # by upper bound, so that a release may change the buckets
        self.histograms: dict[Key, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.sums: dict[Key, float] = defaultdict(float)
        self.held: dict[Key, float] = defaultdict(float)

    def add(self, found: dict[str, Any], *, is_alive: bool = True) -> None:
        """Add what ``dump`` or ``as_data`` returned; what the dead held is gone with them."""
        for key, value in found["counters"]:
            self.counters[tuple(key)] += value
        for key, counts, total in found["histograms"]:
            for bound, value in counts.items():
                self.histograms[tuple(key)][bound] += value
            self.sums[tuple(key)] += total
        if is_alive:
            for key, value in found["held"]:
                self.held[tuple(key)] += value

    def as_data(self) -> dict[str, Any]:
        return {
            "counters": list(self.counters.items()),
            "histograms": [
                (key, counts, self.sums[key]) for key, counts in self.histograms.items()
            ],
            "held": [],
        }


def dump(counts: Counts) -> dict[str, Any]:
    """Return ``counts`` as plain data."""
    histograms = []
    for key, histogram in counts.histograms.items():
        bounds = [*map(str, COUNTED[key[0]].buckets), INFINITY]
        by_bound = {
            bound: number for bound, number in zip(bounds, histogram.counts, strict=True) if number
        }
        histograms.append((key, by_bound, histogram.sum))
    return {
        "counters": list(counts.counters.items()),
        "histograms": histograms,
        "held": [
            *counts.held.items(),
            (("processes",), 1),
            (("resident_bytes",), _resident_bytes()),
        ],
    }


def _resident_bytes() -> int:
    """The memory that this process holds; 0 where there is no /proc."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


class Ours:
    """The file of this process, and the lock that says that it lives."""

    def __init__(self) -> None:
        self.name = ""
        self.lock = -1
        self.is_failing = False

    def write(self, folder: Path, counts: Counts) -> None:
        if self.lock < 0:
            folder.mkdir(parents=True, exist_ok=True)
            with _archive_lock(folder):  # nobody looks for the dead meanwhile
                self._begin(folder)
                _bury(folder)
        _replace(folder / f"{self.name}.json", dump(counts))

    def _begin(self, folder: Path) -> None:
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        lock = os.open(folder / f"{name}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.name, self.lock = name, lock

    def forget(self) -> None:
        """In a child: the parent's lock is the parent's, its end must not be hidden by ours."""
        if self.lock >= 0:
            os.close(self.lock)
        self.name, self.lock, self.is_failing = "", -1, False


_ours = Ours()
_open_now: set[int] = set()  # locks that are held, or tried, just now


def _forget_in_child() -> None:
    """A child that kept a lock of its parent open would hold it for as long as it lives."""
    _ours.forget()
    for lock in _open_now:
        os.close(lock)
    _open_now.clear()


os.register_at_fork(after_in_child=_forget_in_child)


def folder() -> Path | None:
    """Where the processes of this machine meet; ``None``: each counts for itself."""
    return Path(settings.METRICS_DIR) if settings.METRICS_DIR else None


def hand_over(counts: Counts) -> None:
    """Write what this process counted. A folder that cannot be written is said once."""
    where = folder()
    if where is None:
        return
    try:
        _ours.write(where, counts)
    except OSError as error:
        if not _ours.is_failing:
            logger.error("metrics are not shared folder=%s: %s", where, error.strerror)
        _ours.is_failing = True
    else:
        _ours.is_failing = False


def totals() -> Totals:
    """The numbers of all processes of this machine; of this one alone without METRICS_DIR.

    Raises ``OSError`` if the folder or its archive cannot be read, ``Busy`` while somebody else takes long.
    """
    where = folder()
    found = Totals()
    if where is None:
        found.add(dump(counting.current()))
        return found
    counting.flush(always=True)
    with _archive_lock(where):
        found.add(_bury(where))
        for path in where.glob("*.json"):
            if path.name != ARCHIVE:
                found.add(_read_of_others(path))
    return found


@contextlib.contextmanager
def _archive_lock(where: Path) -> Iterator[None]:
    with _opened(where / ARCHIVE_LOCK, os.O_CREAT) as lock:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _takes(lock):
            if time.monotonic() > deadline:
                raise Busy(0, "somebody else adds up for too long")
            time.sleep(0.01)
        yield


@contextlib.contextmanager
def _opened(path: Path, flags: int = 0) -> Iterator[int]:
    lock = os.open(path, os.O_RDWR | flags, 0o600)
    _open_now.add(lock)
    try:
        yield lock
    finally:
        _open_now.discard(lock)
        os.close(lock)


def _takes(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _bury(where: Path) -> dict[str, Any]:
    """Add what the dead counted to the archive, which is returned. The caller holds its lock.

    The archive names whom it took, so that nobody is added twice if this is cut off before
    their files are gone.
    """
    archive = where / ARCHIVE
    data = _read(archive) if archive.exists() else _nothing()
    dead = [path for path in where.glob("*.lock") if path.name != ARCHIVE_LOCK and _is_dead(path)]
    if not dead:
        return data
    buried = set(data["buried"])
    all_of_them = Totals()
    all_of_them.add(data)
    for path in dead:
        counted = path.with_suffix(".json")
        if path.stem not in buried and counted.exists():
            all_of_them.add(_read_of_others(counted), is_alive=False)
    data = {**all_of_them.as_data(), "buried": [path.stem for path in dead]}
    _replace(archive, data)
    for unfinished in where.glob(f"{archive.stem}.*.new"):  # who wrote it had this lock, and died
        unfinished.unlink(missing_ok=True)
    for path in dead:  # the lock last: it is what the next run finds
        for unfinished in where.glob(f"{glob.escape(path.stem)}.*.new"):
            unfinished.unlink(missing_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    return data


def _is_dead(path: Path) -> bool:
    """Whether nobody holds the lock; one that is not ours to open is somebody's who lives."""
    try:
        with _opened(path) as lock:
            return _takes(lock)
    except PermissionError:
        _say_foreign(path)
        return False


_foreign: set[str] = set()  # files that were spoken of


def _say_foreign(path: Path) -> None:
    """Say once that a file is another account's: a command that somebody ran as root, say."""
    if path.name not in _foreign:
        _foreign.add(path.name)
        logger.error("metrics of another account are left out file=%s", path.name)


def _read_of_others(path: Path) -> dict[str, Any]:
    """What stands in ``path``; nothing, if it is not ours to open."""
    try:
        return _read(path)
    except PermissionError:
        _say_foreign(path)
        return _nothing()


def _read(path: Path) -> dict[str, Any]:
    """What stands in ``path``; nothing, if somebody broke it."""
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        logger.error("metrics were lost file=%s", path.name)
        return _nothing()


def _nothing() -> dict[str, Any]:
    return {**Totals().as_data(), "buried": []}


def _replace(path: Path, data: dict[str, Any]) -> None:
    """Write ``data`` so that whoever reads finds the old file or the new one."""
    fresh = path.with_suffix(f".{os.getpid()}.new")
    try:
        fresh.write_text(json.dumps(data, separators=(",", ":")))
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
