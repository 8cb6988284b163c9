"""Background work of the debates. A task is a door: it calls a service."""

from __future__ import annotations

import logging

from celery import shared_task

from . import services
from .models import DebateTopic

logger = logging.getLogger(__name__)


@shared_task(name="debates.tasks.reconcile_counters", ignore_result=True)
def reconcile_counters() -> None:
    """Recount every debate, one transaction each; log what had drifted. Repeatable."""
    for topic_id in DebateTopic.objects.order_by("pk").values_list("pk", flat=True).iterator():
        if drift := services.sync_topic(topic_id):
            logger.warning("counters drifted topic=%s drift=%s", topic_id, drift)
