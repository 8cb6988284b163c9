"""debates.notice_mails: each at once or gathered, in one mail and no other, nothing spoilt."""

from __future__ import annotations

from datetime import datetime, timedelta
from unittest import mock
from zoneinfo import ZoneInfo

from celery.exceptions import SoftTimeLimitExceeded
from django.db.models import F
from django.test import SimpleTestCase, TestCase, override_settings

from accounts.models import User
from cgbookstore.celery import SCHEDULE
from core.models import OutgoingMail
from debates import following, mail_links, notice_mails, notices, services, tasks
from debates.models import DebatePost, Notification
from tests.factories import make_book, make_post, make_staff, make_topic, make_user

from .test_notifying import assert_count_is_right, settle_all

HERE = ZoneInfo("America/Sao_Paulo")
# a Wednesday; all rows of the tests below are of some moment before
NOON = datetime(2036, 11, 19, 12, 0, tzinfo=HERE)
WORDS = "o mordomo é o assassino"


class DueTests(SimpleTestCase):
    def test_seven_o_clock_of_the_day_or_of_the_monday(self):
        for now, daily, weekly in [
            ("2036-11-19 12:00", "2036-11-19", "2036-11-17"),
            ("2036-11-19 07:00", "2036-11-19", "2036-11-17"),
            ("2036-11-19 06:59", "2036-11-18", "2036-11-17"),
            ("2036-11-17 07:00", "2036-11-17", "2036-11-17"),
            ("2036-11-17 06:59", "2036-11-16", "2036-11-10"),
            ("2036-11-19 22:30", "2036-11-19", "2036-11-17"),  # 01:30 of the next day, UTC
        ]:
            moment = datetime.fromisoformat(now).replace(tzinfo=HERE)
            for frequency, day in (("diario", daily), ("semanal", weekly)):
                with self.subTest(now=now, frequency=frequency):
                    due = notice_mails.due(frequency, moment.astimezone(ZoneInfo("UTC")))
                    assert due.isoformat() == f"{day}T07:00:00-03:00"


class MailTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ana = make_user(username="ana", display_name="Ana & Bia")
        cls.reader = make_user(username="leitora", display_name="Marina")
        cls.topic = make_topic(creator=cls.reader, title="Um <debate> & tanto")
        settle_all()

    def wants(self, frequency: str, user=None):
        User.objects.filter(pk=(user or self.reader).pk).update(mail_frequency=frequency)

    def reply(self, content="Palavras **dela**.", topic=None, **values) -> DebatePost:
        post = make_post(topic or self.topic, author=self.ana, content=content, **values)
        settle_all()
        return post

    def mails(self) -> list[OutgoingMail]:
        assert_count_is_right()
        return list(OutgoingMail.objects.order_by("pk"))

    def digests(self, frequency="diario", now=NOON) -> list[OutgoingMail]:
        before = OutgoingMail.objects.count()
        written = notice_mails.send_digests(frequency, now)
        mails = self.mails()
        assert len(mails) == before + written
        return mails[before:]


