"""What a kept page may be made of, who sees what at once, and what is shown without Postgres."""

from __future__ import annotations

from unittest import mock

import pytest
import redis
from django.conf import settings
from django.db import OperationalError, transaction
from django.test import TransactionTestCase, override_settings

from accounts.services import write_review
from core import cache, near_copies, scopes
from core.cache import bump  # before conftest.py makes it impatient
from core.pages import PAGES
from debates import cache as debates_cache
from debates import services
from debates.models import DebateTopic

from .clock import stop_clock
from .factories import (
    make_topic,
)
from .keeping import another_process, release_claims, two_seconds_later, without_token
from .small_world import SmallWorld, StaleTestCase


class WriterTests(StaleTestCase):
    def test_a_writer_sees_their_own_write_at_once_from_any_process(self):
        client = self.client_of(self.w.writer)
        with another_process():
            self.client_of(self.w.reader).get(self.w.of_topic)  # there it is near
            other = cache._near
        client.get(self.w.of_topic)  # and somebody holds the rebuild
        answer = client.post(
            f"{self.w.of_topic}responder/", {"content": "Minha vez.", "spoiler_percent": "0"}
        )
        assert answer.cookies["fresh"].value == cache.NO_STALE
        with another_process(), mock.patch.object(cache, "_near", other):
            # somebody who wrote nothing may be shown the copy of the last second
            assert "Minha vez." not in self.client_of(self.w.reader).get(self.w.of_topic).text
            assert "Minha vez." in client.get(self.w.of_topic).text
            found = client.get("/debates/").text
        with override_settings(PAGE_CACHE=False):
            assert without_token(found) == without_token(client.get("/debates/").text)

    def test_the_cookie_comes_with_what_was_taken_and_with_nothing_else(self):
        client = self.client_of(self.w.writer)
        url, answer = self.w.theirs.get_absolute_url(), f"{self.w.of_topic}responder/"
        assert "fresh" not in client.get(self.w.of_topic).cookies
        assert "fresh" not in client.get(answer).cookies
        for path, data, taken in (
            (f"{url}votar/", {"value": "1"}, True), (f"{url}votar/", {"value": "9"}, False),
            (answer, {"content": ""}, False), (answer, {"content": "Sim."}, True),
            ("/debates/novo/", {}, False), ("/nada/", {}, False),
            (f"{url}moderar/", {"action": "hide"}, False),
        ):  # fmt: skip
            with self.subTest(path=path, data=data):
                client.cookies.pop("fresh", None)
                data = {"spoiler_percent": "0", **data}
                cookies = client.post(path, data).cookies
                assert ("fresh" in cookies) == taken
        cookie = client.post(answer, {"content": "Mais.", "spoiler_percent": "0"}).cookies["fresh"]
        assert cookie["max-age"] == 10
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"

    def test_the_one_who_could_not_tell_gets_everything_built(self):
        client = self.client_of(self.w.writer)
        with mock.patch.object(cache, "owes", return_value=True):
            answer = client.post(f"{self.w.theirs.get_absolute_url()}votar/", {"value": "1"})
        assert answer.cookies["fresh"].value == cache.EVERY_BUILD
        client.get("/debates/")
        DebateTopic.objects.filter(pk=self.w.topic.pk).update(title="Sem sinal nenhum")
        assert "Sem sinal nenhum" in client.get("/debates/").text
        assert "Sem sinal nenhum" in client.get(self.w.of_topic).text


class NestedTests(StaleTestCase):
    """A page is made of data that is kept too, and may not be older than what it is kept under."""

    def test_a_page_is_not_built_from_a_near_copy_of_its_data(self):
        for user in (None, self.w.reader):
            self.client_of(user).get("/")  # the list of debates is near now
            with another_process():
                make_topic(book=self.w.book, title=f"De outro processo, para {user}")
            release_claims()
            page = self.client_of(user).get("/debates/").text  # kept from here on
            assert f"De outro processo, para {user}" in page

    def test_nor_from_the_copy_that_somebody_else_rebuilds(self):
        key, names = "debates:list:v1", debates_cache.list_scopes({})
        for user in (None, self.w.reader):
            self.client_of(user).get("/")
            release_claims()
            with another_process():
                make_topic(book=self.w.book, title=f"De outro processo, para {user}")
                assert cache.claim(cache.PLAIN, key, cache.look(cache.PLAIN, key, names))
            page = self.client_of(user).get("/debates/").text
            assert f"De outro processo, para {user}" in page

    def test_what_is_gone_is_shown_to_nobody_while_it_is_looked_for(self):
        for user in (None, self.w.reader):
            self.client_of(user).get(self.w.of_topic)
        services.delete_topic(topic=self.w.topic, actor=self.w.staff)
        release_claims()
        with two_seconds_later():
            for _time in range(3):
                for user in (None, self.w.reader):
                    assert self.client_of(user).get(self.w.of_topic).status_code == 404

    def test_who_is_turned_away_by_a_limit_rebuilds_nothing(self):
        stop_clock(self)
        client = self.client_of()
        with mock.patch.dict(
            settings.RATES, debates_list=settings.RATES["debates_list"]._replace(burst="2/m")
        ):
            for _time in range(3):
                assert client.get("/debates/").status_code == 200
            make_topic(book=self.w.book, title="Para os outros")
            release_claims()
            assert client.get("/debates/").status_code == 429
            found = self.client_of().get("/debates/", REMOTE_ADDR="192.0.2.9")
        assert "Para os outros" in found.text


