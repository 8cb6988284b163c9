"""Background work of the debates. A task is a door: it calls a service."""

from __future__ import annotations

import logging

from celery import shared_task
from django.db.models import Max, Min

from core.database import without_statement_timeout
from core.metrics import counting

from . import counters, reading_counts, services
from .models import DebateTopic

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
                counting.count("counters_drifted")
                logger.warning("counters drifted topic=%s drift=%s", topic_id, drift)


@shared_task(name="debates.tasks.fold_views", ignore_result=True)
def fold_views() -> None:
    """Add the readings that Redis gathered to the debates. Repeatable: a batch counts once."""
    reading_counts.fold()
