"""seed_load: rows that hold together, the same ones for the same seed, and nobody else's lost."""

from __future__ import annotations

from io import StringIO
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F, Sum
from django.test import SimpleTestCase, TestCase

from accounts.models import BookReview, ReadingProgress, ShelfItem, User
from accounts.services import write_review
from core.markdown import render
from core.models import Author, Book
from core.services import Refused
from core.text import fold
from debates import services
from debates.models import PATH_LEVELS, DebatePost, DebateTopic, DebateVote
from debates.seeding import marks, people, running
from debates.seeding.chance import Ranking, dice, spread
from tests.factories import make_book, make_post, make_topic, make_user

DAY_OF_WRITING = {"created_at"}  # of authors and books: when the row was made


def load(topics=30, posts=900, users=60, votes=1200, **options) -> str:
    out = StringIO()
    call_command(
        "seed_load",
        topics=topics,
        posts=posts,
        users=users,
        votes=votes,
        stdout=out,
        stderr=StringIO(),
        **options,
    )
    return out.getvalue()


def everything() -> dict:
    """Every row of every table that is written."""
    rows = {}
    for model in marks.TABLES:
        skipped = DAY_OF_WRITING if model in {Author, Book} else set()
        names = [
            field.attname for field in model._meta.concrete_fields if field.name not in skipped
        ]
        rows[model] = list(model.objects.order_by("pk").values_list(*names))
    return rows


