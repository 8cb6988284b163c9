"""core.pruning, and the sessions that Beat has deleted with it: in pieces, all of it, nothing else."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import pruning, tasks


def make_sessions(number: int, *, prefix: str, age: timedelta) -> None:
    expires = timezone.now() - age
    Session.objects.bulk_create(
        Session(session_key=f"{prefix}{n}", session_data="x", expire_date=expires)
        for n in range(number)
    )


class PruningTests(TestCase):
    def test_more_than_a_chunk_goes_in_pieces_and_nothing_else(self):
        make_sessions(25, prefix="old", age=timedelta(days=1))
        make_sessions(3, prefix="new", age=-timedelta(days=1))
        old = Session.objects.filter(expire_date__lt=timezone.now())
        with CaptureQueriesContext(connection) as seen:
            assert pruning.delete_in_chunks(old, chunk=10) == 25
        deleted = [query["sql"] for query in seen if query["sql"].startswith("DELETE")]
        assert [sql.count("'old") for sql in deleted] == [10, 10, 5]
        assert Session.objects.count() == 3
        assert pruning.delete_in_chunks(old, chunk=10) == 0

    def test_a_whole_number_of_chunks_ends_too(self):
        make_sessions(20, prefix="old", age=timedelta(days=1))
        assert pruning.delete_in_chunks(Session.objects.all(), chunk=10) == 20

    def test_sessions_past_their_date_are_deleted_and_living_ones_stay(self):
        make_sessions(pruning.CHUNK_ROWS + 1, prefix="old", age=timedelta(seconds=1))
        make_sessions(2, prefix="new", age=-timedelta(minutes=1))
        for _time in range(2):  # Beat may send it twice
            with self.assertLogs("core.tasks", "INFO") as said:
                tasks.clear_expired_sessions()
        assert "number=0" in said.output[0]
        kept = Session.objects.values_list("session_key", flat=True)
        assert sorted(kept) == ["new0", "new1"]
