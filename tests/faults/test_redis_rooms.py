"""What lives in Redis beside pages: nobody's cleaning takes it, and its loss is bearable."""

from __future__ import annotations

from unittest import mock
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.test import RequestFactory
from redis.exceptions import NoPermissionError

from cgbookstore.celery import app
from core import cache, redis, tasks
from core.addresses import redis_database
from core.limits import Limit
from core.ratelimit import local_counts, seconds_to_wait
from core.sessions import SessionStore
from debates import reading_counts

from .own_redis import own_redis, rooms_at
from .traffic import BROWSER

NEVER_SECONDS = 3600.0
ROW = Limit("100/h", "50/m", "ip", "GET")


@pytest.fixture(scope="module")
def kept_redis():
    with own_redis() as found:
        yield found


@pytest.fixture
def own(kept_redis, settings, monkeypatch):
    """A Redis of these tests' own behind every room; nobody finds out that it is back."""
    monkeypatch.setattr(redis, "PROBE_EVERY_SECONDS", NEVER_SECONDS)
    kept_redis.start()
    kept_redis.make_room()
    settings.CACHES = rooms_at(kept_redis.url)
    redis.forget()
    cache.forget()
    return kept_redis


def empty_directly():
    caches["default"].clear()


WAYS = [empty_directly, cache.retire_derived, tasks.clear_expired_cache]


def read_a_debate() -> None:
    reading_counts.seen(RequestFactory().get("/", HTTP_USER_AGENT=BROWSER), 7)
    reading_counts._counts.flush()


def ask() -> int:
    return seconds_to_wait(RequestFactory().get("/"), "a-test-of-its-own", ROW)


@pytest.mark.django_db
class TestCleaning:
    """On a server that refuses FLUSHDB, FLUSHALL and KEYS, as an operator may set it up."""

    @pytest.mark.parametrize("empty", WAYS)
    def test_it_takes_what_is_derived_and_leaves_the_rest(self, own, empty):
        store = SessionStore()
        store["livro"] = "Dom Casmurro"
        store.save()
        Session.objects.all().delete()  # now only Redis knows it
        assert ask() == 0
        read_a_debate()
        queue, broker = f"test-{uuid4()}", redis_database(own.url, 0)
        with app.connection_for_write(broker) as connection:
            tasks.test_async_task.apply_async(["olá"], queue=queue, connection=connection)
        caches["default"].set("debates:list:v1", {"a": 1})
        before = {alias: set(own.keys(alias)) for alias in ("sessions", "ratelimit")}
        assert all(before.values())

        with pytest.raises(NoPermissionError):
            own.ask.flushdb()
        empty()

        assert caches["default"].get("debates:list:v1") is None
        assert {alias: set(own.keys(alias)) for alias in before} == before
        assert SessionStore(store.session_key)["livro"] == "Dom Casmurro"
        client = redis.client(reading_counts.ROOM)
        assert int(client.hget(reading_counts._key(), "7")) >= 1
        with app.connection_for_read(broker) as connection:
            message = connection.SimpleQueue(queue).get(block=False)
            assert message.headers["task"] == "core.tasks.test_async_task"
            message.ack()

    def test_every_room_works_without_the_forbidden_words(self, own):
        for alias in settings.CACHES:
            value = b"bytes" if alias == "pages" else 1
            assert caches[alias].set("um", value)
            assert caches[alias].get("um") == value
            caches[alias].clear()
            assert caches[alias].get("um") is None
        assert cache.remember("lista", ["a"], lambda: [1]) == [1]
        cache.bump("a")
        assert not redis.breaker_of("default").is_open


@pytest.mark.django_db
class TestLoss:
    def test_a_session_that_a_full_redis_did_not_take_is_the_new_one(self, own):
        store = SessionStore()
        store["livro"] = "Dom Casmurro"
        store.save()
        own.fill()
        store["livro"] = "Vidas Secas"
        store.save()
        redis.forget()  # another process, to which nothing happened yet
        assert SessionStore(store.session_key)["livro"] == "Vidas Secas"

    def test_a_session_is_made_at_the_first_try(self, own):
        own.kill()
        with mock.patch.object(
            SessionStore, "_get_new_session_key", autospec=True,
            side_effect=SessionStore._get_new_session_key,
        ) as tries:  # fmt: skip
            store = SessionStore()
            store["livro"] = "Dom Casmurro"
            store.save()
        assert tries.call_count == 1
        assert SessionStore(store.session_key)["livro"] == "Dom Casmurro"

    @pytest.mark.parametrize("way", ["kill", "hang", "fill"])
    def test_limits_are_counted_here(self, own, way):
        getattr(own, way)()
        try:
            waits = [ask() for _time in range(120)]
        finally:
            own.go_on() if way == "hang" else None
        assert waits[:50] == [0] * 50
        assert any(waits)  # not the last, if a minute ended meanwhile
        assert local_counts._counts

    @pytest.mark.parametrize("way", ["kill", "hang", "fill"])
    def test_readings_are_dropped_and_nobody_is_told(self, own, way):
        getattr(own, way)()
        try:
            for _time in range(5):
                read_a_debate()
            assert reading_counts._counts._readings == {}
            reading_counts.fold()
        finally:
            own.go_on() if way == "hang" else None
