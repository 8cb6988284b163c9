"""Workers, readers and moderators at once: each reader is told once, and the count is the rows'."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from unittest import mock

from django.db import connection, connections
from django.test import TransactionTestCase

from accounts.models import User
from core.models import OutgoingMail
from debates import following, notice_mails, notices, notifying, services
from debates.models import DebatePost, DebateTopic, Follow, Notification
from tests.factories import make_post, make_staff, make_topic, make_user

FOLLOWERS, WORKERS, CHUNK = 60, 6, 7


def at_once(*works: Callable[[], object]) -> list[object]:
    """Run all ``works`` at the same moment, each with a connection of its own."""
    gate = threading.Barrier(len(works), timeout=60)

    def run(work):
        try:
            gate.wait()
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


@contextmanager
def without_waiting():
    """A connection whose statements may not wait for another's locks."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '1s'")
        try:
            yield
        finally:
            cursor.execute("RESET lock_timeout")


class NotificationRaceTests(TransactionTestCase):
    def setUp(self):
        notifying.CHUNK, self.chunk = CHUNK, notifying.CHUNK
        self.writer, self.staff = make_user(), make_staff()
        self.topic = make_topic(creator=self.writer)
        self.people = User.objects.bulk_create(
            User(
                username=f"seguidor{n}", email=f"s{n}@example.com", password="!",
                mail_frequency="na-hora" if n % 3 else "diario",
            )
            for n in range(FOLLOWERS)
        )  # fmt: skip
        # written in an order that is not that of the locks
        for user in reversed(self.people):
            following.set_state(user=user, state=Follow.State.FOLLOW, topic=self.topic)
        self.posts = [make_post(self.topic, author=self.writer) for _n in range(3)]

    def tearDown(self):
        notifying.CHUNK = self.chunk

    def settle(self, post) -> Callable[[], object]:
        return lambda: notifying.settle(DebatePost, post.pk)

    def assert_sound(self):
        assert notices.reconcile() == []

    def test_six_workers_on_one_post_tell_each_reader_once(self):
        post = self.posts[0]
        at_once(*[self.settle(post)] * WORKERS)
        told = Notification.objects.filter(post=post).values_list("user", flat=True)
        assert sorted(told) == sorted(user.pk for user in self.people)
        assert set(User.objects.filter(pk__in=told).values_list("unread_count", flat=True)) == {1}
        assert OutgoingMail.objects.count() == FOLLOWERS * 2 // 3
        assert DebatePost.objects.get(pk=post.pk).notified_at
        self.assert_sound()

    def test_several_posts_with_the_same_followers_while_they_read(self):
        readers = [lambda user=user: notices.mark_read(user) for user in self.people[:4]]
        at_once(*(self.settle(post) for post in self.posts), *readers)
        assert Notification.objects.count() == FOLLOWERS * len(self.posts)
        self.assert_sound()

    def test_a_post_that_is_removed_while_it_is_told_leaves_nothing(self):
        post = self.posts[0]
        at_once(
            *[self.settle(post)] * 3,
            lambda: services.delete_post(post=post, actor=self.staff),
        )
        notifying.settle(DebatePost, post.pk)
        assert not Notification.objects.filter(post=post).exists()
        self.assert_sound()

    def test_a_debate_that_is_removed_while_its_posts_are_told_leaves_nothing(self):
        def remove():
            services.delete_topic(topic=self.topic, actor=self.staff)
            notifying.settle(DebateTopic, self.topic.pk)

        at_once(*(self.settle(post) for post in self.posts), remove)
        assert not Notification.objects.exists()
        assert not User.objects.filter(unread_count__gt=0).exists()

    def test_an_edit_that_names_somebody_meanwhile_is_not_lost(self):
        post, named = self.posts[0], make_user(username="chamada")
        at_once(
            *[self.settle(post)] * 2,
            lambda: services.edit_post(
                post=post, editor=self.writer, content="@chamada", spoiler_percent=0
            ),
        )
        notifying.settle(DebatePost, post.pk)
        assert Notification.objects.get(user=named).reason == "mencao"
        self.assert_sound()

    @contextmanager
    def a_worker_hangs(self, post):
        """In the middle of telling people of ``post``; it goes on at the end of the block."""
        add, hung, goes_on = notices.add, threading.Event(), threading.Event()

        def hang(*words):
            hung.set()
            assert goes_on.wait(60)
            return add(*words)

        def work():
            try:
                notifying.settle(DebatePost, post.pk)
            finally:
                connections.close_all()

        worker = threading.Thread(target=work)
        with mock.patch.object(notices, "add", hang):
            worker.start()
            assert hung.wait(60)
        try:
            yield
        finally:
            goes_on.set()
            worker.join()

    def test_nobody_waits_for_a_worker_that_hangs_while_it_tells(self):
        post, named = self.posts[0], make_user(username="chamada")
        with self.a_worker_hangs(post), without_waiting():
            services.vote_post(post=post, user=named, value=1)
            services.create_post(topic=self.topic, author=self.writer, content="E?", parent=post)
            services.edit_post(post=post, editor=self.writer, content="@chamada", spoiler_percent=0)
            services.moderate_topic(topic=self.topic, actor=self.staff, action="pin")
        assert Notification.objects.get(post=post, user=named).reason == "mencao"
        assert Notification.objects.filter(post=post).count() == FOLLOWERS + 1
        assert DebatePost.objects.get(pk=post.pk).notified_at
        self.assert_sound()

    def test_a_removal_waits_for_who_is_still_telling(self):
        for row, remove in (
            (self.posts[0], lambda row: services.delete_post(post=row, actor=self.staff)),
            (self.topic, lambda row: services.delete_topic(topic=row, actor=self.staff)),
        ):
            with ThreadPoolExecutor(1) as pool:
                with self.a_worker_hangs(self.posts[0 if row is self.posts[0] else 1]):
                    with without_waiting():
                        remove(row)
                    removal = pool.submit(
                        at_once, lambda row=row: notifying.settle(type(row), row.pk)
                    )
                    with self.assertRaises(TimeoutError):
                        removal.result(timeout=0.5)
                removal.result(timeout=60)
            of_row = {"post": row} if row is self.posts[0] else {"topic": row}
            assert not Notification.objects.filter(**of_row).exists()
            assert type(row).objects.get(pk=row.pk).notified_at
        self.assert_sound()

    def test_what_happens_just_before_the_row_is_dated_keeps_it_owed(self):
        post, named = self.posts[0], make_user(username="chamada")

        def edit():
            words = {"content": "@chamada", "spoiler_percent": 0}
            services.edit_post(post=post, editor=self.writer, **words)

        def edit_again():
            words = {"content": "@chamada @outra", "spoiler_percent": 0}
            services.edit_post(post=post, editor=self.writer, **words)

        def remove():
            services.delete_post(post=post, actor=self.staff)

        other = make_user(username="outra")
        for act, told in ((edit, [named]), (edit_again, [named, other]), (remove, [])):
            DebatePost.objects.filter(pk=post.pk).update(notified_at=None)
            waiting, acts = notice_mails.waiting, iter([act])

            def meanwhile(*words, waiting=waiting, acts=acts):
                found = waiting(*words)
                if not found and (now := next(acts, None)):
                    now()
                return found

            with mock.patch.object(notice_mails, "waiting", meanwhile):
                notifying.settle(DebatePost, post.pk)
            of_post = Notification.objects.filter(post=post, user__in=[named, other])
            assert {row.user_id for row in of_post} == {user.pk for user in told}
            assert DebatePost.objects.get(pk=post.pk).notified_at
        assert not Notification.objects.filter(post=post).exists()
        self.assert_sound()

    def test_two_beats_send_one_digest(self):
        User.objects.update(mail_frequency="diario")
        for post in self.posts:
            notifying.settle(DebatePost, post.pk)
        Notification.objects.update(created_at="2026-01-01T00:00Z")
        written = at_once(*[lambda: notice_mails.send_digests("diario")] * 3)
        assert sum(written) == OutgoingMail.objects.count() == FOLLOWERS
        assert not Notification.objects.filter(mailed_at=None).exists()

    def test_a_digest_is_written_while_its_reader_reads(self):
        reader, number = self.people[0], 300
        User.objects.filter(pk=reader.pk).update(mail_frequency="diario", unread_count=number)
        posts = [make_post(self.topic, author=self.writer) for _n in range(number)]
        Notification.objects.bulk_create(
            Notification(user=reader, topic=self.topic, post=post, reason="debate")
            for post in posts
        )
        for _round in range(20):
            OutgoingMail.objects.all().delete()
            Notification.objects.update(
                created_at="2026-01-01T00:00Z", mailed_at=None, read_at=None
            )
            User.objects.filter(pk=reader.pk).update(unread_count=number)
            at_once(lambda: notice_mails.send_digests("diario"), lambda: notices.mark_read(reader))
            self.assert_sound()
            # one mail of everything, or nothing is left to tell
            assert (
                OutgoingMail.objects.count()
                == Notification.objects.filter(mailed_at__isnull=False).exists()
            )

    def test_old_ones_are_removed_while_they_are_read(self):
        for post in self.posts:
            notifying.settle(DebatePost, post.pk)
        Notification.objects.update(created_at="2025-01-01T00:00Z")
        readers = [lambda user=user: notices.mark_read(user) for user in self.people[:4]]
        at_once(notices.remove_old, notices.remove_old, *readers)
        assert not Notification.objects.exists()
        self.assert_sound()
