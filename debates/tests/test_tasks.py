"""Background work: what it may take its time for."""

from __future__ import annotations

from unittest import mock

from django.db import connection
from django.test import TransactionTestCase

from debates import counters, tasks
from tests.factories import make_topic


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
