"""Two Beats send everything twice: the same task in two workers at the same moment."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from django.test import TransactionTestCase
from django.utils import timezone

from accounts.models import User
from core.models import OutgoingMail
from debates import drift, tasks
from debates.models import DebateTopic, DriftReport, WeeklyReport
from debates.reports import WEEK, WEEKS_SHOWN, current_week
from tests.factories import make_post, make_staff, make_topic

from .test_counters import at_once

WORKERS = 4


class ReportTests(TransactionTestCase):
    def test_a_week_is_counted_and_mailed_once(self):
        staff = [make_staff() for _n in range(3)]
        User.objects.update(date_joined=timezone.now() - timedelta(days=300))
        at_once([tasks.weekly_report] * WORKERS)
        weeks = list(WeeklyReport.objects.values_list("week", flat=True))
        assert weeks == [current_week() - n * WEEK for n in range(1, WEEKS_SHOWN + 1)]
        sent = OutgoingMail.objects.order_by("to").values_list("to", flat=True)
        assert list(sent) == sorted(one.email for one in staff)


class DriftTests(TransactionTestCase):
    def test_runs_of_one_night_add_up_and_a_drift_is_noted_once(self):
        for _n in range(8):
            make_post(make_topic())
        DebateTopic.objects.update(posts_count=9)
        at_once([tasks.reconcile_counters] * WORKERS)
        row = DriftReport.objects.get()
        assert (row.runs, row.finished_runs, row.checked) == (WORKERS, WORKERS, 8 * WORKERS)
        assert row.drifted == 8
        found = sorted(line["topic"] for line in row.lines)
        assert found == sorted(DebateTopic.objects.values_list("pk", flat=True))

    def test_repairs_of_different_debates_are_all_noted(self):
        ids = [make_topic().pk for _n in range(4 * WORKERS)]
        DebateTopic.objects.update(posts_count=9)
        night = timezone.localdate()
        DriftReport.objects.create(night=night)
        at_once([partial(drift._repair, night, pk) for pk in ids])
        row = DriftReport.objects.get()
        assert row.drifted == len(ids)
        assert sorted(line["topic"] for line in row.lines) == ids
