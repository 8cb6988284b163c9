"""debates.reading_counts: who counts as a reader, what a GET costs, and batches that count once."""

from __future__ import annotations

import threading
from datetime import timedelta
from unittest import mock
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.http import HttpRequest
from django.test import RequestFactory, SimpleTestCase, TestCase
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import redis
from debates import reading_counts
from debates.models import DebateTopic, ViewBatch
from debates.tasks import fold_views
from tests.factories import make_topic

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PEOPLE = [
    BROWSER,
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 13; CUBOT X70) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/137.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 16; SM-S936B) AppleWebKit/537.36 (KHTML, like Gecko) "
    "SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
    "Opera/9.80 (J2ME/MIDP; Opera Mini/9.80) Presto/2.12.423 Version/12.16",
]
ROBOTS = [
    "",
    "  ",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 "
    "(compatible; Bytespider; spider-feedback@bytedance.com)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "WhatsApp/2.23.20.0",
    "TelegramBot (like TwitterBot)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/138.0.0.0 Safari/537.36",
    "curl/8.14.1",
    "Wget/1.25.0",
    "python-requests/2.32.4",
    "Go-http-client/2.0",
    "ia_archiver (+http://www.alexa.com/site/help/webmasters; crawler@alexa.com)",
]


@pytest.fixture(autouse=True)
def nothing_counted():
    """No reading of the test before, neither here nor on its way."""
    stop()
    yield
    stop()


def stop() -> None:
    if timer := reading_counts._counts._timer:
        timer.cancel()
        timer.join()
    reading_counts._counts.forget()


def reading(method: str = "GET", agent: str = BROWSER, **headers: str) -> HttpRequest:
    return getattr(RequestFactory(), method.lower())("/", HTTP_USER_AGENT=agent, **headers)


def in_redis(*names: str) -> dict[int, int]:
    """What the hash holds, or the batch that is named."""
    client = redis.client(reading_counts.ROOM)
    found = client.hgetall(reading_counts._key(*names))
    found.pop(reading_counts.IDENTITY.encode(), None)
    return {int(topic_id): int(number) for topic_id, number in found.items()}


def pending() -> set[str]:
    found = redis.client(reading_counts.ROOM).smembers(reading_counts._key("pending"))
    return {name.decode() for name in found}


def put(counts: dict[int, int]) -> None:
    """Let Redis hold ``counts``, as the web processes leave them."""
    redis.client(reading_counts.ROOM).hset(reading_counts._key(), mapping=counts)


class Down:
    """Redis is no use from here on, as for a process whose breaker is open."""

    def __enter__(self):
        self.patch = mock.patch.object(
            redis.Breaker, "call", side_effect=redis.Unavailable("down for the test")
        )
        return self.patch.__enter__()

    def __exit__(self, *error):
        return self.patch.__exit__(*error)


