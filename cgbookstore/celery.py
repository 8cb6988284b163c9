"""Celery's application and the one schedule of the site."""

import logging
import os
from typing import Any

from celery import Celery
from celery.schedules import crontab

from core import (
    broker,
    task_signals,  # noqa: F401  connects itself
)
from core.queues import NAMES as QUEUE_NAMES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cgbookstore.settings")

logger = logging.getLogger(__name__)

broker.install()
app = Celery("cgbookstore")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# What Beat sends. core.beat.Scheduler creates missing rows from it and never
# updates one that exists, so that what staff changed in the admin stays.
# Every task is repeatable by its data: sent twice, it finds nothing to do. An entry has ``task``,
# ``schedule`` and ``expire_seconds`` (before its next run), and perhaps ``args`` and ``queue``.
SCHEDULE: dict[str, dict[str, Any]] = {
    # One through each queue: a worker that is alive but deaf is seen within three minutes.
    **{
        f"heartbeat-{queue}": {
            "task": "core.tasks.heartbeat",
            "schedule": crontab(),  # every minute
            "expire_seconds": 55,
            "args": [queue],
            "queue": queue,
        }
        for queue in QUEUE_NAMES
    },
    # Mails whose message was lost or whose worker was killed; a lost run is the next one's.
    "sweep-mail": {
        "task": "core.tasks.sweep_mail",
        "schedule": crontab(),  # every minute
        "expire_seconds": 55,
    },
    # Results that somebody asked for, an hour ago or more.
    "clear-expired-results": {
        "task": "core.tasks.clear_expired_results",
        "schedule": crontab(minute="10"),
        "expire_seconds": 3000,
    },
    # Rows of mails that ended 90 days ago.
    "clear-old-mail": {
        "task": "core.tasks.clear_old_mail",
        "schedule": crontab(minute="30", hour="4"),
        "expire_seconds": 3600,
    },
    # Retire what was derived (never sessions, counters or queued tasks).
    "clear-expired-cache": {
        "task": "core.tasks.clear_expired_cache",
        "schedule": crontab(minute="0", hour="*/6"),
        "expire_seconds": 3600,
    },
    # Sessions past their date; a lost run only leaves rows for the next night.
    "clear-expired-sessions": {
        "task": "core.tasks.clear_expired_sessions",
        "schedule": crontab(minute="20", hour="4"),
        "expire_seconds": 3600,
    },
    # Fold the readings that Redis gathered into the debates; a lost run loses nothing.
    "fold-views": {
        "task": "debates.tasks.fold_views",
        "schedule": crontab(),  # every minute
        "expire_seconds": 55,
    },
    # Recount the counters of debates and posts; every drift is logged.
    "reconcile-counters": {
        "task": "debates.tasks.reconcile_counters",
        "schedule": crontab(minute="40", hour="4"),
        "expire_seconds": 3600,
    },
    # Count and mail the week that has ended, on Monday; on another day, if Monday was missed.
    "weekly-report": {
        "task": "debates.tasks.weekly_report",
        "schedule": crontab(minute="0", hour="6"),
        "expire_seconds": 3600,
    },
    # Replies and debates that nobody was told of: a lost message, a killed worker.
    "sweep-notifications": {
        "task": "debates.tasks.sweep_notifications",
        "schedule": crontab(),  # every minute
        "expire_seconds": 55,
    },
    # Digests due at seven; the later runs find what a lost or interrupted one left.
    "daily-digests": {
        "task": "debates.tasks.send_digests",
        "args": ["diario"],
        "schedule": crontab(minute="0", hour="7-10"),
        "expire_seconds": 3000,
    },
    "weekly-digests": {
        "task": "debates.tasks.send_digests",
        "args": ["semanal"],
        # each day: a Monday that was missed is made good, and who has theirs gets no second
        "schedule": crontab(minute="10", hour="7-10"),
        "expire_seconds": 3000,
    },
    # Notifications read 30 days ago, and all that are 180 days old.
    "clear-old-notifications": {
        "task": "debates.tasks.clear_old_notifications",
        "schedule": crontab(minute="50", hour="4"),
        "expire_seconds": 3600,
    },
    # Recount everybody's unread notifications; every drift is logged.
    "reconcile-unread": {
        "task": "debates.tasks.reconcile_unread",
        "schedule": crontab(minute="0", hour="5"),
        "expire_seconds": 3600,
    },
}


@app.task(bind=True, name="cgbookstore.celery.debug_task", ignore_result=True)
def debug_task(self) -> None:
    """Log the request it was called with: the smallest proof that a worker listens."""
    logger.info("debug task request=%r", self.request)