class RowTests(TestCase):
    """One small site, looked at from all sides."""

    @classmethod
    def setUpTestData(cls):
        cls.out = load()

    def test_there_is_exactly_as_much_as_was_asked_for(self):
        assert DebateTopic.objects.count() == 30
        assert DebatePost.objects.count() == 900
        assert User.objects.count() == 60
        assert DebateVote.objects.count() == 1200
        assert Book.objects.count() == running.BOOKS
        for model in (ShelfItem, ReadingProgress, BookReview):
            assert model.objects.exists()

    def test_a_recount_of_every_debate_finds_no_drift(self):
        for topic in DebateTopic.objects.all():
            assert services.sync_topic(topic.pk) == {}
            again = DebateTopic.objects.get(pk=topic.pk)
            assert again.last_post_id == topic.last_post_id
            assert again.updated_at == topic.updated_at

    def test_paths_name_the_ancestors_up_to_the_cap(self):
        posts = {post.pk: post for post in DebatePost.objects.all()}
        for post in posts.values():
            parent = posts[post.parent_id] if post.parent_id else None
            above = parent.path[:PATH_LEVELS] if parent else []
            assert post.path == [*above, post.pk]
            assert post.depth == (parent.depth + 1 if parent else 0)
            if parent:
                assert parent.topic_id == post.topic_id
                assert parent.created_at <= post.created_at
        assert max(post.depth for post in posts.values()) > PATH_LEVELS
        assert max(len(post.path) for post in posts.values()) == PATH_LEVELS + 1

    def test_ids_follow_the_clock_and_nothing_is_before_its_debate(self):
        posts = DebatePost.objects.order_by("pk").select_related("topic")
        assert [p.pk for p in posts] == [
            p.pk for p in sorted(posts, key=lambda p: (p.created_at, p.pk))
        ]
        assert all(post.created_at >= post.topic.created_at for post in posts)

    def test_what_is_shown_is_what_was_written(self):
        for post in DebatePost.objects.distinct("content"):
            assert post.content_html == render(post.content)
        for topic in DebateTopic.objects.all():
            assert topic.description_html == render(topic.description)
            assert topic.folded_title == fold(topic.title)
        for review in BookReview.objects.distinct("text"):
            assert review.text_html == render(review.text)
        assert DebatePost.objects.values("content").distinct().count() > 100

    def test_nobody_votes_for_themselves_and_scores_are_sums(self):
        assert not DebateVote.objects.filter(user=F("post__author")).exists()
        assert set(DebateVote.objects.values_list("value", flat=True)) == {1, -1}
        total = DebateVote.objects.aggregate(n=Sum("value"))["n"]
        assert DebatePost.objects.aggregate(n=Sum("score"))["n"] == total

    def test_books_know_their_reviews_and_their_words(self):
        for book in Book.objects.prefetch_related("reviews", "authors"):
            ratings = [review.rating for review in book.reviews.all()]
            assert book.reviews_count == len(ratings)
            assert book.rating_histogram == [ratings.count(stars) for stars in range(1, 11)]
            stored = (book.byline, book.folded_title, book.search_text)
            book.derive(author.name for author in book.authors.all())
            assert stored == (book.byline, book.folded_title, book.search_text)

    def test_some_debates_are_pinned_and_some_posts_are_gone(self):
        assert (
            DebateTopic.objects.filter(is_pinned=True, is_deleted=False).count() == running.PINNED
        )
        assert 0 < DebatePost.objects.filter(is_deleted=True).count() < 900 * 0.05
        assert not DebatePost.objects.filter(is_deleted=True, deleted_by=None).exists()

    def test_the_site_goes_on_after_it(self):
        topic = DebateTopic.objects.filter(is_deleted=False, is_locked=False).latest("posts_count")
        last = DebatePost.objects.latest("pk").pk
        user = make_user()
        post = services.create_post(topic=topic, author=user, content="Oi.")
        assert post.pk > last
        services.vote_post(post=post, user=topic.creator, value=1)
        opened = services.create_topic(
            creator=user, book=topic.book, title="Novo", description="Oi."
        )
        assert opened.pk > DebateTopic.objects.exclude(pk=opened.pk).latest("pk").pk
        write_review(user=user, book=make_book(), rating=5, text="", has_spoiler=False)
        assert services.sync_topic(topic.pk) == {}

    def test_the_logins_are_told_and_work(self):
        assert "carga00001" in self.out and people.PASSWORD in self.out
        first = User.objects.order_by("pk").first()
        assert first.username == "carga00001" and first.check_password(people.PASSWORD)
        assert not User.objects.filter(is_staff=True).exists()

    def test_the_same_numbers_make_the_same_rows_and_another_seed_others(self):
        load(reset=True)
        first = everything()
        load(reset=True)
        again = everything()
        for model in marks.TABLES:
            assert again[model] == first[model], model
        load(reset=True, seed=2)
        assert everything()[DebatePost] != first[DebatePost]

    def test_a_reset_that_fails_gives_no_id_out_again(self):
        with (
            pytest.raises(ZeroDivisionError),
            mock.patch.object(running.threads, "write", side_effect=ZeroDivisionError),
        ):
            load(reset=True)
        assert DebatePost.objects.count() == 900
        topic = make_topic()
        assert make_post(topic).pk > DebatePost.objects.exclude(topic=topic).latest("pk").pk

    def test_a_second_run_adds(self):
        load(topics=2, posts=40, users=3, votes=10)
        assert User.objects.filter(username="carga00063").exists()
        assert DebateTopic.objects.filter(slug="carga-32").exists()
        assert (DebatePost.objects.count(), Book.objects.count()) == (940, running.BOOKS)
        assert services.sync_topic(DebateTopic.objects.get(slug="carga-31").pk) == {}


