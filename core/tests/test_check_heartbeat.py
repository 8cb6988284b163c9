"""What is said of a worker that hears, one that is deaf, and when nobody can tell."""

from __future__ import annotations

import io
import threading
from datetime import timedelta

import redis
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import TestCase, override_settings
from django.utils import timezone

from core import heartbeat
from core.addresses import redis_database
from core.models import Heartbeat
from tests.servers import free_port

BROKER = redis_database(settings.REDIS_URL, 9)  # nobody else's


@override_settings(CELERY_BROKER_URL=BROKER)
class CheckHeartbeatTests(TestCase):
    watch = 0.0

    def setUp(self):
        self.broker = redis.Redis.from_url(BROKER)
        self.addCleanup(self.broker.close)
        self.addCleanup(self.broker.delete, "critical", "bulk")
        self.broker.delete("critical", "bulk")

    def check(self, *words: str) -> int:
        self.said = io.StringIO()
        with self.assertRaises(SystemExit) as ended:
            call_command(
                "check_heartbeat", *words, watch=self.watch, stdout=self.said, stderr=self.said
            )
        return int(ended.exception.code)

    def beat(self, queue: str, seconds_ago: float) -> None:
        heartbeat.beat(queue)
        then = timezone.now() - timedelta(seconds=seconds_ago)
        Heartbeat.objects.filter(queue=queue).update(beaten_at=then)

    def test_one_that_hears(self):
        self.beat("critical", 60)
        self.broker.lpush("critical", "x")  # comes next
        self.assertEqual(self.check("critical"), 0)
        self.assertIn("critical: last heartbeat 60 s ago", self.said.getvalue())

    def test_one_that_is_deaf(self):
        self.beat("critical", 200)
        self.broker.lpush("critical", "x", "y")
        self.assertEqual(self.check("critical"), 1)
        self.assertIn("2 messages wait unread", self.said.getvalue())

    def test_one_with_a_backlog(self):
        self.beat("critical", 200)
        self.broker.lpush("critical", "x", "y", "z")
        self.watch = 1.0
        worker = threading.Timer(0.3, self.broker.rpop, ["critical"])
        worker.start()
        self.assertEqual(self.check("critical"), 0)
        worker.join()
        self.assertIn("works through a backlog of 3 messages", self.said.getvalue())

    def test_one_that_never_heard(self):
        self.broker.lpush("bulk", "x")
        self.assertEqual(self.check("bulk"), 1)

    def test_one_with_a_long_task(self):
        self.beat("bulk", 1200)
        self.broker.lpush("bulk", "x")
        self.assertEqual(self.check("bulk"), 0)
        self.assertEqual(self.check("bulk", "--max-age", "600"), 1)

    def test_without_beat_a_restart_would_not_help(self):
        self.beat("critical", 200)
        self.assertEqual(self.check("critical"), 2)
        self.assertIn("does Beat run?", self.said.getvalue())

    def test_without_the_broker_neither(self):
        self.beat("critical", 200)
        with override_settings(CELERY_BROKER_URL=f"redis://127.0.0.1:{free_port()}/0"):
            self.assertEqual(self.check("critical"), 2)
        self.assertIn("the broker does not answer", self.said.getvalue())

    def test_of_several_the_deaf_one_counts(self):
        self.beat("critical", 10)
        self.broker.lpush("bulk", "x")
        self.assertEqual(self.check("critical", "bulk"), 1)
        self.assertEqual(self.check("bulk", "critical"), 1)
        self.broker.delete("bulk")
        self.assertEqual(self.check("critical", "bulk"), 2)

    def test_a_queue_that_nobody_knows(self):
        with self.assertRaises(CommandError):
            call_command("check_heartbeat", "celery")
