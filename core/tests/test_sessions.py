"""core.sessions: answered from Redis, kept in Postgres, none for those who only read."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.db import connection
from django.test import Client, TestCase, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django_redis import get_redis_connection

from core.sessions import CACHED_SECONDS, SessionStore
from tests.factories import PASSWORD, make_book, make_post, make_topic, make_user

MEMBERS_ONLY = "/conta/"  # a member gets the page, everybody else the way to the login
DEAD = {**settings.CACHES["sessions"], "LOCATION": "redis://127.0.0.1:1/0"}


class SessionTestCase(TestCase):
    def setUp(self):
        self.server = get_redis_connection("sessions")
        self.prefix = settings.CACHES["sessions"]["KEY_PREFIX"]

    def copies(self) -> list[bytes]:
        return list(self.server.scan_iter(f"{self.prefix}:*"))

    def forget(self):
        """What a restart of Redis does, to this run's own keys only."""
        if copies := self.copies():
            self.server.delete(*copies)

    def is_member(self, client: Client) -> bool:
        response = client.get(MEMBERS_ONLY)
        assert response.status_code in {HTTPStatus.OK, HTTPStatus.FOUND}
        return response.status_code == HTTPStatus.OK


class StoreTests(SessionTestCase):
    def make(self, **values) -> SessionStore:
        store = SessionStore()
        store.update({"livro": "Dom Casmurro", **values})
        store.save()
        return store

    def test_the_row_lives_as_long_as_the_cookie_and_the_copy_a_minute(self):
        store = self.make()
        row = Session.objects.get(session_key=store.session_key)
        assert (row.expire_date - row.expire_date.now(row.expire_date.tzinfo)).days >= 29
        (copy,) = self.copies()
        assert 0 < self.server.ttl(copy) <= CACHED_SECONDS <= 60

    def test_a_copy_made_by_reading_lives_a_minute_too(self):
        store = self.make()
        self.forget()
        assert SessionStore(store.session_key)["livro"] == "Dom Casmurro"
        (copy,) = self.copies()
        assert 0 < self.server.ttl(copy) <= 60

    def test_a_session_that_ends_sooner_takes_its_copy_along(self):
        store = self.make()
        store.set_expiry(10)
        store.save()
        (copy,) = self.copies()
        assert 0 < self.server.ttl(copy) <= 10

    def test_a_warm_read_costs_no_query_and_a_cold_one_one(self):
        store = self.make()
        with self.assertNumQueries(0):
            assert SessionStore(store.session_key)["livro"] == "Dom Casmurro"
        self.forget()
        with self.assertNumQueries(1):
            assert SessionStore(store.session_key)["livro"] == "Dom Casmurro"

    def test_a_change_is_read_at_once(self):
        store = self.make()
        assert SessionStore(store.session_key)["livro"] == "Dom Casmurro"
        store["livro"] = "Vidas Secas"
        store.save()
        assert SessionStore(store.session_key)["livro"] == "Vidas Secas"
        self.forget()
        assert SessionStore(store.session_key)["livro"] == "Vidas Secas"

    def test_one_that_ran_out_is_nobodys(self):
        store = self.make()
        store.load()  # so that the statement has been written
        ended = timezone.now() - timedelta(milliseconds=1)
        Session.objects.filter(session_key=store.session_key).update(expire_date=ended)
        self.forget()
        late = SessionStore(store.session_key)
        assert (late.load(), late.session_key) == ({}, None)

    def test_deleting_takes_row_and_copy(self):
        store = self.make()
        store.delete()
        assert not self.copies()
        assert not Session.objects.exists()
        assert not store.exists(store.session_key)
        assert SessionStore(store.session_key).load() == {}

    def test_a_logout_that_redis_missed_is_over_with_the_copy(self):
        store = self.make()
        Session.objects.all().delete()  # what the logout could do; the copy stayed behind
        (copy,) = self.copies()
        assert self.server.pexpire(copy, 1)
        while self.server.exists(copy):
            pass
        assert SessionStore(store.session_key).load() == {}

    def test_only_keys_of_our_own_making_are_looked_up(self):
        odd = (
            "", "\x00", "a\x00b" * 11, "x" * 31, "x" * 33, "X" * 32, "é" * 32, "x" * 31 + "\n",
            "x" * 32 + "\n", "../" * 11, "*" * 32, "x" * 5000, "' OR 1=1 --" + "x" * 21, None,
        )  # fmt: skip
        for key in odd:
            with self.subTest(str(key)[:12]):
                assert SessionStore(key).session_key is None
        assert SessionStore("k3y" * 10 + "ab").session_key == "k3y" * 10 + "ab"