class SeenTests(SimpleTestCase):
    def counted(self) -> dict[int, int]:
        reading_counts._counts.flush()
        return in_redis()

    def test_readings_are_gathered_into_one_hash(self):
        for topic_id in (7, 8, 7, 7):
            reading_counts.seen(reading(), topic_id)
        assert in_redis() == {}  # not one by one
        assert self.counted() == {7: 3, 8: 1}
        reading_counts.seen(reading(), 7)
        assert self.counted() == {7: 4, 8: 1}

    def test_nobody_has_to_flush(self):
        arrived = threading.Event()
        with (
            mock.patch.object(reading_counts, "FLUSH_SECONDS", 0.01),
            mock.patch.object(
                reading_counts,
                "attempt",
                side_effect=lambda *args: (redis.attempt(*args), arrived.set()),
            ),
        ):
            reading_counts.seen(reading(), 7)
            assert arrived.wait(5)
        assert in_redis() == {7: 1}

    def test_people_count(self):
        for agent in PEOPLE:
            reading_counts.seen(reading(agent=agent), 7)
        assert self.counted() == {7: len(PEOPLE)}

    def test_robots_do_not(self):
        for agent in ROBOTS:
            reading_counts.seen(reading(agent=agent), 7)
            assert self.counted() == {}, agent

    def test_a_request_without_a_user_agent_is_a_robots(self):
        reading_counts.seen(RequestFactory().get("/"), 7)
        assert self.counted() == {}

    def test_head_prefetch_and_creator_do_not_count(self):
        reading_counts.seen(reading("HEAD"), 7)
        for header, value in (
            ("HTTP_SEC_PURPOSE", "prefetch"),
            ("HTTP_SEC_PURPOSE", "prefetch;prerender"),
            ("HTTP_PURPOSE", "prefetch"),
            ("HTTP_X_PURPOSE", "preview"),
            ("HTTP_X_MOZ", "prefetch"),
        ):
            reading_counts.seen(reading(**{header: value}), 7)
        reading_counts.seen(reading(), 7, is_creator=True)
        assert self.counted() == {}

    def test_who_reads_is_not_asked(self):
        request = reading()
        assert not hasattr(request, "user")
        reading_counts.seen(request, 7)
        assert self.counted() == {7: 1}

    def test_counting_asks_neither_redis_nor_postgres(self):
        # a SimpleTestCase has no database
        with mock.patch("core.redis.client", side_effect=AssertionError("Redis was asked")):
            reading_counts.seen(reading(), 7)

    def test_readings_by_many_threads_are_all_counted(self):
        def read():
            for _time in range(200):
                reading_counts.seen(reading(), 7)
                reading_counts._counts.flush()

        with mock.patch.object(reading_counts, "FLUSH_SECONDS", 3600):
            threads = [threading.Thread(target=read) for _n in range(5)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            stop()
        assert self.counted() == {7: 1000}

    def test_what_a_process_holds_is_bounded(self):
        with mock.patch.object(reading_counts, "MOST_DEBATES", 2):
            for topic_id in (7, 8, 9, 7):
                reading_counts.seen(reading(), topic_id)
        assert self.counted() == {7: 2, 8: 1}

    def test_with_redis_gone_readings_are_dropped(self):
        reading_counts.seen(reading(), 7)
        with Down() as asked:
            reading_counts._counts.flush()
        assert asked.called
        assert self.counted() == {}

    def test_a_child_process_forgets_what_its_parent_will_send(self):
        reading_counts.seen(reading(), 7)
        timer = reading_counts._counts._timer
        reading_counts._counts.forget()  # what the fork does
        assert self.counted() == {}
        assert timer is not None
        timer.cancel()


class PageTests(TestCase):
    def test_a_reading_writes_nothing_to_postgres(self):
        topic = make_topic()
        with CaptureQueriesContext(connection) as seen:
            response = self.client.get(topic.get_absolute_url(), HTTP_USER_AGENT=BROWSER)
            reading_counts.seen(response.wsgi_request, topic.pk)
            reading_counts._counts.flush()
        assert seen.captured_queries
        for query in seen.captured_queries:
            assert query["sql"].lstrip("( ").startswith("SELECT")
        assert in_redis()[topic.pk] >= 1

    def test_the_page_tells_the_number_in_the_readers_way(self):
        topic = make_topic()
        DebateTopic.objects.filter(pk=topic.pk).update(views_count=12_345)
        other, silent = make_topic(), make_topic()
        DebateTopic.objects.filter(pk=other.pk).update(views_count=1)
        assert "12.345 leituras" in self.client.get(topic.get_absolute_url()).content.decode()
        assert "1 leitura<" in self.client.get(other.get_absolute_url()).content.decode()
        assert "leitura" not in self.client.get(silent.get_absolute_url()).content.decode()


class FoldTests(TestCase):
    def setUp(self):
        self.topics = [make_topic() for _n in range(3)]
        self.ids = [topic.pk for topic in self.topics]

    def views(self) -> list[int]:
        found = DebateTopic.objects.in_bulk(self.ids)
        return [found[pk].views_count for pk in self.ids]

    def test_readings_are_added_once_however_often_it_runs(self):
        put({self.ids[0]: 3, self.ids[2]: 1})
        fold_views()
        assert self.views() == [3, 0, 1]
        fold_views()
        assert self.views() == [3, 0, 1]
        put({self.ids[0]: 2})
        fold_views()
        assert self.views() == [5, 0, 1]
        assert (in_redis(), pending()) == ({}, set())
        assert ViewBatch.objects.count() == 2

    def test_nothing_else_of_a_debate_changes(self):
        before = DebateTopic.objects.values().get(pk=self.ids[0])
        put({self.ids[0]: 3})
        fold_views()
        after = DebateTopic.objects.values().get(pk=self.ids[0])
        assert after == before | {"views_count": before["views_count"] + 3}

    def test_debates_that_are_gone_are_skipped(self):
        put({self.ids[0]: 1, 2**40: 5})
        fold_views()
        assert self.views() == [1, 0, 0]
        assert pending() == set()

    def test_more_debates_than_one_statement_takes(self):
        put(dict.fromkeys(self.ids, 2))
        with mock.patch.object(reading_counts, "CHUNK_ROWS", 2):
            fold_views()
        assert self.views() == [2, 2, 2]

    def test_killed_after_the_commit_it_is_not_added_again(self):
        put({self.ids[0]: 3})
        with (
            mock.patch.object(reading_counts, "_drop", side_effect=KeyboardInterrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            fold_views()
        assert self.views()[0] == 3
        assert in_redis(*pending()) == {self.ids[0]: 3}  # it waits, as if nothing had happened
        put({self.ids[0]: 1})
        fold_views()
        assert self.views()[0] == 4
        assert pending() == set()

    def test_a_redis_that_comes_back_with_what_was_folded_is_not_believed(self):
        """It was killed after the fold and starts from what it had saved before."""
        client, key = redis.client(reading_counts.ROOM), reading_counts._key()
        reading_counts.seen(reading(), self.ids[0])
        reading_counts._counts.flush()
        saved = client.dump(key)
        reading_counts.seen(reading(), self.ids[0])
        reading_counts._counts.flush()
        fold_views()
        client.restore(key, 0, saved)
        reading_counts.seen(reading(), self.ids[1])  # joins the batch that is known: not counted
        reading_counts._counts.flush()
        fold_views()
        assert (self.views(), pending()) == ([2, 0, 0], set())
        reading_counts.seen(reading(), self.ids[1])
        reading_counts._counts.flush()
        fold_views()
        assert self.views() == [2, 1, 0]

    def test_killed_before_the_commit_it_is_added_by_the_next_run(self):
        put({self.ids[0]: 3})
        with (
            mock.patch.object(reading_counts, "_chunks", side_effect=KeyboardInterrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            fold_views()
        assert self.views()[0] == 0
        assert not ViewBatch.objects.exists()
        fold_views()
        assert self.views()[0] == 3

    def test_with_redis_gone_nothing_happens_and_nothing_is_lost(self):
        put({self.ids[0]: 3})
        with Down():
            fold_views()
        assert self.views()[0] == 0
        fold_views()
        assert self.views()[0] == 3

    def test_redis_gone_halfway_leaves_the_batch_for_later(self):
        put({self.ids[0]: 3})
        with mock.patch.object(
            reading_counts, "_read", side_effect=redis.Unavailable("down for the test")
        ):
            fold_views()
        assert self.views()[0] == 0
        assert len(pending()) == 1
        fold_views()
        assert (self.views()[0], pending()) == (3, set())

    def test_a_worker_that_comes_second_leaves_an_empty_batch_that_goes_away(self):
        # between its look at the hash and its rename another one took the hash
        with mock.patch("redis.Redis.exists", return_value=1):
            assert len(reading_counts._close(redis.client(reading_counts.ROOM))) == 1
        fold_views()
        assert pending() == set()
        assert not ViewBatch.objects.exists()

    def test_old_batches_are_forgotten_and_others_kept(self):
        now = timezone.now()
        for days in (0, 29, 31):
            ViewBatch.objects.create(pk=UUID(int=days), created_at=now - timedelta(days=days))
        fold_views()
        assert {row.pk.int for row in ViewBatch.objects.all()} == {0, 29}

    def test_no_batch_is_forgotten_while_redis_may_still_hold_it(self):
        old = uuid4()
        ViewBatch.objects.create(pk=old, created_at=timezone.now() - timedelta(days=31))
        client = redis.client(reading_counts.ROOM)
        client.sadd(reading_counts._key("pending"), str(old))
        client.hset(reading_counts._key(str(old)), mapping={self.ids[0]: 3})
        with mock.patch.object(reading_counts, "_drop", side_effect=redis.Unavailable("down")):
            fold_views()
        assert ViewBatch.objects.filter(pk=old).exists()
        fold_views()
        assert self.views()[0] == 0
        assert not ViewBatch.objects.exists()
