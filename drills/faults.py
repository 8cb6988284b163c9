"""The faults: how each begins and ends, what it excuses, and how long the site takes to recover."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg2

from core.queues import NAMES as QUEUES

from .client import BROKEN, GOOD, REFUSED, TIMEOUT, Asked, Client, p95
from .ledger import Ledger
from .stage import Stage
from .verdict import mails_on_their_way, not_told

SITE_SECONDS = 60  # within which readers must be served again
BACKGROUND_SECONDS = 180  # and mail must have arrived: sweeps look each minute, for two minutes
IN_A_ROW = 30  # good answers that make a recovery
QUIET_SECONDS = 1.5  # at least, between the end of a fault and the next

Act = Callable[[Stage], object]


@dataclass(frozen=True)
class Fault:
    """``begin`` takes something away, ``end`` gives it back; without ``end`` it comes back by itself.

    ``excuses`` are the errors that nobody could have spared the readers.
    """

    name: str
    title: str
    begin: Act
    end: Act | None = None
    excuses: frozenset[str] = frozenset()


@dataclass
class Row:
    """What was seen. Times in seconds; ``None``: it did not recover in time.

    ``ended`` is where recovery is counted from: the end of the fault, or its begin where nothing
    has to be given back. It was ``watched`` for some seconds at any rate.
    """

    fault: Fault
    began: float
    ended: float
    watched: float
    requests: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    p95: float = 0.0
    site: float | None = None
    background: float | None = None
    died: list[str] = field(default_factory=list)  # last words of programs that nobody had ended

    @property
    def until(self) -> float:
        return max(self.ended, self.watched)

    def recovered(self, moment: float | None) -> None:
        """Mail and heartbeat were as before at ``moment``; ``None``: they never were."""
        self.background = None if moment is None else max(0.0, moment - self.ended)

    @property
    def wrong(self) -> Counter[str]:
        """The errors that the fault does not excuse."""
        return Counter({k: n for k, n in self.errors.items() if k not in self.fault.excuses})


def _program(name: str, title: str) -> list[Fault]:
    """A program that is killed and started again, hangs, and is restarted in order."""

    def start(stage: Stage) -> None:
        stage.start(name)

    def restart(stage: Stage) -> None:
        stage.programs[name].end()
        stage.start(name)

    return [
        Fault(f"{name}-stop", f"{title}: killed, away", lambda s: s.programs[name].kill(), start),
        Fault(
            f"{name}-hang", f"{title}: hangs",
            lambda s: s.programs[name].hang(), lambda s: s.programs[name].go_on(),
        ),
        Fault(f"{name}-restart", f"{title}: restarted", restart),
    ]  # fmt: skip


def _redis(name: str, title: str) -> list[Fault]:
    def restart(stage: Stage) -> None:
        getattr(stage, name).stop()
        getattr(stage, name).start()

    return [
        Fault(
            f"{name}-stop", f"{title}: killed, away",
            lambda s: getattr(s, name).kill(), lambda s: getattr(s, name).start(),
        ),
        Fault(
            f"{name}-hang", f"{title}: hangs",
            lambda s: getattr(s, name).hang(), lambda s: getattr(s, name).go_on(),
        ),
        Fault(f"{name}-restart", f"{title}: restarted", restart),
    ]  # fmt: skip


class _OneWorker:
    """One of the web server's workers, which is remembered between begin and end."""

    def __init__(self) -> None:
        self.pid = 0

    def kill(self, stage: Stage) -> None:
        os.kill(stage.programs["web"].workers()[0], signal.SIGKILL)

    def hang(self, stage: Stage) -> None:
        self.pid = stage.programs["web"].workers()[0]
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self, stage: Stage) -> None:
        os.kill(self.pid, signal.SIGCONT)


def _web() -> list[Fault]:
    one = _OneWorker()
    return [
        # what it was answering breaks off; granian starts another by itself
        Fault("web-stop", "A web worker: killed", one.kill, excuses=frozenset({BROKEN})),
        # what it had accepted waits
        Fault(
            "web-hang", "A web worker: hangs", one.hang, one.go_on,
            frozenset({TIMEOUT}),
        ),
        Fault(
            "web-restart", "Web workers: reloaded",
            lambda s: os.kill(s.programs["web"].pid, signal.SIGHUP),
        ),
    ]  # fmt: skip


def _postgres() -> list[Fault]:
    def crash(stage: Stage) -> None:
        stage.postgres.kill()
        stage.postgres.start()

    promised = frozenset({REFUSED})
    return [
        Fault(
            "postgres-stop", "Postgres: stopped, away",
            lambda s: s.postgres.stop(), lambda s: s.postgres.start(), promised,
        ),
        Fault("postgres-restart", "Postgres: killed, started again", crash, None, promised),
    ]  # fmt: skip


