"""Background work of the debates. A task is a door: it calls a service."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone

from core.metrics import counting

from . import drift, notice_mails, notices, notifying, reading_counts, report_mail
from .models import DebatePost, DebateTopic

logger = logging.getLogger(__name__)


@shared_task(name="debates.tasks.reconcile_counters", ignore_result=True)
def reconcile_counters() -> None:
    """Recount every debate and keep a report of what had drifted; forget reports of last year.

    Repeatable: what is sound is only read.
    """
    drift.recount(timezone.localdate())
    drift.clear_old()


@shared_task(name="debates.tasks.fold_views", ignore_result=True)
def fold_views() -> None:
    """Add the readings that Redis gathered to the debates. Repeatable: a batch counts once."""
    reading_counts.fold()


@shared_task(name="debates.tasks.weekly_report", ignore_result=True)
def weekly_report() -> None:
    """Count the full weeks that are missing and mail the last one to staff.

    Repeatable: a week has one row, and its mails are written with it.
    """
    report_mail.tell_staff()


# --- notifications -----------------------------------------------------------------


@shared_task(name="debates.tasks.notify_of_post", ignore_result=True)
def notify_of_post(post_id: int, after: int = 0) -> None:
    """Tell readers of a reply, followers from the one after ``after`` on. Repeatable."""
    notifying.notify(DebatePost, post_id, after)


@shared_task(name="debates.tasks.notify_of_topic", ignore_result=True)
def notify_of_topic(topic_id: int, after: int = 0) -> None:
    """Tell readers of a new debate. Repeatable: each is told once."""
    notifying.notify(DebateTopic, topic_id, after)


@shared_task(name="debates.tasks.sweep_notifications", ignore_result=True)
def sweep_notifications() -> None:
    """Find the replies and debates that nobody was told of. Repeatable."""
    notifying.sweep()


@shared_task(name="debates.tasks.send_digests", ignore_result=True)
def send_digests(frequency: str) -> None:
    """Mail the digests that are due. Repeatable: one a reader and date."""
    sent = notice_mails.send_digests(frequency)
    logger.info("digests written frequency=%s number=%d", frequency, sent)


@shared_task(name="debates.tasks.clear_old_notifications", ignore_result=True)
def clear_old_notifications() -> None:
    """Delete notifications read 30 days ago, and all that are 180 days old. Repeatable."""
    logger.info("old notifications deleted number=%d", notices.remove_old())


@shared_task(name="debates.tasks.reconcile_unread", ignore_result=True)
def reconcile_unread() -> None:
    """Recount everybody's unread notifications; repair, count and log each drift. Repeatable."""
    for user_id, stored, real in notices.reconcile():
        counting.count("counters_drifted")
        logger.warning("unread count drifted user=%s stored=%d real=%d", user_id, stored, real)
