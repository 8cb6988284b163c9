"""Background work of the debates. A task is a door: it calls a service."""

from __future__ import annotations

import logging

from celery import shared_task
from django.db.models import Max, Min

from . import counters, services
from .models import DebateTopic

logger = logging.getLogger(__name__)

CHUNK_TOPICS = 1_000  # some 10,000 posts a query: far below the statement timeout


@shared_task(name="debates.tasks.reconcile_counters", ignore_result=True)
def reconcile_counters() -> None:
    """Find the debates whose counters drifted, a range of ids at a time; repair and log each.

    Repeatable: what is sound is only read.
    """
    ids = DebateTopic.objects.aggregate(first=Min("pk"), last=Max("pk"))
    if ids["first"] is None:
        return
    for first in range(ids["first"], ids["last"] + 1, CHUNK_TOPICS):
        for topic_id in counters.drifted_topics(first, first + CHUNK_TOPICS - 1):
            if drift := services.sync_topic(topic_id):
                logger.warning("counters drifted topic=%s drift=%s", topic_id, drift)
