"""Background work of the debates. A task is a door: it calls a service."""

from __future__ import annotations

import logging

from celery import shared_task
from django.db.models import Max, Min

from core.database import without_statement_timeout

from . import counters, notice_mails, notices, notifying, reading_counts, services
from .models import DebatePost, DebateTopic

logger = logging.getLogger(__name__)

CHUNK_TOPICS = 1_000  # some 10,000 posts a query: no snapshot is held for long


@shared_task(name="debates.tasks.reconcile_counters", ignore_result=True)
def reconcile_counters() -> None:
    """Find the debates whose counters drifted, a range of ids at a time; repair and log each.

    Repeatable: what is sound is only read.
    """
    ids = DebateTopic.objects.aggregate(first=Min("pk"), last=Max("pk"))
    if ids["first"] is None:
        return
    for first in range(ids["first"], ids["last"] + 1, CHUNK_TOPICS):
        with without_statement_timeout():
            drifted = counters.drifted_topics(first, first + CHUNK_TOPICS - 1)
        for topic_id in drifted:
            if drift := services.sync_topic(topic_id):
                logger.warning("counters drifted topic=%s drift=%s", topic_id, drift)


@shared_task(name="debates.tasks.fold_views", ignore_result=True)
def fold_views() -> None:
    """Add the readings that Redis gathered to the debates. Repeatable: a batch counts once."""
    reading_counts.fold()


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
    """Recount everybody's unread notifications; repair and log each drift. Repeatable."""
    for user_id, stored, real in notices.reconcile():
        logger.warning("unread count drifted user=%s stored=%d real=%d", user_id, stored, real)
