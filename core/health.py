"""Is this process alive, and should it get traffic? And how is everything it stands on?

Each part is asked in a thread of its own and waited for no longer than ``SECONDS``: psycopg2 waits
for ever on a server that hangs. A part whose thread still hangs is not asked again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache as once

from django.conf import settings
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from . import brokers, redis
from .database import DATABASE_GONE

logger = logging.getLogger(__name__)

SECONDS = 0.4  # for all parts together
FAULTS = (*DATABASE_GONE, RedisError, OSError)

OK, DOWN, LATE, PENDING, DRAINING = "ok", "down", "no answer", "pending", "draining"
STALE, BACKLOG = "stale", "backlog"


@dataclass(frozen=True)
class Part:
    """One thing the site stands on; ``state`` is one of the words above."""

    name: str
    state: str
    ms: float
    is_needed: bool  # without it this process should get no traffic

    @property
    def is_well(self) -> bool:
        return self.state == OK


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers. No query."""
    return JsonResponse({"status": OK})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Whether this process should get traffic: 503 if not, 200 with ``degraded`` if it can serve.

    Two or three queries on connections of their own; answers within half a second.
    """
    found = parts()
    status = OK if all(part.is_well for part in found) else "degraded"
    if not is_ready(found):
        status = "unavailable"
    told = {part.name: {"state": part.state, "ms": round(part.ms, 1)} for part in found}
    return JsonResponse(
        {"status": status, "parts": told}, status=503 if status == "unavailable" else 200
    )


def is_ready(found: list[Part]) -> bool:
    """Whether nothing is missing that this process cannot do without."""
    return all(part.is_well for part in found if part.is_needed)


def parts() -> list[Part]:
    """Ask everything at once; returns within ``SECONDS`` and a little, and never raises."""
    asked = [_asked(name) for name in _QUESTIONS]
    deadline = time.monotonic() + SECONDS
    return [one.answer(deadline) for one in asked]


# --- the parts ---------------------------------------------------------------------


def _draining() -> str:
    return DRAINING if settings.DRAIN_FILE.exists() else OK


def _postgres() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


@once
def _leaves() -> set[tuple[str, str]]:
    """The last migration of every app of this release."""
    return set(MigrationLoader(None, ignore_no_migrations=True).graph.leaf_nodes())


_is_migrated = False


def _migrations() -> str:
    """Asked until they are applied: a newer release may add some, none is taken away."""
    global _is_migrated
    if not _is_migrated:
        leaves = _leaves()
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('django_migrations') IS NOT NULL")
            if not cursor.fetchone()[0]:
                return PENDING
            cursor.execute("SELECT app, name FROM django_migrations")
            _is_migrated = leaves <= set(cursor.fetchall())
    return OK if _is_migrated else PENDING


def _redis(alias: str) -> Callable[[], str]:
    def ask() -> str:
        redis.client(alias).ping()
        return OK

    return ask


def _broker() -> str:
    with brokers.client() as broker:
        broker.ping()
    return OK


_QUESTIONS: dict[str, tuple[Callable[[], str], bool]] = {
    "traffic": (_draining, True),
    "postgres": (_postgres, True),
    "migrations": (_migrations, True),
    "cache": (_redis("default"), False),
    "sessions": (_redis("sessions"), False),
    "limits": (_redis("ratelimit"), False),
    "broker": (_broker, False),
}


# --- asking ------------------------------------------------------------------------


class _Asked:
    """One question, asked in a thread that may hang without anybody waiting for it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.work, self.is_needed = _QUESTIONS[name]
        self.state, self.ms = "", 0.0
        self.begun = time.monotonic()
        self.thread = threading.Thread(target=self._run, name=f"health-{name}", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        begun = time.perf_counter()
        try:
            self.state = self.work()
        except FAULTS:
            self.state = DOWN
        except Exception:  # a fault of ours is told by its name in the log, not to whoever asks
            logger.exception("health was not asked part=%s", self.name)
            self.state = DOWN
        finally:
            self.ms = (time.perf_counter() - begun) * 1000
            connections.close_all()

    def answer(self, deadline: float) -> Part:
        self.thread.join(max(deadline - time.monotonic(), 0))
        state, ms = self.state, self.ms
        if not state:
            state, ms = LATE, (time.monotonic() - self.begun) * 1000
        return Part(self.name, state, ms, self.is_needed)


_hanging: dict[str, _Asked] = {}


def _asked(name: str) -> _Asked:
    """Ask, or return the one who still waits for an answer."""
    last = _hanging.get(name)
    if last is None or not last.thread.is_alive():
        last = _hanging[name] = _Asked(name)
    return last
