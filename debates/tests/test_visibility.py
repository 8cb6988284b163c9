"""debates.visibility: one table of who sees what, asked in every way the site asks."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.test import TestCase

from debates import services, visibility
from debates.models import DebatePost, DebateTopic
from debates.querysets import attach_own
from tests.factories import make_post, make_staff, make_topic, make_user


class VisibilityTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.author, cls.member, cls.staff = make_user(), make_user(), make_staff()
        cls.nobody = AnonymousUser()
        cls.public = (cls.nobody, cls.member, cls.author)
        cls.topic = make_topic(creator=cls.author)
        cls.plain = make_post(cls.topic, author=cls.author)
        cls.alone = make_post(cls.topic, author=cls.author)
        cls.answered = make_post(cls.topic, author=cls.author)
        cls.answer = make_post(cls.topic, parent=cls.answered, author=cls.member)
        for post in (cls.alone, cls.answered):
            services.delete_post(post=post, actor=cls.author)
        cls.removed_topic = make_topic(creator=cls.author)
        cls.orphan = make_post(cls.removed_topic, author=cls.author)
        services.delete_topic(topic=cls.removed_topic, actor=cls.author)


class TopicTests(VisibilityTestCase):
    def test_a_removed_debate_is_for_staff_only_not_even_its_creator(self):
        for user in self.public:
            assert set(DebateTopic.objects.visible_to(user)) == {self.topic}
        both = {self.topic, self.removed_topic}
        assert set(DebateTopic.objects.visible_to(self.staff)) == both

    def test_lists_leave_it_out_for_everybody(self):
        assert set(DebateTopic.objects.published()) == {self.topic}

    def test_an_opening_is_quoted_only_without_spoilers_and_never_when_removed(self):
        for is_deleted, percent, quoted in (
            (False, 0, True), (False, 1, False), (False, 100, False), (True, 0, False),
        ):  # fmt: skip
            topic = DebateTopic(is_deleted=is_deleted, spoiler_percent=percent)
            assert visibility.excerpt_allowed(topic) is quoted


class PostTests(VisibilityTestCase):
    def test_words_are_read_in_a_debate_that_is_there(self):
        for user in self.public:
            assert set(DebatePost.objects.visible_to(user)) == {self.plain, self.answer}
        assert set(DebatePost.objects.visible_to(self.staff)) == set(DebatePost.objects.all())

    def test_a_removed_post_keeps_its_place_only_where_it_was_answered(self):
        for user in self.public:
            thread = DebatePost.objects.filter(topic=self.topic).in_thread(user)
            assert set(thread) == {self.plain, self.answered, self.answer}
        thread = DebatePost.objects.filter(topic=self.topic).in_thread(self.staff)
        assert set(thread) == {self.plain, self.alone, self.answered, self.answer}

    def test_the_answer_about_one_row_is_the_answer_about_the_set(self):
        for user in (*self.public, self.staff):
            readable = set(DebatePost.objects.visible_to(user))
            for post in DebatePost.objects.filter(topic=self.topic).in_thread(user):
                with self.subTest(user=user, post=post):
                    assert visibility.shows_words(post, user) is (post in readable)

    def test_a_post_comes_back_with_its_words_when_it_is_restored(self):
        services.restore_post(post=self.alone, actor=self.staff)
        services.restore_topic(topic=self.removed_topic, actor=self.staff)
        readable = set(DebatePost.objects.visible_to(self.nobody))
        assert readable == {self.plain, self.alone, self.answer, self.orphan}


class AttachVotesTests(VisibilityTestCase):
    def test_each_post_gets_the_viewers_own_vote(self):
        services.vote_post(post=self.plain, user=self.member, value=-1)
        services.vote_post(post=self.answer, user=self.author, value=1)
        posts = DebatePost.objects.filter(topic=self.topic)
        with self.assertNumQueries(2):
            mine = {post.pk: post.my_vote for post in attach_own(self.topic, posts, self.member)}
        assert mine == {
            self.plain.pk: -1, self.alone.pk: 0, self.answered.pk: 0, self.answer.pk: 0
        }  # fmt: skip

    def test_an_anonymous_reader_costs_no_query(self):
        posts = list(DebatePost.objects.filter(topic=self.topic))
        with self.assertNumQueries(0):
            assert [post.my_vote for post in attach_own(self.topic, posts, self.nobody)] == [0] * 4
