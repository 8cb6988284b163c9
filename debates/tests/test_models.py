"""debates.models: what must always hold is refused by Postgres, whoever writes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.db.models import ProtectedError, RestrictedError
from django.test import SimpleTestCase, TestCase
from django.utils import timezone

from debates.models import PATH_LEVELS, DebatePost, DebateTopic, DebateVote
from tests.factories import make_post, make_topic, make_user

LONG_AGO = timezone.now() - timedelta(days=365)


class ConstraintTests(TestCase):
    """One broken row a constraint. ``update`` and ``bulk_create`` go past forms and services."""

    @classmethod
    def setUpTestData(cls):
        cls.topic = make_topic()
        cls.post = make_post(cls.topic)
        cls.reply = make_post(cls.topic, parent=cls.post)
        cls.voter = make_user()
        DebateVote.objects.create(post=cls.post, user=cls.voter, value=1)

    def update(self, row, **values):
        type(row).objects.filter(pk=row.pk).update(**values)

    def vote(self, **values):
        vote = {"post": self.post, "user": make_user(), "value": 1, **values}
        DebateVote.objects.bulk_create([DebateVote(**vote)])

    def broken(self):
        """Pairs of a constraint's name and a write that breaks it."""
        topic, post, reply = self.topic, self.post, self.reply
        too_long = [*range(1, PATH_LEVELS + 2), post.pk]
        now = timezone.now()
        return [
            ("topic_has_title", lambda: self.update(topic, title="")),
            ("topic_has_title", lambda: self.update(topic, slug="")),
            ("topic_spoiler_range", lambda: self.update(topic, spoiler_percent=101)),
            ("topic_deleted_has_date", lambda: self.update(topic, is_deleted=True)),
            ("topic_deleted_has_date", lambda: self.update(topic, deleted_at=now)),
            ("topic_activity_after_opening", lambda: self.update(topic, updated_at=LONG_AGO)),
            ("post_path_length", lambda: self.update(post, path=[])),
            ("post_path_length", lambda: self.update(post, path=too_long)),
            ("post_path_ends_in_itself", lambda: self.update(post, path=[reply.pk])),
            ("post_path_ends_in_itself", lambda: self.update(reply, path=[reply.pk, post.pk])),
            ("post_depth_has_parent", lambda: self.update(post, depth=1)),
            ("post_depth_has_parent", lambda: self.update(reply, depth=0)),
            ("post_depth_has_parent", lambda: self.update(reply, parent=None)),
            ("post_spoiler_range", lambda: self.update(post, spoiler_percent=101)),
            ("post_deleted_has_date", lambda: self.update(post, is_deleted=True)),
            ("post_deleted_has_date", lambda: self.update(post, deleted_at=now)),
            ("vote_once_per_post", lambda: self.vote(user=self.voter, value=-1)),
            ("vote_is_up_or_down", lambda: self.vote(value=0)),
            ("vote_is_up_or_down", lambda: self.vote(value=2)),
        ]

    def test_each_broken_row_is_refused_by_name(self):
        for name, write in self.broken():
            refused = pytest.raises(IntegrityError, match=name)
            with self.subTest(name), refused, transaction.atomic():
                write()

    def test_every_constraint_has_a_broken_row_here(self):
        declared = {
            constraint.name
            for model in (DebateTopic, DebatePost, DebateVote)
            for constraint in model._meta.constraints
        }
        # A path ends in its own id, so no two rows can share one: only the index is wanted.
        assert declared - {name for name, _write in self.broken()} == {"post_thread_order"}

    def test_the_thread_order_is_unique_in_the_database(self):
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, "debates_debatepost")
        assert found["post_thread_order"]["unique"]
        assert found["post_thread_order"]["columns"] == ["topic_id", "path"]

    def test_counters_are_never_negative(self):
        rows = [
            (self.topic, "posts_count"), (self.topic, "views_count"), (self.topic, "spoiler_percent"),
            (self.post, "replies_count"), (self.post, "spoiler_percent"), (self.reply, "depth"),
        ]  # fmt: skip
        for row, column in rows:
            with self.subTest(column), pytest.raises(IntegrityError), transaction.atomic():
                self.update(row, **{column: -1})

    def test_an_address_is_held_once(self):
        other = make_topic()
        with pytest.raises(IntegrityError, match="slug"), transaction.atomic():
            self.update(other, slug=self.topic.slug)

    def test_the_lowest_and_highest_values_fit(self):
        for percent in (0, 100):
            self.update(self.topic, spoiler_percent=percent)
            self.update(self.post, spoiler_percent=percent)
        self.update(self.topic, updated_at=self.topic.created_at)
        self.update(self.topic, is_deleted=True, deleted_at=timezone.now())
        self.vote(value=-1)


class DeletionTests(TestCase):
    def test_books_people_and_answered_posts_are_kept_while_a_debate_needs_them(self):
        topic = make_topic()
        post = make_post(topic)
        make_post(topic, parent=post)
        for row in (topic.book, topic.creator, post.author, post):
            refused = pytest.raises((ProtectedError, RestrictedError))
            with self.subTest(type(row).__name__), refused:
                row.delete()

    def test_a_debate_takes_its_posts_and_votes_with_it(self):
        topic = make_topic()
        post = make_post(topic)
        make_post(topic, parent=post)
        DebateVote.objects.create(post=post, user=make_user(), value=1)
        topic.delete()
        assert not DebatePost.objects.exists()
        assert not DebateVote.objects.exists()


class IndexTests(SimpleTestCase):
    def test_the_owners_indexes_have_the_owners_columns(self):
        def columns(model):
            return {index.name: index.fields for index in model._meta.indexes}

        topic, post = columns(DebateTopic), columns(DebatePost)
        assert topic["idx_topic_date"] == ["-created_at"]
        assert topic["idx_topic_book_date"] == ["book", "-created_at"]
        assert post["idx_post_topic_date"] == ["topic", "-created_at", "is_deleted"]


class FactTests(TestCase):
    def test_a_renamed_debate_is_found_by_its_new_name(self):
        topic = make_topic(title="Coração")
        topic.title = "Paixões"
        topic.save(update_fields=["title"])
        topic.refresh_from_db()
        assert topic.folded_title == "paixoes"

    def test_saving_another_column_leaves_the_title_alone(self):
        topic = make_topic(title="Coração")
        DebateTopic.objects.filter(pk=topic.pk).update(title="Paixões", folded_title="paixoes")
        topic.is_pinned = True
        topic.save(update_fields=["is_pinned"])
        topic.refresh_from_db()
        assert (topic.title, topic.folded_title, topic.is_pinned) == ("Paixões", "paixoes", True)

    def test_a_folded_title_fits_its_column_however_it_grows(self):
        title = "ﷺ" * 200  # one character that folds to eighteen
        topic = make_topic(title=title)
        topic.refresh_from_db()
        assert topic.title == title
        assert 0 < len(topic.folded_title) <= 200

    def test_the_viewers_vote_is_loud_until_it_is_attached(self):
        with pytest.raises(RuntimeError, match="attach_own"):
            _ = make_post().my_vote

    def test_the_indent_stops_at_the_cap(self):
        assert [DebatePost(depth=depth).indent for depth in (0, 3, 6, 7, 40)] == [0, 3, 6, 6, 6]

    def test_last_activity_is_no_auto_now(self):
        for name in ("created_at", "updated_at"):
            field = DebateTopic._meta.get_field(name)
            assert isinstance(field, models.DateTimeField)
            assert not (field.auto_now or field.auto_now_add)
