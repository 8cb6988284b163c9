"""What is asked of servers when somebody scrapes, within half a second each."""

from __future__ import annotations

from django.db.models import Max
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from .. import asking, health, heartbeat, mail
from ..enqueue import queue_lengths
from .counting import Key

SECONDS = 0.5
# What never happened is an age that wakes somebody, and not a missing number.
NEVER = 365 * 86_400.0


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
    return {
        ("queue_length", name): float(length)
        for name, length in queue_lengths().items()
        if length is not None
    }


def _beats() -> dict[Key, float]:
    found: dict[Key, float] = {
        ("heartbeat_age_seconds", name): NEVER if age is None else age
        for name, age in heartbeat.ages().items()
    }
    last = PeriodicTask.objects.aggregate(last=Max("last_run_at"))["last"]
    age = (timezone.now() - last).total_seconds() if last else NEVER
    return found | {("beat_age_seconds",): max(age, 0.0)}


def _mails() -> dict[Key, float]:
    found: dict[Key, float] = {}
    for queue, waiting in mail.backlog().items():
        found["mails_waiting", queue] = float(waiting.waiting)
        found["mails_overdue", queue] = float(waiting.overdue)
        found["untried_mail_age_seconds", queue] = waiting.age
    return found
