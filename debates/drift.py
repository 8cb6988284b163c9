"""The nightly recount: every debate's counters against its rows, and a report of what was wrong.

The report grows with the work: a repair and its lines commit together, so that a run that is
killed has lost nothing of what it did.
"""

from __future__ import annotations

import logging
from datetime import date, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Max, Min
from django.utils import timezone

from core.database import without_statement_timeout
from core.metrics import counting
from core.pruning import delete_in_chunks

from . import counters, services
from .models import DRIFT_LINES, DebateTopic, DriftReport

logger = logging.getLogger(__name__)

CHUNK_TOPICS = 1_000  # some 10,000 posts a query: no snapshot is held for long
KEPT = timedelta(days=365)


def recount(night: date) -> None:
    """Find the debates whose counters drifted, a range of ids at a time; repair and note each.

    Repeatable: what is sound is only read, and a second run of the same night adds its own
    numbers to the first one's. Three queries a thousand debates, more for what drifted.
    """
    _add(night, runs=1)
    for first, last in _ranges():
        with without_statement_timeout():
            drifted = counters.drifted_topics(first, last)
        for topic_id in drifted:
            _repair(night, topic_id)
        _add(night, checked=DebateTopic.objects.filter(pk__range=(first, last)).count())
    _add(night, finished_runs=1)


def _ranges() -> list[tuple[int, int]]:
    ids = DebateTopic.objects.aggregate(first=Min("pk"), last=Max("pk"))
    if ids["first"] is None:
        return []
    starts = range(ids["first"], ids["last"] + 1, CHUNK_TOPICS)
    return [(start, start + CHUNK_TOPICS - 1) for start in starts]


@transaction.atomic
def _repair(night: date, topic_id: int) -> None:
    """Recount one debate under its lock, then note it under the report's: always in that order."""
    drift = services.sync_topic(topic_id)
    if not drift:
        return
    counting.count("counters_drifted")
    logger.warning("counters drifted topic=%s drift=%s", topic_id, drift)
    report = DriftReport.objects.select_for_update().get(night=night)
    free = max(0, DRIFT_LINES - len(report.lines))
    report.lines += [_line(topic_id, name, *values) for name, values in drift.items()][:free]
    report.drifted += 1
    report.save(update_fields=["lines", "drifted"] if free else ["drifted"])


def _line(topic_id: int, counter: str, stored: Any, real: Any) -> dict[str, Any]:
    return {"topic": topic_id, "counter": counter, "stored": stored, "real": real}


def _add(night: date, **numbers: int) -> None:
    """Add ``numbers`` to the night's row, which the first run makes. Two statements."""
    DriftReport.objects.bulk_create([DriftReport(night=night)], ignore_conflicts=True)
    sums = {name: F(name) + number for name, number in numbers.items()}
    DriftReport.objects.filter(night=night).update(**sums)


def clear_old() -> int:
    """Delete the reports of more than a year ago; return how many."""
    return delete_in_chunks(DriftReport.objects.filter(night__lt=timezone.localdate() - KEPT))
