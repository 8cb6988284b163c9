"""debates.reports and the mail of it: figures against rows counted by hand, each told once."""

from __future__ import annotations

from datetime import date, datetime
from unittest import mock
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import TestCase, override_settings
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from core.models import OutgoingMail
from debates import reports, tasks
from debates.models import DebatePost, DebateTopic, WeeklyReport
from debates.reports import Figures, figures
from debates.services import delete_post, delete_topic
from tests.factories import make_post, make_staff, make_topic, make_user

WEEK = date(2026, 11, 16)  # a Monday
BRASILIA = ZoneInfo("America/Sao_Paulo")


def at(day: int, hour: int = 12, minute: int = 0, second: int = 0) -> datetime:
    """A moment of November 2026 in the site's time zone."""
    return datetime(2026, 11, day, hour, minute, second, tzinfo=BRASILIA)


def opened(moment: datetime, **values) -> DebateTopic:
    topic = make_topic(**{"creator": None, **values})
    DebateTopic.objects.filter(pk=topic.pk).update(created_at=moment, updated_at=moment)
    return topic


def written(moment: datetime, topic: DebateTopic, **values) -> DebatePost:
    post = make_post(topic, **values)
    DebatePost.objects.filter(pk=post.pk).update(created_at=moment)
    return post


class FiguresTestCase(TestCase):
    def setUp(self):
        """People of long ago write everything, so that members are counted apart."""
        self.ana, self.bia = make_user(), make_user()
        User.objects.update(date_joined=at(1))

    def opened(self, moment, **values):
        return opened(moment, **{"creator": self.ana, **values})

    def written(self, moment, topic, **values):
        return written(moment, topic, **{"author": self.bia, **values})


class FiguresTests(FiguresTestCase):
    def test_nothing_happened(self):
        assert figures(WEEK) == Figures(0, 0, 0, 0, None)

    def test_a_week_counted_by_hand(self):
        quick, slow, own, silent, last_week = (self.opened(at(day)) for day in (16, 17, 18, 19, 12))
        self.written(at(16, 12, 10), quick)
        self.written(at(16, 12, 20), quick)
        self.written(at(17, 15, 0), slow)
        self.written(at(18, 13, 0), own, author=self.ana)  # the creator's own is no answer
        self.written(at(20), last_week)
        make_user(date_joined=at(20))
        make_user(date_joined=at(20), is_active=False)
        # 10 minutes and three hours: the median of two is halfway between
        assert figures(WEEK) == Figures(
            new_members=1,
            new_topics=4,
            new_posts=5,
            unanswered_topics=2,
            first_reply_seconds=(10 * 60 + 180 * 60) // 2,
        )

    def test_the_week_begins_and_ends_at_midnight_in_brasilia(self):
        # 22:30 on Sunday in Brasília is Monday in UTC
        for moment, is_in in (
            (at(15, 23, 59, 59), False),
            (at(16, 0, 0, 0), True),
            (at(22, 22, 30), True),
            (at(22, 23, 59, 59), True),
            (at(23, 0, 0, 0), False),
        ):
            with self.subTest(moment=moment), transaction.atomic():
                topic = self.opened(moment)
                self.written(moment, topic)
                make_user(date_joined=moment)
                found = figures(WEEK)
                assert (found.new_members, found.new_topics, found.new_posts) == (is_in,) * 3
                transaction.set_rollback(True)

    def test_what_was_removed_does_not_count_and_a_removed_answer_answers_nothing(self):
        topic, gone = self.opened(at(17)), self.opened(at(17))
        self.written(at(18), gone)
        answer = self.written(at(18), topic)
        assert figures(WEEK) == Figures(0, 2, 2, 0, 24 * 3600)
        delete_topic(topic=gone, actor=make_staff(date_joined=at(1)))
        assert figures(WEEK) == Figures(0, 1, 1, 0, 24 * 3600)
        delete_post(post=answer, actor=self.bia)
        assert figures(WEEK) == Figures(0, 1, 0, 1, None)

    def test_an_answer_of_the_next_week_is_an_answer_when_it_is_counted(self):
        topic = self.opened(at(22, 23, 0))
        self.written(at(23, 1, 0), topic)
        assert figures(WEEK) == Figures(0, 1, 0, 0, 2 * 3600)

    def test_it_costs_three_queries_whatever_there_is(self):
        for rows in range(3):
            for _n in range(rows * 5):
                self.written(at(18), self.opened(at(17)))
            with self.assertNumQueries(3):
                figures(WEEK)

    def test_who_waits(self):
        """Open debates of four weeks without an answer; the longest wait first."""
        with mock.patch("django.utils.timezone.now", return_value=at(25)):
            answered, first, second = (self.opened(at(day)) for day in (10, 11, 12))
            self.written(at(13), answered)
            self.written(at(13), first, author=self.ana)
            self.opened(at(12), is_locked=True)
            delete_topic(topic=self.opened(at(12)), actor=self.ana)
            self.opened(datetime(2026, 10, 1, tzinfo=BRASILIA))
            assert reports.waiting_topics() == [first, second]
            for day in range(13, 23):
                self.opened(at(day))
            assert len(reports.waiting_topics()) == 10


