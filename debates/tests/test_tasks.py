"""Background work: what it may take its time for."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

from django.db import connection
from django.test import TransactionTestCase
from django.utils import timezone

from accounts.models import User
from debates import counters, reports, tasks
from tests.factories import make_topic, make_user


def timeout() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return cursor.fetchone()[0]


class ReconcileTests(TransactionTestCase):
    def test_the_recount_is_not_cut_short(self):
        seen, real = [], counters.drifted_topics

        def look(first, last):
            seen.append(timeout())
            return real(first, last)

        make_topic()
        with mock.patch("debates.counters.drifted_topics", look):
            tasks.reconcile_counters()
        assert seen == ["0"]
        assert timeout() == "30s"


class WeeklyReportTests(TransactionTestCase):
    def test_counting_is_not_cut_short(self):
        seen, real = [], reports.figures

        def look(week):
            seen.append(timeout())
            return real(week)

        make_user()
        User.objects.update(date_joined=timezone.now() - timedelta(days=9))
        with mock.patch("debates.reports.figures", look):
            tasks.weekly_report()
        assert seen
        assert set(seen) == {"0"}
        assert timeout() == "30s"
