"""The breaker before Redis: when it opens, what it costs, when it closes; on a real server."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
import warnings
from unittest import mock

import pytest
from django.conf import settings
from django.core.cache import caches
from redis.connection import Connection
from redis.exceptions import ConnectionError, OutOfMemoryError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

from core import redis
from tests.faults.own_redis import own_redis, rooms_at
from tests.faults.servers import wait_for
from tests.servers import free_port

FAULT = ConnectionError("refused")
NEVER_SECONDS = 3600.0


class Clock:
    """Time that passes when a test says so."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Server:
    """What a breaker asks: fails with ``fault`` or takes ``seconds``; counts who came through."""

    def __init__(self, clock: Clock):
        self.clock, self.fault, self.seconds = clock, None, 0.0
        self.asked = self.probed = 0
        self.breaker = redis.Breaker("server", self.probe)

    def work(self) -> str:
        self.asked += 1
        self.clock.now += self.seconds
        if self.fault:
            raise self.fault
        return "answer"

    def probe(self) -> None:
        self.probed += 1
        self.clock.now += self.seconds
        if self.fault:
            raise self.fault

    def call(self, *, at: float | None = None, times: int = 1) -> None:
        """Ask ``times`` times, whatever comes of it; ``at`` so many seconds after the begin."""
        if at is not None:
            self.clock.now = 1000.0 + at
        for _time in range(times):
            try:
                self.breaker.call(self.work)
            except redis.RedisError as error:
                assert error is self.fault or isinstance(error, redis.Unavailable)