NOTHING = Fault("nothing", "No fault", lambda stage: None)
FAULTS = [
    NOTHING,
    # first those that make mail late: in a quick drill it may come during the others
    *_redis("broker", "Broker"),
    *_program("worker", "Worker (critical, default)"),
    *_program("bulk", "Worker (bulk)"),
    *_program("beat", "Beat"),
    *_redis("redis", "Redis (cache, sessions, limits)"),
    *_web(),
    *_postgres(),
]
NAMES = [fault.name for fault in FAULTS]


class Recovery:
    """Since when the site behaves as before a fault."""

    def __init__(self, stage: Stage, client: Client, ledger: Ledger):
        self.stage, self.client, self.ledger = stage, client, ledger

    def site(self, since: float, first: int) -> float | None:
        """The end of the last bad answer once ``IN_A_ROW`` good ones came after it, or ``since``.

        ``first`` is the place of the first request to look at. Waits ``SITE_SECONDS`` at most.
        """
        deadline = time.monotonic() + SITE_SECONDS
        while time.monotonic() < deadline:
            time.sleep(0.1)
            asked = self.client.asked[first:]
            last_bad = max((one.ended for one in asked if one.kind != GOOD), default=0.0)
            recovered = max(since, last_bad)
            good = sum(one.begun > recovered for one in asked)
            if good >= IN_A_ROW and time.monotonic() > since + QUIET_SECONDS:
                return recovered
        return None

    def well(self, since: float) -> float | None:
        """When each queue's heart had beaten after ``since``, and everybody who follows a debate had
        been told of the replies before it. Waits ``BACKGROUND_SECONDS`` at most.
        """
        wall = time.time() - (time.monotonic() - since)
        while time.monotonic() < since + BACKGROUND_SECONDS:
            if self._hearts_beat(wall) and not self._somebody_waits(wall):
                return time.monotonic()
            time.sleep(0.2)
        return None

    def mail(self, began: float, until: float) -> float | None:
        """When the last late mail of those acknowledged in between had come; 0 if none was late.

        Waits ``BACKGROUND_SECONDS`` at most.
        """
        while time.monotonic() < until + BACKGROUND_SECONDS:
            missing, last = self.mails(began, until)
            if not missing:
                return last
            time.sleep(0.1)
        return None

    def mails(self, began: float, until: float) -> tuple[int, float]:
        """How many mails acknowledged in between have not come, and when the last late one came."""
        return mails_on_their_way(self.ledger, self.stage.sink, after=began, before=until)

    def _hearts_beat(self, wall: float) -> bool:
        """Whether each queue has beaten after the second ``wall``."""
        try:
            beats = self.stage.sql("SELECT extract(epoch FROM beaten_at) FROM core_heartbeat")
        except psycopg2.OperationalError:
            return False
        return len(beats) == len(QUEUES) and all(float(at) > wall for (at,) in beats)

    def _somebody_waits(self, wall: float) -> bool:
        """Whether a follower was not told yet of a reply written before the second ``wall``."""
        try:
            return bool(not_told(self.stage, wall))
        except psycopg2.OperationalError:
            return True


def run(
    fault: Fault, stage: Stage, client: Client, recovery: Recovery, seconds: float, *, patient: bool
) -> Row:
    """Let ``fault`` last for ``seconds`` and wait until the site has recovered; what was seen.

    Unless ``patient``, mail and heartbeat are waited for once, after the last fault.
    """
    first = len(client.asked)
    began = time.monotonic()
    fault.begin(stage)
    since, well = time.monotonic(), None
    if fault.end:
        time.sleep(max(0.0, began + seconds - since))
        since = time.monotonic()
        fault.end(stage)
    died = stage.revive()
    if patient:
        well = recovery.well(since)
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    row = Row(fault, began, ended=since if fault.end else began, watched=began + seconds)
    site = recovery.site(row.ended, first)
    row.site = None if site is None else site - row.ended
    row.died = died + stage.revive()
    stage.wait_until_ready()
    if patient:
        mail = recovery.mail(began, row.until)
        row.recovered(None if well is None or mail is None else max(well, mail))
    count(row, client.asked[first:])
    return row


def count(row: Row, asked: list[Asked]) -> None:
    """Fill in what readers and writers saw from the begin of the fault until they were served again.

    An error that came while mail was still late is the fault's too.
    """
    until = max(row.until, row.ended + (row.site or 0.0))
    during = [one for one in asked if one.begun <= until]
    row.requests, row.p95 = len(during), p95(during)
    row.errors = Counter(one.kind for one in asked if one.kind != GOOD)
