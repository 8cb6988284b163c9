"""load_demo: what a fresh site shows, loaded once, all or nothing, never on a public site."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db.models import F, Max
from django.test import TestCase, override_settings
from django.utils import timezone

from accounts.models import BookReview, ReadingProgress, ShelfItem, User
from accounts.services import sync_reviews
from core.models import Author, Book, Category
from debates import notices, notifying, services
from debates.demo import loading
from debates.models import PATH_LEVELS, DebatePost, DebateTopic, DebateVote, Notification
from tests.factories import make_topic
from tests.servers import child_environment

MODELS = (
    Author, Book, BookReview, Category, DebatePost, DebateTopic, DebateVote, ReadingProgress,
    ShelfItem, User,
)  # fmt: skip


def load_demo(*words: str) -> str:
    said = StringIO()
    call_command("load_demo", *words, stdout=said, no_color=True)
    return said.getvalue()


def counts() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in MODELS}


class LoadedTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.said = load_demo()

    def test_there_is_enough_to_read(self):
        assert Book.objects.count() >= 55
        assert DebateTopic.objects.count() >= 25
        assert DebatePost.objects.count() >= 300
        assert DebateVote.objects.count() >= 300
        assert BookReview.objects.count() >= 10
        assert User.objects.count() >= 15

    def test_the_command_says_what_it_loaded(self):
        assert f"{DebateTopic.objects.count()} topics" in self.said
        assert f"{DebatePost.objects.count()} posts" in self.said
        assert f"{DebateVote.objects.count()} votes" in self.said

    def test_every_kind_of_debate_is_there(self):
        for flag in ("is_pinned", "is_locked", "is_deleted"):
            assert DebateTopic.objects.filter(**{flag: True}).exists(), flag
        live = DebateTopic.objects.published()
        assert live.filter(spoiler_percent=0).exists()
        assert live.filter(spoiler_percent__gt=0).exists()
        posts = DebatePost.objects.filter(topic__is_deleted=False)
        assert posts.filter(is_deleted=True, replies_count__gt=0).exists()
        assert DebateVote.objects.filter(value=-1).exists()

    def test_replies_go_deep_and_each_depth_has_company(self):
        depths = DebatePost.objects.values_list("depth", flat=True)
        for depth in range(5):
            assert list(depths).count(depth) >= 5, depth
        assert max(depths) > PATH_LEVELS  # one thread shows what happens below the cap

    def test_no_counter_drifts(self):
        for topic in DebateTopic.objects.all():
            assert services.sync_topic(topic.pk) == {}, topic
        for book in Book.objects.all():
            sync_reviews(book.pk)
            again = Book.objects.get(pk=book.pk)
            assert again.rating_histogram == book.rating_histogram, book
            assert again.reviews_count == book.reviews_count

    def test_time_runs_forwards_and_ends_now(self):
        now = timezone.now()
        assert not DebatePost.objects.filter(created_at__lt=F("topic__created_at")).exists()
        assert not DebatePost.objects.filter(created_at__lte=F("parent__created_at")).exists()
        assert not DebatePost.objects.filter(created_at__gt=now).exists()
        assert not DebateTopic.objects.filter(updated_at__gt=now).exists()
        assert not BookReview.objects.filter(created_at__gt=now).exists()

    def test_the_site_looks_alive_and_has_a_past(self):
        newest = DebateTopic.objects.published().aggregate(at=Max("updated_at"))["at"]
        opened = DebateTopic.objects.order_by("created_at").first().created_at
        assert (timezone.now() - newest).days < 14
        assert (newest - opened).days > 60

    def test_the_bell_of_the_demos_reader_rings_and_nobody_is_told_later(self):
        reader = User.objects.get(username=loading.LOGINS[0].username)
        rows = Notification.objects.filter(user=reader)
        assert rows.count() == reader.unread_count >= 4
        assert rows.values("topic").distinct().count() == loading.NOTIFIED_TOPICS
        assert notices.reconcile() == []
        assert notifying.sweep() == 0
        assert not DebatePost.objects.filter(notified_at=None).exists()
        assert not DebateTopic.objects.filter(notified_at=None).exists()

    def test_nobody_votes_on_their_own_reply(self):
        assert not DebateVote.objects.filter(user=F("post__author")).exists()

    def test_every_text_was_rendered(self):
        assert not DebateTopic.objects.filter(description_html="").exists()
        assert not DebatePost.objects.filter(content_html="").exists()

    def test_every_book_has_an_author_a_category_and_a_year(self):
        assert not Book.objects.filter(byline="").exists()
        assert not Book.objects.filter(categories=None).exists()
        assert not Book.objects.filter(year=None).exists()

    def test_the_printed_logins_work_and_one_of_them_is_staff(self):
        lines = [line.split() for line in load_demo("--logins").splitlines()]
        assert len(lines) == len(loading.LOGINS)
        staff = set()
        for _role, username, password in lines:
            assert self.client.login(username=username, password=password), username
            staff.add(User.objects.get(username=username).is_staff)
        assert staff == {True, False}

    def test_nobody_else_can_log_in(self):
        known = [login.username for login in loading.LOGINS]
        for user in User.objects.exclude(username__in=known):
            assert not user.has_usable_password(), user

    def test_a_repeat_loads_nothing_and_says_so(self):
        before = counts()
        assert "nothing loaded" in load_demo()
        assert counts() == before


class RefusedTests(TestCase):
    def test_a_site_with_a_debate_of_its_own_is_left_as_it_is(self):
        make_topic()
        before = counts()
        assert "nothing loaded" in load_demo()
        assert counts() == before

    def test_all_or_nothing(self):
        with pytest.MonkeyPatch.context() as patch:

            def stumble(*args):
                raise RuntimeError("half way")

            patch.setattr(loading, "_load_reviews", stumble)
            with pytest.raises(RuntimeError, match="half way"):
                load_demo()
        assert set(counts().values()) == {0}

    def test_a_public_site_refuses(self):
        with override_settings(HTTPS=True), pytest.raises(CommandError, match="SITE_URL"):
            load_demo()
        assert set(counts().values()) == {0}

    def test_an_https_address_is_what_makes_a_site_public(self):
        environment = child_environment(SITE_URL="https://livros.example.com")
        ran = subprocess.run(
            [sys.executable, "manage.py", "load_demo"],
            cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 1
        assert "SITE_URL is public" in ran.stderr
