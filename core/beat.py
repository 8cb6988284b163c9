"""The database scheduler, told once what is due: staff's changes stay."""

from __future__ import annotations

import json
import logging

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from cgbookstore.celery import SCHEDULE

logger = logging.getLogger(__name__)


class Scheduler(DatabaseScheduler):
    """Creates the rows of ``SCHEDULE`` that are missing and updates none.

    The parent rewrites every row at every start, which undoes what staff changed in the
    admin, drops ``options.expires`` silently and installs a clean-up of its own.
    """

    def setup_schedule(self) -> None:
        create_missing_rows()


def create_missing_rows() -> list[str]:
    """Create a ``PeriodicTask`` for each entry of ``SCHEDULE`` that has none; return the names."""
    created = []
    with transaction.atomic():
        known = set(PeriodicTask.objects.values_list("name", flat=True))
        for name, entry in SCHEDULE.items():
            if name in known:
                continue
            schedule, field = ModelEntry.to_model_schedule(entry["schedule"])
            row = PeriodicTask(
                name=name,
                task=entry["task"],
                args=json.dumps(entry.get("args", [])),
                queue=entry.get("queue"),
                expire_seconds=entry["expire_seconds"],
                **{field: schedule},
            )
            try:
                with transaction.atomic():
                    row.save()
            except (ValidationError, IntegrityError):
                continue  # another Beat, started at the same moment, has made it
            created.append(name)
    for name in created:
        logger.info("schedule entry created name=%s", name)
    return created
