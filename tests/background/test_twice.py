"""Two Beats send everything twice. What is in the tables and in the mail is what one Beat leaves."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_results.models import TaskResult

from accounts.models import User
from core import mail, redis
from core.beat import create_missing_rows
from core.models import OutgoingMail
from debates import following, notifying, reading_counts, services
from debates.models import (
    DebatePost,
    DebateTopic,
    DriftReport,
    Follow,
    Notification,
    ViewBatch,
    WeeklyReport,
)
from tests.factories import make_book, make_staff, make_topic, make_user

from .processes import beat, empty_queues, worker
from .smtp import Sink

pytestmark = pytest.mark.usefixtures("queues_of_ones_own")

EVERY_SECONDS = 2
RUNS = 3  # of each task and each Beat, at the least


def hurry() -> int:
    """Let Beat send every task each other second, as staff may in the admin; how many tasks."""
    create_missing_rows()
    often = IntervalSchedule.objects.create(every=EVERY_SECONDS, period=IntervalSchedule.SECONDS)
    for row in PeriodicTask.objects.all():
        row.crontab, row.interval, row.expire_seconds = None, often, 60
        row.save()
    return PeriodicTask.objects.count()


def world() -> None:
    """Something to do for every task: readings, drift, mails lost, digests and reports due."""
    frequencies = User.MailFrequency
    staff = make_staff(username="equipe", email="equipe@example.com")
    author = make_user(
        username="autora", email="autora@example.com", mail_frequency=frequencies.NEVER
    )
    readers = [
        make_user(username=f"leitor{n}", email=f"leitor{n}@example.com", mail_frequency=frequency)
        for n, frequency in enumerate(
            [frequencies.AT_ONCE, frequencies.DAILY, frequencies.WEEKLY, frequencies.NEVER]
        )
    ]
    long_ago = timezone.now() - timedelta(days=20)
    User.objects.update(date_joined=long_ago)
    topic = make_topic(creator=author, book=make_book(title="Livro"), title="Debate")
    for reader in readers:
        following.set_state(user=reader, topic=topic, state=Follow.State.FOLLOW)
    Follow.objects.update(created_at=long_ago)
    post = services.create_post(topic=topic, author=author, content="Olá, @equipe.")
    notifying.settle(DebatePost, post.pk)  # told a week ago, so due in every digest
    services.create_post(topic=topic, author=readers[0], content="Olá.", parent=post)
    eight_days = timezone.now() - timedelta(days=8)
    Notification.objects.update(created_at=eight_days)
    DebateTopic.objects.update(created_at=eight_days, updated_at=eight_days)
    DebatePost.objects.update(created_at=eight_days, score=99)  # nobody voted: a drift
    reading_counts._counts.forget()
    redis.client(reading_counts.ROOM).hincrby(reading_counts._key(), str(topic.pk), 7)
    mail.post(to=staff.email, subject="Perdido", text="Uma mensagem que se perdeu.")
    OutgoingMail.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    TaskResult.objects.create(task_id="velho")
    TaskResult.objects.update(date_done=timezone.now() - timedelta(hours=2))
    empty_queues()  # the messages are lost: Beat must find it all


def told() -> dict[str, object]:
    """What the tables say, in words that do not change from one run to the next."""
    return {
        "notifications": Counter(
            Notification.objects.values_list("user__username", "post__content", "reason")
        ),
        "unread": dict(User.objects.values_list("username", "unread_count")),
        "mails": Counter(OutgoingMail.objects.values_list("to", "subject")),
        "unsent": OutgoingMail.objects.filter(sent_at__isnull=True).count(),
        "handovers": Counter(OutgoingMail.objects.values_list("to", "handovers")),
        "reports": Counter(WeeklyReport.objects.values_list("week", "new_posts", "new_topics")),
        "drifts": Counter(DriftReport.objects.values_list("night")),
        "scores": Counter(DebatePost.objects.values_list("content", "score")),
        "views": list(DebateTopic.objects.values_list("views_count", flat=True)),
        "batches": ViewBatch.objects.count(),
        "results": TaskResult.objects.count(),
    }


def left_by(number: int, folder: Path, sink: Sink) -> tuple[dict[str, object], Counter]:
    """Let ``number`` Beats run over a new world; what they leave, and what was mailed."""
    call_command("flush", verbosity=0, interactive=False)
    empty_queues()
    sink.mails.clear()
    tasks = hurry()
    world()
    folder.mkdir()
    with worker(folder / "worker.log", EMAIL_URL=sink.url) as found:
        beats = [beat(folder / f"beat-{n}.log") for n in range(number)]
        for one in beats:
            one.__enter__()
        try:
            found.wait_for(" succeeded in ", RUNS * tasks * number, seconds=180)
        finally:
            for one in beats:
                one.__exit__(None, None, None)
        deadline = time.monotonic() + 30
        while OutgoingMail.objects.filter(sent_at__isnull=True).exists():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert "raised unexpected" not in found.said()
    return told(), Counter((sent["To"], sent["Subject"]) for sent in sink.mails)


def test_two_beats_leave_what_one_leaves(sink, tmp_path):
    rows, mails = left_by(1, tmp_path / "one", sink)
    twice_rows, twice_mails = left_by(2, tmp_path / "two", sink)
    assert twice_rows == rows
    assert twice_mails == mails
    # and there was something to do: nothing above is equal for being empty
    assert set(mails.values()) == {1}
    assert {to for to, _subject in mails} >= {
        "equipe@example.com", "leitor0@example.com", "leitor1@example.com", "leitor2@example.com",
    }  # fmt: skip
    assert rows["views"] == [7]
    assert rows["results"] == 0
    assert rows["notifications"]
    assert rows["reports"]
    assert rows["drifts"]
    assert rows["unsent"] == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM debates_debatepost WHERE score <> 0")
        assert cursor.fetchone() == (0,)
