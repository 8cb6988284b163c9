"""core.cache: what is fresh, what is stale, who rebuilds, and what a late or lost word does."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from unittest import mock

import pytest
import redis
from django.conf import settings
from django.core.cache import caches
from django.db import InterfaceError, OperationalError, transaction
from django.test import TransactionTestCase, override_settings

from core import cache
from core import redis as core_redis
from core.cache import bump  # before conftest.py makes it impatient
from core.tests.kept import KEY, OTHER, SCOPE, KeptTestCase
from tests.keeping import another_process, in_redis, release_claims, round_trips, two_seconds_later


class FreshTests(KeptTestCase):
    def test_it_is_built_once_for_all_processes(self):
        assert self.read() == 1
        self.source.value = 2  # nobody says so
        assert self.read() == 1
        with another_process():
            assert self.read() == 1
        assert self.source.builds == 1

    def test_one_round_trip_when_warm_and_none_within_a_second(self):
        self.read()
        with round_trips() as asked:
            self.read()
        assert not asked
        with another_process(), round_trips() as asked:
            self.read()
            self.read()
        assert len(asked) == 1

    def test_a_near_copy_is_believed_for_a_second(self):
        with mock.patch.object(cache.time, "monotonic", lambda: 5000.0):
            assert self.read() == 1
        for later, known in ((5000.9, 1), (5001.2, 2)):
            with another_process():
                self.write(2)
            with mock.patch.object(cache.time, "monotonic", lambda later=later: later):
                assert self.read() == known

    def test_every_scope_makes_it_stale_and_no_other(self):
        self.read(SCOPE, OTHER)
        for scope, known in (("teste.alheia", 1), (SCOPE, 3), (OTHER, 4), (cache.EVERYTHING, 5)):
            self.source.value = known if known > 1 else 9
            release_claims()
            cache._bump_now([scope])
            assert self.read(SCOPE, OTHER) == known, scope

    def test_this_process_never_shows_what_it_wrote_over(self):
        for value in range(2, 6):
            self.read()
            self.write(value)
            assert self.read() == value

    def test_without_the_cache_it_is_built_each_time(self):
        with override_settings(PAGE_CACHE=False), round_trips() as asked:
            self.read()
            self.read()
        assert self.source.builds == 2
        assert not asked
        assert not in_redis()

    def test_the_owners_key_is_read_by_djangos_cache_too(self):
        cache.remember("debates:list:v1", [SCOPE], lambda: [{"título": "ação", "n": 1}])
        kept = caches["default"].get("debates:list:v1")
        assert kept["value"] == [{"título": "ação", "n": 1}]
        assert caches["default"].ttl("debates:list:v1") > 0

    def test_what_another_release_or_a_stranger_left_is_built_anew(self):
        for left in (
            '{"value": 1}',
            "[1]",
            "1",
            "{",
            "",
            '{"outro": {}}',
            '{"tokens": {}, "value": 2, "novo": 1}',
        ):
            with self.subTest(left=left):
                server = redis.Redis.from_url(settings.REDIS_URL)
                server.set(cache.PLAIN.key(KEY), left)
                server.close()
                cache._near.clear()
                self.source.value = 7
                assert self.read() == 7
                with another_process():
                    assert self.read() == 7

    def test_it_must_be_plain(self):
        for value in ({1, 2}, object(), b"bytes"):
            with self.subTest(value=value), pytest.raises(TypeError):
                cache.remember("outra", [SCOPE], lambda value=value: value)


class AgeTests(KeptTestCase):
    def entry(self):
        return json.loads(in_redis()[cache.PLAIN.key(KEY)])

    def test_it_is_kept_a_day_and_rebuilt_at_its_age(self):
        self.read()
        entry = self.entry()
        age = entry["until"] - entry["built"]
        assert 0.9 * settings.REDIS_CACHE_TIMEOUT <= age <= settings.REDIS_CACHE_TIMEOUT
        server = redis.Redis.from_url(settings.REDIS_URL)
        self.addCleanup(server.close)
        assert 86_000 < server.ttl(cache.PLAIN.key(KEY)) <= 86_400
        self.source.value = 2
        for later, known in ((-1, 1), (1, 2)):
            release_claims()
            with (
                another_process(),
                mock.patch.object(cache.time, "time", lambda now=entry["until"] + later: now),
            ):
                assert self.read() == known

    def test_ages_are_spread(self):
        ages = set()
        for _time in range(20):
            cache.keep(cache.PLAIN, KEY, cache.look(cache.PLAIN, "x", [SCOPE]), 1)
            entry = self.entry()
            ages.add(round(entry["until"] - entry["built"], 3))
        assert len(ages) > 10
        assert max(ages) - min(ages) > 0.02 * settings.REDIS_CACHE_TIMEOUT

    def test_the_configured_age_counts(self):
        with override_settings(REDIS_CACHE_TIMEOUT=10):
            self.read()
            entry = self.entry()
        assert 9 <= entry["until"] - entry["built"] <= 10


class LateTests(KeptTestCase):
    def test_what_is_stored_after_a_write_it_did_not_see_is_stale(self):
        """The reader reads, somebody writes, the reader stores: the next one must not believe it."""

        def slow():
            old = self.source.build()
            with another_process():
                self.write(2)
            return old

        assert cache.remember(KEY, (SCOPE,), slow) == {"valor": 1}
        release_claims()
        with another_process():
            assert self.read() == 2

    def test_a_rebuild_that_began_before_a_write_is_stale_too(self):
        self.read()
        self.write(2)

        def slow():
            old = self.source.build()
            with another_process():
                self.write(3)
            return old

        cache.remember(KEY, (SCOPE,), slow)
        release_claims()
        with another_process():
            assert self.read() == 3

    def test_a_page_is_rebuilt_once_a_second_at_most(self):
        """However many write: the others are shown the last copy meanwhile."""
        self.read()
        self.write(2)
        assert self.read() == 2
        for value in range(3, 9):
            self.source.value = value
            cache._bump_now([SCOPE])
            assert self.read() == 2
        assert self.source.builds == 2
        release_claims()  # the second is over
        assert self.read() == 8

    def test_a_write_while_no_token_exists_is_seen(self):
        """Tokens can be evicted at any time, between reading them and storing too."""

        def slow():
            old = self.source.build()
            server.delete(cache._token_key(SCOPE))
            return old

        server = redis.Redis.from_url(settings.REDIS_URL)
        self.addCleanup(server.close)
        cache.remember(KEY, (SCOPE,), slow)
        self.source.value = 2
        release_claims()
        with another_process():
            assert self.read() == 2

    def test_an_evicted_token_never_makes_an_old_value_fresh_again(self):
        server = redis.Redis.from_url(settings.REDIS_URL)
        self.addCleanup(server.close)
        self.read()
        kept = server.get(cache.PLAIN.key(KEY))
        for value in range(2, 5):
            server.delete(cache._token_key(SCOPE), cache._token_key(cache.EVERYTHING))
            self.source.value = value
            release_claims()
            with another_process():
                assert self.read() == value
            server.set(cache.PLAIN.key(KEY), kept)  # the first one is back, as after a restore
            release_claims()
            with another_process():
                assert self.read() == value

    def test_a_token_that_nothing_is_kept_under_does_not_stay(self):
        server = redis.Redis.from_url(settings.REDIS_URL)
        self.addCleanup(server.close)
        found = cache.look(cache.PLAIN, KEY, [SCOPE])
        cache.claim(cache.PLAIN, KEY, found)
        assert 0 < server.ttl(cache._token_key(SCOPE)) <= cache.TRIED_SECONDS
        cache.keep(cache.PLAIN, KEY, found, 1)
        assert server.ttl(cache._token_key(SCOPE)) > cache.KEPT_SECONDS

    def test_what_is_dropped_is_shown_to_nobody(self):
        self.read()
        self.source.value = 2
        cache.drop(cache.PLAIN, KEY)
        assert cache.PLAIN.key(KEY) not in in_redis()
        assert self.read() == 2


class OneRebuilderTests(KeptTestCase):
    def test_the_others_are_shown_the_stale_copy(self):
        self.read()
        self.write(2)
        begun, may_end = threading.Event(), threading.Event()
        shown: list[int] = []

        def slow():
            begun.set()
            assert may_end.wait(10)
            return self.source.build()

        def rebuild():
            shown.append(cache.remember(KEY, (SCOPE,), slow)["valor"])

        def read():
            shown.append(self.read())

        rebuilder = threading.Thread(target=rebuild)
        rebuilder.start()
        assert begun.wait(10)
        others = [threading.Thread(target=read) for _number in range(8)]
        for thread in others:
            thread.start()
        for thread in others:
            thread.join(10)
        assert shown == [1] * 8
        may_end.set()
        rebuilder.join(10)
        assert shown[-1] == 2
        assert self.source.builds == 2
        assert self.read() == 2

    def test_a_rebuilder_that_died_is_replaced(self):
        self.read()
        self.write(2)
        found = cache.look(cache.PLAIN, KEY, (SCOPE,))
        assert cache.claim(cache.PLAIN, KEY, found)
        assert not cache.claim(cache.PLAIN, KEY, found)
        assert self.read() == 1
        server = redis.Redis.from_url(settings.REDIS_URL)
        self.addCleanup(server.close)
        left = server.pttl(cache.PLAIN.key(f"rebuild:{KEY}"))
        assert 0 < left <= cache.REBUILD_SECONDS * 1000
        release_claims()  # as its end does
        assert self.read() == 2

    def test_who_wrote_just_now_does_not_wait_for_the_rebuilder(self):
        self.read()
        self.write(2)
        assert cache.claim(cache.PLAIN, KEY, cache.look(cache.PLAIN, KEY, (SCOPE,)))
        assert self.read() == 1
        with cache.insisting(cache.NO_STALE):
            assert self.read() == 2

    def test_who_wrote_just_now_is_shown_no_near_copy(self):
        self.read()
        with another_process():
            self.write(2)
        assert self.read() == 1
        with cache.insisting(cache.NO_STALE):
            assert self.read() == 2

    def test_what_was_built_since_the_write_will_do(self):
        self.read()
        with cache.insisting(cache.NO_STALE):
            self.read()
        assert self.source.builds == 1
        with cache.insisting(cache.EVERY_BUILD), cache.insisting(cache.NO_STALE):
            self.read()
        assert self.source.builds == 2


class DatabaseGoneTests(KeptTestCase):
    def gone(self):
        raise OperationalError("gone")

    def test_the_stale_copy_is_shown_while_postgres_cannot_answer(self):
        self.read()
        self.write(2)
        for error in (OperationalError, InterfaceError):
            release_claims()
            build = mock.Mock(side_effect=error("gone"))
            assert cache.remember(KEY, (SCOPE,), build) == {"valor": 1}
            assert build.called
        release_claims()
        assert self.read() == 2

    def test_without_a_copy_the_error_is_the_callers(self):
        with pytest.raises(OperationalError):
            cache.remember(KEY, (SCOPE,), self.gone)

    def test_another_error_is_the_callers_too(self):
        self.read()
        self.write(2)
        with pytest.raises(ZeroDivisionError):
            cache.remember(KEY, (SCOPE,), lambda: 1 / 0)

    def test_a_page_is_not_built_from_a_stale_copy(self):
        self.read()
        self.write(2)
        with cache.insisting(cache.NO_STALE), pytest.raises(OperationalError):
            cache.remember(KEY, (SCOPE,), self.gone)


class DebtTests(KeptTestCase):
    """A bump that Redis could not be told."""

    def setUp(self):
        super().setUp()
        self.read()

    @contextmanager
    def redis_gone(self):
        """Redis takes nothing, and is back afterwards with what it had."""
        broken = mock.Mock(side_effect=redis.exceptions.ConnectionError("gone"))
        with mock.patch.object(core_redis.Pipeline, "execute", broken):
            yield
        core_redis.forget()
        release_claims()

    def test_it_is_paid_before_anybody_reads_again(self):
        with self.redis_gone():
            self.write(2)
            assert cache.owes()
            assert self.read() == 2
        self.source.value = 3  # what this process built meanwhile is not what it shows now
        with two_seconds_later():
            assert self.read() == 3
        assert not cache.owes()

    def test_others_hear_of_it_too(self):
        with self.redis_gone():
            self.write(2)
        with another_process():
            assert self.read() == 1  # nobody could tell
        cache.remember("outra", [OTHER], lambda: 1)  # whatever this process reads next
        release_claims()
        with another_process():
            assert self.read() == 2

    def test_one_that_is_owed_while_another_is_paid_is_not_paid_with_it(self):
        set_tokens = cache._set_tokens

        def slow(scopes, client):
            set_tokens(scopes, client)
            cache._debt.owe()  # another thread, whose bump just failed
            return True

        cache._debt.owe()
        with mock.patch.object(cache, "_set_tokens", slow):
            assert not cache._debt.is_paid()
        assert cache.owes()
        cache._debt.owe()
        with mock.patch.object(cache, "_set_tokens", slow):
            cache._debt.pay_before_return()
        assert cache.owes()
        assert cache._debt.is_paid()

    def test_a_new_process_trusts_nothing(self):
        assert cache._Debt().is_owed()
        self.source.value = 2
        release_claims()
        cache.forget()
        assert self.read() == 2

    def test_without_redis_it_is_built_and_an_old_copy_only_bridges_the_database(self):
        down = mock.patch.object(core_redis, "attempt", lambda alias, work, default: default)
        with down:
            self.source.value = 2
            with two_seconds_later():
                assert self.read() == 2
                gone = mock.Mock(side_effect=OperationalError("gone"))
                assert cache.remember(KEY, (SCOPE,), gone) == {"valor": 2}
            self.write(3)
            assert self.read() == 3
        assert cache.owes()
        release_claims()
        assert self.read() == 3


class CommitTests(TransactionTestCase):
    """When a bump happens: once the write is there for everybody to read, or never."""

    def token(self):
        server = redis.Redis.from_url(settings.REDIS_URL)
        found = server.get(cache._token_key(SCOPE))
        server.close()
        return found

    def test_at_the_commit(self):
        bump(SCOPE)
        first = self.token()
        assert first
        with transaction.atomic():
            bump(SCOPE)
            assert self.token() == first
        assert self.token() != first

    def test_never_after_a_rollback(self):
        bump(SCOPE)
        first = self.token()
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            bump(SCOPE)
            raise ZeroDivisionError
        with transaction.atomic(), pytest.raises(ZeroDivisionError), transaction.atomic():
            bump(SCOPE)
            raise ZeroDivisionError
        assert self.token() == first

    def test_it_never_turns_a_saved_write_into_an_error(self):
        with (
            mock.patch.object(cache._near, "bumped", side_effect=RuntimeError("a bug")),
            self.assertLogs("django.db.backends.base", "ERROR"),
            transaction.atomic(),
        ):
            bump(SCOPE)
