"""The rooms in Redis: emptying one takes its own entries and nothing of anybody else's."""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest
import redis
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.core.cache import caches
from django.http import HttpResponse
from django.test import RequestFactory, SimpleTestCase, TestCase, override_settings
from django_ratelimit.core import get_usage

from cgbookstore.celery import app
from core import cache, tasks
from core.addresses import redis_database
from core.ratelimit import limit
from core.sessions import SessionStore
from tests.factories import make_user


def empty_directly():
    caches["default"].clear()


WAYS = [empty_directly, cache.retire_derived, tasks.clear_expired_cache]


class Spy:
    """Every command that the cache's Redis server gets while it looks, by MONITOR."""

    def __enter__(self):
        self.commands: list[str] = []
        self._last = f"end-{uuid4()}"
        self._server = redis.Redis.from_url(settings.REDIS_URL)
        self._monitor = self._server.monitor().__enter__()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        return self

    def _read(self):
        for seen in self._monitor.listen():
            if self._last in seen["command"]:
                return
            self.commands.append(seen["command"].upper())

    def __exit__(self, *_error):
        self._server.echo(self._last)
        self._thread.join(timeout=10)
        self._monitor.__exit__(None, None, None)
        self._server.close()

    def saw(self, word: str) -> list[str]:
        return [command for command in self.commands if command.startswith(word)]


class ClearTests(TestCase):
    def setUp(self):
        self.cache = caches["default"]
        self.server = redis.Redis.from_url(settings.REDIS_URL)  # the cache's own database
        self.addCleanup(self.server.close)

    def foreign(self, name: str, value: str = "deles") -> str:
        """A key in the cache's database that is not the cache's."""
        self.server.set(name, value)
        self.addCleanup(self.server.delete, name)
        return name

    def test_its_own_entries_go_whatever_their_number_and_kind(self):
        for empty in WAYS:
            with self.subTest(empty.__name__):
                names = [f"lista:{n}" for n in range(1200)] + ["a b", "ção", "x*", "[x]", "*"]
                self.cache.set_many(dict.fromkeys(names, "meu"), timeout=None)
                empty()
                assert self.cache.get_many(names) == {}

    def test_other_keys_in_the_same_database_stay(self):
        prefix = settings.CACHES["default"]["KEY_PREFIX"]
        names = [
            self.foreign(name)
            for name in (
                "celery", "_kombu.binding.celery", "unacked", "outro:1:lista", "lista",
                f"{prefix}2:1:lista", f"{prefix}:2:lista", f"x{prefix}:1:lista", prefix,
                f"{prefix[:-1]}*:1:lista",
            )
        ]  # fmt: skip
        for empty in WAYS:
            with self.subTest(empty.__name__):
                self.cache.set("lista", "meu")
                empty()
                assert self.cache.get("lista") is None
                assert self.server.mget(names) == [b"deles"] * len(names)

    def test_a_prefix_with_stars_in_it_is_no_pattern(self):
        rooms = {
            **settings.CACHES,
            "default": {**settings.CACHES["default"], "KEY_PREFIX": "t[*]?"},
        }
        name = self.foreign("t-other-:1:lista")
        with override_settings(CACHES=rooms):
            caches["default"].set("lista", "meu")
            caches["default"].clear()
            assert caches["default"].get("lista") is None
        assert self.server.get(name) == b"deles"

    def test_sessions_survive(self):
        for empty in WAYS:
            with self.subTest(empty.__name__):
                self.client.force_login(make_user())
                key = self.client.session.session_key
                DatabaseStore().get_model_class().objects.filter(session_key=key).delete()
                empty()  # now only the copy in Redis knows it
                assert SessionStore(key).load()["_auth_user_id"]

    def test_rate_counters_survive(self):
        view = limit("debates_list")(lambda request: HttpResponse())
        request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.77")

        def counted():
            row = settings.RATES["debates_list"]
            return get_usage(
                request, group="debates_list.rate", key=lambda *_: "ip:192.0.2.77",
                rate=row.rate, method=["GET", "HEAD"],
            )["count"]  # fmt: skip

        before = counted()
        for empty in WAYS:
            with self.subTest(empty.__name__):
                view(request)
                before += 1
                empty()
                assert counted() == before

    def test_a_queued_task_survives(self):
        queue = f"test-{uuid4()}"
        broker = redis.Redis.from_url(settings.CELERY_BROKER_URL)
        self.addCleanup(broker.close)
        self.addCleanup(broker.delete, queue, f"_kombu.binding.{queue}")
        tasks.test_async_task.apply_async(["olá"], queue=queue)
        for empty in WAYS:
            with self.subTest(empty.__name__):
                empty()
                assert broker.llen(queue) == 1
                assert broker.exists(f"_kombu.binding.{queue}")
        with app.connection_for_read() as connection:
            message = connection.SimpleQueue(queue).get(block=False)
            assert message.headers["task"] == "core.tasks.test_async_task"
            message.ack()

    def test_nobody_says_flush(self):
        for empty in WAYS:
            with self.subTest(empty.__name__), Spy() as spy:
                self.cache.set("lista", "meu")
                empty()
            assert spy.saw("SCAN")
            assert spy.saw("UNLINK")
            assert not spy.saw("FLUSH")
            assert not spy.saw("KEYS")

    def test_the_spy_would_see_it(self):
        with Spy() as spy, pytest.raises(redis.ResponseError):
            self.server.execute_command("FLUSHDB", "NO-SUCH-WORD")  # refused, so nothing is lost
        assert spy.saw("FLUSH")


class RoomsTests(SimpleTestCase):
    def test_no_two_rooms_are_one(self):
        rooms = [room["LOCATION"] for room in settings.CACHES.values()]
        rooms.append(settings.CELERY_BROKER_URL)
        assert len(set(rooms)) == 4

    def test_a_dead_server_costs_a_miss_and_no_error(self):
        dead = {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
        with (
            override_settings(CACHES={**settings.CACHES, "default": dead}),
            self.assertLogs("core.redis", "ERROR"),
        ):
            caches["default"].set("lista", "meu")
            assert caches["default"].get("lista") is None
            for empty in WAYS:
                empty()

    def test_what_is_kept_is_json_and_not_code(self):
        caches["default"].set("lista", {"título": ["ação", 1, None]})
        server = redis.Redis.from_url(settings.REDIS_URL)
        self.addCleanup(server.close)
        kept = server.get(f"{settings.CACHES['default']['KEY_PREFIX']}:1:lista")
        assert kept.startswith(b"{")
        assert caches["default"].get("lista") == {"título": ["ação", 1, None]}

    def test_the_keys_carry_the_owners_prefix_and_each_room_its_own(self):
        # conftest.py gives each test run prefixes of its own, so the file is asked
        source = (settings.BASE_DIR / "cgbookstore" / "settings.py").read_text()
        assert '"CACHE_KEY_PREFIX", default="cgbookstore"' in source
        prefixes = {alias: room["KEY_PREFIX"] for alias, room in settings.CACHES.items()}
        assert prefixes["default"] == settings.CACHE_KEY_PREFIX
        assert len(set(prefixes.values())) == len(prefixes)

    def test_a_room_is_a_database_of_its_own_whatever_the_address_says(self):
        for url, room in (
            ("redis://h:1/1", "redis://h:1/2"),
            ("redis://:p@h/1?db=9&x=y", "redis://:p@h/2?x=y"),
            ("rediss://h", "rediss://h/2"),
            ("unix:///run/r.sock?db=1", "unix:///run/r.sock?db=2"),
        ):
            with self.subTest(url=url):
                assert redis_database(url, 2) == room
