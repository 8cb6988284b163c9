"""core.health: who gets traffic, who is degraded, and what is told of it."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from unittest import mock

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import SimpleTestCase, TransactionTestCase, override_settings
from django.utils import timezone

from core import asking, health, heartbeat, mail, queues, redis
from core.models import Heartbeat, OutgoingMail

GENEROUS_SECONDS = (
    20  # the machine may be busy; that a hung server is not waited for is tested elsewhere
)


@pytest.fixture(autouse=True)
def patient(monkeypatch, tmp_path, settings):
    monkeypatch.setattr(health, "SECONDS", GENEROUS_SECONDS)
    settings.DRAIN_FILE = tmp_path / "drain"


@pytest.mark.usefixtures("patient")
class ReadyTests(TransactionTestCase):
    def setUp(self):
        for queue in queues.NAMES:
            heartbeat.beat(queue)

    def ask(self) -> tuple[int, str, dict[str, str]]:
        response = self.client.get("/readyz")
        told = response.json()
        assert "no-store" in response["Cache-Control"]
        assert set(told) == {"status", "parts"}
        for part in told["parts"].values():
            assert set(part) == {"state", "ms"}
        return (
            response.status_code,
            told["status"],
            {name: part["state"] for name, part in told["parts"].items() if part["state"] != "ok"},
        )

    def test_all_is_well(self):
        assert self.ask() == (200, "ok", {})

    def test_it_is_not_limited_and_not_kept(self):
        with mock.patch.object(health, "parts", return_value=[health.Part("x", "ok", 1)]) as parts:
            for _time in range(100):
                assert self.client.get("/readyz").status_code == 200
        assert parts.call_count == 100
        assert self.client.post("/readyz").status_code == 405

    def test_migrations_that_are_missing_keep_traffic_away_and_are_asked_once_they_are_there(self):
        health._applied.clear()
        missing = health._last_migrations() | {("core", "9999_later")}
        with mock.patch.object(health, "_last_migrations", return_value=missing):
            assert self.ask() == (503, "unavailable", {"migrations": "pending"})
        assert self.ask() == (200, "ok", {})
        with mock.patch.object(health, "_last_migrations", side_effect=AssertionError):
            assert self.ask() == (200, "ok", {})

    def test_a_database_without_any_table_is_pending(self):
        health._applied.clear()
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE django_migrations RENAME TO hidden")
        try:
            assert self.ask() == (503, "unavailable", {"migrations": "pending"})
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE hidden RENAME TO django_migrations")

    def test_draining_keeps_traffic_away_and_ends(self):
        from django.core.management import call_command

        call_command("drain", "on", stdout=mock.Mock())
        assert self.ask() == (503, "unavailable", {"traffic": "draining"})
        assert self.client.get("/healthz").status_code == 200
        call_command("drain", "off", stdout=mock.Mock())
        assert self.ask() == (200, "ok", {})

    def test_a_queue_that_nobody_serves_degrades(self):
        for queue, seconds in heartbeat.STALE_SECONDS.items():
            busy, deaf = (timezone.now() - timedelta(seconds=seconds + n) for n in (-10, 1))
            Heartbeat.objects.filter(queue=queue).update(beaten_at=busy)
            assert self.ask() == (200, "ok", {})
            Heartbeat.objects.filter(queue=queue).update(beaten_at=deaf)
            assert self.ask() == (200, "degraded", {"heartbeat": "stale"})
            Heartbeat.objects.filter(queue=queue).update(beaten_at=timezone.now())
        Heartbeat.objects.all().delete()
        assert self.ask() == (200, "degraded", {"heartbeat": "stale"})

    def test_mails_that_nobody_tries_degrade_by_queue(self):
        for queue, seconds in health.MAIL_LATE_SECONDS.items():
            written = mail.post(to="maria@example.com", subject="Olá", text="Olá", queue=queue)
            rows = OutgoingMail.objects.filter(pk=written.pk)
            young, late = (timezone.now() - timedelta(seconds=seconds + n) for n in (-20, 1))
            rows.update(created_at=young, due_at=young, sent_at=None)
            assert self.ask() == (200, "ok", {})
            rows.update(created_at=late)
            assert self.ask() == (200, "degraded", {"mail": "backlog"})
            rows.update(refusals=1)  # a full mailbox is no trouble of ours
            assert self.ask() == (200, "ok", {})
            rows.delete()

    def test_postgres_that_is_gone_keeps_traffic_away_and_nothing_of_it_is_told(self):
        told = 'connection to server at "db.internal" (10.9.8.7), user "cgb" failed'
        gone = mock.patch(
            "core.postgres.base.DatabaseWrapper.get_new_connection",
            side_effect=OperationalError(told),
        )
        with gone:
            response = self.client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["parts"]["postgres"]["state"] == "down"
        assert response.json()["parts"]["cache"]["state"] == "ok"
        for word in ("db.internal", "10.9.8.7", "cgb", "OperationalError"):
            assert word not in response.content.decode()

    def test_a_broker_that_is_gone_degrades(self):
        with override_settings(CELERY_BROKER_URL="redis://127.0.0.1:1/0"):
            assert self.ask() == (200, "degraded", {"broker": "down"})

    def test_a_cache_that_is_given_up_degrades_without_being_asked(self):
        room = {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
        with override_settings(CACHES={**settings.CACHES, "default": room}):
            assert self.ask() == (200, "degraded", {"cache": "down"})
        redis.forget()


class AskingTests(SimpleTestCase):
    def test_a_question_that_hangs_is_not_waited_for_and_not_asked_twice(self):
        go, asked = threading.Event(), []

        def hang():
            asked.append(1)
            go.wait(60)
            return "late"

        groups = {"hangs": {"first": lambda: "ok", "second": hang}, "works": {"third": lambda: 3}}
        try:
            for _time in range(3):
                begun = time.monotonic()
                found = asking.ask(groups, 0.5)
                assert time.monotonic() - begun < 5
                assert (found["first"].value, found["second"].fault) == ("ok", asking.LATE)
                assert found["second"].ms >= 400
                assert found["third"].value == 3
            assert len(asked) == 1
        finally:
            go.set()
        asking._Group._last["hangs"].thread.join(10)
        assert asking.ask(groups, 10)["second"].value == "late"

    def test_a_fault_of_ours_is_logged_and_told_as_down(self):
        with self.assertLogs("core.asking", "ERROR"):
            found = asking.ask({"broken": {"x": lambda: 1 / 0}}, 10)
        assert found["x"].fault == asking.DOWN
