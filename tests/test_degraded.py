"""What a reader gets when a part is gone: a clear page, and limits that still hold."""

from __future__ import annotations

import re
from unittest import mock

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.test import RequestFactory, TestCase, override_settings

from core import ratelimit
from core.limits import Limit
from core.models import OutgoingMail

from .clock import stop_clock
from .factories import PASSWORD, make_topic, make_user


class DatabaseGoneTests(TestCase):
    def test_a_database_that_does_not_answer_is_a_503_and_says_when_to_come_back(self):
        for error in (OperationalError("gone"), InterfaceError("closed")):
            with self.subTest(error=error), mock.patch("core.views.collect", side_effect=error):
                response = self.client.get("/")
                assert response.status_code == 503
                assert int(response["Retry-After"]) > 0
                assert response["Cache-Control"] == "no-store"
                assert "<h1" in response.content.decode()

    def test_other_faults_stay_faults(self):
        self.client.raise_request_exception = False
        with mock.patch("core.views.collect", side_effect=ZeroDivisionError):
            assert self.client.get("/").status_code == 500


def without_redis(alias: str) -> dict:
    """The caches, with nobody listening where ``alias`` looks."""
    return {
        **settings.CACHES,
        alias: {**settings.CACHES[alias], "LOCATION": "redis://127.0.0.1:1/0"},
    }


class RedisGoneTests(TestCase):
    def setUp(self):
        stop_clock(self)

    def test_limits_are_counted_in_the_process(self):
        row = Limit("100/h", "3/m", "ip", "POST")
        with override_settings(CACHES=without_redis("ratelimit")):
            waits = [
                ratelimit.seconds_to_wait(
                    RequestFactory().post("/", REMOTE_ADDR=address), "a-test-of-its-own", row
                )
                for address in ("192.0.2.1",) * 4 + ("192.0.2.2",)
            ]
        assert waits[:3] == [0, 0, 0]
        assert 0 < waits[3] <= 60
        assert waits[4] == 0

    def test_login_stays_limited(self):
        with override_settings(CACHES=without_redis("ratelimit")):
            statuses = [
                self.client.post("/conta/entrar/", {"username": "x", "password": "y"}).status_code
                for _ in range(12)
            ]
        assert statuses[0] == 200
        assert statuses[-1] == 429

    def test_reading_posting_and_logging_in_go_on(self):
        topic, user = make_topic(), make_user(password=PASSWORD)
        gone = {alias: without_redis(alias)[alias] for alias in settings.CACHES}
        with override_settings(CACHES=gone):
            data = {"username": user.username, "password": PASSWORD}
            assert self.client.post("/conta/entrar/", data).status_code == 302
            assert self.client.get(topic.get_absolute_url()).status_code == 200
            path = f"{topic.get_absolute_url()}responder/"
            answer = self.client.post(path, {"content": "Sem Redis", "spoiler_percent": 0})
            assert answer.status_code == 302
            assert self.client.post("/conta/sair/").status_code == 302
        assert topic.posts.count() == 1


class MailTests(TestCase):
    def test_the_link_names_the_site_and_not_what_the_request_says(self):
        make_user(email="leitora@example.com", password=PASSWORD)
        with override_settings(SITE_URL="https://livros.example.com", HTTPS=True):
            self.client.post(
                "/conta/senha/nova/",
                {"email": "leitora@example.com"},
                headers={"Host": "localhost:9999"},
            )
        message = OutgoingMail.objects.get()
        assert re.search(r"https://livros\.example\.com/conta/senha/", message.text)
        assert "localhost" not in message.text