class StrangerTests(TestCase):
    """Rows of others: refused, or left as they are."""

    def test_a_site_with_people_or_debates_is_refused_and_untouched(self):
        make_user(
            username="carga00001", email="alguem@example.com"
        )  # the name alone proves nothing
        for reset in (False, True):
            with pytest.raises(CommandError, match="1 readers"):
                load(reset=reset)
        assert User.objects.count() == 1
        assert not DebateTopic.objects.exists()

    def test_a_catalogue_alone_is_welcome_and_used(self):
        book = make_book(title="Dom\tCasmurro \\ edição")
        load(topics=3, posts=9, users=4, votes=5)
        assert list(Book.objects.all()) == [book]
        assert "Dom\tCasmurro \\ edição" in DebateTopic.objects.first().title

    def test_books_can_be_asked_for(self):
        make_book()
        load(topics=1, posts=0, users=1, votes=0, books=7)
        assert Book.objects.filter(source="carga").count() == 7

    def test_force_adds_and_a_reset_takes_only_its_own(self):
        topic = make_topic(book=make_book())
        post = make_post(topic)
        reader, before = make_user(username="carga.nao"), User.objects.count()
        write_review(user=reader, book=topic.book, rating=10, text="", has_spoiler=False)
        kept = DebateTopic.objects.values().get()
        load(force=True)
        carga = User.objects.get(username="carga00001")
        services.vote_post(post=post, user=carga, value=1)
        others = DebateTopic.objects.exclude(pk=topic.pk).filter(is_deleted=False, is_locked=False)
        answer = services.create_post(topic=others.first(), author=reader, content="Oi.")
        services.vote_post(post=answer, user=post.author, value=1)
        load(topics=0, posts=0, users=0, votes=0, reset=True, force=True)
        assert User.objects.count() == before
        rows = [
            model.objects.count() for model in (DebateTopic, DebatePost, DebateVote, BookReview)
        ]
        assert rows == [1, 1, 0, 1]
        post.refresh_from_db()
        assert post.score == 0
        assert DebateTopic.objects.values().get() == kept
        assert Book.objects.get(pk=topic.book_id).rating_histogram == [0] * 9 + [1]

    def test_a_reset_does_not_tear_a_post_out_of_somebody_elses_debate(self):
        load(topics=1, posts=1, users=2, votes=0)
        post = services.create_post(
            topic=make_topic(), author=User.objects.get(username="carga00001"), content="Oi."
        )
        with pytest.raises(CommandError, match="debates of others"):
            load(reset=True, force=True)
        assert DebatePost.objects.filter(pk=post.pk).exists()

    def test_a_reset_alone_leaves_an_empty_site(self):
        load()
        load(topics=0, posts=0, users=0, votes=0, books=0, reset=True)
        for model in marks.TABLES:
            assert not model.objects.exists(), model


class PlanTests(TestCase):
    def test_what_cannot_be_is_refused_with_a_sentence(self):
        for numbers in (
            {"topics": -1}, {"topics": 0}, {"users": 0}, {"votes": 900 * 59 + 1}, {"books": -1},
        ):  # fmt: skip
            with self.subTest(numbers), pytest.raises(CommandError):
                load(**numbers)
        assert not User.objects.exists()

    def test_everybody_may_vote_on_everything(self):
        load(topics=3, posts=10, users=5, votes=40)
        assert DebateVote.objects.count() == 40
        assert {post.votes.count() for post in DebatePost.objects.all()} == {4}

    def test_only_two_hundred_can_log_in(self):
        load(topics=0, posts=0, users=201, votes=0)
        able = [user.has_usable_password() for user in User.objects.order_by("pk")]
        assert able == [True] * 200 + [False]

    def test_no_statement_has_a_time_limit(self):
        seen = []

        def look(*_told):
            with connection.cursor() as cursor:
                cursor.execute("SHOW statement_timeout")
                seen.append(cursor.fetchone()[0])

        running.seed(running.Plan(topics=1, posts=1, users=1, votes=0), look)
        assert set(seen) == {"0"}


class ShapeTests(SimpleTestCase):
    def test_one_debate_is_very_long_and_most_are_short(self):
        plan = running.Plan(topics=2_000, posts=20_000, users=10, votes=0)
        sizes = sorted(running._sizes(plan, 7))
        assert sum(sizes) == 20_000 and sizes[-1] == running.LONGEST
        assert sum(size < 40 for size in sizes) > 0.9 * len(sizes)
        assert 0 < sizes.count(0) < 0.2 * len(sizes)

    def test_shares_add_up_whatever_the_weights(self):
        for total, weights in [
            (10, [1, 1, 1]),
            (0, [1, 2]),
            (7, [1e-9, 5]),
            (3, [1]),
            (2, [1.5] * 9),
        ]:
            assert sum(spread(total, weights)) == total
        assert list(spread(10, [1, 0, 1])) == [5, 0, 5]

    def test_a_ranking_names_everybody_once(self):
        for count in (1, 2, 7919, 10_000):
            ranking = Ranking(5, count)
            assert {ranking.id(place) for place in range(count)} == set(range(5, 5 + count))
            assert 0 <= ranking.draw(dice(1)) < count

    def test_a_plan_says_what_is_wrong(self):
        with pytest.raises(Refused):
            running.Plan(topics=1, posts=1, users=1, votes=1)
