"""debates.drift: what the nightly recount notes, and that nothing of it is lost."""

from __future__ import annotations

from datetime import date, timedelta
from unittest import mock

from django.db.models import F
from django.test import TransactionTestCase
from django.utils import timezone

from debates import drift, services, tasks
from debates.models import DRIFT_LINES, DebatePost, DebateTopic, DriftReport
from tests.factories import make_post, make_topic, make_user

NIGHT = date(2026, 11, 25)


class DriftTestCase(TransactionTestCase):
    def setUp(self):
        self.author = make_user()
        self.sound = make_topic(creator=self.author)
        self.topic = make_topic(creator=self.author, book=self.sound.book)
        self.post = make_post(self.topic, author=self.author)

    def spoil(self) -> None:
        DebateTopic.objects.filter(pk=self.topic.pk).update(posts_count=7)
        DebatePost.objects.filter(pk=self.post.pk).update(score=3)

    def row(self) -> DriftReport:
        return DriftReport.objects.get(night=NIGHT)


class RecountTests(DriftTestCase):
    def test_a_sound_night_is_noted_too(self):
        drift.recount(NIGHT)
        row = self.row()
        assert (row.runs, row.finished_runs, row.checked, row.drifted) == (1, 1, 2, 0)
        assert row.lines == []

    def test_what_drifted_is_noted_and_repaired(self):
        self.spoil()
        drift.recount(NIGHT)
        row = self.row()
        assert (row.checked, row.drifted) == (2, 1)
        assert row.lines == [
            {"topic": self.topic.pk, "counter": "topic.posts_count", "stored": 7, "real": 1},
            {
                "topic": self.topic.pk,
                "counter": f"post.{self.post.pk}.score",
                "stored": 3,
                "real": 0,
            },
        ]
        assert row.sentences[0] == f"Debate {self.topic.pk}: topic.posts_count era 7, é 1"
        assert DebateTopic.objects.get(pk=self.topic.pk).posts_count == 1

    def test_dates_are_kept_as_words(self):
        DebateTopic.objects.filter(pk=self.topic.pk).update(
            updated_at=F("updated_at") + timedelta(hours=1)
        )
        drift.recount(NIGHT)
        [line] = self.row().lines
        assert line["counter"] == "topic.updated_at"
        assert line["stored"] > line["real"]

    def test_a_second_run_adds_and_loses_nothing(self):
        self.spoil()
        drift.recount(NIGHT)
        kept = self.row().lines
        drift.recount(NIGHT)
        row = self.row()
        assert (row.runs, row.finished_runs, row.checked, row.drifted) == (2, 2, 4, 1)
        assert row.lines == kept
        self.spoil()
        drift.recount(NIGHT)
        row = self.row()
        assert (row.runs, row.checked, row.drifted) == (3, 6, 2)
        assert row.lines == kept * 2

    def test_a_run_that_is_cut_short_keeps_what_it_did(self):
        self.spoil()
        with mock.patch.object(drift, "CHUNK_TOPICS", 1):
            DebateTopic.objects.filter(pk=self.sound.pk).update(posts_count=5)
            real = services.sync_topic

            def fail_at_the_second(topic_id):
                if topic_id == self.topic.pk:
                    raise MemoryError
                return real(topic_id)

            with (
                mock.patch("debates.services.sync_topic", fail_at_the_second),
                self.assertRaises(MemoryError),
            ):
                drift.recount(NIGHT)
        row = self.row()
        assert (row.runs, row.finished_runs, row.checked, row.drifted) == (1, 0, 1, 1)
        assert [line["topic"] for line in row.lines] == [self.sound.pk]

    def test_a_repair_that_could_not_be_noted_is_not_made(self):
        self.spoil()
        with (
            mock.patch("debates.drift.DriftReport.save", side_effect=OSError),
            self.assertRaises(OSError),
        ):
            drift.recount(NIGHT)
        assert DebateTopic.objects.get(pk=self.topic.pk).posts_count == 7
        drift.recount(NIGHT)
        assert self.row().drifted == 1

    def test_a_hundred_lines_are_kept_and_every_debate_is_counted(self):
        for _n in range(DRIFT_LINES + 5):
            make_post(self.topic, author=self.author)
        DebatePost.objects.update(score=3)
        DebateTopic.objects.filter(pk=self.sound.pk).update(posts_count=9)
        drift.recount(NIGHT)
        row = self.row()
        assert (len(row.lines), row.drifted) == (DRIFT_LINES, 2)

    def test_no_debates_at_all(self):
        DebateTopic.objects.all().delete()
        drift.recount(NIGHT)
        assert (self.row().checked, self.row().finished_runs) == (0, 1)


class TaskTests(DriftTestCase):
    def test_the_night_is_the_sites_own_day_and_old_ones_are_forgotten(self):
        today = timezone.localdate()
        for days in (365, 366, 900):
            DriftReport.objects.create(night=today - timedelta(days=days))
        tasks.reconcile_counters()
        nights = DriftReport.objects.values_list("night", flat=True)
        assert list(nights) == [today, today - timedelta(days=365)]