class AtOnceTests(MailTestCase):
    def setUp(self):
        self.wants("na-hora")

    @override_settings(SITE_URL="https://livros.example.com")
    def test_one_mail_a_notification_with_words_and_links(self):
        post = self.reply()
        (mail,) = self.mails()
        row = Notification.objects.get(user=self.reader)
        assert (mail.to, mail.queue, mail.key) == (
            self.reader.email, "default", f"notification:post:{post.pk}:{self.reader.pk}"
        )  # fmt: skip
        assert mail.subject == "Ana & Bia respondeu: Um <debate> & tanto"
        assert row.mailed_at
        stop, mute = mail_links.stop_mails(self.reader.pk), mail_links.mute_topic(
            self.reader.pk, self.topic.pk
        )  # fmt: skip
        for link in (f"https://livros.example.com{post.get_absolute_url()}", stop, mute):
            assert link.startswith("https://livros.example.com/")
            assert link in mail.text
            assert f'href="{link}"' in mail.html
        assert "Palavras dela." in mail.text
        assert "Um &lt;debate&gt; &amp; tanto" in mail.html
        assert mail.headers == {
            "List-Unsubscribe": f"<{stop}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "Auto-Submitted": "auto-generated",
        }

    def test_the_link_of_the_mail_ends_the_mails(self):
        self.reply()
        (mail,) = self.mails()
        path = mail.headers["List-Unsubscribe"].strip("<>").removeprefix(mail_links.HERE)
        assert self.client.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
        self.reply()
        assert len(self.mails()) == 1

    def test_settling_again_sends_nothing_again(self):
        post = self.reply()
        for _time in range(2):
            DebatePost.objects.filter(pk=post.pk).update(notified_at=None)
            settle_all()
        assert len(self.mails()) == 1

    def test_whoever_was_killed_between_the_rows_and_the_mails_is_made_up_for(self):
        with (
            mock.patch("debates.notice_mails.send_at_once", side_effect=KeyboardInterrupt),
            self.assertRaises(KeyboardInterrupt),
        ):
            self.reply()
        assert self.mails() == []
        assert Notification.objects.filter(user=self.reader).count() == 1
        settle_all()
        assert len(self.mails()) == 1

    def test_what_was_folded_or_removed_meanwhile_is_not_quoted(self):
        real = notice_mails.send_at_once

        def fold(post):
            services.edit_post(post=post, editor=self.ana, content=WORDS, spoiler_percent=90)

        def remove(post):
            services.delete_post(post=post, actor=self.ana)

        for change, number in ((fold, 1), (remove, 0)):
            OutgoingMail.objects.all().delete()
            post = make_post(self.topic, author=self.ana, content=WORDS)

            def late(*words, post=post, change=change):
                change(DebatePost.objects.get(pk=post.pk))
                real(*words)

            with mock.patch("debates.notice_mails.send_at_once", late):
                settle_all()
            mails = self.mails()
            assert len(mails) == number
            assert not any("mordomo" in f"{mail.text} {mail.html}" for mail in mails)

    def test_words_that_show_nothing_tell_no_plot(self):
        self.reply("---")
        (mail,) = self.mails()
        assert "conta o enredo" not in mail.text + mail.html

    def test_a_followed_book_is_named_and_the_mail_offers_to_mute_it(self):
        book = make_book(title="Vidas secas")
        self.wants("nunca")
        reader = make_user(mail_frequency="na-hora")
        following.set_state(user=reader, state="segue", book=book)
        topic = make_topic(creator=self.ana, book=book)
        settle_all()
        (mail,) = self.mails()
        link = mail_links.mute_book(reader.pk, book.pk)
        for part in (mail.text, mail.html):
            assert "Vidas secas" in part
            assert link in part
        path = link.removeprefix(mail_links.HERE)
        assert "Vidas secas" in self.client.get(path).text
        assert "Livro silenciado" in self.client.post(path).text
        assert following.state_of_book(reader, book.pk) == "silencia"
        # a digest names it too
        User.objects.filter(pk=reader.pk).update(mail_frequency="diario")
        following.set_state(user=reader, state="segue", book=book)
        Notification.objects.filter(topic=topic).update(mailed_at=None)
        (digest,) = self.digests()
        for part in (digest.text, digest.html):
            assert "Vidas secas" in part
            assert link in part

    def test_more_than_one_chunk(self):
        users = [make_user(mail_frequency="na-hora") for _n in range(4)]
        make_post(self.topic, author=self.reader, content=" ".join(f"@{u.username}" for u in users))
        with mock.patch.object(notice_mails, "CHUNK_MAILS", 2):
            settle_all()
        assert {mail.to for mail in self.mails()} == {user.email for user in users}

    def test_nobody_else_gets_one(self):
        for frequency in ("diario", "semanal", "nunca"):
            self.wants(frequency)
            self.reply()
        self.wants("na-hora")
        User.objects.filter(pk=self.reader.pk).update(email="")
        self.reply()
        assert self.mails() == []
        assert not Notification.objects.filter(mailed_at__isnull=False).exists()


