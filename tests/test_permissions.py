"""Who may write what: every write by owner, other member, staff and anonymous."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.test import TestCase
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import BookReview, ReadingProgress, ShelfItem
from debates import mail_links
from debates.models import DebatePost, DebateTopic, DebateVote, Follow, Notification

from .factories import make_book, make_post, make_staff, make_topic, make_user

LOGIN = "login"  # a redirect to the login page
DONE = "done"  # a redirect elsewhere, and the row has changed
REFUSED = "refused"  # a redirect or a form with a sentence, and nothing has changed
NOT_FOUND, FORBIDDEN = 404, 403


@dataclass
class Write:
    path: str
    data: dict[str, Any]
    owner: Any
    other: Any
    staff: Any
    anonymous: Any = LOGIN


TOPIC, POST, BOOK = "/debates/topico/{topic}", "/debates/post/{post}", "/livros/{book}"
WORDS = {"title": "Outro título", "description": "Outras palavras", "spoiler_percent": 0}
REPLY = {"content": "Outra resposta", "spoiler_percent": 0}
WRITES = {
    "create_topic": Write(
        "/debates/novo/", {**WORDS, "livro": "{book}"}, DONE, DONE, DONE, FORBIDDEN
    ),
    "create_post": Write(f"{TOPIC}/responder/", REPLY, DONE, DONE, DONE, FORBIDDEN),
    "edit_topic": Write(f"{TOPIC}/editar/", WORDS, DONE, NOT_FOUND, NOT_FOUND, FORBIDDEN),
    "delete_topic": Write(f"{TOPIC}/apagar/", {}, DONE, NOT_FOUND, NOT_FOUND),
    "moderate_topic": Write(f"{TOPIC}/moderar/", {"action": "lock"}, NOT_FOUND, NOT_FOUND, DONE),
    "edit_post": Write(f"{POST}/editar/", REPLY, DONE, NOT_FOUND, NOT_FOUND, FORBIDDEN),
    "delete_post": Write(f"{POST}/apagar/", {}, DONE, NOT_FOUND, NOT_FOUND),
    "vote_post": Write(f"{POST}/votar/", {"value": 1}, REFUSED, DONE, DONE),
    "moderate_post": Write(f"{POST}/moderar/", {"action": "hide"}, NOT_FOUND, NOT_FOUND, DONE),
    "shelve_book": Write(f"{BOOK}/estante/", {"status": "lendo"}, DONE, DONE, DONE),
    "record_progress": Write(f"{BOOK}/progresso/", {"percent": 40}, DONE, DONE, DONE),
    "edit_review": Write(
        f"{BOOK}/resenha/", {"rating": 9, "text": "Boa."}, DONE, DONE, DONE, FORBIDDEN
    ),
    "delete_review": Write(f"{BOOK}/resenha/apagar/", {}, DONE, REFUSED, REFUSED),
    "edit_profile": Write(
        "/conta/", {"display_name": "Novo", "email": "x@example.com"}, DONE, DONE, DONE
    ),
    "follow_topic": Write(f"{TOPIC}/seguir/", {"state": "silencia"}, DONE, DONE, DONE),
    "follow_book": Write(f"{BOOK}/seguir/", {"state": "segue"}, DONE, DONE, DONE),
    "open_notification": Write("/conta/avisos/{notice}/", {}, DONE, NOT_FOUND, NOT_FOUND),
    "read_notifications": Write("/conta/avisos/lidos/", {"topic": ""}, DONE, REFUSED, REFUSED),
    # whoever holds the mail's link acts for the reader whom it names
    "unsubscribe": Write("/conta/avisos/sair/?t={token}", {}, DONE, DONE, DONE, DONE),
}
# Writes about the visitor alone: tests/test_account_pages.py
OWN_PAGES = {
    "login", "logout", "sign_up", "password_change", "password_reset", "password_reset_done",
    "password_reset_confirm", "set_language",
}  # fmt: skip


def snapshot() -> list:
    """Everything a reader's write may change, as plain rows."""
    from accounts.models import User

    models = (
        DebateTopic, DebatePost, DebateVote, ShelfItem, ReadingProgress, BookReview, User, Follow,
        Notification,
    )  # fmt: skip
    skip = {"last_login"}
    return [
        [
            {k: v for k, v in row.items() if k not in skip}
            for row in model.objects.order_by("pk").values()
        ]
        for model in models
    ]


class PermissionTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.owner, cls.other, cls.staff = make_user(), make_user(), make_staff()
        cls.book = make_book()
        cls.topic = make_topic(creator=cls.owner, book=cls.book)
        cls.post = make_post(cls.topic, author=cls.owner)
        cls.notice = Notification.objects.create(
            user=cls.owner, topic=cls.topic, post=cls.post, reason="debate"
        )

    def setUp(self):
        BookReview.objects.create(user=self.owner, book=self.book, rating=4)

    def fill(self, text):
        if not isinstance(text, str):
            return text
        return text.format(
            topic=self.topic.slug,
            post=self.post.pk,
            book=self.book.slug,
            notice=self.notice.pk,
            token=mail_links.stop_mails(self.owner.pk).partition("?t=")[2],
        )

    def send(self, write: Write, user):
        client = self.client_class()
        if user:
            client.force_login(user)
        data = {key: self.fill(value) for key, value in write.data.items()}
        if user and "email" in data:
            data["email"] = user.email  # a new one would ask for the password
        return client.post(self.fill(write.path), data)

    def outcome(self, write: Write, user):
        before = snapshot()
        response = self.send(write, user)
        changed = snapshot() != before
        if response.status_code == 302 and response.url.startswith("/conta/entrar/"):
            assert not changed
            return LOGIN
        if response.status_code in {403, 404}:  # 403: logged out while writing; the words are kept
            assert not changed
            return response.status_code
        return DONE if changed else REFUSED

    def test_every_write_by_everybody(self):
        from django.db import transaction

        for name, write in WRITES.items():
            for who in ("owner", "other", "staff", "anonymous"):
                user = None if who == "anonymous" else getattr(self, who)
                with self.subTest(write=name, who=who):
                    point = transaction.savepoint()
                    assert self.outcome(write, user) == getattr(write, who)
                    transaction.savepoint_rollback(point)

    def test_no_write_is_missing_from_the_table(self):
        def names(patterns):
            for entry in patterns:
                if isinstance(entry, URLResolver):
                    if entry.app_name in {"core", "accounts", "debates"}:
                        yield from names(entry.url_patterns)
                elif isinstance(entry, URLPattern):
                    yield entry.name

        reads = {
            "home", "book_list", "book_detail", "author_detail", "category_detail", "search",
            "healthz", "readyz", "metrics", "debates_list", "topic_detail", "post_permalink", "profile",
            "staff_overview",
            "notifications",
        }  # fmt: skip
        assert set(names(get_resolver().url_patterns)) == set(WRITES) | OWN_PAGES | reads

    def test_a_read_answers_no_post(self):
        for path in ("/", "/debates/", f"{TOPIC}/", f"{POST}/", "/livros/", f"{BOOK}/", "/busca/"):
            with self.subTest(path=path):
                assert self.client.post(self.fill(path)).status_code == 405


class ClosedTests(TestCase):
    """What is locked or removed does not change by any path of a member."""

    NAMES = ("create_post", "edit_topic", "delete_topic", "edit_post", "delete_post", "vote_post")

    def setUp(self):
        self.owner, self.other = make_user(), make_user()
        self.topic = make_topic(creator=self.owner)
        self.post = make_post(self.topic, author=self.owner)

    def assert_nothing_changes(self, names=NAMES):
        for name in names:
            write = WRITES[name]
            for user in (self.owner, self.other):
                with self.subTest(write=name, owner=user == self.owner):
                    before = snapshot()
                    self.client.force_login(user)
                    path = write.path.format(topic=self.topic.slug, post=self.post.pk)
                    status = self.client.post(path, write.data).status_code
                    assert status in {302, 404, 422}
                    assert snapshot() == before

    def test_a_locked_debate(self):
        DebateTopic.objects.update(is_locked=True)
        self.assert_nothing_changes()

    def test_a_locked_debate_says_so_before_anybody_types(self):
        DebateTopic.objects.update(is_locked=True)
        self.client.force_login(self.owner)
        for path in (
            f"/debates/topico/{self.topic.slug}/responder/", f"/debates/post/{self.post.pk}/editar/",
            f"/debates/topico/{self.topic.slug}/editar/",
        ):  # fmt: skip
            with self.subTest(path=path):
                response = self.client.get(path, follow=True)
                assert response.redirect_chain
                self.assertContains(response, "Este debate está fechado: nada nele muda mais.")

    def test_a_removed_debate(self):
        from debates.services import delete_topic

        delete_topic(topic=self.topic, actor=self.owner)
        self.assert_nothing_changes()

    def test_a_locked_post(self):
        DebatePost.objects.update(is_locked=True)
        self.assert_nothing_changes(("edit_post", "delete_post", "vote_post"))

    def test_no_reply_to_a_locked_or_removed_post(self):
        from debates.services import delete_post

        self.client.force_login(self.other)
        path = f"/debates/topico/{self.topic.slug}/responder/"
        data = {**REPLY, "parent": self.post.pk}
        DebatePost.objects.update(is_locked=True)
        assert self.client.post(path, data).status_code == 422
        DebatePost.objects.update(is_locked=False)
        delete_post(post=self.post, actor=self.owner)
        assert self.client.post(path, data).status_code in {404, 422}
        assert DebatePost.objects.count() == 1

    def test_a_removed_post(self):
        from debates.services import delete_post

        delete_post(post=self.post, actor=self.owner)
        self.assert_nothing_changes(("edit_post", "delete_post", "vote_post"))

    def test_a_reply_cannot_answer_a_post_of_another_debate(self):
        stranger = make_post()
        self.client.force_login(self.other)
        path = f"/debates/topico/{self.topic.slug}/responder/"
        response = self.client.post(path, {**REPLY, "parent": stranger.pk})
        assert response.status_code in {404, 422}
        assert not self.topic.posts.filter(parent=stranger).exists()
