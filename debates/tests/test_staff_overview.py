"""The staff page: who may open it, what it shows, what it costs, and life without Redis."""

from __future__ import annotations

import re
from datetime import date, timedelta
from xml.etree import ElementTree

from django.conf import settings
from django.core.cache import caches
from django.db import connection
from django.test import TestCase, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from core import beat, cache, heartbeat, mail, operations, queues, redis
from core.models import OutgoingMail
from debates import reports
from debates.models import DriftReport, WeeklyReport
from debates.reports import WEEK
from tests.factories import make_post, make_staff, make_topic, make_user
from tests.keeping import another_process

PATH = "/equipe/"
HOSTILE = "<script>alert(1)</script>\"'&{{ x }}"
# session, user; this week (3), who waits; reports, recounts, the last with drift; heartbeats,
# waiting mail, schedule, failed tasks
COLD, WARM = 12, 7


class PageTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.staff = make_staff()
        cls.this = reports.current_week()

    def setUp(self):
        self.client.force_login(self.staff)

    def get(self) -> str:
        response = self.client.get(PATH)
        assert response.status_code == 200
        return response.text

    def make_weeks(self, number: int) -> None:
        WeeklyReport.objects.bulk_create(
            WeeklyReport(
                week=self.this - (n + 1) * WEEK, new_members=n, new_topics=n + 20, new_posts=n * 100,
                unanswered_topics=n, first_reply_seconds=n * 600 or None,
            )
            for n in range(number)
        )  # fmt: skip

    def make_nights(self, number: int) -> None:
        today = timezone.localdate()
        lines = [{"topic": 7, "counter": HOSTILE, "stored": 1, "real": 2}] * 20
        DriftReport.objects.bulk_create(
            DriftReport(
                night=today - timedelta(days=n), runs=2, finished_runs=1, checked=1234, drifted=n,
                lines=lines if n else [],
            )
            for n in range(number)
        )  # fmt: skip


class WhoTests(PageTestCase):
    def test_visitors_are_sent_to_the_login_and_members_find_nothing(self):
        self.client.logout()
        response = self.client.get(PATH)
        assert (response.status_code, response.url) == (302, "/conta/entrar/?next=/equipe/")
        self.client.force_login(make_user())
        assert self.client.get(PATH).status_code == 404
        assert self.client.post(PATH).status_code == 405

    def test_only_the_menu_of_staff_leads_there(self):
        assert f'href="{PATH}"' in self.client.get("/").text
        self.client.force_login(make_user())
        assert f'href="{PATH}"' not in self.client.get("/").text

    def test_nothing_keeps_it(self):
        headers = self.client.get(PATH).headers
        assert "no-store" in headers["Cache-Control"]
        assert "private" in headers["Cache-Control"]


class CommunityTests(PageTestCase):
    def test_an_empty_site_has_its_page(self):
        text = self.get()
        for sentence in (
            "Todos os debates das últimas quatro semanas foram respondidos.",
            "Nenhuma noite recontou ainda.",
            "O Beat ainda não começou.",
        ):
            assert sentence in text

    def test_twelve_weeks_and_this_one_in_the_table(self):
        self.make_weeks(15)
        make_post(make_topic())
        rows = re.findall(r"<tr><th scope=\"row\">(\d\d/\d\d/\d{4})(.*?)</tr>", self.get())[:14]
        weeks = [self.this - n * WEEK for n in range(13)]
        assert [row[0] for row in rows][:13] == [f"{week:%d/%m/%Y}" for week in weeks]
        cells = [re.findall("<td>(.*?)</td>", row[1]) for row in rows]
        assert "(em curso)" in rows[0][1]
        assert cells[0][1:4] == ["1", "1", "0"]
        assert cells[2] == ["1", "21", "100", "1", "10 min"]

    def test_five_pictures_of_thirteen_weeks_and_a_gap_where_a_week_is_missing(self):
        self.make_weeks(12)
        WeeklyReport.objects.filter(week=self.this - 3 * WEEK).delete()
        pictures = re.findall(r'<svg class="chart".*?</svg>', self.get(), re.DOTALL)
        assert len(pictures) == 5
        drawn = [ElementTree.fromstring(one) for one in pictures]  # noqa: S314  our own
        assert [len(list(one.iter("rect"))) for one in drawn] == [12, 12, 12, 12, 0]
        assert len(list(drawn[4].iter("circle"))) == 10  # the first week and this have no answer
        ids = [node.get("id") for one in drawn for node in one.iter() if node.get("id")]
        assert len(ids) == len(set(ids)) == 10

    def test_who_waits_is_listed_and_hostile_titles_stay_words(self):
        topic = make_topic(title=HOSTILE)
        make_post(make_topic(title="Já respondido"))
        self.make_nights(2)
        text = self.get()
        assert topic.get_absolute_url() in text
        assert "Já respondido" not in text
        assert "<script>alert" not in text
        assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 11  # the title, ten drifts

    def test_the_last_night_with_drift_is_told_and_a_run_that_did_not_end_is_marked(self):
        self.make_nights(3)
        text = self.get()
        yesterday = timezone.localdate() - timedelta(days=1)
        assert f"O que estava errado em {yesterday:%d/%m/%Y}" in text
        assert text.count("Debate 7:") == 10
        assert '<td class="danger">1/2</td>' in text

    def test_the_running_week_is_counted_anew_when_the_next_one_begins(self):
        make_topic()
        figures, waiting = self.of_week(self.this)
        assert (figures.new_topics, len(waiting)) == (1, 1)
        figures, _waiting = self.of_week(self.this + WEEK)
        assert figures.new_topics == 0

    def of_week(self, week: date):
        from debates.cache import week_so_far

        return week_so_far(week)


