"""Background work of the ground floor. A task is a door: it calls, it does not do."""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone
from django_celery_results.models import TaskResult

from . import cache, mail, pruning
from . import heartbeat as hearts

logger = logging.getLogger(__name__)


@shared_task(name="core.tasks.clear_expired_cache", ignore_result=True)
def clear_expired_cache() -> None:
    """Retire the derived entries of this site; sessions, counters and queues stay."""
    cache.retire_derived()
    logger.info("derived cache entries retired")


@shared_task(name="core.tasks.clear_expired_sessions", ignore_result=True)
def clear_expired_sessions() -> None:
    """Delete session rows past their date, in chunks. Repeating it finds nothing."""
    gone = pruning.delete_in_chunks(Session.objects.filter(expire_date__lt=timezone.now()))
    logger.info("expired sessions deleted number=%d", gone)


@shared_task(name="core.tasks.clear_expired_results", ignore_result=True)
def clear_expired_results() -> None:
    """Delete results past their hour, in chunks. Repeating it finds nothing.

    Celery's own clean-up is one DELETE, which times out the day it has much to do.
    """
    oldest = timezone.now() - timedelta(seconds=settings.CELERY_RESULT_EXPIRES)
    gone = pruning.delete_in_chunks(TaskResult.objects.filter(date_done__lt=oldest))
    logger.info("expired results deleted number=%d", gone)


@shared_task(name="core.tasks.heartbeat", ignore_result=True)
def heartbeat(queue: str) -> None:
    """Note that ``queue`` is served; Beat sends one through each."""
    hearts.beat(queue)


@shared_task(
    name="core.tasks.send_mail",
    ignore_result=True,
    soft_time_limit=mail.SEND_SECONDS,
    time_limit=mail.KILL_SECONDS,
)
def send_mail(mail_id: int) -> None:
    """Hand over one mail. Repeatable: it is claimed in its row first."""
    mail.send(mail_id)


@shared_task(name="core.tasks.sweep_mail", ignore_result=True)
def sweep_mail() -> None:
    """Find the mails whose message was lost or whose worker was killed. Repeatable."""
    mail.sweep()


@shared_task(name="core.tasks.clear_old_mail", ignore_result=True)
def clear_old_mail() -> None:
    """Delete the rows of mails that ended 90 days ago, in chunks. Repeating it finds nothing."""
    gone = mail.clear_old()
    logger.info("old mail rows deleted number=%d", gone)


@shared_task(name="core.tasks.test_async_task", ignore_result=False)
def test_async_task(message: str) -> str:
    """Answer ``Processed: <message>``; the result is kept, so ``.get(timeout=10)`` works."""
    logger.info("test task executed")
    return f"Processed: {message}"


test_async_task.__test__ = False  # its name is the owner's; it is no test case
