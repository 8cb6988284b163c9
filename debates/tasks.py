"""Background work of the debates. A task is a door: it calls a service."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from . import drift, reading_counts, report_mail


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