class SystemTests(PageTestCase):
    def test_everything_is_well(self):
        beat.create_missing_rows()
        for name in queues.NAMES:
            heartbeat.beat(name)
        text = self.get()
        assert text.count(">atendida<") == len(queues.NAMES)
        assert text.count("<td>em ordem</td>") == len(operations.SERVERS)
        for waiting in operations.queue_lengths().values():
            assert f"<td>{waiting} tarefa" in text
        assert text.count(">em dia<") == len(queues.NAMES)
        assert "weekly-report" in text
        assert "sem resposta" not in re.sub("(?i)debates sem resposta", "", text)

    def test_a_deaf_worker_late_mail_and_a_switched_off_entry_are_seen(self):
        beat.create_missing_rows()
        PeriodicTask.objects.filter(name="fold-views").update(enabled=False)
        heartbeat.beat(queues.BULK)
        heartbeat.Heartbeat.objects.update(beaten_at=timezone.now() - timedelta(hours=1))
        mail.post(to="a@example.com", subject="x", text="y")
        OutgoingMail.objects.update(created_at=timezone.now() - timedelta(hours=2))
        text = self.get()
        assert ">não atendida<" in text
        assert "sinal há 1 h 00 min" in text
        assert text.count(">nunca atendida<") == 2
        assert ">desligada<" in text
        assert text.count(">atrasado<") == 1
        assert "1 por enviar; o primeiro há 2 h 00 min" in text

    def test_digests_of_this_morning_and_a_full_mailbox_are_no_trouble(self):
        mail.post(to="a@example.com", subject="x", text="y", queue=queues.BULK)
        mail.post(to="b@example.com", subject="x", text="y")
        OutgoingMail.objects.update(created_at=timezone.now() - timedelta(hours=2))
        OutgoingMail.objects.filter(queue=queues.DEFAULT).update(refusals=3)
        text = self.get()
        assert "atrasado" not in text
        assert "1 por enviar; o primeiro há 2 h 00 min" in text
        assert "1 por enviar; à espera de nova tentativa" in text

    def test_what_waits_in_a_queue_is_counted(self):
        before = operations.queue_lengths()
        broker = redis.client_at(settings.CELERY_BROKER_URL)
        broker.rpush(queues.BULK, "um", "dois")
        try:
            after = operations.queue_lengths()
        finally:
            broker.lrem(queues.BULK, 0, "um")
            broker.lrem(queues.BULK, 0, "dois")
        assert after == {**before, queues.BULK: before[queues.BULK] + 2}


class CostTests(PageTestCase):
    def costs(self) -> tuple[int, int]:
        """Queries of a cold look, and of a second one by another process."""
        for alias in settings.CACHES:
            caches[alias].clear()
        cache.forget()
        self.client.force_login(self.staff)
        for alias in settings.CACHES:
            caches[alias].clear()
        found = []
        for _look in range(2):
            with another_process(), CaptureQueriesContext(connection) as seen:
                self.get()
            found.append(len(seen))
        return found[0], found[1]

    def test_it_costs_the_same_with_few_rows_and_with_many(self):
        assert self.costs() == (COLD, WARM)
        self.make_weeks(40)
        self.make_nights(60)
        beat.create_missing_rows()
        for _n in range(15):
            make_topic()
            make_post(make_topic())
        for n in range(20):
            mail.post(to=f"a{n}@example.com", subject="x", text="y")
        assert self.costs() == (COLD, WARM)

    @override_settings(PAGE_CACHE=False)
    def test_without_a_cache_it_costs_what_it_costs_cold(self):
        self.get()
        with self.assertNumQueries(COLD - 1):  # the session is in Redis by now
            self.get()
