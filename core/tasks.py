"""Background work of the ground floor. A task is a door: it calls, it does not do."""

from __future__ import annotations

import logging

from celery import shared_task
from django.core.management import call_command

from . import cache

logger = logging.getLogger(__name__)


@shared_task(name="core.tasks.clear_expired_cache", ignore_result=True)
def clear_expired_cache() -> None:
    """Retire the derived entries of this site; sessions, counters and queues stay."""
    cache.retire_derived()
    logger.info("derived cache entries retired")


@shared_task(name="core.tasks.clear_expired_sessions", ignore_result=True)
def clear_expired_sessions() -> None:
    """Delete session rows past their date. Repeating it finds nothing."""
    call_command("clearsessions")


@shared_task(name="core.tasks.test_async_task", ignore_result=False)
def test_async_task(message: str) -> str:
    """Answer ``Processed: <message>``; the result is kept, so ``.get(timeout=10)`` works."""
    logger.info("test task executed")
    return f"Processed: {message}"


test_async_task.__test__ = False  # its name is the owner's; it is no test case
