"""Twenty requests at once, each in a thread with a database connection of its own.

Whatever the order they come in: no answer is an error, and every counter equals its rows.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

from django.db import connections
from django.db.models import Sum
from django.http import HttpResponse
from django.test import Client, TransactionTestCase
from django.urls import reverse

from accounts.models import BookReview, ReadingProgress, ShelfItem, User
from core.models import HALF_STARS, Book
from debates import services
from debates.models import DebatePost, DebateTopic, DebateVote
from tests.factories import PASSWORD, make_book, make_post, make_topic, make_user

CROWD = 20
REPLY = {"content": "Uma resposta.", "spoiler_percent": 0}

Request = Callable[[], HttpResponse]


def at_once(requests: Sequence[Request]) -> list[HttpResponse]:
    """Send all ``requests`` at the same moment; the answers in their order.

    An exception in a view is raised here, as the test client does.
    """
    gate = threading.Barrier(len(requests), timeout=30)

    def send(request: Request) -> HttpResponse:
        try:
            gate.wait()
            return request()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(send, requests))


class RaceTestCase(TransactionTestCase):
    def setUp(self):
        self.book = make_book()
        self.topic = make_topic(book=self.book)
        self.people = [make_user() for _n in range(CROWD)]

    def client_of(self, user: User | None = None, n: int = 0) -> Client:
        client = Client(REMOTE_ADDR=f"192.0.2.{n + 1}")
        if user:
            client.force_login(user)
        return client

    def poster(self, url: str, words: dict, *, user: User | None = None, n: int = 0) -> Request:
        client = self.client_of(user, n)
        return lambda: client.post(url, words)

    def assertAnswers(self, answers: Sequence[HttpResponse], expected: int = 302):
        assert Counter(answer.status_code for answer in answers) == {expected: len(answers)}

    def assertNoDrift(self):
        for topic in DebateTopic.objects.all():
            assert services.sync_topic(topic.pk) == {}, topic

    def vote(self, post: DebatePost, user: User, value: int) -> Request:
        return self.poster(
            reverse("debates:vote_post", args=[post.pk]), {"value": value}, user=user
        )


class VoteTests(RaceTestCase):
    def test_twenty_people_vote_on_one_post(self):
        post = make_post(self.topic)
        values = [-1 if n % 4 == 0 else 1 for n in range(CROWD)]
        self.assertAnswers(
            at_once([self.vote(post, user, v) for user, v in zip(self.people, values, strict=True)])
        )
        post.refresh_from_db()
        assert post.score == sum(values) == post.votes.aggregate(n=Sum("value"))["n"]
        assert post.votes.count() == CROWD

    def test_one_person_votes_up_down_and_away_at_once(self):
        post, user = make_post(self.topic), self.people[0]
        values = [value for value, _n in zip(cycle((1, -1, 0)), range(CROWD), strict=False)]
        self.assertAnswers(at_once([self.vote(post, user, value) for value in values]))
        post.refresh_from_db()
        votes = list(post.votes.values_list("value", flat=True))
        assert len(votes) <= 1
        assert post.score == sum(votes)

    def test_one_click_sent_twenty_times_is_one_vote(self):
        post, user = make_post(self.topic), self.people[0]
        self.assertAnswers(at_once([self.vote(post, user, 1) for _n in range(CROWD)]))
        post.refresh_from_db()
        assert (post.score, post.votes.count()) == (1, 1)


class PostTests(RaceTestCase):
    def reply(self, user: User, **words) -> Request:
        url = reverse("debates:create_post", args=[self.topic.slug])
        return self.poster(url, REPLY | words, user=user)

    def test_twenty_people_reply_to_one_debate(self):
        self.assertAnswers(at_once([self.reply(user) for user in self.people]))
        self.topic.refresh_from_db()
        assert self.topic.posts_count == self.topic.posts.count() == CROWD
        newest = self.topic.posts.order_by("-created_at", "-pk").first()
        assert (self.topic.last_post, self.topic.updated_at) == (newest, newest.created_at)
        self.assertNoDrift()

    def test_twenty_people_reply_to_one_post(self):
        parent = make_post(self.topic)
        self.assertAnswers(at_once([self.reply(user, parent=parent.pk) for user in self.people]))
        parent.refresh_from_db()
        assert parent.replies_count == parent.replies.count() == CROWD
        assert {reply.path[0] for reply in parent.replies.all()} == {parent.pk}
        self.assertNoDrift()

    def test_twenty_people_edit_what_is_being_voted_on_and_answered(self):
        posts = [make_post(self.topic, author=user) for user in self.people]
        edits = [
            self.poster(
                reverse("debates:edit_post", args=[post.pk]),
                {"content": f"Mudei a {post.pk}.", "spoiler_percent": 10},
                user=post.author,
            )
            for post in posts[::2]
        ]
        others = [self.vote(post, self.people[1], 1) for post in posts[0:10:2]]
        others += [self.reply(post.author, parent=posts[0].pk) for post in posts[1:10:2]]
        assert len(edits) + len(others) == CROWD
        self.assertAnswers(at_once(edits + others))
        for post in posts[::2]:
            post.refresh_from_db()
            assert post.content == f"Mudei a {post.pk}."
            assert post.edited_at is not None
        assert [post.score for post in posts[0:10:2]] == [1] * 5
        assert posts[0].replies_count == 5
        self.assertNoDrift()

    def test_one_author_edits_one_post_twenty_times(self):
        post = make_post(self.topic, author=self.people[0])
        url = reverse("debates:edit_post", args=[post.pk])
        texts = [f"Versão {n}." for n in range(CROWD)]
        self.assertAnswers(
            at_once(
                [
                    self.poster(url, {"content": text, "spoiler_percent": 0}, user=post.author)
                    for text in texts
                ]
            )
        )
        post.refresh_from_db()
        assert post.content in texts
        assert post.content_html == f"<p>{post.content}</p>\n"  # never one's words, another's HTML
        self.assertNoDrift()

    def test_twenty_people_take_their_replies_away(self):
        posts = [make_post(self.topic, author=user) for user in self.people]
        kept = make_post(self.topic)
        urls = [reverse("debates:delete_post", args=[post.pk]) for post in posts]
        self.assertAnswers(
            at_once(
                [
                    self.poster(url, {}, user=user)
                    for url, user in zip(urls, self.people, strict=True)
                ]
            )
        )
        self.topic.refresh_from_db()
        assert (self.topic.posts_count, self.topic.last_post) == (1, kept)
        self.assertNoDrift()

    def test_one_reply_taken_away_twenty_times_counts_once(self):
        post = make_post(self.topic, author=self.people[0])
        make_post(self.topic)
        url = reverse("debates:delete_post", args=[post.pk])
        answers = at_once([self.poster(url, {}, user=post.author) for _n in range(CROWD)])
        # who comes late finds it gone, which is a 404 to a member
        assert {answer.status_code for answer in answers} <= {302, 404}
        self.topic.refresh_from_db()
        assert self.topic.posts_count == 1
        self.assertNoDrift()

    def test_everything_at_once(self):
        parent = make_post(self.topic, author=self.people[0])
        gone = [make_post(self.topic, author=user, parent=parent) for user in self.people[1:6]]
        requests = [self.vote(parent, user, 1) for user in self.people[1:6]]
        requests += [self.vote(post, self.people[0], -1) for post in gone]
        requests += [self.reply(user, parent=parent.pk) for user in self.people[6:11]]
        requests += [
            self.poster(reverse("debates:delete_post", args=[post.pk]), {}, user=post.author)
            for post in gone
        ]
        answers = at_once(requests)
        assert {answer.status_code for answer in answers} <= {302, 404}
        self.topic.refresh_from_db()
        assert self.topic.posts_count == 1 + 5
        parent.refresh_from_db()
        assert (parent.score, parent.replies_count) == (5, 10)
        self.assertNoDrift()


class SlugTests(RaceTestCase):
    def test_twenty_debates_of_one_title_have_twenty_addresses(self):
        for title in ("Capitu traiu?", "!!!"):
            with self.subTest(title):
                words = {
                    "livro": self.book.slug, "title": title, "description": "?",
                    "spoiler_percent": 0,
                }  # fmt: skip
                url = reverse("debates:create_topic")
                answers = at_once([self.poster(url, words, user=user) for user in self.people])
                self.assertAnswers(answers)
                slugs = set(DebateTopic.objects.filter(title=title).values_list("slug", flat=True))
                assert len(slugs) == CROWD
                assert {answer.url for answer in answers} == {
                    reverse("debates:topic_detail", args=[slug]) for slug in slugs
                }


class SignUpTests(RaceTestCase):
    def sign_ups(self, words: Callable[[int], dict[str, str]]) -> Counter:
        url = reverse("accounts:sign_up")
        answers = at_once([self.poster(url, words(n), n=n) for n in range(CROWD)])
        sentences = ("já é de outra pessoa", "Já existe uma conta", "acabou de ficar com este")
        for answer in answers:
            if answer.status_code != 302:
                page = answer.content.decode()
                assert any(sentence in page for sentence in sentences)
        return Counter(answer.status_code for answer in answers)

    def test_one_name_goes_to_one_person(self):
        names = ["Marina", "marina", "MARINA"]
        answered = self.sign_ups(
            lambda n: {"username": names[n % 3], "email": f"m{n}@example.com", "password": PASSWORD}
        )
        assert answered == {302: 1, 422: CROWD - 1}
        assert User.objects.with_login("marina").count() == 1

    def test_one_address_goes_to_one_person(self):
        answered = self.sign_ups(
            lambda n: {"username": f"nome{n}", "email": "Ana@example.com", "password": PASSWORD}
        )
        assert answered == {302: 1, 422: CROWD - 1}
        assert User.objects.with_login("ana@example.com").count() == 1


class ReadingTests(RaceTestCase):
    def test_one_reader_moves_a_book_across_all_shelves(self):
        user = self.people[0]
        url = reverse("accounts:shelve_book", args=[self.book.slug])
        shelves = [shelf for shelf, _n in zip(cycle(ShelfItem.Status.values), range(CROWD - 4))]
        requests = [self.poster(url, {"status": shelf}, user=user) for shelf in shelves + [""] * 4]
        self.assertAnswers(at_once(requests))
        assert ShelfItem.objects.filter(user=user, book=self.book).count() <= 1
        self.assertAnswers(at_once(requests[: CROWD - 4]))
        assert ShelfItem.objects.get(user=user, book=self.book).status in ShelfItem.Status

    def test_one_reader_records_twenty_pages(self):
        user = self.people[0]
        url = reverse("accounts:record_progress", args=[self.book.slug])
        self.assertAnswers(
            at_once([self.poster(url, {"page": n, "pages": 200}, user=user) for n in range(CROWD)])
        )
        progress = ReadingProgress.objects.get(user=user, book=self.book)
        assert progress.percent == progress.page * 100 // 200
        assert ShelfItem.objects.get(user=user, book=self.book).status == ShelfItem.Status.READING

    def review(self, user: User, rating: int) -> Request:
        url = reverse("accounts:edit_review", args=[self.book.slug])
        return self.poster(url, {"rating": rating, "text": f"Nota {rating}."}, user=user)

    def assertHistogram(self) -> Book:
        book = Book.objects.get(pk=self.book.pk)
        rows = Counter(BookReview.objects.filter(book=book).values_list("rating", flat=True))
        assert book.rating_histogram == [rows[half] for half in range(1, HALF_STARS + 1)]
        assert book.reviews_count == rows.total()
        return book

    def test_twenty_readers_review_one_book(self):
        ratings = [n % HALF_STARS + 1 for n in range(CROWD)]
        self.assertAnswers(
            at_once([self.review(user, r) for user, r in zip(self.people, ratings, strict=True)])
        )
        assert self.assertHistogram().rating_histogram == [2] * HALF_STARS
        # half of them think again while the other half take theirs away
        url = reverse("accounts:delete_review", args=[self.book.slug])
        again = [self.review(user, 10) for user in self.people[: CROWD // 2]]
        away = [self.poster(url, {}, user=user) for user in self.people[CROWD // 2 :]]
        self.assertAnswers(at_once(again + away))
        assert self.assertHistogram().rating_histogram == [0] * 9 + [CROWD // 2]

    def test_one_reader_reviews_one_book_twenty_times(self):
        user = self.people[0]
        self.assertAnswers(at_once([self.review(user, n % 10 + 1) for n in range(CROWD)]))
        review = BookReview.objects.get(user=user, book=self.book)
        assert review.text_html == f"<p>{review.text}</p>\n" == f"<p>Nota {review.rating}.</p>\n"
        self.assertHistogram()


class SpyTests(RaceTestCase):
    def test_the_threads_do_have_connections_of_their_own_and_do_overlap(self):
        seen: set[int] = set()
        together = threading.Barrier(CROWD, timeout=30)

        def request() -> HttpResponse:
            with connections["default"].cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                seen.add(cursor.fetchone()[0])
            together.wait()  # all of them are in the middle of theirs
            return HttpResponse()

        self.assertAnswers(at_once([request] * CROWD), expected=200)
        assert len(seen) == CROWD

    def test_a_lost_update_would_be_seen(self):
        post = make_post(self.topic)
        votes = [DebateVote(post=post, user=user, value=1) for user in self.people]
        DebateVote.objects.bulk_create(votes)
        assert services.sync_topic(self.topic.pk) == {f"post.{post.pk}.score": (0, CROWD)}
