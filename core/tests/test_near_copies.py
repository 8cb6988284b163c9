"""core.near_copies, and how core.cache uses it: what a process shows without asking, and what it asks."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from unittest import mock

import redis
from django.conf import settings

from core import cache, near_copies
from core import redis as core_redis
from core.tests.kept import KEY, SCOPE, KeptTestCase
from tests.keeping import another_process, release_claims, round_trips, two_seconds_later

NEAR = ("default", KEY)


class AskingTestCase(KeptTestCase):
    @contextmanager
    def asking(self):
        """The keys whose values Redis is asked for, "" for tokens alone; nothing is believed unasked."""
        asked = []

        def ask(keys):
            asked.append(keys[0])
            return whole(keys)

        def ask_tokens(keys):
            asked.append("")
            return tokens(keys)

        whole, tokens = cache._ask, cache._ask_tokens
        with (
            two_seconds_later(),
            mock.patch.object(cache, "_ask", ask),
            mock.patch.object(cache, "_ask_tokens", ask_tokens),
        ):
            yield asked

    @contextmanager
    def at(self, moment):
        """What is done at the monotonic second ``moment``, and how often Redis is asked for it."""
        with mock.patch.object(cache.time, "monotonic", lambda: moment), round_trips() as asked:
            yield asked


class BelievedTests(AskingTestCase):
    def test_one_that_is_still_todays_is_not_sent_again(self):
        self.read()
        with self.asking() as asked:
            assert self.read() == 1
        assert asked == [""]
        assert self.source.builds == 1

    def test_it_is_believed_for_another_second(self):
        for moment, times in ((5000.0, None), (5002.0, 1), (5002.9, 0), (5003.1, 1)):
            with self.at(moment) as asked:
                self.read()
            assert times is None or len(asked) == times, moment

    def test_one_that_another_process_rebuilt_is_fetched(self):
        self.read()
        with another_process():
            self.write(2)
            assert self.read() == 2
        with self.asking() as asked:
            assert self.read() == 2
        assert asked == ["", cache.PLAIN.key(KEY)]
        assert self.source.builds == 2

    def test_one_that_is_too_old_is_rebuilt(self):
        self.read()
        until = cache._near.get(NEAR).until
        self.source.value = 2
        with self.asking() as asked, mock.patch.object(cache.time, "time", lambda: until + 1):
            assert self.read() == 2
        assert asked == [cache.PLAIN.key(KEY)]

    def test_one_that_this_process_wrote_over_is_fetched_at_once(self):
        self.read()
        self.write(2)
        with self.asking() as asked:
            assert self.read() == 2
        assert asked == [cache.PLAIN.key(KEY)]

    def test_redis_is_not_asked_again_when_it_did_not_answer(self):
        self.read()
        with (
            self.asking() as asked,
            mock.patch.object(core_redis, "attempt", lambda alias, work, default: default),
        ):
            assert cache.look(cache.PLAIN, KEY, (SCOPE,)).entry.value == {"valor": 1}
        assert asked == [""]

    @contextmanager
    def overtaking(self, name):
        """A write of this process commits just after Redis answered ``cache.<name>``."""
        real = getattr(cache, name)

        def ask(keys):
            found = real(keys)
            cache._near.bumped([SCOPE])
            return found

        with mock.patch.object(cache, name, ask):
            yield

    def test_a_write_while_redis_is_asked_is_not_overlooked(self):
        self.read()
        with two_seconds_later(), self.overtaking("_ask_tokens"):
            assert self.read() == 1
        assert cache.near(cache.PLAIN, KEY) is None
        with another_process():
            with self.overtaking("_ask"):
                assert self.read() == 1
            assert cache.near(cache.PLAIN, KEY) is None

    def test_a_write_while_it_is_built_is_not_overlooked(self):
        def build():
            cache._bump_now([SCOPE])
            return {"valor": 1}

        cache.remember(KEY, [SCOPE], build)
        assert cache.near(cache.PLAIN, KEY) is None

    def test_what_is_asked_for_before_redis_hears_of_a_write_is_not_believed_after_it(self):
        self.read()
        real = cache._set_tokens

        def set_tokens(scopes, client):
            assert self.read() == 1  # under the old tokens, and after the first word of it
            return real(scopes, client)

        with mock.patch.object(cache, "_set_tokens", set_tokens):
            cache._bump_now([SCOPE])
        assert cache.near(cache.PLAIN, KEY) is None

    def test_one_that_redis_lost_is_not_believed(self):
        self.read()
        self.source.value = 2
        with another_process():
            cache.drop(cache.PLAIN, KEY)
        with self.asking() as asked:
            assert self.read() == 2
        assert asked[:2] == ["", cache.PLAIN.key(KEY)]

    def test_one_that_is_read_here_is_no_idle_one_to_redis(self):
        self.read()
        server = redis.Redis.from_url(settings.REDIS_URL)
        self.addCleanup(server.close)
        time.sleep(2.1)
        assert server.object("idletime", cache.PLAIN.key(KEY)) >= 1  # in seconds
        with two_seconds_later():
            self.read()
        assert server.object("idletime", cache.PLAIN.key(KEY)) == 0

    def test_an_answer_that_was_overtaken_puts_nothing_back(self):
        self.read()
        old = cache._near.get(NEAR)
        self.write(2)
        assert self.read() == 2
        cache._near.confirm(NEAR, old, cache.time.monotonic())
        assert self.read() == 2
        cache._near.drop(NEAR)
        cache._near.confirm(NEAR, old, cache.time.monotonic())
        assert cache._near.get(NEAR) is None

    def test_a_child_does_not_wait_for_a_thread_of_its_parent(self):
        with mock.patch.object(cache, "_near", near_copies.NearCopies()), cache._near._lock:
            child = threading.Thread(target=cache._forget_in_child, daemon=True)
            child.start()
            child.join(5)
            assert not child.is_alive()


class WaitingTests(AskingTestCase):
    """A stale copy, while another process rebuilds it."""

    def setUp(self):
        super().setUp()
        with self.at(5000.0):
            self.read()
        with another_process():
            self.write(2)
            assert cache.claim(cache.PLAIN, KEY, cache.look(cache.PLAIN, KEY, (SCOPE,)))

    def test_redis_is_asked_four_times_a_second_and_not_by_every_reader(self):
        for moment, times in ((5002.0, 3), (5002.2, 0), (5002.3, 2), (5002.5, 0), (5002.6, 2)):
            with self.at(moment) as asked:
                assert self.read() == 1
            # for its tokens, which need not be asked for again; for the value; for the rebuild
            assert len(asked) == times, moment

    def test_what_was_rebuilt_is_shown_a_quarter_of_a_second_later(self):
        with self.at(5002.0):
            assert self.read() == 1
        with another_process(), cache.insisting(cache.NO_STALE):
            assert self.read() == 2
        for moment, known in ((5002.2, 1), (5002.3, 2), (5003.2, 2)):
            with self.at(moment):
                assert self.read() == known, moment
        assert self.source.builds == 2

    def test_it_is_counted_as_stale(self):
        with self.at(5002.0), mock.patch.object(cache.counting, "count") as count:
            self.read()
            self.read()
        assert [call.args[-1] for call in count.call_args_list] == ["stale", "stale"]

    def test_who_wrote_just_now_is_not_shown_it(self):
        with self.at(5002.0):
            self.read()
            with cache.insisting(cache.NO_STALE):
                assert self.read() == 2

    def test_a_write_of_this_process_ends_it(self):
        with self.at(5002.0):
            assert self.read() == 1
            self.write(3)
            assert self.read() == 3

    def test_it_takes_no_place_from_what_a_thread_rebuilt_meanwhile(self):
        with self.at(5002.0):
            found = cache.look(cache.PLAIN, KEY, (SCOPE,))
            with cache.insisting(cache.NO_STALE):
                assert self.read() == 2
            assert not cache.claim(cache.PLAIN, KEY, found)
            assert self.read() == 2

    def test_whose_turn_it_is_after_a_second_rebuilds(self):
        with self.at(5002.0):
            assert self.read() == 1
        release_claims()
        with self.at(5003.0):
            assert self.read() == 2


class RoomTests(KeptTestCase):
    """How much a process keeps."""

    def kept(self):
        return [key for (_room, key) in cache._near._entries]

    def test_it_keeps_so_many_bytes_and_no_more(self):
        with mock.patch.object(near_copies, "MOST_BYTES", 5000):
            for number in range(20):
                cache.remember(f"lista:{number}", [SCOPE], lambda: "x" * 800)
            assert self.kept() == [f"lista:{number}" for number in range(15, 20)]
            cache.remember("lista:20", [SCOPE], lambda: "x" * 2500)
            assert self.kept() == ["lista:18", "lista:19", "lista:20"]
            cache.remember("lista:21", [SCOPE], lambda: "x" * 9000)  # more than there is room for
            assert self.kept() == []
            assert cache._near._bytes == 0

    def test_what_came_from_redis_counts_alike(self):
        cache.remember(KEY, [SCOPE], lambda: "x" * 800)
        built = cache._near.get(NEAR).size
        assert 800 < built < 1100
        with another_process():
            cache.remember(KEY, [SCOPE], lambda: "x")
            assert cache._near.get(NEAR).size == built

    def test_a_page_takes_its_place_once(self):
        for _time in range(3):
            release_claims()
            cache._bump_now([SCOPE])
            self.read()
            cache.look(cache.PLAIN, KEY, (SCOPE,))
        assert cache._near._bytes == cache._near.get(NEAR).size
        cache.drop(cache.PLAIN, KEY)
        assert cache._near._bytes == 0

    def test_the_unused_go_first(self):
        with mock.patch.object(near_copies, "MOST_BYTES", 5000):
            for number in range(5):
                cache.remember(f"lista:{number}", [SCOPE], lambda: "x" * 800)
            with two_seconds_later():
                cache.remember("lista:0", [SCOPE], lambda: "x" * 800)
            cache.remember("lista:5", [SCOPE], lambda: "x" * 800)
            assert self.kept() == ["lista:2", "lista:3", "lista:4", "lista:0", "lista:5"]

    def test_old_bumps_are_forgotten(self):
        with mock.patch.object(near_copies, "MOST_BUMPS", 5):
            for number in range(20):
                with mock.patch.object(
                    cache.time, "monotonic", lambda number=number: number * 10.0
                ):
                    cache._near.bumped([f"teste.{number}"])
            assert len(cache._near._bumps) <= 7
