"""core.redis.CountingClient: what django-ratelimit would count, in one round trip a request."""

from __future__ import annotations

from unittest import mock
from uuid import uuid4

import pytest
import redis
from django.conf import settings
from django.core.cache import caches
from django.test import RequestFactory, SimpleTestCase, override_settings
from django_ratelimit.core import get_usage
from redis.exceptions import ConnectionError

from core import ratelimit
from core import redis as core_redis
from core.limits import Limit
from core.ratelimit import local_counts, seconds_to_wait
from tests.clock import stop_clock
from tests.keeping import round_trips

PLAIN = {**settings.CACHES["ratelimit"], "KEY_PREFIX": "test-plain-limits"}
PLAIN["OPTIONS"] = {**PLAIN["OPTIONS"], "CLIENT_CLASS": "core.redis.Client"}
ROW = Limit("6/h", "3/m", "ip", "GET")


def both():
    """The room as the site has it, and as django-redis has it."""
    yield caches["ratelimit"]
    with override_settings(CACHES={**settings.CACHES, "ratelimit": PLAIN}):
        yield caches["ratelimit"]
        caches["ratelimit"].clear()


class SameAnswersTests(SimpleTestCase):
    def setUp(self):
        self.clock = stop_clock(self)

    def script(self, room) -> list[object]:
        """What a room answers to everything that it may be asked without counting ahead."""
        a, b = f"a-{uuid4()}", f"b-{uuid4()}"
        said: list[object] = [room.add(a, 1, 60), room.get(a)]
        for _time in range(3):
            said += [room.add(a, 1, 60), room.incr(a)]
        said += [room.add(b, 1, 60), room.incr(b), room.get(b), room.get(a)]
        said += [room.incr(a), room.incr(a, 5), room.get(a), room.incr(b, delta=2)]
        said += [room.add(a, 0, 60), room.get(a), room.add(f"c-{uuid4()}", 1)]
        with pytest.raises(ValueError, match="not found"):
            room.incr(f"d-{uuid4()}")
        room.delete(a)
        said += [room.add(a, 1, 60), room.get(a), 0 < room.ttl(a) <= 60]
        said += [room.add(a, 1, 600), room.incr(a), room.ttl(a) <= 60]  # the window stays
        return said

    def test_all_answers_are_those_of_django_redis(self):
        ours, theirs = [self.script(room) for room in both()]
        assert ours == theirs

    def usages(self) -> list[tuple[int, bool]]:
        """What django-ratelimit makes of ten requests, three of which only look."""
        request, name, told = RequestFactory().get("/"), str(uuid4()), []
        for number in range(10):
            is_counted = number % 3 != 2
            if is_counted and hasattr(caches["ratelimit"].client, "count_ahead"):
                counters = ratelimit._counters({name: "3/m"}, "x", ["GET"])
                core_redis.count_ahead("ratelimit", counters)
            usage = get_usage(
                request, group=name, key=lambda *_: "x", rate="3/m", method=["GET"],
                increment=is_counted,
            )  # fmt: skip
            told.append((usage["count"], usage["should_limit"]))
        return told

    def test_a_count_ahead_is_the_count_that_the_package_would_make(self):
        ours, theirs = [self.usages() for _room in both()]
        assert ours == theirs
        assert [count for count, _over in ours] == [1, 2, 2, 3, 4, 4, 5, 6, 6, 7]
        assert [over for _count, over in ours].index(True) == 4

    def test_a_window_that_ends_in_between_is_counted_by_itself(self):
        request, row = RequestFactory().get("/"), ROW._replace(rate="9/h")
        for _time in range(3):
            assert not seconds_to_wait(request, "janela", row)

        def a_minute_later(*args):
            count_ahead(*args)
            self.clock.now += 60

        count_ahead = core_redis.count_ahead
        with mock.patch.object(core_redis, "count_ahead", a_minute_later):
            assert not seconds_to_wait(request, "janela", row)
        # the new minute has one, and two more before it is spent
        assert [bool(seconds_to_wait(request, "janela", row)) for _time in range(3)] == [
            False,
            False,
            True,
        ]

    def test_each_reader_and_each_limit_has_counters_of_its_own(self):
        for address in ("192.0.2.1", "192.0.2.2"):
            request = RequestFactory().get("/", REMOTE_ADDR=address)
            for name in ("uma", "outra"):
                asked = [bool(seconds_to_wait(request, name, ROW)) for _time in range(4)]
                assert asked == [False, False, False, True]

    def test_a_dead_server_counts_nothing_and_the_process_does(self):
        request = RequestFactory().get("/")
        dead = {**settings.CACHES["ratelimit"], "LOCATION": "redis://127.0.0.1:1/3"}
        with override_settings(CACHES={**settings.CACHES, "ratelimit": dead}):
            assert [bool(seconds_to_wait(request, "morto", ROW)) for _time in range(4)] == [
                False,
                False,
                False,
                True,
            ]
        local_counts.forget()
        assert not seconds_to_wait(request, "morto", ROW)

    def test_what_it_knew_before_the_server_died_is_not_told_after(self):
        request = RequestFactory().get("/")
        seconds_to_wait(request, "antes", ROW)
        gone = mock.patch.object(
            core_redis.Redis, "execute_command", side_effect=ConnectionError("gone")
        )
        with gone as calls:
            asked = [bool(seconds_to_wait(request, "antes", ROW)) for _time in range(4)]
        assert calls.call_count == 4  # one attempt a request
        assert asked == [False, False, False, True]  # counted in the process, from none
        assert not seconds_to_wait(request, "antes", ROW)  # the second in Redis


class CostTests(SimpleTestCase):
    def test_both_rates_of_a_limit_are_one_round_trip(self):
        request = RequestFactory().get("/")
        for number in range(5):
            with self.subTest(number=number), round_trips() as asked:
                seconds_to_wait(request, "custo", ROW)
            assert len(asked) == 1

    def test_a_count_has_the_rooms_prefix_and_an_end(self):
        name = str(uuid4())
        core_redis.count_ahead("ratelimit", {name: 60})
        server = redis.Redis.from_url(settings.REDIS_LIMITS_URL)
        self.addCleanup(server.close)
        key = f"{settings.CACHES['ratelimit']['KEY_PREFIX']}:1:{name}"
        assert server.get(key) == b"1"
        assert 55_000 < server.pttl(key) <= 60_000
        server.pexpire(key, 30_000)
        core_redis.count_ahead("ratelimit", {name: 60})
        assert server.get(key) == b"2"
        assert server.pttl(key) <= 30_000
