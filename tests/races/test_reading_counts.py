"""Two workers that fold view counts at once, and readers who reply meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from unittest import mock
from uuid import uuid4

from django.db import connection
from django.urls import reverse

from core import redis
from debates import reading_counts
from debates.models import DebateTopic, ViewBatch
from debates.tasks import fold_views
from tests.factories import make_topic

from .test_counters import CROWD, REPLY, RaceTestCase, at_once

WORKERS = 5


class FoldRaceTests(RaceTestCase):
    def setUp(self):
        super().setUp()
        self.topics = [self.topic, *(make_topic(book=self.book) for _n in range(4))]
        self.ids = [topic.pk for topic in self.topics]
        # so many threads on two cores answer late, and a breaker that opens drops counts
        patience = mock.patch.object(redis, "READ_SECONDS", 60)
        patience.start()
        self.addCleanup(patience.stop)

    def batch(self, counts: dict[int, int]) -> None:
        """A batch that waits in Redis, its debates in the order of ``counts``."""
        name, client = str(uuid4()), redis.client(reading_counts.ROOM)
        client.hset(reading_counts._key(name), mapping=counts)
        client.sadd(reading_counts._key("pending"), name)

    def views(self) -> list[int]:
        return list(DebateTopic.objects.order_by("pk").values_list("views_count", flat=True))

    def test_workers_that_find_the_same_batches_add_each_once(self):
        for _n in range(3):
            self.batch(dict.fromkeys(self.ids, 2))
        client = redis.client(reading_counts.ROOM)
        client.hset(reading_counts._key(), mapping=dict.fromkeys(self.ids, 1))
        at_once([fold_views] * WORKERS)
        fold_views()
        assert self.views() == [7] * len(self.ids)
        assert ViewBatch.objects.count() == 4

    def test_a_worker_that_comes_while_another_adds_waits_and_finds_it(self):
        self.batch({self.ids[0]: 3})
        inside, waiting = threading.Event(), threading.Event()
        chunks = reading_counts._chunks

        def first(ids: list[int]) -> Iterator[list[int]]:
            inside.set()
            assert waiting.wait(30)  # the other one has been seen to wait
            yield from chunks(ids)

        def second() -> None:
            assert inside.wait(30)
            threading.Thread(target=watch, daemon=True).start()
            fold_views()

        def watch() -> None:
            for _time in range(1000):
                if waiting.wait(0.02):
                    break
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
                        " AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO%viewbatch%'"
                    )
                    if cursor.fetchone():
                        waiting.set()
            connection.close()

        with mock.patch.object(reading_counts, "_chunks", first):
            at_once([fold_views, second])
        assert self.views()[0] == 3
        assert ViewBatch.objects.count() == 1

    def test_rows_are_locked_in_the_order_of_their_ids_whatever_that_of_the_batch(self):
        self.batch(dict.fromkeys(self.ids, 1))
        self.batch(dict.fromkeys(reversed(self.ids), 1))
        names = reading_counts._close(redis.client(reading_counts.ROOM))
        both_hold_a_row = threading.Barrier(2)
        chunks = reading_counts._chunks

        def slowly(ids: list[int]) -> Iterator[list[int]]:
            """Let the other one lock its first row too; it cannot, if that is the same row."""
            first, *rest = chunks(ids)
            yield first
            with suppress(threading.BrokenBarrierError):
                both_hold_a_row.wait(0.5)
            yield from rest

        def add(name) -> None:
            reading_counts._add(*reading_counts._read(name, redis.client("ratelimit")))

        with (
            mock.patch.object(reading_counts, "CHUNK_ROWS", 1),
            mock.patch.object(reading_counts, "_chunks", slowly),
        ):
            at_once([lambda name=name: add(name) for name in names])
        assert self.views() == [2] * len(self.ids)

    def test_replies_go_on_while_their_debates_are_counted(self):
        for _n in range(WORKERS):
            self.batch(dict.fromkeys(self.ids, 1))
        replies = [
            self.poster(
                reverse("debates:create_post", args=[self.topics[n % 5].slug]), REPLY, user=user
            )
            for n, user in enumerate(self.people)
        ]
        answers = at_once([*replies, *([fold_views] * WORKERS)])
        self.assertAnswers(answers[:CROWD])
        fold_views()
        assert self.views() == [WORKERS] * len(self.ids)
        for topic in DebateTopic.objects.all():
            assert topic.posts_count == topic.posts.count() == CROWD // 5
            assert topic.updated_at == topic.last_post.created_at
        self.assertNoDrift()
