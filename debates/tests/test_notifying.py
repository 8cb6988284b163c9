"""debates.notifying: who is told of what, once each, and the count that goes with it."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

from django.db.models import F
from django.test import TestCase
from django.utils import timezone

from accounts.models import User
from core.metrics import counting
from core.models import OutgoingMail
from debates import following, mentions, notice_mails, notices, notifying, services, tasks
from debates.models import DebatePost, DebateTopic, Follow, Notification
from tests.factories import make_book, make_post, make_staff, make_topic, make_user

FOLLOW, MUTE = Follow.State.FOLLOW, Follow.State.MUTE


class NotifyingTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.opener, cls.ana, cls.bia = make_user(), make_user(username="Ana"), make_user()
        cls.book = make_book()
        cls.topic = make_topic(creator=cls.opener, book=cls.book)
        settle_all()

    def reply(self, author, content="Uma resposta.", **values) -> DebatePost:
        post = make_post(self.topic, author=author, content=content, **values)
        settle_all()
        return post

    def told(self, row) -> dict[User, str]:
        """Who was told of a post or of an opening, and why."""
        rows = (
            Notification.objects.filter(post=row)
            if isinstance(row, DebatePost)
            else Notification.objects.filter(topic=row, post=None)
        )
        assert_count_is_right()
        return {notification.user: notification.reason for notification in rows}


def settle_all() -> None:
    for model in (DebateTopic, DebatePost):
        for pk in model.objects.filter(notified_at=None).values_list("pk", flat=True):
            assert notifying.settle(model, pk) is None


def assert_count_is_right() -> None:
    assert notices.reconcile() == []


class WhoTests(NotifyingTestCase):
    def test_those_who_wrote_in_the_debate_hear_of_the_next_reply_and_its_author_does_not(self):
        assert self.told(self.reply(self.ana)) == {self.opener: "debate"}
        assert self.told(self.reply(self.bia)) == {self.opener: "debate", self.ana: "debate"}
        self.ana.refresh_from_db()
        assert self.ana.unread_count == 1

    def test_the_strongest_reason_wins_and_there_is_one_notification(self):
        first = self.reply(self.ana)
        assert self.told(self.reply(self.bia, parent=first))[self.ana] == "resposta"
        post = self.reply(self.bia, "Diga lá, @ana!", parent=first)
        assert self.told(post) == {self.opener: "debate", self.ana: "mencao"}

    def test_a_mention_reaches_somebody_who_follows_nothing(self):
        assert self.told(self.reply(self.bia, "@ANA, leia."))[self.ana] == "mencao"

    def test_the_mention_of_an_opening(self):
        topic = make_topic(creator=self.bia, book=self.book, description="O que acha, @ana?")
        settle_all()
        assert self.told(topic) == {self.ana: "mencao"}

    def test_followers_of_a_book_hear_of_its_new_debates_and_of_no_reply(self):
        following.set_state(user=self.ana, state=FOLLOW, book=self.book)
        topic = make_topic(creator=self.bia, book=self.book)
        make_topic(creator=self.bia)  # on another book
        post = make_post(topic, author=self.opener)
        settle_all()
        assert self.told(topic) == {self.ana: "livro"}
        assert self.told(post) == {self.bia: "debate"}
        assert Notification.objects.filter(user=self.ana).count() == 1

    def test_whoever_follows_again_is_not_told_of_what_was_written_meanwhile(self):
        for state in (FOLLOW, MUTE):
            following.set_state(user=self.ana, state=state, topic=self.topic)
        post = make_post(self.topic, author=self.bia)
        for _time in range(2):
            following.set_state(user=self.ana, state=FOLLOW, topic=self.topic)
        settle_all()
        assert self.ana not in self.told(post)
        post = make_post(self.topic, author=self.bia)
        following.set_state(user=self.ana, state=FOLLOW, topic=self.topic)  # nothing new
        settle_all()
        assert self.ana in self.told(post)

    def test_whoever_followed_after_the_words_is_not_told_of_them(self):
        post = make_post(self.topic, author=self.bia)
        following.set_state(user=self.ana, state=FOLLOW, topic=self.topic)
        settle_all()
        assert self.told(post) == {self.opener: "debate"}

    def test_a_muted_debate_is_silent_even_for_replies_and_mentions(self):
        first = self.reply(self.ana)
        following.set_state(user=self.ana, state=MUTE, topic=self.topic)
        assert self.ana not in self.told(self.reply(self.bia, "@ana", parent=first))

    def test_a_muted_book_silences_the_debates_that_the_reader_does_not_follow(self):
        following.set_state(user=self.ana, state=MUTE, book=self.book)
        assert self.ana not in self.told(self.reply(self.bia, "@ana"))
        following.set_state(user=self.ana, state=FOLLOW, topic=self.topic)
        assert self.told(self.reply(self.bia, "Outra."))[self.ana] == "debate"
        other = make_topic(book=self.book)
        settle_all()
        assert self.ana not in self.told(other)

    def test_inactive_people_and_names_of_nobody(self):
        User.objects.filter(pk__in=[self.ana.pk, self.opener.pk]).update(is_active=False)
        assert self.told(self.reply(self.bia, "@ana @ninguem @")) == {}

    def test_a_removed_parent_still_has_an_author(self):
        first = self.reply(self.ana)
        post = make_post(self.topic, author=self.bia, parent=first)
        services.delete_post(post=first, actor=self.ana)
        settle_all()
        assert self.told(post)[self.ana] == "resposta"


class EditTests(NotifyingTestCase):
    def edit(self, post, content):
        return services.edit_post(post=post, editor=post.author, content=content, spoiler_percent=0)

    def test_whoever_an_edit_names_is_told_and_nobody_twice(self):
        post = self.reply(self.bia, "Sem nome.")
        self.edit(post, "Agora com @ana.")
        post.refresh_from_db()
        assert post.notified_at is None
        settle_all()
        assert self.told(post) == {self.opener: "debate", self.ana: "mencao"}
        self.edit(post, "Com @ana, outra vez.")
        post.refresh_from_db()
        assert post.notified_at is not None
        topic = services.edit_topic(
            topic=self.topic, editor=self.opener, title="T", description="@ana", spoiler_percent=0
        )
        settle_all()
        assert self.told(topic) == {self.ana: "mencao"}

    def test_whoever_followed_since_is_not_told_by_an_edit(self):
        post = self.reply(self.bia, "Sem nome.")
        following.set_state(user=(late := make_user()), state=FOLLOW, topic=self.topic)
        self.edit(post, "Agora com @ana.")
        settle_all()
        assert late not in self.told(post)

    def test_an_edit_of_what_is_older_than_notifications_are_kept_tells_nobody(self):
        post = self.reply(self.bia, "Sem nome.")
        DebatePost.objects.update(created_at=timezone.now() - timedelta(days=31))
        Notification.objects.all().delete()
        User.objects.update(unread_count=0)
        self.edit(post, "Agora com @ana.")
        settle_all()
        assert self.told(post) == {}


class OnceToldTests(NotifyingTestCase):
    """What was told, removed, restored and edited: only whom the edit names hears of it."""

    def setUp(self):
        User.objects.update(mail_frequency="na-hora")
        self.staff = make_staff()
        self.post = self.reply(self.bia, "Sem nome.")
        assert OutgoingMail.objects.count() == 1

    def edit(self, content):
        services.edit_post(post=self.post, editor=self.bia, content=content, spoiler_percent=0)

    def test_removed_restored_and_edited(self):
        OutgoingMail.objects.update(sent_at=timezone.now())
        services.delete_post(post=self.post, actor=self.staff)
        settle_all()
        services.restore_post(post=self.post, actor=self.staff)
        self.edit("Agora com @ana.")
        settle_all()
        assert self.told(self.post) == {self.ana: "mencao"}
        to = list(OutgoingMail.objects.order_by("pk").values_list("to", flat=True))
        assert to == [self.opener.email, self.ana.email]

    def test_the_same_before_anybody_settled_the_removal(self):
        services.delete_post(post=self.post, actor=self.staff)
        services.restore_post(post=self.post, actor=self.staff)
        late = make_user()
        Follow.objects.create(
            user=late, topic=self.topic, state=FOLLOW, created_at=self.post.created_at
        )
        self.edit("Agora com @ana.")
        self.edit("Agora com @ana e @caio.")
        caio = make_user(username="caio")
        settle_all()
        assert self.told(self.post) == {
            self.opener: "debate", self.ana: "mencao", caio: "mencao"
        }  # fmt: skip

    def test_whom_a_later_edit_names_no_more_is_not_told(self):
        self.edit("Agora com @ana.")
        self.edit("Agora sem.")
        settle_all()
        assert self.told(self.post) == {self.opener: "debate"}

    def test_an_edit_before_it_was_settled_tells_everybody(self):
        post = make_post(self.topic, author=self.bia, content="Sem nome.")
        services.edit_post(post=post, editor=self.bia, content="@ana", spoiler_percent=0)
        settle_all()
        assert self.told(post) == {self.opener: "debate", self.ana: "mencao"}


class RemovalTests(NotifyingTestCase):
    def test_a_removed_post_takes_its_notifications_and_a_restored_one_brings_none(self):
        post = self.reply(self.bia, "@ana")
        kept = self.reply(self.bia)
        staff = make_staff()
        services.delete_post(post=post, actor=staff)
        settle_all()
        assert self.told(post) == {}
        assert self.told(kept) == {self.opener: "debate"}
        self.opener.refresh_from_db()
        assert self.opener.unread_count == 1
        services.restore_post(post=post, actor=staff)
        settle_all()
        assert self.told(post) == {}

    def test_a_removed_debate_takes_all_of_them(self):
        self.reply(self.bia, "@ana")
        self.reply(self.ana)
        services.delete_topic(topic=self.topic, actor=self.opener)
        settle_all()
        assert not Notification.objects.exists()
        assert not User.objects.filter(unread_count__gt=0).exists()

    def test_what_was_removed_before_anybody_was_told_tells_nobody(self):
        post, staff = make_post(self.topic, author=self.bia, content="@ana"), make_staff()
        services.delete_topic(topic=self.topic, actor=staff)
        settle_all()
        assert self.told(post) == {}
        services.restore_topic(topic=self.topic, actor=staff)
        settle_all()
        assert self.told(post) == {}

    def test_a_removal_goes_in_chunks(self):
        followers = [make_user() for _n in range(5)]
        for user in followers:
            following.set_state(user=user, state=FOLLOW, topic=self.topic)
        post = self.reply(self.bia)
        services.delete_post(post=post, actor=make_staff())
        with (
            mock.patch.object(notifying, "CHUNK", 2),
            mock.patch("debates.notifying.enqueue") as enqueue,
            mock.patch("debates.notice_mails.send_at_once") as send,
        ):
            tasks.notify_of_post(post.pk)
        assert self.told(post) == {}
        enqueue.assert_not_called()  # a removal is not left to the bulk queue
        send.assert_not_called()
        assert DebatePost.objects.get(pk=post.pk).notified_at

    def test_a_removal_that_the_sweep_has_no_time_for_goes_on_next_time(self):
        for user in (make_user() for _n in range(5)):
            following.set_state(user=user, state=FOLLOW, topic=self.topic)
        post = self.reply(self.bia)
        services.delete_post(post=post, actor=make_staff())
        with mock.patch.object(notifying, "CHUNK", 2):
            for left in (4, 2, 0):
                assert notifying.settle(DebatePost, post.pk, until=0.0) == 0
                assert Notification.objects.filter(post=post).count() == left
        assert notifying.settle(DebatePost, post.pk, until=0.0) is None

    def test_it_takes_the_mails_that_were_not_handed_over(self):
        User.objects.update(mail_frequency="na-hora")
        post = self.reply(self.bia, "@ana")
        kept = self.reply(self.bia)
        assert OutgoingMail.objects.count() == 3
        claimed = OutgoingMail.objects.filter(to=self.ana.email)
        claimed.update(claimed_at=timezone.now())
        services.delete_post(post=post, actor=make_staff())
        settle_all()
        left = set(OutgoingMail.objects.values_list("to", "key"))
        assert len(left) == 2
        assert {to for to, _key in left} == {self.ana.email, self.opener.email}
        assert (self.opener.email, f"notification:post:{kept.pk}:{self.opener.pk}") in left

    def test_the_night_counts_what_pages_show_and_removes_what_a_failed_removal_left(self):
        post = self.reply(self.bia)
        self.reply(self.bia)
        DebatePost.objects.filter(pk=post.pk).update(is_deleted=True, deleted_at=timezone.now())
        assert notices.reconcile() == [(self.opener.pk, 2, 1)]
        assert notices.remove_old() == 1
        assert self.told(post) == {}
        self.opener.refresh_from_db()
        assert self.opener.unread_count == 1


class ChunkTests(NotifyingTestCase):
    def setUp(self):
        self.followers = [make_user() for _n in range(7)]
        for user in self.followers:
            following.set_state(user=user, state=FOLLOW, topic=self.topic)
        self.post = make_post(self.topic, author=self.bia, content="@ana")

    def test_the_first_chunk_is_told_at_once_and_the_rest_from_the_bulk_queue(self):
        with (
            mock.patch.object(notifying, "CHUNK", 3),
            mock.patch("debates.notifying.enqueue") as enqueue,
        ):
            tasks.notify_of_post(self.post.pk)
            told = self.told(self.post)
            assert len(told) == 3
            assert told[self.ana] == "mencao"
            (call,) = enqueue.call_args_list
            assert call.kwargs == {"queue": "bulk"}
            task, *words = call.args
            task(*words)
        assert len(self.told(self.post)) == 9
        assert DebatePost.objects.get(pk=self.post.pk).notified_at

    def test_a_lost_rest_is_found_by_the_sweep(self):
        with (
            mock.patch.object(notifying, "CHUNK", 3),
            mock.patch("debates.notifying.enqueue"),
        ):
            tasks.notify_of_post(self.post.pk)
        assert not DebatePost.objects.get(pk=self.post.pk).notified_at
        assert notifying.sweep() == 0  # too young: its message may be on its way
        DebatePost.objects.update(created_at=F("created_at") - timedelta(minutes=1))
        Follow.objects.update(created_at=F("created_at") - timedelta(minutes=2))
        with (
            mock.patch.object(notifying, "CHUNK", 3),
            mock.patch("debates.notifying.enqueue") as enqueue,
        ):
            assert notifying.sweep() == 1
        enqueue.assert_not_called()  # or each run would queue the same rest once more
        assert len(self.told(self.post)) == 9
        assert notifying.sweep() == 0

    def test_a_sweep_goes_on_where_the_last_one_had_no_time_left(self):
        told = [0]
        with mock.patch.object(notifying, "CHUNK", 3):
            while notifying.settle(DebatePost, self.post.pk, until=0.0) is not None:
                told.append(len(self.told(self.post)))
                assert told[-1] > told[-2]
        assert len(told) > 3
        assert len(self.told(self.post)) == 9
        assert DebatePost.objects.get(pk=self.post.pk).notified_at

    def test_each_chunk_is_mailed_by_itself(self):
        User.objects.update(mail_frequency="na-hora")
        with (
            mock.patch.object(notifying, "CHUNK", 3),
            mock.patch(
                "debates.notice_mails.send_at_once", wraps=notice_mails.send_at_once
            ) as send,
        ):
            settle_all()
        told = [call.args[2] for call in send.call_args_list]
        assert sorted(pk for chunk in told for pk in chunk) == sorted(
            user.pk for user in self.told(self.post)
        )

    def test_one_that_fails_does_not_hold_up_the_others(self):
        other = make_post(self.topic, author=self.bia)
        DebatePost.objects.update(created_at=F("created_at") - timedelta(minutes=1))
        Follow.objects.update(created_at=F("created_at") - timedelta(minutes=2))
        real = notifying.settle

        def settle(model, pk, *words, **options):
            if pk == self.post.pk:
                raise RuntimeError("broken")
            return real(model, pk, *words, **options)

        with mock.patch("debates.notifying.settle", settle), self.assertLogs("debates.notifying"):
            notifying.sweep()
        assert len(self.told(other)) == 8
        assert self.told(self.post) == {}

    def test_doing_it_twice_changes_nothing(self):
        settle_all()
        before = list(Notification.objects.order_by("pk").values())
        DebatePost.objects.update(notified_at=None)
        DebateTopic.objects.update(notified_at=None)
        settle_all()
        assert list(Notification.objects.order_by("pk").values()) == before
        assert_count_is_right()

    def test_the_cost_does_not_grow_with_what_is_there(self):
        """15 statements and two savepoints, however many notifications and debates the followers have."""
        with self.assertNumQueries(19):
            notifying.settle(DebatePost, self.post.pk)
        Notification.objects.bulk_create(
            Notification(user=user, topic=make_topic(creator=self.opener), reason="livro")
            for user in self.followers
        )
        another = make_post(self.topic, author=self.bia, content="@ana")
        with self.assertNumQueries(19):
            notifying.settle(DebatePost, another.pk)


class MentionTests(TestCase):
    def test_names_in_words_and_not_in_code_links_or_addresses(self):
        for text, names in [
            ("@ana", ["ana"]),
            ("Oi @Ana, e @bia.souza. E (@caio-2)!", ["ana", "bia.souza", "caio-2"]),
            ("**@ana** e *@bia*\n\n- @davi", ["ana", "bia", "davi"]),
            ("> @caio\n>\n> > @davi\n\n@ana", ["ana"]),
            ("\\@ana &#64;bia @caio\\_2", ["caio_2"]),
            ("@ana @ANA @Ana", ["ana"]),
            ("`@ana` e\n\n```\n@bia\n```\n\n    @caio", []),
            (
                "[@ana](https://example.com) <https://example.com/@bia> https://example.com/@caio",
                [],
            ),
            ("ana@example.com @@ana x@ana /@ana", []),
            ("", []),
            ("@", []),
            ("@ção", []),
            ("@" * 10_000, []),
            (" ".join(f"@leitor{n}" for n in range(40)), [f"leitor{n}" for n in range(10)]),
        ]:
            with self.subTest(text=text[:60]):
                assert mentions.mentioned(text) == names


class CountTests(NotifyingTestCase):
    def test_reading_one_a_debate_or_all_moves_the_count(self):
        first, second = self.reply(self.ana), self.reply(self.bia)
        other = make_topic(creator=self.opener)
        make_post(other, author=self.bia)
        settle_all()
        one = Notification.objects.get(user=self.opener, post=first)
        assert notices.mark_read(self.bia, notification_id=one.pk) == 0  # not hers
        assert notices.mark_read(self.opener, notification_id=one.pk) == 1
        assert notices.mark_read(self.opener, notification_id=one.pk) == 0
        self.opener.refresh_from_db()
        assert self.opener.unread_count == 2
        assert notices.mark_read(self.opener, topic_id=self.topic.pk) == 1
        assert self.told(second)
        assert notices.mark_read(self.opener) == 1
        self.opener.refresh_from_db()
        assert self.opener.unread_count == 0
        assert_count_is_right()

    def test_old_ones_go_in_chunks_and_what_is_young_stays(self):
        posts = [self.reply(self.ana) for _n in range(6)]
        days = timedelta(days=1)
        now = timezone.now()
        rows = dict(
            zip(
                ("read long ago", "read", "unread old", "read old", "unread", "young"),
                Notification.objects.filter(user=self.opener).order_by("pk"),
                strict=True,
            )
        )
        for name, created, read in [
            ("read long ago", 40, 31), ("read", 40, 29), ("unread old", 181, None),
            ("read old", 181, 1), ("unread", 179, None),
        ]:  # fmt: skip
            Notification.objects.filter(pk=rows[name].pk).update(
                created_at=now - created * days, read_at=read and now - read * days
            )
        # ids are in the order of the dates
        User.objects.filter(pk=self.opener.pk).update(unread_count=3)
        with mock.patch.object(notices, "CHUNK", 4):
            assert notices.remove_old() == 3
        left = Notification.objects.filter(user=self.opener).values_list("pk", flat=True)
        assert set(left) == {rows[name].pk for name in ("read", "unread", "young")}
        assert notices.remove_old() == 0
        assert len(posts) == 6
        assert_count_is_right()

    def test_a_count_that_drifted_is_repaired_and_reported(self):
        self.reply(self.ana)
        User.objects.filter(pk=self.opener.pk).update(unread_count=7)
        User.objects.filter(pk=self.bia.pk).update(unread_count=1)
        before = counting.current().counters["counters_drifted",]
        with self.assertLogs("debates.tasks", "WARNING") as logged:
            tasks.reconcile_unread()
        assert counting.current().counters["counters_drifted",] == before + 2
        assert [line.partition("drifted ")[2] for line in logged.output] == [
            f"user={self.opener.pk} stored=7 real=1", f"user={self.bia.pk} stored=1 real=0"
        ]  # fmt: skip
        with self.assertNoLogs("debates.tasks", "WARNING"):
            tasks.reconcile_unread()

    def test_saving_a_whole_reader_leaves_the_count_alone(self):
        stale = User.objects.get(pk=self.opener.pk)
        self.reply(self.ana)
        stale.set_password("outra-senha-de-teste")
        stale.save()
        assert_count_is_right()
        stale.refresh_from_db()
        assert stale.unread_count == 1
        assert stale.check_password("outra-senha-de-teste")
