"""How the machinery is, for the staff page: servers, queues, mail, the schedule.

A server that is gone is shown as such and costs its client's time-outs once (100 ms to connect,
250 ms to answer); while its breaker is open it costs nothing. Postgres is the exception: the
page's own session and user come from there, so without it there is no page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import PeriodicTask
from django_celery_results.models import TaskResult
from redis import Redis
from redis.exceptions import RedisError

from . import heartbeat, mail, queues, redis

T = TypeVar("T")

# What each room of Redis is there for, in the reader's words.
ROOMS = {"default": _("páginas"), "sessions": _("sessões"), "ratelimit": _("limites")}
BROKER = _("tarefas")
FAILURES_SHOWN = 5
MAIL_LATE_SECONDS = 120  # by then the sweep has found what was lost


@dataclass(frozen=True)
class Server:
    """``milliseconds`` of one question and its answer; ``None``: there was none."""

    name: str
    milliseconds: float | None

    @property
    def is_well(self) -> bool:
        return self.milliseconds is not None


@dataclass(frozen=True)
class QueueState:
    """``waiting`` tasks (``None``: the broker did not say); ``age`` in seconds of the last heartbeat."""

    name: str
    waiting: int | None
    age: float | None

    @property
    def is_well(self) -> bool:
        return not heartbeat.is_stale(self.age)


@dataclass(frozen=True)
class MailState:
    """``waiting`` mails, the oldest written ``age`` seconds ago (0 when none waits)."""

    waiting: int
    age: float

    @property
    def is_well(self) -> bool:
        return self.age <= MAIL_LATE_SECONDS


@dataclass(frozen=True)
class Overview:
    servers: list[Server]
    queues: list[QueueState]
    mail: MailState
    schedule: list[PeriodicTask]
    failures: list[TaskResult]

    @property
    def is_well(self) -> bool:
        return (
            all(server.is_well for server in self.servers)
            and all(queue.is_well for queue in self.queues)
            and self.mail.is_well
        )


def overview() -> Overview:
    """Ask everything once: five queries, a round trip to each Redis server, one more to the broker.

    The queries: one that only takes the time, heartbeats, waiting mail, the schedule, failed
    tasks whose result somebody kept.
    """
    servers, waiting = _servers(), queue_lengths()
    return Overview(
        servers=servers,
        queues=[QueueState(name, waiting[name], age) for name, age in heartbeat.ages().items()],
        mail=MailState(*mail.backlog()),
        schedule=list(
            PeriodicTask.objects.order_by("name").only("name", "task", "enabled", "last_run_at")
        ),
        failures=list(
            TaskResult.objects.filter(status="FAILURE")
            .order_by("-date_done")
            .only("task_name", "date_done")[:FAILURES_SHOWN]
        ),
    )


def queue_lengths() -> dict[str, int | None]:
    """How many tasks wait in each queue; ``None`` while the broker does not say. One round trip.

    A task that a worker has taken is not waiting.
    """

    def ask(client: Redis) -> list[int]:
        with client.pipeline(transaction=False) as pipe:
            for name in queues.NAMES:
                pipe.llen(name)
            return pipe.execute()

    found = _answer(redis.client_at(settings.CELERY_BROKER_URL), ask)
    if found is None:
        return dict.fromkeys(queues.NAMES)
    return dict(zip(queues.NAMES, found, strict=True))


def _servers() -> list[Server]:
    """Postgres, and each Redis server once, whatever number of rooms it holds."""
    known: dict[redis.Breaker, tuple[Redis, list[str]]] = {}
    for room, use in ROOMS.items():
        known.setdefault(redis.breaker_of(room), (redis.client(room), []))[1].append(str(use))
    broker = settings.CELERY_BROKER_URL
    asked = known.setdefault(redis.breaker_at(broker), (redis.client_at(broker), []))
    asked[1].append(str(BROKER))
    found = [Server("Postgres", _timed(_ask_postgres))]
    for client, uses in known.values():
        found.append(Server(f"Redis: {', '.join(uses)}", _answer(client, lambda c: _timed(c.ping))))
    return found


def _answer(client: Redis, work: Callable[[Redis], T]) -> T | None:
    """What the server behind ``client`` says; ``None`` if it says nothing in time."""
    try:
        return work(client)
    except RedisError:
        return None


def _timed(work: Callable[[], object]) -> float:
    """Milliseconds that ``work`` takes."""
    begun = perf_counter()
    work()
    return (perf_counter() - begun) * 1000


def _ask_postgres() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
