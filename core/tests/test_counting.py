"""core.ratelimit: what django-ratelimit would count, in one round trip a request."""

from __future__ import annotations

from unittest import mock
from uuid import uuid4

import redis
from django.conf import settings
from django.test import RequestFactory, SimpleTestCase, override_settings
from django_ratelimit.core import get_usage
from redis.exceptions import ConnectionError

from core import redis as core_redis
from core.limits import Limit
from core.ratelimit import local_counts, seconds_to_wait
from tests.clock import stop_clock
from tests.keeping import round_trips

ROW = Limit("6/h", "3/m", "ip", "GET")


def rates() -> list[tuple[str, str]]:
    return [("burst", ROW.burst), ("rate", ROW.rate)]


class SameAnswersTests(SimpleTestCase):
    """Our counts are the package's: its counters, its windows, its verdict."""

    def setUp(self):
        self.clock = stop_clock(self)

    def usage(self, group: str, rate: str, *, increment: bool = False) -> dict:
        return get_usage(
            RequestFactory().get("/"), group=group, key=lambda *_: "ip:127.0.0.1", rate=rate,
            method=["GET", "HEAD"], increment=increment,
        )  # fmt: skip

    def test_ours_are_the_counters_of_the_package(self):
        request, ours, theirs = RequestFactory().get("/"), str(uuid4()), str(uuid4())
        for number in range(1, 10):
            wait = seconds_to_wait(request, ours, ROW)
            found = [self.usage(f"{ours}.{one}", rate) for one, rate in rates()]
            alone = [self.usage(f"{theirs}.{one}", rate, increment=True) for one, rate in rates()]
            assert found == alone
            assert [usage["count"] for usage in found] == [number, number]
            over = [usage["time_left"] for usage in alone if usage["should_limit"]]
            assert wait == max(over, default=0)
        assert wait > 60  # the hour is spent, not the minute alone

    def test_a_new_window_begins_anew(self):
        request = RequestFactory().get("/")
        asked = [bool(seconds_to_wait(request, "janela", ROW)) for _time in range(4)]
        self.clock.now += 60
        asked.append(bool(seconds_to_wait(request, "janela", ROW)))
        assert asked == [False, False, False, True, False]

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
        assert core_redis.count("ratelimit", {name: 60}) == [1]
        server = redis.Redis.from_url(settings.REDIS_LIMITS_URL)
        self.addCleanup(server.close)
        key = f"{settings.CACHES['ratelimit']['KEY_PREFIX']}:1:{name}"
        assert server.get(key) == b"1"
        assert 55_000 < server.pttl(key) <= 60_000
        server.pexpire(key, 30_000)
        assert core_redis.count("ratelimit", {name: 60}) == [2]
        assert server.get(key) == b"2"
        assert server.pttl(key) <= 30_000
