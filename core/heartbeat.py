"""Whether Beat, the broker and a worker still reach each other: Beat → queue → worker → a row.

A worker can be alive and deaf (it lost its queue when Redis came back), which no list of
processes shows. Each queue has a heartbeat of its own, because each may have a worker of its own.
"""

from __future__ import annotations

from django.utils import timezone

from .models import Heartbeat
from .queues import BULK, CRITICAL, DEFAULT, NAMES

# Two were missed and the third is late; a task in ``bulk`` may take half an hour, and the heartbeat
# waits behind it. deploy/prometheus/alerts.yml repeats the two numbers.
STALE_SECONDS = {CRITICAL: 180, DEFAULT: 180, BULK: 2400}


def beat(queue: str) -> None:
    """Note that ``queue`` is served now. One statement; repeatable."""
    Heartbeat.objects.bulk_create(
        [Heartbeat(queue=queue, beaten_at=timezone.now())],
        update_conflicts=True,
        unique_fields=["queue"],
        update_fields=["beaten_at"],
    )


def ages() -> dict[str, float | None]:
    """Seconds since the last beat of each queue, ``None`` for one that never was. One query."""
    now, seen = timezone.now(), dict(Heartbeat.objects.values_list("queue", "beaten_at"))
    return {
        name: (now - seen[name]).total_seconds() if name in seen else None for name in NAMES
    }  # fmt: skip


def is_stale(queue: str, age: float | None) -> bool:
    """Whether nobody serves ``queue``, whose last beat is ``age`` seconds old."""
    return age is None or age > STALE_SECONDS[queue]
