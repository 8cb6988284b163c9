"""The broker refuses or hangs while people write: they wait less than a second, nothing is lost."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import User
from core import redis
from core.addresses import redis_database
from core.models import OutgoingMail
from core.queues import NAMES
from debates.models import DebatePost, DebateVote, Notification
from tests.factories import PASSWORD, make_post, make_topic, make_user
from tests.faults.own_redis import OwnRedis, own_redis

from .processes import beat, worker

FAULTS = {"refused": OwnRedis.kill, "hung": OwnRedis.hang}


@pytest.fixture
def broker(transactional_db, settings):
    """A broker of the test's own; the cache stays where it is."""
    with own_redis() as server:
        settings.CELERY_BROKER_URL = redis_database(server.url, 0)
        yield server
    redis.forget()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_write_answers_within_a_second_and_arrives_when_the_broker_is_back(
    broker, fault, client, sink, tmp_path, settings
):
    at_once = User.MailFrequency.AT_ONCE
    creator = make_user(email="autora@example.com", password=PASSWORD, mail_frequency=at_once)
    writer = make_user(email="leitora@example.com", password=PASSWORD)
    topic = make_topic(creator=creator)
    post = make_post(topic, author=creator)
    client.force_login(writer)
    client.get("/debates/")
    DebatePost.objects.update(notified_at=timezone.now())
    OutgoingMail.objects.all().delete()

    FAULTS[fault](broker)
    took = {}
    for name, path, data in (
        (
            "reply",
            f"{topic.get_absolute_url()}responder/",
            {"content": "Olá", "parent": post.pk, "spoiler_percent": 0},
        ),
        (
            "again",
            f"{topic.get_absolute_url()}responder/",
            {"content": "De novo", "parent": post.pk, "spoiler_percent": 0},
        ),
        ("vote", f"{post.get_absolute_url()}votar/", {"value": 1}),
        ("reset", "/conta/senha/nova/", {"email": "autora@example.com"}),
    ):
        begun = time.monotonic()
        assert client.post(path, data).status_code == 302
        took[name] = time.monotonic() - begun
    assert max(took.values()) < 1, took
    assert DebatePost.objects.filter(author=writer).count() == 2
    assert DebateVote.objects.count() == 1
    assert not Notification.objects.exists()  # nobody could be told yet

    broker.go_on() if fault == "hung" else broker.start()
    with broker.room("default") as client_of_broker:
        client_of_broker.select(0)
        client_of_broker.delete(
            *NAMES
        )  # a hung one may have taken a message that nobody answered for
    ago = timezone.now() - timedelta(seconds=31)  # the sweep's patience, as the rows see it
    DebatePost.objects.filter(author=writer).update(created_at=ago)
    OutgoingMail.objects.update(due_at=ago)
    with (
        worker(
            tmp_path / "worker.log",
            EMAIL_URL=sink.url,
            CELERY_BROKER_URL=settings.CELERY_BROKER_URL,
        ),
        beat(tmp_path / "beat.log", CELERY_BROKER_URL=settings.CELERY_BROKER_URL),
    ):
        deadline = time.monotonic() + 100
        while Notification.objects.count() < 2 or len(sink.mails) < 3:
            assert time.monotonic() < deadline, (Notification.objects.count(), sink.ids())
            time.sleep(0.2)
        time.sleep(1)
    assert Notification.objects.filter(user=creator).count() == 2
    assert len(set(sink.ids())) == len(sink.mails) == 3  # two replies, one reset
