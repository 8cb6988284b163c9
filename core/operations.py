"""How the machinery is, for the staff page: servers, queues, mail, the schedule.

A server that is gone is shown as such and costs what ``core.health`` waits for all of them
together (400 ms), and the broker's time-outs once more for the lengths of its queues; while its
breaker is open it costs nothing. Postgres is the exception: the page's own session and user come
from there, so without it there is no page.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import PeriodicTask

from . import health, heartbeat, mail
from .enqueue import queue_lengths

# The parts of /readyz by which servers answer, and their states, in the reader's words. Heartbeats
# and mail have lines of their own.
SERVERS = {
    "traffic": _("Este processo"),
    "postgres": "Postgres",
    "migrations": _("Migrações"),
    "cache": _("Redis: páginas"),
    "sessions": _("Redis: sessões"),
    "limits": _("Redis: limites"),
    "broker": _("Redis: tarefas"),
}
STATES = {
    health.OK: _("em ordem"),
    health.PENDING: _("por aplicar"),
    health.DRAINING: _("encerrando"),
}
SILENT = _("sem resposta")


@dataclass(frozen=True)
class Server:
    """How one of ``SERVERS`` is, in words, and the milliseconds it took to know."""

    name: str
    state: str
    is_well: bool
    milliseconds: float


@dataclass(frozen=True)
class QueueState:
    """``waiting`` tasks (``None``: the broker did not say); ``age`` in seconds of the last heartbeat."""

    name: str
    waiting: int | None
    age: float | None

    @property
    def is_well(self) -> bool:
        return not heartbeat.is_stale(self.name, self.age)


@dataclass(frozen=True)
class MailState:
    """``waiting`` mails of a queue; the oldest that nobody has tried was written ``age`` seconds ago.

    0 when each was tried: a server refused them for now, and they wait for their next try.
    """

    name: str
    waiting: int
    age: float

    @property
    def is_well(self) -> bool:
        return not health.is_late(self.name, self.age)


@dataclass(frozen=True)
class Overview:
    servers: list[Server]
    queues: list[QueueState]
    mails: list[MailState]
    schedule: list[PeriodicTask]

    @property
    def is_well(self) -> bool:
        return (
            all(server.is_well for server in self.servers)
            and all(queue.is_well for queue in self.queues)
            and all(mails.is_well for mails in self.mails)
        )


def overview() -> Overview:
    """Ask everything once: three queries, what ``core.health`` asks, a round trip to the broker.

    The queries: heartbeats, waiting mail, the schedule. What failed the metrics tell: nobody keeps
    the results of tasks.
    """
    servers, waiting = _servers(), queue_lengths()
    return Overview(
        servers=servers,
        queues=[QueueState(name, waiting[name], age) for name, age in heartbeat.ages().items()],
        mails=[MailState(name, found.waiting, found.age) for name, found in mail.backlog().items()],
        schedule=list(
            PeriodicTask.objects.order_by("name").only("name", "task", "enabled", "last_run_at")
        ),
    )


def _servers() -> list[Server]:
    return [
        Server(
            name=str(SERVERS[part.name]),
            state=str(STATES.get(part.state, SILENT)),
            is_well=part.is_well,
            milliseconds=part.ms,
        )
        for part in health.parts()
        if part.name in SERVERS
    ]
