"""A real worker, killed in the middle of telling a debate's followers; the sweep tells the rest."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.db.models import Count, F
from django.test import Client
from django.utils import timezone

from accounts.models import User
from core.enqueue import publish
from core.models import OutgoingMail
from debates import mail_links, notices, notifying, tasks
from debates.models import DebatePost, DebateTopic, Follow, Notification
from tests.factories import make_post, make_topic, make_user

from .processes import Process, empty_queues
from .processes import worker as running_worker

FOLLOWERS = 1_200  # three chunks
AT_ONCE = 5  # readers of the first chunk who want a mail each time
PATIENCE_SECONDS = 60


def told() -> int:
    return Notification.objects.count()


def wait_for(condition, worker: Process) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < until, worker.said()
        time.sleep(0.05)


def post_with_followers() -> tuple[DebatePost, list[User]]:
    """A reply of an hour ago, that nobody was told of yet."""
    topic = make_topic()
    people = User.objects.bulk_create(
        User(
            username=f"seguidor{n}", email=f"s{n}@example.com", password="!",
            mail_frequency="na-hora" if n < AT_ONCE else "diario",
        )
        for n in range(FOLLOWERS)
    )  # fmt: skip
    post = make_post(topic, author=topic.creator)
    hour = timezone.now() - timedelta(hours=1)
    Follow.objects.bulk_create(
        Follow(user=user, topic=topic, state="segue", created_at=hour) for user in people
    )
    DebatePost.objects.filter(pk=post.pk).update(created_at=hour)
    return post, people


@pytest.mark.usefixtures("queues_of_ones_own")
def test_killed_in_the_second_chunk_then_swept_each_is_told_once(sink, tmp_path):
    post, people = post_with_followers()
    empty_queues()  # of what writing them has sent
    with (
        running_worker(tmp_path / "worker.log", EMAIL_URL=sink.url) as worker,
        transaction.atomic(),
    ):
        # the worker stops at this reader, in the second chunk, which the first one left to bulk
        held = User.objects.filter(pk=people[notifying.CHUNK + 100].pk)
        list(held.select_for_update())
        assert publish(tasks.notify_of_post, post.pk)
        worker.wait_for("Task debates.tasks.notify_of_post", 3)  # taken, done; the rest is taken
        wait_for(is_anybody_waiting, worker)
        worker.kill()
    connections["default"].close()  # what it held is given back once it is gone
    wait_for(lambda: told() == notifying.CHUNK, worker)
    assert not DebatePost.objects.get(pk=post.pk).notified_at

    with running_worker(tmp_path / "again.log", EMAIL_URL=sink.url) as again:
        for _beat in range(2):  # as two Beats send it, each minute
            assert publish(tasks.sweep_notifications)
        wait_for(lambda: DebatePost.objects.get(pk=post.pk).notified_at, again)
        assert again.stop() == 0

    rows = Notification.objects.filter(post=post)
    assert rows.count() == rows.aggregate(n=Count("user", distinct=True))["n"] == FOLLOWERS
    assert set(User.objects.filter(pk__in=[u.pk for u in people]).values_list("unread_count")) == {
        (1,)
    }
    assert notices.reconcile() == []
    mails = OutgoingMail.objects.filter(key__startswith="notification:")
    assert sorted(mails.values_list("to", flat=True)) == [
        f"s{n}@example.com" for n in range(AT_ONCE)
    ]


def reader_and_debate() -> tuple[User, DebateTopic]:
    """Somebody who wants a mail at once, and their debate, of a minute ago."""
    reader = make_user(mail_frequency="na-hora", email="leitora@example.com")
    topic = make_topic(creator=reader)
    DebateTopic.objects.update(created_at=F("created_at") - timedelta(minutes=1))
    Follow.objects.update(created_at=F("created_at") - timedelta(minutes=2))
    return reader, topic


def reply(client, topic: DebateTopic) -> float:
    """Send a reply as another reader's browser does; how long that took, in seconds."""
    client.force_login(make_user(username="ana"))
    begun = time.monotonic()
    path = f"{topic.get_absolute_url()}responder/"
    assert client.post(path, {"content": "Discordo.", "spoiler_percent": 0}).status_code == 302
    return time.monotonic() - begun


@pytest.mark.usefixtures("queues_of_ones_own")
def test_a_reply_is_in_its_readers_mail_within_seconds_and_one_click_ends_that(
    sink, tmp_path, client, settings
):
    reader, topic = reader_and_debate()
    environment = {"EMAIL_URL": sink.url, "SECRET_KEY": settings.SECRET_KEY}  # the link is signed
    with running_worker(tmp_path / "worker.log", **environment):
        reply(client, topic)
        sink.wait_for(1)
        (sent,) = sink.mails
        assert (sent["To"], sent["Subject"]) == (reader.email, f"ana respondeu: {topic.title}")
        text, html = (sent.get_body((kind,)).get_content() for kind in ("plain", "html"))
        link = sent["List-Unsubscribe"].strip(" <>")  # folded: it is long
        assert sent["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        for body in (text, html):
            assert "Discordo." in body
            assert link in body
        answer = Client(enforce_csrf_checks=True).post(
            link.removeprefix(mail_links.HERE), {"List-Unsubscribe": "One-Click"}
        )
        assert answer.status_code == 200
        reader.refresh_from_db()
        assert (reader.mail_frequency, reader.unread_count) == ("nunca", 1)


@pytest.mark.usefixtures("queues_of_ones_own")
def test_with_the_broker_gone_a_reply_is_taken_at_once_and_told_by_the_sweep(
    sink, tmp_path, client, settings
):
    reader, topic = reader_and_debate()
    broker, settings.CELERY_BROKER_URL = settings.CELERY_BROKER_URL, "redis://127.0.0.1:1/0"
    assert reply(client, topic) < 1
    settings.CELERY_BROKER_URL = broker
    assert not Notification.objects.exists()
    DebatePost.objects.update(created_at=F("created_at") - timedelta(minutes=1))
    with running_worker(tmp_path / "worker.log", EMAIL_URL=sink.url) as found:
        for _beat in range(2):  # as two Beats send it
            assert publish(tasks.sweep_notifications)
        sink.wait_for(1)
        found.wait_for("core.tasks.send_mail", 2)
    assert len(sink.mails) == Notification.objects.count() == 1
    assert notices.reconcile() == []


def is_anybody_waiting() -> bool:
    """Whether another connection waits for a lock of this test's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted"  # not kept for the transaction
        )
        return cursor.fetchone()[0] > 0