class CookieTests(SessionTestCase):
    def test_an_odd_cookie_is_a_stranger_and_never_an_error(self):
        values = (
            "", '""', '"\\000"', '"a\\000b"', "a\x00b", "x" * 32, "X" * 32, "x" * 5000, "é" * 32,
            "../../etc/passwd", "%00", "'", '"', "a=b=c", "\u202e", "a,b", "[]", "🦊" * 32,
        )  # fmt: skip
        for value in values:
            with self.subTest(value[:12]), CaptureQueriesContext(connection) as seen:
                header = f"sessionid={value}".encode().decode("latin-1")  # as a server hands it on
                response = self.client.get(MEMBERS_ONLY, HTTP_COOKIE=header)
                assert response.status_code == HTTPStatus.FOUND
            assert not [query for query in seen if not query["sql"].startswith("SELECT")]
        assert not Session.objects.exists()

    def test_an_odd_cookie_does_not_stand_in_the_way_of_a_login(self):
        make_user(username="ana", password=PASSWORD)
        words = {"username": "ana", "password": PASSWORD}
        response = self.client.post(
            reverse("accounts:login"), words, HTTP_COOKIE='sessionid="a\\000b"'
        )
        assert response.status_code == HTTPStatus.FOUND
        assert self.is_member(self.client)


class LoginTests(SessionTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = make_user(username="ana", password=PASSWORD)

    def log_in(self) -> Client:
        client = Client()
        words = {"username": "ana", "password": PASSWORD}
        assert client.post(reverse("accounts:login"), words).status_code == HTTPStatus.FOUND
        return client

    def test_it_survives_a_redis_that_lost_everything(self):
        client = self.log_in()
        assert self.copies()
        self.forget()
        assert not self.copies()
        assert self.is_member(client)

    def test_it_survives_redis_being_gone_and_so_does_logging_in_and_out(self):
        before = self.log_in()
        with (
            override_settings(CACHES={**settings.CACHES, "sessions": DEAD}),
            self.assertLogs("core.redis", "ERROR"),
        ):
            assert self.is_member(before)
            client = self.log_in()
            assert self.is_member(client)
            client.post(reverse("accounts:logout"))
            assert not self.is_member(client)

    def test_a_logout_is_over_at_once(self):
        client = self.log_in()
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        client.post(reverse("accounts:logout"))
        thief = Client()
        thief.cookies[settings.SESSION_COOKIE_NAME] = cookie
        assert not self.is_member(thief)
        self.forget()
        assert not self.is_member(thief)

    def test_a_login_changes_the_key(self):
        client = self.log_in()
        first = client.session.session_key
        client.post(reverse("accounts:logout"))
        words = {"username": "ana", "password": PASSWORD}
        client.post(reverse("accounts:login"), words)
        assert client.session.session_key != first
        assert Session.objects.count() == 1

    def test_the_cookie_is_not_for_scripts_nor_for_other_sites(self):
        cookie = self.log_in().cookies[settings.SESSION_COOKIE_NAME]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
        assert cookie["path"] == "/"

    def test_a_members_read_writes_nothing(self):
        client = self.log_in()
        self.is_member(client)
        with CaptureQueriesContext(connection) as seen:
            assert self.is_member(client)
        assert seen.captured_queries
        assert not [query for query in seen if not query["sql"].startswith("SELECT")]

    def test_the_session_names_nothing_but_the_member(self):
        client = self.log_in()
        assert client.session[SESSION_KEY] == str(self.user.pk)
        assert set(client.session.keys()) == {
            "_auth_user_id", "_auth_user_backend", "_auth_user_hash",
        }  # fmt: skip


class AnonymousTests(SessionTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.book = make_book()
        cls.topic = make_topic(book=cls.book)
        cls.post = make_post(cls.topic)

    def pages(self):
        (author,) = self.book.authors.all()
        return [
            "/", "/livros/", "/busca/?q=livro", "/debates/", "/healthz", "/readyz",
            self.book.get_absolute_url(), author.get_absolute_url(), self.topic.get_absolute_url(),
            self.topic.creator.get_absolute_url(), self.post.get_absolute_url(),
            f"/debates/?livro={self.book.slug}", "/livros/nada/", "/nada/",
        ]  # fmt: skip

    def test_reading_leaves_no_row_no_copy_and_no_cookie(self):
        for page in self.pages():
            with self.subTest(page):
                response = self.client.get(page)
                assert response.status_code in {200, 302, 404}
                assert not response.cookies
        assert not Session.objects.exists()
        assert not self.copies()

    def test_reading_asks_for_no_session(self):
        for page in self.pages():
            with self.subTest(page), CaptureQueriesContext(connection) as seen:
                self.client.get(page)
            assert not [query for query in seen if "django_session" in query["sql"]]

    def test_the_check_would_see_one(self):
        self.client.force_login(make_user())
        assert Session.objects.exists()
        assert self.copies()
        self.forget()
        with CaptureQueriesContext(connection) as seen:
            self.client.get("/")
        assert [query for query in seen if "django_session" in query["sql"]]


def test_the_alias_is_the_one_of_the_sessions(db):
    SessionStore().save()
    assert caches["default"] is not caches[settings.SESSION_CACHE_ALIAS]
    assert not list(get_redis_connection("default").scan_iter("*session*"))


@pytest.mark.parametrize("alias", ["default", "sessions", "ratelimit"])
def test_the_tests_stand_on_a_real_redis(alias):
    caches[alias].set("um", 1)
    assert caches[alias].get("um") == 1