class DigestTests(MailTestCase):
    def test_what_is_unread_gathered_by_debate(self):
        self.reply()
        self.reply("Outra coisa.")
        other = make_topic(creator=self.ana, title="Segundo", description="Oi, @leitora")
        settle_all()
        (mail,) = self.digests()
        assert (mail.to, mail.queue) == (self.reader.email, "bulk")
        assert mail.key == f"digest:2036-11-19:{self.reader.pk}"
        assert mail.subject == "3 avisos novos no CGBookStore"
        assert mail.text.count("Segundo") == mail.text.count("Um <debate> & tanto") == 1
        assert mail.text.index("Segundo") < mail.text.index("Um <debate>")
        for words in ("Marina", "mencionou você", "Palavras dela.", "Outra coisa.",
                      other.get_absolute_url(), "/conta/avisos/sair/?t="):  # fmt: skip
            assert words in mail.text
            assert words in mail.html
        assert "List-Unsubscribe" in mail.headers
        self.reader.refresh_from_db()
        assert self.reader.unread_count == 3

    def test_one_a_day_whoever_asks_how_often(self):
        self.reply()
        assert len(self.digests()) == 1
        assert self.digests() == []
        self.reply()  # of before noon, but the digest of the day is sent
        assert self.digests(now=NOON + timedelta(hours=1)) == []
        assert Notification.objects.filter(mailed_at=None).count() == 1
        (mail,) = self.digests(now=NOON + timedelta(days=1))
        assert mail.subject == "1 aviso novo no CGBookStore"

    def test_what_comes_after_seven_is_of_the_next_day(self):
        self.reply()
        Notification.objects.update(created_at=NOON - timedelta(hours=4))
        assert self.digests() == []
        assert len(self.digests(now=NOON + timedelta(days=1))) == 1

    def test_weekly_and_daily_and_the_others(self):
        self.reply()
        self.wants("semanal")
        assert self.digests("diario") == []
        (mail,) = self.digests("semanal")
        assert mail.key == f"digest:2036-11-17:{self.reader.pk}"
        for frequency in ("nunca", "na-hora"):
            self.wants(frequency)
            Notification.objects.update(mailed_at=None)
            assert self.digests("diario") == self.digests("semanal") == []

    def test_what_was_read_or_mailed_or_removed_is_in_none(self):
        self.reply()
        notices.mark_read(self.reader)
        assert self.digests() == []
        self.wants("na-hora")
        self.reply()
        self.wants("diario")
        assert self.digests() == []
        post = self.reply(WORDS)
        services.delete_post(post=post, actor=make_staff())  # nobody settled it yet
        assert notice_mails.send_digests("diario", NOON) == 0

    def test_somebody_without_an_address_or_gone(self):
        self.reply()
        User.objects.filter(pk=self.reader.pk).update(email="")
        assert self.digests() == []
        User.objects.filter(pk=self.reader.pk).update(email="a@example.com", is_active=False)
        assert self.digests() == []

    def test_a_long_one_ends(self):
        with mock.patch.object(notice_mails, "MOST_TOLD", 2):
            for _n in range(5):
                self.reply()
            (mail,) = self.digests()
        assert mail.subject == "5 avisos novos no CGBookStore"
        assert "E mais 3 avisos." in mail.text
        assert "E mais 3 avisos." in mail.html
        assert not Notification.objects.filter(mailed_at=None, user=self.reader).exists()

    def test_readers_are_walked_in_chunks_and_each_costs_the_same(self):
        readers = [make_user() for _n in range(5)]
        for user in readers:
            make_post(self.topic, author=user)
        self.reply()
        # three chunks and the last, empty one; a reader: their row, their rows, dates, the mail
        with (
            mock.patch.object(notice_mails, "CHUNK_READERS", 2),
            self.assertNumQueries(4 + 6 * 7),
        ):
            assert notice_mails.send_digests("diario", NOON) == 6
        # as much with more to tell, of more debates and books
        for _n in range(3):
            topic = make_topic(creator=readers[0])
            following.set_state(user=self.reader, state="segue", topic=topic)
            self.reply(topic=topic)
        with self.assertNumQueries(2 + 2 * 7):
            assert notice_mails.send_digests("diario", NOON + timedelta(days=1)) == 2

    def test_one_that_fails_does_not_hold_up_the_others(self):
        for user in (make_user(), make_user()):
            make_post(self.topic, author=user)
        self.reply()
        real = notice_mails._post

        def post(reader, *words):
            if reader == self.reader:
                raise RuntimeError("broken")
            return real(reader, *words)

        with (
            mock.patch("debates.notice_mails._post", post),
            self.assertLogs("debates.notice_mails", "ERROR"),
        ):
            assert len(self.digests()) == 2
        assert Notification.objects.filter(user=self.reader, mailed_at=None).exists()
        with (
            mock.patch("debates.notice_mails._post", side_effect=SoftTimeLimitExceeded),
            self.assertRaises(SoftTimeLimitExceeded),
        ):
            self.digests()

    def test_what_was_muted_meanwhile_waits(self):
        self.reply()
        book = self.topic.book
        following.set_state(user=self.reader, state="silencia", topic=self.topic)
        assert self.digests() == []
        following.set_state(user=self.reader, state="", topic=self.topic)
        following.set_state(user=self.reader, state="silencia", book=book)
        assert self.digests() == []
        following.set_state(user=self.reader, state="segue", topic=self.topic)
        assert len(self.digests()) == 1

    def test_each_notification_is_a_line_of_the_text(self):
        self.reply("Um.\n\nDois.\n\n* três")
        self.reply(WORDS, spoiler_percent=50)
        (mail,) = self.digests()
        assert "respondeu: Um. Dois. três\n" in mail.text
        assert "respondeu: o texto conta o enredo\n" in mail.text
        assert "conta o enredo" in mail.html

    def test_the_schedule_looks_from_the_hour_they_are_due_every_day(self):
        for name in ("daily-digests", "weekly-digests"):
            runs = SCHEDULE[name]["schedule"]
            assert min(runs.hour) == notice_mails.DIGEST_HOUR
            assert len(runs.day_of_week) == 7  # a missed Monday is made good

    def test_the_task_sends_what_is_due_now(self):
        self.reply()
        Notification.objects.update(created_at=F("created_at") - timedelta(days=8))
        for frequency in ("diario", "semanal"):
            self.wants(frequency)
            Notification.objects.update(mailed_at=None)
            OutgoingMail.objects.all().delete()
            tasks.send_digests(frequency)
            tasks.send_digests(frequency)
            assert len(self.mails()) == 1


class SpoilerTests(MailTestCase):
    def tell_all(self):
        """Every way in which words reach a reader."""
        folded = make_topic(creator=self.reader, spoiler_percent=60)
        self.reply(WORDS, spoiler_percent=1)
        self.reply(f"@leitora {WORDS}", spoiler_percent=100)
        self.reply(WORDS, topic=folded)
        self.reply(f"@leitora {WORDS}", topic=folded, spoiler_percent=60)
        make_topic(creator=self.ana, description=f"@leitora {WORDS}", spoiler_percent=5)
        settle_all()

    def test_no_mail_quotes_what_is_folded(self):
        for frequency in ("na-hora", "diario"):
            self.wants(frequency)
            self.tell_all()
            if frequency == "diario":
                assert len(self.digests()) == 1
        mails = self.mails()
        assert len(mails) == 6
        for mail in mails:
            told = f"{mail.subject} {mail.text} {mail.html}"
            assert "mordomo" not in told
        assert "conta o enredo" in mails[0].text
