"""Ask whether the worker of a queue hears what is sent to it.

A worker may be alive, connected and deaf. What watches it (a container's health check, a systemd
timer) asks this each minute and restarts it on 1:

0  it hears: the last heartbeat of each queue is younger than ``--max-age``, or it is older only
   because the worker works through what came before: the oldest message is another than a while ago
1  it is deaf: the heartbeat is older, and messages lie in the queue unread
2  nobody can tell, or a restart would not help: Beat sends nothing, or the broker, Postgres is gone
"""

from __future__ import annotations

import sys
import time
from typing import Any

import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from core import heartbeat
from core.database import DATABASE_GONE
from core.queues import NAMES

HEARS, DEAF, UNKNOWN = 0, 1, 2
BROKER_SECONDS = 2.0
WATCH_SECONDS = 45.0  # a mail that takes 40 s is killed: the oldest message has changed by then


class Command(BaseCommand):
    help = (
        "Exit with 0 when the worker of the queue hears, 1 when it is deaf, 2 when nobody can tell."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("queues", nargs="+", choices=NAMES, metavar="QUEUE")
        parser.add_argument(
            "--max-age",
            type=float,
            metavar="SECONDS",
            help=f"longer than the longest task that the worker runs ({heartbeat.STALE_SECONDS})",
        )
        parser.add_argument(
            "--watch",
            type=float,
            default=WATCH_SECONDS,
            metavar="SECONDS",
            help="how long the oldest message may lie before a late worker is called deaf (%(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        worst = HEARS
        for queue in options["queues"]:
            most = options["max_age"] or heartbeat.STALE_SECONDS[queue]
            state, said = judge(queue, most, options["watch"])
            out = self.stdout if state == HEARS else self.stderr
            out.write(f"{queue}: {said}")
            if worst != DEAF and state != HEARS:
                worst = state
        sys.exit(worst)


def judge(queue: str, max_age: float, watch: float) -> tuple[int, str]:
    """The state of one queue's worker and a sentence about it; waits ``watch`` seconds if in doubt."""
    try:
        age = heartbeat.ages()[queue]
    except DATABASE_GONE as error:
        return UNKNOWN, f"Postgres does not answer: {error}".strip()
    seen = "last heartbeat never" if age is None else f"last heartbeat {age:.0f} s ago"
    if age is not None and age <= max_age:
        return HEARS, seen
    try:
        oldest, waiting = _look(queue)
        if not waiting:
            return UNKNOWN, f"{seen}, and nothing is sent: does Beat run?"
        time.sleep(watch)
        if _look(queue)[0] != oldest:
            return HEARS, f"{seen}; it works through a backlog of {waiting} messages"
    except redis.RedisError as error:
        return UNKNOWN, f"{seen}, and the broker does not answer: {error}"
    return DEAF, f"{seen}, and {waiting} messages wait unread"


def _look(queue: str) -> tuple[Any, int]:
    """The oldest message of the queue and how many lie there; raises ``RedisError``."""
    broker = redis.Redis.from_url(
        settings.CELERY_BROKER_URL,
        socket_connect_timeout=BROKER_SECONDS,
        socket_timeout=BROKER_SECONDS,
    )
    with broker, broker.pipeline() as both:
        both.lindex(queue, -1)
        both.llen(queue)
        oldest, waiting = both.execute()
    return oldest, waiting