class RowTests(TestCase):
    VALUES = {"new_members": 1, "new_topics": 1, "new_posts": 1, "unanswered_topics": 1}

    def test_a_week_has_one_row_and_begins_on_monday(self):
        WeeklyReport.objects.create(week=WEEK, **self.VALUES)
        for week in (WEEK, date(2026, 11, 17), date(2026, 11, 22)):
            with self.subTest(week=week), self.assertRaises(IntegrityError), transaction.atomic():
                WeeklyReport.objects.create(week=week, **self.VALUES)

    def test_no_more_are_unanswered_than_there_are(self):
        row = WeeklyReport(week=WEEK, **{**self.VALUES, "unanswered_topics": 2})
        with self.assertRaises(ValidationError):
            row.validate_constraints()


class TaskTestCase(FiguresTestCase):
    def setUp(self):
        super().setUp()
        self.staff = [make_staff(date_joined=at(1)) for _n in range(2)]
        make_staff(date_joined=at(1), is_active=False)
        make_staff(date_joined=at(1), email="")

    def run_at(self, moment: datetime) -> None:
        with mock.patch("django.utils.timezone.now", return_value=moment):
            tasks.weekly_report()

    def weeks(self) -> list[date]:
        return sorted(WeeklyReport.objects.values_list("week", flat=True))

    def mails(self) -> list[tuple[str, str]]:
        return sorted(OutgoingMail.objects.values_list("to", "key"))


