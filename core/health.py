"""Is this process alive, should it get traffic, and how is everything it stands on?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache as once
from functools import partial

from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from . import asking, heartbeat, mail, redis
from .queues import BULK, CRITICAL, DEFAULT

SECONDS = 0.4  # for all parts together
# Since a mail was written that nobody has tried. Ten thousand digests take the morning.
# deploy/prometheus/alerts.yml has the same for bulk, and ten minutes for the others.
MAIL_LATE_SECONDS = {CRITICAL: 300, DEFAULT: 300, BULK: 14_400}

OK, PENDING, DRAINING, STALE, BACKLOG = "ok", "pending", "draining", "stale", "backlog"
NEEDED = {"traffic", "postgres", "migrations"}  # without these a process should get no traffic


@dataclass(frozen=True)
class Part:
    """One thing the site stands on: how it is, in a word, and how long it took to know."""

    name: str
    state: str
    ms: float

    @property
    def is_well(self) -> bool:
        return self.state == OK

    @property
    def is_needed(self) -> bool:
        return self.name in NEEDED


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers. No query."""
    return JsonResponse({"status": OK})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """503 if this process should get no traffic, 200 with ``degraded`` if it can serve.

    Four queries or so on a connection of their own; answers within half a second.
    """
    found = parts()
    status = OK if all(part.is_well for part in found) else "degraded"
    if not is_ready(found):
        status = "unavailable"
    told = {part.name: {"state": part.state, "ms": round(part.ms, 1)} for part in found}
    code = 503 if status == "unavailable" else 200
    return JsonResponse({"status": status, "parts": told}, status=code)


def is_ready(found: list[Part]) -> bool:
    """Whether nothing is missing that this process cannot do without."""
    return all(part.is_well for part in found if part.is_needed)


def parts() -> list[Part]:
    """Ask everything at once; returns within ``SECONDS``, and never raises."""
    answers = asking.ask(_GROUPS, SECONDS)
    return [Part(name, answer.fault or answer.value, answer.ms) for name, answer in answers.items()]


# --- the parts ---------------------------------------------------------------------


def _traffic() -> str:
    return DRAINING if settings.DRAIN_FILE.exists() else OK


def _postgres() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


@once
def _last_migrations() -> set[tuple[str, str]]:
    """Of every app of this release; read from the disk once."""
    return set(MigrationLoader(None, ignore_no_migrations=True).graph.leaf_nodes())


_applied: set[str] = set()  # databases that have them: none is taken away while we run


def _migrations() -> str:
    name = str(connection.settings_dict["NAME"])
    if name in _applied:
        return OK
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('django_migrations') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return PENDING
        cursor.execute("SELECT app, name FROM django_migrations")
        if not _last_migrations() <= set(cursor.fetchall()):
            return PENDING
    _applied.add(name)
    return OK


def _heartbeat() -> str:
    ages = heartbeat.ages().items()
    return STALE if any(heartbeat.is_stale(queue, age) for queue, age in ages) else OK


def _mail() -> str:
    waiting = mail.backlog().items()
    return BACKLOG if any(is_late(queue, found.age) for queue, found in waiting) else OK


def is_late(queue: str, age: float) -> bool:
    """Whether a mail of ``queue`` that nobody has tried is too old at ``age`` seconds."""
    return age > MAIL_LATE_SECONDS[queue]


def _room(alias: str) -> str:
    redis.client(alias).ping()
    return OK


def _broker() -> str:
    redis.client_at(settings.CELERY_BROKER_URL).ping()
    return OK


_GROUPS: dict[str, dict[str, Callable[[], str]]] = {
    "traffic": {"traffic": _traffic},
    "postgres": {
        "postgres": _postgres,
        "migrations": _migrations,
        "heartbeat": _heartbeat,
        "mail": _mail,
    },
    "cache": {"cache": partial(_room, "default")},
    "sessions": {"sessions": partial(_room, "sessions")},
    "limits": {"limits": partial(_room, "ratelimit")},
    "broker": {"broker": _broker},
}
