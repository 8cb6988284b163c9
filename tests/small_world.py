"""A world with one page of each kind, and the question whether each is as it would be built."""

from __future__ import annotations

from collections.abc import Callable

from django.test import TestCase, override_settings

from accounts.models import User
from accounts.services import write_review

from .clock import stop_clock
from .factories import (
    forget_limits,
    make_author,
    make_book,
    make_category,
    make_post,
    make_staff,
    make_topic,
    make_user,
)
from .keeping import another_process, release_claims, two_seconds_later, without_token


class SmallWorld:
    """One page of each kind, and somebody for each kind of write."""

    def __init__(self):
        self.writer, self.reader = make_user(display_name="Ana"), make_user(display_name="Bia")
        self.staff = make_staff()
        self.author, self.category = make_author(name="Clarice"), make_category(name="Contos")
        self.book = make_book(title="Laços", authors=[self.author], language="pt")
        self.book.categories.add(self.category)
        self.other_book = make_book(title="Outro")
        self.topic = make_topic(creator=self.writer, book=self.book, title="Os laços")
        self.post = make_post(self.topic, author=self.writer, content="Primeira resposta.")
        self.theirs = make_post(self.topic, author=make_user(), content="De outra pessoa.")
        self.answer = make_post(self.topic, parent=self.post, author=self.writer)
        write_review(user=self.writer, book=self.book, rating=8, text="Boa.", has_spoiler=False)

        self.of_topic = self.topic.get_absolute_url()
        self.of_book = self.book.get_absolute_url()
        self.of_author = self.author.get_absolute_url()
        self.of_category = self.category.get_absolute_url()
        self.of_debates_on_book = f"/debates/?livro={self.book.slug}"
        self.lists = ["/", "/debates/", self.of_debates_on_book, self.of_book]
        self.catalogue = ["/livros/", self.of_author, self.of_category]
        self.paths = [
            *self.lists,
            *self.catalogue,
            self.of_topic,
            self.other_book.get_absolute_url(),
        ]


class StaleTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.w = SmallWorld()

    def setUp(self):
        stop_clock(self)

    def client_of(self, user=None):
        client = self.client_class()
        if user:
            client.force_login(user)
        return client

    def post(self, path: str, user, **data):
        """Send a form; the write must be taken."""
        response = self.client_of(user).post(path, data)
        assert response.status_code in {200, 302}, response.status_code
        return response

    def pages(self, *, built=False) -> dict[tuple[str, User | None], tuple[int, str]]:
        """Status and text of every page, for somebody without an account and for a member."""
        forget_limits()
        found = {}
        for user in (None, self.w.reader):
            client = self.client_of(user)
            for path in self.w.paths:
                with override_settings(PAGE_CACHE=not built):
                    response = client.get(path)
                found[path, user] = response.status_code, without_token(response.text)
        return found

    def assert_seen(self, write: Callable[[], object], *changed: str):
        """After ``write`` every page is as it would be built, here and in another process.

        ``changed`` names those that must have changed, so that the test sees something.
        """
        self.pages()
        release_claims()
        before = self.pages()
        write()
        built = self.pages(built=True)
        seen = {path for path, user in before if before[path, user] != built[path, user]}
        assert seen == set(changed)
        with another_process():
            self.assert_equal(self.pages(), built)
        with two_seconds_later():
            self.assert_equal(self.pages(), built)

    def assert_equal(self, found, built):
        for page, (status, text) in found.items():
            assert status == built[page][0], page
            assert text == built[page][1], page