class TaskTests(TaskTestCase):
    def expected(self, week: date) -> list[tuple[str, str]]:
        return sorted((one.email, f"weekly-report:{week}:{one.pk}") for one in self.staff)

    def test_twice_is_one_row_a_week_and_one_mail_a_person(self):
        for moment in (at(23, 6), at(23, 6), at(24, 6)):
            self.run_at(moment)
            assert self.weeks()[-1] == WEEK
            assert self.mails() == self.expected(WEEK)
        assert len(self.weeks()) == len(set(self.weeks()))

    def test_a_missed_monday_is_made_good_on_another_day(self):
        self.run_at(at(26, 6))  # Thursday
        assert self.weeks()[-1] == WEEK
        assert self.mails() == self.expected(WEEK)

    def test_weeks_that_were_missed_get_their_row_and_only_the_last_one_is_mailed(self):
        self.run_at(at(9, 6))
        OutgoingMail.objects.all().delete()
        self.run_at(at(30, 6))
        assert self.weeks()[-4:] == [date(2026, 11, day) for day in (2, 9, 16, 23)]
        assert self.mails() == self.expected(date(2026, 11, 23))

    def test_an_older_week_that_is_missing_is_not_mailed_after_the_last_one(self):
        self.run_at(at(23, 6))
        WeeklyReport.objects.filter(week=date(2026, 11, 9)).delete()
        self.run_at(at(24, 6))
        assert date(2026, 11, 9) in self.weeks()
        assert self.mails() == self.expected(WEEK)

    def test_no_week_before_the_first_account(self):
        User.objects.update(date_joined=at(11))
        self.run_at(at(30, 6))
        assert self.weeks() == [date(2026, 11, day) for day in (9, 16, 23)]

    def test_a_week_that_is_kept_is_not_counted_again(self):
        self.run_at(at(23, 6))
        self.opened(at(18))
        self.run_at(at(24, 6))
        assert WeeklyReport.objects.get(week=WEEK).new_topics == 0

    def test_a_site_without_anybody_has_nothing_to_report(self):
        with mock.patch("debates.reports.User.objects.aggregate", return_value={"first": None}):
            self.run_at(at(23, 6))
        assert self.weeks() == []

    def test_a_mail_that_cannot_be_written_leaves_no_row_behind(self):
        with mock.patch("core.mail.post", side_effect=OSError), self.assertRaises(OSError):
            self.run_at(at(23, 6))
        assert self.weeks() == self.mails() == []
        self.run_at(at(23, 7))
        assert self.mails() == self.expected(WEEK)

    def test_the_queries_do_not_grow_with_what_was_written(self):
        def cost() -> int:
            WeeklyReport.objects.all().delete()
            OutgoingMail.objects.all().delete()
            with CaptureQueriesContext(connection) as seen:
                self.run_at(at(23, 6))
            return len(seen)

        few = cost()
        for _n in range(10):
            self.written(at(18), self.opened(at(17)))
        assert cost() == few


class MailTests(TaskTestCase):
    def mail(self) -> OutgoingMail:
        for report_week, posts in ((date(2026, 11, 9), 4), (WEEK, None)):
            if posts is not None:
                WeeklyReport.objects.create(
                    week=report_week, new_members=0, new_topics=1, new_posts=posts,
                    unanswered_topics=0, first_reply_seconds=7200,
                )  # fmt: skip
        topic = self.opened(at(17))
        self.written(at(17, 13, 30), topic)
        self.run_at(at(23, 6))
        return OutgoingMail.objects.get(to=self.staff[0].email)

    def test_it_says_the_figures_and_what_changed(self):
        mail = self.mail()
        assert mail.subject == "CGBookStore: a semana de 16/11/2026 a 22/11/2026"
        for sentence in (
            "Novos leitores: 0 (=)",
            "Novos debates: 1 (=)",
            "Novas respostas: 1 (−3)",
            "Até a primeira resposta: 1 h 30 min (−30 min)",
        ):
            assert sentence in mail.text, mail.text
        for cell in ('<td align="right">−3</td>', "Novas respostas", "1 h 30 min"):
            assert cell in mail.html, mail.html
        assert "Entre parênteses, a diferença para a semana anterior." in mail.text
        for head in ("Indicador", "Diferença para a semana anterior"):
            assert f">{head}</th>" in mail.html
        assert "http" not in mail.text  # a site without an address links to nothing

    @override_settings(SITE_URL="https://livros.example.com")
    def test_it_leads_to_the_page(self):
        mail = self.mail()
        assert "\nhttps://livros.example.com/equipe/\n" in mail.text
        assert 'href="https://livros.example.com/equipe/"' in mail.html

    def test_without_a_week_before_nothing_is_compared(self):
        User.objects.update(date_joined=at(17))
        self.run_at(at(23, 6))
        mail = OutgoingMail.objects.first()
        text = mail.text
        assert "parênteses" not in text
        assert "Diferença" not in mail.html
        assert "Novos debates: 0\n" in text
        assert "Até a primeira resposta: –\n" in text