class DatabaseGoneTests(StaleTestCase):
    def gone(self):
        return mock.patch(
            "django.db.backends.utils.CursorWrapper.execute", side_effect=OperationalError("gone")
        )

    def test_stale_pages_go_on_and_say_so(self):
        before = {}
        for path in self.w.paths:
            before[path] = self.client_of().get(path)
        cache._bump_now([cache.EVERYTHING])
        release_claims()
        client = self.client_of()  # its own chain, and what that knows of Postgres
        with self.gone(), self.assertLogs("core.middleware", "ERROR"):
            for path in self.w.paths * 2:
                page = client.get(path)
                assert page.status_code == 200, path
                assert page.text == before[path].text
                assert page["Cache-Control"] == "no-store"
                assert page["Warning"].startswith("110 ")
                assert int(page["Age"]) >= 0

    def test_a_copy_that_waits_for_a_rebuild_says_so_too(self):
        client = self.client_of()
        for path in ("/", "/debates/"):
            client.get(path)
        with another_process():
            cache._bump_now([cache.EVERYTHING])
            release_claims()
            key = "pt-br:/debates/?"
            assert cache.claim(PAGES, key, cache.look(PAGES, key, []))
        with (
            mock.patch.object(near_copies, "SECONDS", -1.0),
            mock.patch.object(near_copies, "WAIT_SECONDS", 60.0),
        ):
            assert "Warning" not in client.get("/debates/")
            with self.gone(), self.assertLogs("core.middleware", "ERROR"):
                assert client.get("/")["Warning"].startswith("110 ")
                assert client.get("/debates/")["Warning"].startswith("110 ")

    def test_nobody_is_shown_a_503_by_the_one_who_finds_out(self):
        self.client_of().get("/debates/")
        cache._bump_now([cache.EVERYTHING])
        for _time in range(3):
            release_claims()
            with self.gone(), self.assertLogs("core.middleware", "ERROR"):
                assert self.client_of().get("/debates/").status_code == 200

    def test_what_was_shown_then_is_not_kept_as_new(self):
        self.client_of().get("/debates/")
        make_topic(book=self.w.book, title="Antes da queda")
        release_claims()
        with self.gone(), self.assertLogs("core.middleware", "ERROR"):
            assert "Antes da queda" not in self.client_of().get("/debates/").text
        release_claims()
        assert "Antes da queda" in self.client_of().get("/debates/").text

    def test_what_is_kept_nowhere_is_503_and_not_kept(self):
        with self.gone(), self.assertLogs("core.middleware", "ERROR"):
            page = self.client_of().get("/debates/")
        assert page.status_code == 503
        assert page["Retry-After"]
        assert self.client_of().get("/debates/").status_code == 200


class CommitTests(TransactionTestCase):
    """Really committed, or not: with the bump as it is."""

    def setUp(self):
        patcher = mock.patch.object(cache, "bump", bump)
        patcher.start()
        self.addCleanup(patcher.stop)
        self.w = SmallWorld()
        server = redis.Redis.from_url(settings.REDIS_URL)
        self.addCleanup(server.close)
        self.tokens = lambda: server.mget(
            [
                cache._token_key(name)
                for name in (
                    debates_cache.topic(self.w.topic.slug), debates_cache.TOPICS,
                    scopes.book(self.w.book.slug), scopes.CATALOGUE, "accounts.people",
                )
            ]
        )  # fmt: skip

    def writes(self):
        topic, post = self.w.topic, self.w.post
        return {
            "topic": lambda: services.create_post(topic=topic, author=self.w.reader, content="x"),
            "vote": lambda: services.vote_post(post=post, user=self.w.reader, value=1),
            "review": lambda: write_review(
                user=self.w.reader, book=self.w.book, rating=2, text="", has_spoiler=False
            ),
            "name": lambda: self.w.writer.save(update_fields=["display_name"]),
            "book": lambda: self.w.book.save(update_fields=["title"]),
        }

    def test_a_commit_makes_stale_and_a_rollback_does_not(self):
        touched = {"topic": {0, 1, 2}, "vote": {0}, "review": {2}, "name": {4}, "book": {3}}
        for name, write in self.writes().items():
            with self.subTest(write=name):
                before = self.tokens()
                with pytest.raises(ZeroDivisionError), transaction.atomic():
                    write()
                    raise ZeroDivisionError
                assert self.tokens() == before
                with transaction.atomic():
                    write()
                    assert self.tokens() == before
                after = self.tokens()
                assert {n for n in range(5) if before[n] != after[n]} == touched[name]

    def test_a_reader_between_the_write_and_its_commit_keeps_nothing_old(self):
        client = self.client_class()
        client.get(self.w.of_topic)
        with transaction.atomic():
            services.edit_post(
                post=self.w.post, editor=self.w.writer, content="Depois.", spoiler_percent=0
            )
        release_claims()
        assert "Depois." in client.get(self.w.of_topic).text
