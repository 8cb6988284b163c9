"""debates.services: what is written, what is refused, and counters that equal their rows."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Sum
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from django.utils import timezone

from core.services import Refused
from debates import services, tasks
from debates.models import PATH_LEVELS, DebatePost, DebateTopic, DebateVote
from tests.factories import make_book, make_post, make_staff, make_topic, make_user

WORDS = {"title": "Outro título", "description": "Outra *abertura*.", "spoiler_percent": 40}
REPLY = {"content": "Outra **resposta**.", "spoiler_percent": 30}


class ServicesTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.book = make_book()
        cls.creator, cls.author, cls.other = make_user(), make_user(), make_user()
        cls.staff = make_staff()
        cls.topic = make_topic(book=cls.book, creator=cls.creator)

    def lock(self, row):
        type(row).objects.filter(pk=row.pk).update(is_locked=True)

    def remove(self, row):
        type(row).objects.filter(pk=row.pk).update(is_deleted=True, deleted_at=timezone.now())

    def assertDerived(self, topic):
        """Every derived column of ``topic`` and its posts equals what its rows say."""
        topic.refresh_from_db()
        visible = topic.posts.filter(is_deleted=False)
        newest = visible.order_by("-created_at", "-pk").first()
        assert topic.posts_count == visible.count()
        assert topic.last_post == newest
        assert topic.updated_at == (newest.created_at if newest else topic.created_at)
        for post in topic.posts.all():
            assert post.score == (post.votes.aggregate(n=Sum("value"))["n"] or 0)
            assert post.replies_count == post.replies.count()


class CreateTopicTests(ServicesTestCase):
    def create(self, **values):
        return services.create_topic(
            **{
                "creator": self.creator,
                "book": self.book,
                "title": "Um debate",
                "description": "A *abertura*.",
                **values,
            }
        )

    def test_a_new_debate_is_rendered_open_and_active_since_its_opening(self):
        topic = self.create(spoiler_percent=25)
        topic.refresh_from_db()
        assert topic.description_html == "<p>A <em>abertura</em>.</p>\n"
        assert topic.updated_at == topic.created_at
        assert (topic.posts_count, topic.last_post, topic.spoiler_percent) == (0, None, 25)
        assert not (topic.is_pinned or topic.is_locked or topic.is_deleted)
        assert topic.folded_title == "um debate"

    def test_any_title_gets_an_address_of_its_own_that_opens(self):
        titles = ("!!!", "🦊📚", "ã" * 200, "العربية", "﷽" * 200, "-", "ação " * 40, "a/b?c#d")
        slugs = set()
        for title in titles:
            for _time in range(2):
                topic = self.create(title=title)
                topic.refresh_from_db()
                assert topic.title == title
                assert resolve(topic.get_absolute_url()).kwargs == {"slug": topic.slug}
                slugs.add(topic.slug)
        assert len(slugs) == 2 * len(titles)
        assert "" not in slugs


class EditTopicTests(ServicesTestCase):
    def edit(self, editor=None):
        return services.edit_topic(topic=self.topic, editor=editor or self.creator, **WORDS)

    def test_the_words_change_and_the_address_stays(self):
        slug = self.topic.slug
        self.edit()
        topic = DebateTopic.objects.get(pk=self.topic.pk)
        assert (topic.title, topic.folded_title) == ("Outro título", "outro titulo")
        assert topic.description_html == "<p>Outra <em>abertura</em>.</p>\n"
        assert topic.spoiler_percent == 40
        assert topic.edited_at is not None
        assert topic.slug == slug

    def test_an_edit_is_no_activity_and_leaves_the_counters_of_others_alone(self):
        stale = DebateTopic.objects.get(pk=self.topic.pk)
        make_post(self.topic)
        services.edit_topic(topic=stale, editor=self.creator, **WORDS)
        self.assertDerived(self.topic)
        assert self.topic.posts_count == 1

    def test_only_the_creator_edits_not_even_staff(self):
        for user in (self.other, self.staff):
            with pytest.raises(services.NotYours):
                self.edit(user)

    def test_a_closed_or_removed_debate_is_not_edited(self):
        self.lock(self.topic)
        with pytest.raises(services.TopicClosed):
            self.edit()
        self.remove(self.topic)
        with pytest.raises(services.Gone):
            self.edit()


class NamedColumnsTests(ServicesTestCase):
    def test_a_write_names_its_columns_so_that_two_requests_cannot_undo_each_other(self):
        post = make_post(self.topic, author=self.author)
        staff = {"actor": self.staff}
        for write in (
            lambda: services.edit_topic(topic=self.topic, editor=self.creator, **WORDS),
            lambda: services.moderate_topic(topic=self.topic, action="pin", **staff),
            lambda: services.moderate_topic(topic=self.topic, action="hide", **staff),
            lambda: services.moderate_topic(topic=self.topic, action="restore", **staff),
            lambda: services.edit_post(post=post, editor=self.author, **REPLY),
            lambda: services.moderate_post(post=post, action="lock", **staff),
        ):
            with CaptureQueriesContext(connection) as seen:
                write()
            updates = [query["sql"] for query in seen if query["sql"].startswith("UPDATE")]
            assert updates
            for sql in updates:
                assert not any(f'"{name}" =' in sql for name in ("views_count", "score", "path"))


class DeleteTopicTests(ServicesTestCase):
    def test_the_creator_removes_it_once(self):
        assert services.delete_topic(topic=self.topic, actor=self.creator) is True
        topic = DebateTopic.objects.get(pk=self.topic.pk)
        assert topic.is_deleted
        assert topic.deleted_by == self.creator
        assert services.delete_topic(topic=self.topic, actor=self.staff) is False
        again = DebateTopic.objects.get(pk=self.topic.pk)
        assert (again.deleted_at, again.deleted_by) == (topic.deleted_at, self.creator)

    def test_others_do_not(self):
        with pytest.raises(services.NotYours):
            services.delete_topic(topic=self.topic, actor=self.other)

    def test_a_closed_debate_is_removed_by_staff_only(self):
        self.lock(self.topic)
        with pytest.raises(services.TopicClosed):
            services.delete_topic(topic=self.topic, actor=self.creator)
        assert services.delete_topic(topic=self.topic, actor=self.staff) is True

    def test_staff_bring_it_back_once_and_its_creator_cannot(self):
        services.delete_topic(topic=self.topic, actor=self.creator)
        with pytest.raises(services.NotYours):
            services.restore_topic(topic=self.topic, actor=self.creator)
        assert services.restore_topic(topic=self.topic, actor=self.staff) is True
        assert services.restore_topic(topic=self.topic, actor=self.staff) is False
        topic = DebateTopic.objects.get(pk=self.topic.pk)
        assert (topic.is_deleted, topic.deleted_at, topic.deleted_by) == (False, None, None)


class ModerateTopicTests(ServicesTestCase):
    ACTIONS = [
        ("pin", "is_pinned", True), ("unpin", "is_pinned", False),
        ("lock", "is_locked", True), ("unlock", "is_locked", False),
        ("hide", "is_deleted", True), ("restore", "is_deleted", False),
    ]  # fmt: skip

    def test_each_action_sets_its_flag_once(self):
        for action, flag, value in self.ACTIONS:
            with self.subTest(action):
                change = {"topic": self.topic, "actor": self.staff, "action": action}
                assert services.moderate_topic(**change) is True
                assert getattr(DebateTopic.objects.get(pk=self.topic.pk), flag) is value
                assert services.moderate_topic(**change) is False

    def test_no_action_is_for_members(self):
        for action, _flag, _value in self.ACTIONS:
            for user in (self.creator, self.other):
                with self.subTest(action), pytest.raises(services.NotYours):
                    services.moderate_topic(topic=self.topic, actor=user, action=action)

    def test_no_action_is_activity(self):
        before = self.topic.updated_at
        for action, _flag, _value in self.ACTIONS:
            services.moderate_topic(topic=self.topic, actor=self.staff, action=action)
        self.topic.refresh_from_db()
        assert self.topic.updated_at == before


class CreatePostTests(ServicesTestCase):
    def reply(self, parent=None, **values):
        return services.create_post(
            **{
                "topic": self.topic,
                "author": self.author,
                "content": "Uma *resposta*.",
                "parent": parent,
                **values,
            }
        )

    def test_a_reply_is_rendered_counted_and_the_last_activity(self):
        post = self.reply(spoiler_percent=15)
        post.refresh_from_db()
        assert post.content_html == "<p>Uma <em>resposta</em>.</p>\n"
        assert (post.spoiler_percent, post.depth, post.path) == (15, 0, [post.pk])
        self.assertDerived(self.topic)
        assert self.topic.last_post == post

    def test_what_nobody_said_of_a_reply_is_what_the_model_says(self):
        """The insert is written by hand: its columns must not drift from the fields."""
        post = self.reply()
        said = {"id", "path", "topic", "author", "content", "content_html", "created_at"}
        stored = DebatePost.objects.values().get(pk=post.pk)
        for field in DebatePost._meta.concrete_fields:
            if field.name not in said:
                assert stored[field.attname] == field.get_default(), field.name
        returned = {field.attname: getattr(post, field.attname) for field in post._meta.fields}
        assert returned == stored

    def test_the_path_names_six_ancestors_and_deeper_replies_take_the_sixths(self):
        chain = [self.reply()]
        for _level in range(9):
            chain.append(self.reply(chain[-1]))
        ids = [post.pk for post in chain]
        for level, post in enumerate(chain):
            assert post.depth == level
            assert post.path == [*ids[: min(level, PATH_LEVELS)], post.pk]
            assert post.indent == min(level, PATH_LEVELS)
        assert [post.replies_count for post in self.topic.posts.order_by("pk")] == [1] * 9 + [0]

    def test_thread_order_is_a_walk_through_the_tree(self):
        a = self.reply()
        b = self.reply()
        a1, b1, a2 = self.reply(a), self.reply(b), self.reply(a)
        a11 = self.reply(a1)
        assert list(self.topic.posts.order_by("path")) == [a, a1, a11, a2, b, b1]

    def test_a_parent_counts_its_own_replies_only(self):
        parent = self.reply()
        child = self.reply(parent)
        self.reply(child)
        parent.refresh_from_db()
        assert parent.replies_count == 1

    def test_what_is_closed_or_removed_takes_no_reply(self):
        cases = [
            (self.lock, "parent", services.PostClosed),
            (self.remove, "parent", services.Gone),
            (self.lock, "topic", services.TopicClosed),
            (self.remove, "topic", services.Gone),
        ]
        parent = self.reply()
        for change, target, refusal in cases:
            with self.subTest(f"{change.__name__} {target}"):
                row = {"parent": parent, "topic": self.topic}[target]
                change(row)
                with pytest.raises(refusal) as refused:
                    self.reply(parent)
                assert str(refused.value)
                type(row).objects.filter(pk=row.pk).update(
                    is_locked=False, is_deleted=False, deleted_at=None
                )
        self.assertDerived(self.topic)
        assert self.topic.posts_count == 1

    def test_a_closed_debate_is_closed_for_staff_too(self):
        self.lock(self.topic)
        with pytest.raises(services.TopicClosed):
            self.reply(author=self.staff)

    def test_a_parent_in_another_debate_is_a_mistake(self):
        elsewhere = make_post()
        with pytest.raises(ValueError, match="another debate"):
            self.reply(elsewhere)
        elsewhere.refresh_from_db()
        assert elsewhere.replies_count == 0

    def test_a_reply_is_never_older_than_the_opening(self):
        ahead = timezone.now() + timedelta(minutes=5)  # another process' clock
        DebateTopic.objects.filter(pk=self.topic.pk).update(created_at=ahead, updated_at=ahead)
        assert self.reply().created_at == ahead
        self.assertDerived(self.topic)

    def test_the_cost_does_not_grow_with_the_debate(self):
        parent = self.reply()

        def queries():
            with CaptureQueriesContext(connection) as seen:
                self.reply(parent)
            return len(seen)

        first = queries()
        for _n in range(20):
            self.reply(parent)
        assert queries() == first


class EditPostTests(ServicesTestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.post = make_post(cls.topic, author=cls.author)

    def edit(self, editor=None):
        return services.edit_post(post=self.post, editor=editor or self.author, **REPLY)

    def test_the_words_change_and_the_place_stays(self):
        self.edit()
        post = DebatePost.objects.get(pk=self.post.pk)
        assert post.content_html == "<p>Outra <strong>resposta</strong>.</p>\n"
        assert (post.content, post.spoiler_percent) == ("Outra **resposta**.", 30)
        assert post.edited_at is not None
        assert (post.path, post.created_at) == (self.post.path, self.post.created_at)

    def test_an_edit_keeps_a_score_that_changed_meanwhile(self):
        stale = DebatePost.objects.get(pk=self.post.pk)
        services.vote_post(post=self.post, user=self.other, value=1)
        services.edit_post(post=stale, editor=self.author, **REPLY)
        self.assertDerived(self.topic)

    def test_only_the_author_edits_not_even_staff(self):
        for user in (self.creator, self.other, self.staff):
            with pytest.raises(services.NotYours):
                self.edit(user)

    def test_what_is_closed_or_removed_is_not_edited(self):
        self.lock(self.post)
        with pytest.raises(services.PostClosed):
            self.edit()
        self.lock(self.topic)
        with pytest.raises(services.TopicClosed):
            self.edit()
        self.remove(self.post)
        with pytest.raises(services.Gone):
            self.edit()


class DeletePostTests(ServicesTestCase):
    def test_the_last_activity_moves_back_to_the_newest_reply_that_is_left(self):
        first, second = make_post(self.topic), make_post(self.topic, author=self.author)
        assert services.delete_post(post=second, actor=self.author) is True
        self.assertDerived(self.topic)
        assert self.topic.last_post == first
        services.delete_post(post=first, actor=self.staff)
        self.assertDerived(self.topic)
        assert self.topic.updated_at == self.topic.created_at

    def test_twice_counts_once(self):
        post = make_post(self.topic, author=self.author)
        make_post(self.topic)
        services.delete_post(post=post, actor=self.author)
        assert services.delete_post(post=post, actor=self.author) is False
        assert services.delete_post(post=post, actor=self.staff) is False
        self.assertDerived(self.topic)
        assert self.topic.posts_count == 1

    def test_only_the_author_and_staff(self):
        post = make_post(self.topic, author=self.author)
        for user in (self.creator, self.other):
            with pytest.raises(services.NotYours):
                services.delete_post(post=post, actor=user)
        assert services.delete_post(post=post, actor=self.staff) is True
        post.refresh_from_db()
        assert post.deleted_by == self.staff

    def test_what_is_closed_is_removed_by_staff_only(self):
        for target, refusal in (("post", services.PostClosed), ("topic", services.TopicClosed)):
            with self.subTest(target):
                post = make_post(self.topic, author=self.author)
                self.lock({"post": post, "topic": self.topic}[target])
                with pytest.raises(refusal):
                    services.delete_post(post=post, actor=self.author)
                assert services.delete_post(post=post, actor=self.staff) is True

    def test_its_replies_stay_and_their_count_with_them(self):
        parent = make_post(self.topic, author=self.author)
        child = make_post(self.topic, parent=parent)
        services.delete_post(post=parent, actor=self.author)
        self.assertDerived(self.topic)
        assert self.topic.last_post == child
        assert DebatePost.objects.get(pk=parent.pk).replies_count == 1

    def test_staff_bring_it_back_once_and_its_author_cannot(self):
        post = make_post(self.topic, author=self.author)
        services.delete_post(post=post, actor=self.author)
        with pytest.raises(services.NotYours):
            services.restore_post(post=post, actor=self.author)
        assert services.restore_post(post=post, actor=self.staff) is True
        assert services.restore_post(post=post, actor=self.staff) is False
        self.assertDerived(self.topic)
        assert self.topic.last_post == post


class ModeratePostTests(ServicesTestCase):
    ACTIONS = [
        ("lock", "is_locked", True), ("unlock", "is_locked", False),
        ("hide", "is_deleted", True), ("restore", "is_deleted", False),
    ]  # fmt: skip

    def test_each_action_sets_its_flag_once_and_the_counters_follow(self):
        post = make_post(self.topic)
        for action, flag, value in self.ACTIONS:
            with self.subTest(action):
                change = {"post": post, "actor": self.staff, "action": action}
                assert services.moderate_post(**change) is True
                assert getattr(DebatePost.objects.get(pk=post.pk), flag) is value
                assert services.moderate_post(**change) is False
                self.assertDerived(self.topic)

    def test_no_action_is_for_members(self):
        post = make_post(self.topic, author=self.author)
        for action, _flag, _value in self.ACTIONS:
            for user in (self.author, self.creator):
                with self.subTest(action), pytest.raises(services.NotYours):
                    services.moderate_post(post=post, actor=user, action=action)


class VotePostTests(ServicesTestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.post = make_post(cls.topic, author=cls.author)

    def vote(self, value, user=None):
        return services.vote_post(post=self.post, user=user or self.other, value=value)

    def test_the_request_says_which_vote_is_wanted(self):
        for value, score in ((1, 1), (1, 1), (-1, -1), (-1, -1), (0, 0), (0, 0), (1, 1)):
            post = self.vote(value)
            assert (post.score, post.my_vote) == (score, value)
            assert DebateVote.objects.filter(post=self.post).count() == (1 if value else 0)
        self.assertDerived(self.topic)

    def test_a_score_is_the_sum_of_its_own_posts_votes(self):
        elsewhere = make_post(self.topic)
        for user, value in ((self.other, 1), (self.creator, -1), (self.staff, -1)):
            self.vote(value, user)
        services.vote_post(post=elsewhere, user=self.other, value=1)
        self.assertDerived(self.topic)
        assert DebatePost.objects.get(pk=self.post.pk).score == -1

    def test_nobody_votes_on_their_own_reply(self):
        for value in (1, 0, -1):
            with pytest.raises(services.OwnPost):
                self.vote(value, self.author)

    def test_what_is_closed_or_removed_takes_no_vote_not_even_a_withdrawal(self):
        self.vote(1)
        cases = [
            (self.lock, self.post, services.PostClosed),
            (self.lock, self.topic, services.TopicClosed),
            (self.remove, self.post, services.Gone),
            (self.remove, self.topic, services.Gone),
        ]
        for change, row, refusal in cases:
            change(row)
            for user in (self.other, self.staff):
                for value in (1, 0, -1):
                    with pytest.raises(refusal):
                        self.vote(value, user)
        assert DebateVote.objects.get(post=self.post).value == 1
        assert DebatePost.objects.get(pk=self.post.pk).score == 1

    def test_a_vote_is_no_activity(self):
        before = DebateTopic.objects.get(pk=self.topic.pk).updated_at
        self.vote(1)
        self.assertDerived(self.topic)
        assert self.topic.updated_at == before


class SyncTopicTests(ServicesTestCase):
    def setUp(self):
        self.parent = make_post(self.topic, author=self.author)
        self.child = make_post(self.topic, parent=self.parent)
        services.vote_post(post=self.parent, user=self.other, value=1)
        self.gone = make_post(self.topic, author=self.author)
        services.delete_post(post=self.gone, actor=self.author)

    def test_nothing_drifts_by_itself(self):
        assert services.sync_topic(self.topic.pk) == {}

    def test_every_drift_is_repaired_and_told_once(self):
        self.topic.refresh_from_db()
        real = self.topic.updated_at
        wrong = real + timedelta(days=1)
        pk = self.parent.pk
        drifts = [
            (self.topic, "posts_count", 7, {"topic.posts_count": (7, 2)}),
            (self.topic, "last_post", None, {"topic.last_post_id": (None, self.child.pk)}),
            (
                self.topic,
                "last_post",
                self.gone,
                {"topic.last_post_id": (self.gone.pk, self.child.pk)},
            ),
            (self.topic, "updated_at", wrong, {"topic.updated_at": (wrong, real)}),
            (self.parent, "score", -3, {f"post.{pk}.score": (-3, 1)}),
            (self.parent, "replies_count", 9, {f"post.{pk}.replies_count": (9, 1)}),
        ]
        for row, column, value, told in drifts:
            with self.subTest(column):
                type(row).objects.filter(pk=row.pk).update(**{column: value})
                assert services.sync_topic(self.topic.pk) == told
                assert services.sync_topic(self.topic.pk) == {}
                self.assertDerived(self.topic)

    def test_the_nightly_task_repairs_every_debate_and_logs_what_had_drifted(self):
        untouched = make_topic()
        DebateTopic.objects.filter(pk=self.topic.pk).update(posts_count=40)
        with self.assertLogs("debates.drift", logging.WARNING) as logs:
            tasks.reconcile_counters()
        assert len(logs.records) == 1
        assert f"topic={self.topic.pk} " in logs.output[0]
        assert f"topic={untouched.pk} " not in logs.output[0]
        self.assertDerived(self.topic)
        with self.assertNoLogs("debates.drift", logging.WARNING):
            tasks.reconcile_counters()


class RefusalTests(TestCase):
    def test_every_refusal_carries_a_sentence_for_the_reader(self):
        refusals = Refused.__subclasses__()
        assert len(refusals) >= 5
        for refusal in refusals:
            assert str(refusal().message).endswith("."), refusal
