"""What is asked of servers when somebody scrapes, within half a second each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Min
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from .. import asking, health, heartbeat, mail, queues, redis
from ..models import OutgoingMail
from .counting import Key

SECONDS = 0.5


def now() -> dict[Key, float]:
    """The numbers of ``names.ASKED``; those of a server that does not answer are missing."""
    parts = health.parts()
    found: dict[Key, float] = {("part_up", part.name): float(part.is_well) for part in parts}
    found["ready",] = float(health.is_ready(parts))
    answers = asking.ask(
        {"queues": {"queues": _queues}, "rows": {"beats": _beats, "mails": _mails}}, SECONDS
    )
    for answer in answers.values():
        found.update(answer.value or {})
    return found


def _queues() -> dict[Key, float]:
    broker = redis.client_at(settings.CELERY_BROKER_URL)
    with broker.pipeline(transaction=False) as pipe:
        for name in queues.NAMES:
            pipe.llen(name)
        lengths = pipe.execute()
    return {
        ("queue_length", name): float(length)
        for name, length in zip(queues.NAMES, lengths, strict=True)
    }


def _beats() -> dict[Key, float]:
    found: dict[Key, float] = {
        ("heartbeat_age_seconds", name): age
        for name, age in heartbeat.ages().items()
        if age is not None
    }
    last = PeriodicTask.objects.aggregate(last=Max("last_run_at"))["last"]
    return found | dict(_age("beat_age_seconds", last))


def _mails() -> dict[Key, float]:
    waiting = OutgoingMail.objects.filter(mail.WAITING).order_by()
    told = waiting.aggregate(number=Count("pk"), oldest=Min("created_at"))
    found: dict[Key, float] = {("mails_waiting",): float(told["number"])}
    found["oldest_mail_age_seconds",] = 0.0
    return found | dict(_age("oldest_mail_age_seconds", told["oldest"]))


def _age(name: str, since: Any) -> Iterator[tuple[Key, float]]:
    if since is not None:
        yield (name,), max((timezone.now() - since).total_seconds(), 0.0)
