"""debates.counters: every kind of drift is found, and what is sound is not named."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F
from django.test import TestCase

from debates.counters import drifted_topics
from debates.models import DebatePost, DebateTopic, DebateVote
from debates.services import delete_post, sync_topic
from tests.factories import make_post, make_topic, make_user


class DriftTests(TestCase):
    def setUp(self):
        self.empty, self.topic = make_topic(), make_topic()
        self.post = make_post(self.topic)
        make_post(self.topic, parent=self.post)
        gone = make_post(self.topic)
        delete_post(post=gone, actor=gone.author)
        DebateVote.objects.create(post=self.post, user=make_user(), value=1)
        DebatePost.objects.filter(pk=self.post.pk).update(score=1)

    def found(self) -> list[int]:
        return drifted_topics(self.empty.pk, self.topic.pk)

    def test_what_is_sound_is_not_named(self):
        assert self.found() == []

    def test_each_drift_is_found_and_repaired(self):
        later = F("updated_at") + timedelta(hours=1)
        for rows, row, change in (
            (DebateTopic, self.topic, {"posts_count": 7}),
            (DebateTopic, self.topic, {"last_post": self.post}),
            (DebateTopic, self.topic, {"last_post": None}),
            (DebateTopic, self.topic, {"updated_at": later}),
            (DebateTopic, self.empty, {"updated_at": later}),
            (DebateTopic, self.empty, {"posts_count": 1}),
            (DebatePost, self.post, {"score": 0}),
            (DebatePost, self.post, {"replies_count": 0}),
        ):
            with self.subTest(change=change):
                rows.objects.filter(pk=row.pk).update(**change)
                topic_id = row.pk if rows is DebateTopic else row.topic_id
                assert self.found() == [topic_id]
                assert sync_topic(topic_id)
                assert self.found() == []

    def test_a_count_that_drifted_to_nothing_stops_no_removal(self):
        DebateTopic.objects.filter(pk=self.topic.pk).update(posts_count=0)
        assert delete_post(post=self.post, actor=self.post.author)
        assert self.found() == [self.topic.pk]
        sync_topic(self.topic.pk)
        self.topic.refresh_from_db()
        assert self.topic.posts_count == 1

    def test_only_the_range_is_read(self):
        DebateTopic.objects.update(posts_count=9)
        assert drifted_topics(self.topic.pk, self.topic.pk) == [self.topic.pk]