@pytest.fixture
def server(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(redis, "time", clock)
    monkeypatch.setattr(redis, "PROBE_EVERY_SECONDS", NEVER_SECONDS)
    found = Server(clock)
    yield found
    found.breaker.retire()


@pytest.fixture
def probing(server, monkeypatch):
    """The same, whose probe comes at once."""
    monkeypatch.setattr(redis, "PROBE_EVERY_SECONDS", 0.01)
    return server


class TestOpening:
    def test_three_failures_within_a_second_open_it(self, server):
        for at, fault, is_open in (
            (0.0, FAULT, False),
            (0.4, RedisTimeout("silent"), False),
            (0.9, FAULT, True),
        ):
            server.fault = fault
            server.call(at=at)
            assert server.breaker.is_open is is_open, at

    def test_three_in_three_seconds_do_not_and_the_last_ones_count_on(self, server):
        server.fault = FAULT
        for at in (0.0, 1.1, 2.2, 2.9):
            server.call(at=at)
            assert not server.breaker.is_open, at
        server.call(at=3.1)
        assert server.breaker.is_open

    def test_calls_that_take_too_long_count(self, server):
        server.seconds = redis.READ_SECONDS + 0.05
        server.call(times=2)
        assert not server.breaker.is_open
        server.call()
        assert server.breaker.is_open

    def test_calls_that_take_as_long_as_they_may_do_not(self, server):
        server.seconds = redis.READ_SECONDS - 0.05
        server.call(times=20)
        assert not server.breaker.is_open

    def test_a_wrong_command_is_nobodys_failure(self, server):
        server.fault = ResponseError("WRONGTYPE Operation against a key of another kind")
        server.call(times=20)
        assert not server.breaker.is_open

    @pytest.mark.parametrize(
        "fault",
        [
            OutOfMemoryError("full"),
            redis.ReadOnlyError("a replica"),
            ResponseError("MISCONF Redis is configured to save RDB snapshots, but cannot"),
            ResponseError(
                "Command # 1 (SET k v) caused error: NOREPLICAS Not enough good replicas"
            ),
        ],
    )
    def test_a_server_that_takes_no_writes_is_down_at_once(self, server, fault):
        server.fault = fault
        server.call()
        assert server.breaker.is_open

    def test_nobody_asks_while_it_is_open(self, server):
        server.fault = FAULT
        server.call(times=50)
        assert server.asked == redis.FAILURES_TO_OPEN
        with pytest.raises(redis.Unavailable):
            server.breaker.call(server.work)
        assert server.asked == redis.FAILURES_TO_OPEN

    def test_one_line_says_so_however_many_ask(self, server, caplog):
        gate = threading.Barrier(20)

        def fail():
            gate.wait(10)  # all of them are on their way before the first one fails
            raise FAULT

        def ask():
            with pytest.raises(ConnectionError):
                server.breaker.call(fail)

        threads = [threading.Thread(target=ask) for _n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        (line,) = [record for record in caplog.records if record.name == "core.redis"]
        assert line.levelno == logging.ERROR
        assert line.getMessage().startswith("redis is down address=server")
        assert [one.name for one in threading.enumerate()].count("redis-probe") == 1


class TestClosing:
    def open(self, server):
        server.fault = FAULT
        server.call(times=3)
        assert server.breaker.is_open

    def test_an_answer_to_the_probe_closes_it_and_one_line_says_so(self, probing, caplog):
        self.open(probing)
        wait_for(lambda: probing.probed > 3, "nobody probes")
        assert probing.breaker.is_open
        caplog.clear()
        probing.fault = None
        wait_for(lambda: not probing.breaker.is_open, "it stays open")
        assert probing.breaker.call(probing.work) == "answer"
        wait_for(lambda: caplog.records, "nobody says so")
        (line,) = caplog.records
        assert line.levelno == logging.WARNING
        assert line.getMessage().startswith("redis is back address=server")

    def test_nobody_probes_before_and_after(self, probing):
        probing.call(times=5)
        assert probing.probed == 0
        self.open(probing)
        probing.fault = None
        wait_for(lambda: not probing.breaker.is_open, "it stays open")
        wait_for(
            lambda: "redis-probe" not in [one.name for one in threading.enumerate()],
            "the probe goes on",
        )

    def test_a_slow_answer_is_none(self, probing):
        self.open(probing)
        probing.fault, probing.seconds = None, redis.READ_SECONDS + 0.05
        before = probing.probed
        wait_for(lambda: probing.probed > before + 3, "nobody probes")
        assert probing.breaker.is_open

    def test_what_is_owed_is_paid_before_anybody_reads(self, probing, monkeypatch):
        paid = []
        breakers = {"default": probing.breaker, "sessions": mock.Mock()}
        monkeypatch.setattr(redis, "breaker_of", breakers.get)
        monkeypatch.setattr(redis, "_before_return", [])
        redis.before_return("default", lambda: paid.append(probing.breaker.is_open))
        redis.before_return("sessions", lambda: paid.append("another server's"))
        self.open(probing)
        assert paid == []
        probing.fault = None
        wait_for(lambda: not probing.breaker.is_open, "it stays open")
        assert paid == [True]

    @pytest.mark.parametrize("refusal", [FAULT, OutOfMemoryError("full"), ZeroDivisionError()])
    def test_it_stays_open_until_the_debt_is_paid(self, probing, monkeypatch, refusal):
        payments = []
        outcome = [refusal]

        def pay():
            payments.append(probing.breaker.is_open)
            if outcome:
                raise outcome[0]

        monkeypatch.setattr(redis, "breaker_of", lambda alias: probing.breaker)
        monkeypatch.setattr(redis, "_before_return", [("default", pay)])
        self.open(probing)
        probing.fault = None
        wait_for(lambda: len(payments) > 2, "nobody tries again")
        assert all(payments)
        outcome.clear()
        wait_for(lambda: not probing.breaker.is_open, "it stays open")

    def test_it_opens_again(self, probing):
        for _time in range(3):
            self.open(probing)
            probing.fault = None
            wait_for(lambda: not probing.breaker.is_open, "it stays open")


@pytest.fixture(scope="module")
def kept_redis():
    with own_redis() as found:
        yield found


@pytest.fixture
def own(kept_redis, settings):
    """A Redis of these tests' own, behind every room; a test leaves it as it likes."""
    kept_redis.go_on()
    kept_redis.start()
    kept_redis.make_room()
    settings.CACHES = rooms_at(kept_redis.url)
    redis.forget()
    return kept_redis


@pytest.fixture
def no_probe(monkeypatch):
    monkeypatch.setattr(redis, "PROBE_EVERY_SECONDS", NEVER_SECONDS)


def is_open() -> bool:
    return redis.breaker_of("default").is_open


class TestServer:
    """What a real one does to the clients of the rooms."""

    def test_a_dropped_connection_costs_no_error(self, own, caplog):
        caches["default"].set("um", 1)
        for _time in range(5):
            assert own.ask.client_kill_filter(_type="normal", skipme=True) >= 1
            assert caches["default"].get("um") == 1
        assert own.ask.client_kill_filter(_type="normal", skipme=True) >= 1
        with redis.client("default").pipeline(transaction=False) as pipe:
            assert pipe.get("nada").ping().execute() == [None, True]
        assert not caplog.records
        assert not redis.breaker_of("default")._failures

    def test_a_connection_that_was_not_made_is_given_back(self):
        pool = redis.Pool(host="127.0.0.1", port=free_port(), max_connections=2)
        for _time in range(5):
            with pytest.raises(ConnectionError, match="refused"):
                pool.get_connection()

    def test_nobody_reads_the_answer_to_a_question_that_was_left(self, own, monkeypatch):
        caches["default"].set("um", 1)
        caches["default"].set("dois", 2)
        read = Connection.read_response

        def out_of_time(connection, *words, **options):
            monkeypatch.setattr(Connection, "read_response", read)
            raise KeyboardInterrupt

        monkeypatch.setattr(Connection, "read_response", out_of_time)
        with pytest.raises(KeyboardInterrupt):
            caches["default"].get("um")
        assert [caches["default"].get(name) for name in ("dois", "um")] == [2, 1]

    def test_a_server_that_was_restarted_costs_no_error(self, own, caplog):
        caches["default"].set("um", 1)
        own.ask.save()
        own.kill()
        own.start()
        assert caches["default"].get("um") == 1
        assert not caplog.records

    def test_a_silent_server_is_asked_once_a_call(self, own, no_probe):
        caches["default"].set("um", 1)
        before = own.ask.info("stats")["total_connections_received"]
        own.hang()
        for _time in range(10):
            assert caches["default"].get("um") is None
        own.go_on()
        assert is_open()
        # the first call had a connection, the next two knocked; none of them twice
        assert own.ask.info("stats")["total_connections_received"] == before + 2

    def test_a_server_that_takes_nobody_in_is_knocked_at_once(self, monkeypatch, settings):
        with socket.create_server(("127.0.0.1", 0)) as listener:  # answers nobody
            settings.CACHES = rooms_at(f"redis://127.0.0.1:{listener.getsockname()[1]}/1")
            assert caches["default"].get("um") is None
            listener.settimeout(0.2)
            listener.accept()[0].close()
            with pytest.raises(TimeoutError):
                listener.accept()

    def test_an_open_breaker_leaves_the_server_alone(self, own, no_probe, caplog):
        own.kill()
        for _time in range(3):
            assert caches["default"].get("um") is None
        assert is_open()
        own.start()
        before = own.calls("get"), own.ask.info("stats")["total_connections_received"]
        caplog.clear()
        for _time in range(100):
            assert caches["default"].get("um") is None
            assert redis.attempt("sessions", lambda client: client.get("um"), "nada") == "nada"
            with pytest.raises(redis.Unavailable):
                redis.client("default").pipeline().get("um").execute()
        after = own.calls("get"), own.ask.info("stats")["total_connections_received"]
        assert before == after
        assert not [line for line in caplog.records if line.name == "core.redis"]

    def test_a_full_server_is_down_until_it_takes_writes(self, own, monkeypatch, settings):
        monkeypatch.setattr(redis, "PROBE_EVERY_SECONDS", 0.02)
        settings.CACHES = rooms_at(own.url, "sessions")  # where nobody is owed anything
        breaker = redis.breaker_of("sessions")
        caches["sessions"].set("um", 1)
        own.fill()
        before = own.calls("set")
        assert caches["sessions"].get("um") == 1  # it reads
        assert not caches["sessions"].set("dois", 2)
        assert breaker.is_open
        wait_for(lambda: own.calls("set") > before + 5, "nobody probes")
        assert breaker.is_open
        own.make_room()
        wait_for(lambda: not breaker.is_open, "it stays open")
        assert caches["sessions"].get("um") == 1

    def test_a_server_without_its_replica_is_down_too(self, own, no_probe):
        own.ask.config_set("min-replicas-to-write", 1)
        try:
            assert not caches["default"].set("um", 1)
            assert is_open()
        finally:
            own.ask.config_set("min-replicas-to-write", 0)

    def test_wrong_commands_say_nothing_about_the_server(self, own):
        client = redis.client("default")
        client.set("palavra", "letras")
        for _time in range(5):
            with pytest.raises(ResponseError):
                client.incr("palavra")
            with pytest.raises(ResponseError):
                client.pipeline(transaction=False).incr("palavra").execute()
        assert not is_open()

    def test_rooms_of_one_server_share_a_breaker_and_others_do_not(self, own, settings):
        here = {alias: redis.breaker_of(alias) for alias in settings.CACHES}
        assert len(set(here.values())) == 1
        settings.CACHES = {**rooms_at(own.url), **_elsewhere("sessions")}
        assert redis.breaker_of("sessions") is not redis.breaker_of("default")
        for _time in range(3):
            caches["sessions"].get("um")
        assert redis.breaker_of("sessions").is_open
        assert not is_open()
        assert caches["default"].set("um", 1)

    def test_every_room_waits_as_long_as_the_breaker_thinks(self):
        for alias in settings.CACHES:
            where = redis.client(alias).connection_pool.connection_kwargs
            assert where["socket_connect_timeout"] == redis.CONNECT_SECONDS == 0.1
            assert where["socket_timeout"] == redis.READ_SECONDS == 0.25


def _elsewhere(alias: str) -> dict[str, dict]:
    """The room ``alias`` where nobody listens."""
    return {alias: {**settings.CACHES[alias], "LOCATION": "redis://127.0.0.1:1/2"}}


class TestFork:
    def in_child(self, work) -> int:
        """Fork, run ``work`` in the child and return 0 if it said ``True`` within ten seconds."""
        with warnings.catch_warnings():
            # a process with threads may not fork lightly, which is what is tried here
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            signal.alarm(10)
            code = 1
            try:
                code = 0 if work() is True else 1
            finally:
                os._exit(code)
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return status
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        return os.waitpid(pid, 0)[1]

    def test_a_child_does_not_believe_its_parents_open_breaker(self, own, no_probe):
        caches["default"].set("um", 1)
        own.ask.save()
        own.kill()
        for _time in range(3):
            caches["default"].get("um")
        assert is_open()
        own.start()
        assert self.in_child(lambda: caches["default"].get("um") == 1) == 0
        assert is_open()  # here nothing changed

    def test_a_child_opens_and_closes_its_own(self, own, monkeypatch):
        monkeypatch.setattr(redis, "PROBE_EVERY_SECONDS", 0.02)
        caches["default"].set("um", 1)
        redis.breaker_of("default").is_open = True  # as the fork finds it; no thread will close it

        def work():
            own.fill()
            caches["default"].set("dois", 2)
            was_open = is_open()
            own.make_room()
            wait_for(lambda: not is_open(), "it stays open")
            return was_open

        assert self.in_child(work) == 0

    def test_a_fork_in_the_middle_of_anything_stops_nobody(self, own):
        caches["default"].set("um", 1)
        breaker = redis.breaker_of("default")
        # what other threads of the parent may hold just then
        with redis._breakers_lock, breaker._lock, breaker._retired._cond:
            status = self.in_child(lambda: caches["default"].get("um") == 1)
        assert status == 0


class TestOnceAMinute:
    def record(self, line: int, error: BaseException | None = None) -> logging.LogRecord:
        info = (type(error), error, None) if error else None
        return logging.LogRecord("x", logging.ERROR, "place.py", line, "words", (), info)

    def test_one_message_a_minute_and_place(self, monkeypatch):
        clock = Clock()
        monkeypatch.setattr(redis, "time", clock)
        filters = redis.OnceAMinute()
        assert [filters.filter(self.record(1)) for _n in range(3)] == [True, False, False]
        assert filters.filter(self.record(2))
        clock.now += 61
        assert filters.filter(self.record(1))

    def test_what_the_breaker_spared_is_no_message(self):
        try:
            try:
                raise redis.Unavailable("down")
            except redis.Unavailable as error:
                raise redis.ConnectionInterrupted(connection=None) from error
        except redis.ConnectionInterrupted as error:
            assert not redis.OnceAMinute().filter(self.record(1, error))
        assert redis.OnceAMinute().filter(self.record(1, FAULT))
