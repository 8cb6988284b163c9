"""Mail, with a real worker and a real mail server, and either of them gone in the middle."""

from __future__ import annotations

import smtplib
import threading
import time
from datetime import timedelta
from unittest import mock

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from core import mail
from core.embedded import procfile
from core.enqueue import publish
from core.models import OutgoingMail
from core.queues import BULK, CRITICAL, DEFAULT, NAMES
from core.tasks import send_mail
from debates.models import DebateTopic
from debates.tasks import reconcile_counters
from tests.factories import PASSWORD, make_topic, make_user
from tests.faults.servers import ask
from tests.servers import test_database_url

from .processes import beat, empty_queues, worker

pytestmark = pytest.mark.usefixtures("queues_of_ones_own")


def post(**changes) -> OutgoingMail:
    words = {"to": "leitora@example.com", "subject": "Olá", "text": "Ação.", "queue": CRITICAL}
    return mail.post(**words | changes)


def time_passes(seconds: float) -> None:
    """As the rows see it: everything in them happened so much earlier."""
    step = timedelta(seconds=seconds)
    for row in OutgoingMail.objects.all():
        row.due_at -= step
        row.created_at -= step
        row.claimed_at = row.claimed_at and row.claimed_at - step
        row.save(update_fields=["due_at", "created_at", "claimed_at"])


def test_a_mail_goes_out_within_two_seconds_while_bulk_is_busy(sink, tmp_path):
    drifted = make_topic()
    DebateTopic.objects.filter(pk=drifted.pk).update(posts_count=9)
    with (
        worker(tmp_path / "worker.log", CRITICAL, DEFAULT, EMAIL_URL=sink.url),
        worker(tmp_path / "bulk.log", BULK, EMAIL_URL=sink.url) as bulk,
    ):
        with transaction.atomic():
            DebateTopic.objects.select_for_update().get(pk=drifted.pk)  # the recount waits for it
            assert publish(reconcile_counters)
            bulk.wait_for("Task debates.tasks.reconcile_counters")
            took = []
            for number in range(3):
                begun = time.monotonic()
                post_outside(number)
                sink.wait_for(number + 1, seconds=10)
                took.append(time.monotonic() - begun)
            assert max(took) < 2, took
            assert "succeeded" not in bulk.said()
        bulk.wait_for("succeeded")


def post_outside(number: int) -> None:
    """Write and publish a mail past the test's open transaction, which holds the row."""
    ((pk,),) = ask(
        test_database_url(),
        'INSERT INTO core_outgoingmail (queue, "to", subject, text, html, headers, message_id,'
        " created_at, due_at, handovers, refusals, why) VALUES ('critical', 'a@example.com', 'x',"
        " 'y', '', '{}', %s, now(), now() + interval '30 s', 0, 0, '') RETURNING id",
        f"<{number}@example.com>",
    )
    assert publish(send_mail, pk, queue=CRITICAL)


def test_a_reset_mail_is_sent_once_and_its_words_are_gone(sink, tmp_path, client):
    make_user(email="leitora@example.com", password=PASSWORD)
    with worker(tmp_path / "worker.log", EMAIL_URL=sink.url) as found:
        answer = client.post("/conta/senha/nova/", {"email": "leitora@example.com"})
        assert answer.status_code == 302
        sink.wait_for(1)
        found.wait_for("core.tasks.send_mail", 2)
    (sent,) = sink.mails
    row = OutgoingMail.objects.get()
    assert sent["To"] == "leitora@example.com"
    assert "/conta/senha/" in sent.get_content()
    assert sent["Message-ID"] == row.message_id
    assert row.sent_at
    assert (row.text, row.html, row.headers) == ("", "", {})
    assert "leitora@example.com" not in found.said()  # nor anything else of hers in the log
    assert mail.sweep() == 0
    assert not mail.send(row.pk)  # delivered twice, sent once


def test_a_worker_killed_in_the_hand_over_sends_it_once_more_and_then_never(sink, tmp_path):
    row = None
    for copies in (1, 2):
        with worker(tmp_path / f"worker-{copies}.log", EMAIL_URL=sink.url) as found:
            sink.on_data = found.kill  # it took the mail; the worker never hears of it
            if row is None:
                row = post()
            else:
                time_passes(mail.CLAIM_SECONDS + 1)
                assert mail.sweep() == 1
            sink.wait_for(copies)
        row.refresh_from_db()
        assert (row.handovers, row.sent_at) == (copies, None)
        assert mail.sweep() == 0  # whoever has it may still be at it
    assert len(set(sink.ids())) == 1  # a mail program shows them as one
    sink.on_data = lambda: None
    with worker(tmp_path / "worker-3.log", EMAIL_URL=sink.url):
        time_passes(mail.CLAIM_SECONDS + 1)
        assert mail.sweep() == 0
        row.refresh_from_db()
        assert row.failed_at
        time.sleep(1)
    assert len(sink.mails) == 2


def test_a_worker_killed_before_it_began_loses_nothing(sink, tmp_path):
    with worker(tmp_path / "worker-1.log", BULK, EMAIL_URL=sink.url) as found:
        row = post()
        found.kill()  # the message waits in a queue that nobody serves, then the broker forgets it
    empty_queues()
    time_passes(mail.FIRST_LOOK_SECONDS + 1)
    with worker(tmp_path / "worker-2.log", EMAIL_URL=sink.url):
        assert mail.sweep() == 1
        sink.wait_for(1)
    assert sink.ids() == [row.message_id]


def test_beat_itself_finds_it_within_two_minutes(sink, tmp_path):
    """Nothing here is called by hand but the clock: Beat, the sweep, the worker, the mail."""
    with mock.patch("core.mail.enqueue"):  # the message that was lost
        row = post()
    time_passes(mail.FIRST_LOOK_SECONDS + 1)
    with (
        worker(tmp_path / "worker.log", EMAIL_URL=sink.url),
        beat(tmp_path / "beat.log"),
    ):
        sink.wait_for(1, seconds=90)  # a sweep a minute, and half a minute for the machine
    assert sink.ids() == [row.message_id]


def give_up_in_thread(work):
    """``work`` on a thread and a connection of its own: the mail server's loop may not wait for rows."""

    def run():
        def job():
            try:
                work()
            finally:
                connection.close()

        thread = threading.Thread(target=job)
        thread.start()
        thread.join(10)

    return run


class TestAServerThatSaysNo:
    @pytest.fixture(autouse=True)
    def in_this_process(self, sink, settings):
        self.sink = sink
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", sink.port
        settings.EMAIL_TIMEOUT = 1
        with mock.patch("core.mail.enqueue"):
            yield
        mail.line.hang_up()

    def sent(self, row: OutgoingMail) -> OutgoingMail:
        mail.send(row.pk)
        row.refresh_from_db()
        return row

    @pytest.mark.parametrize("answer", ["451 Later", "RCPT 450 Greylisted"])
    def test_for_now(self, answer):
        self.sink.answers = [answer]
        row = self.sent(post())
        assert (row.sent_at, row.failed_at, row.claimed_at) == (None, None, None)
        assert (row.handovers, row.refusals) == (0, 1)
        assert row.due_at > timezone.now() + timedelta(seconds=30)
        assert self.sent(row).sent_at

    @pytest.mark.parametrize("answer", ["550 Nobody here", "RCPT 550 Nobody here"])
    def test_for_good(self, answer):
        self.sink.answers = [answer]
        row = self.sent(post())
        assert row.failed_at
        assert "550" in row.why
        assert row.text  # staff may have it sent again
        assert not mail.send(row.pk)
        assert mail.send_again(OutgoingMail.objects.all()) == 1
        assert self.sent(row).sent_at

    def test_nobody_listens(self, settings):
        settings.EMAIL_PORT = 1
        row = self.sent(post())
        assert (row.handovers, row.refusals, row.claimed_at) == (0, 1, None)
        row.created_at = timezone.now() - mail.GIVE_UP - timedelta(seconds=1)
        row.save(update_fields=["created_at"])
        assert self.sent(row).failed_at

    def test_a_worker_stopped_before_it_said_anything_counts_for_nothing(self):
        """The name server is silent for longer than a worker may take."""
        row = post()
        for _time in range(3):
            with (
                mock.patch.object(mail.line, "opened", side_effect=SoftTimeLimitExceeded),
                pytest.raises(SoftTimeLimitExceeded),
            ):
                mail.send(row.pk)
            time_passes(mail.CLAIM_SECONDS + 1)
            assert mail.sweep() == 1
        assert self.sent(row).sent_at
        assert row.handovers == 1

    def test_nobody_tries_for_longer_than_a_day(self):
        row = post()
        time_passes(mail.GIVE_UP.total_seconds() + 1)
        assert mail.sweep() == 0
        row.refresh_from_db()
        assert row.failed_at
        assert row.why == "nobody sent it for a day"

    def standing_still(self, row: OutgoingMail, meanwhile) -> OutgoingMail:
        """A worker stands still after its claim for so long that ``meanwhile`` happens."""
        opened = mail.line.opened

        def late():
            time_passes(mail.CLAIM_SECONDS + 1)
            with mock.patch.object(mail.line, "opened", opened):
                meanwhile()
            return opened()

        with mock.patch.object(mail.line, "opened", late):
            return self.sent(row)

    def test_a_claim_that_another_took_over_is_left_alone(self):
        row = post()
        done = self.standing_still(row, lambda: mail.send(row.pk))
        assert done.sent_at
        assert done.handovers == 1
        assert len(self.sink.mails) == 1

    def test_a_server_that_answers_after_the_sweep_gave_up_has_sent_it(self):
        row = post()
        OutgoingMail.objects.filter(pk=row.pk).update(handovers=1)

        def give_up():
            time_passes(mail.CLAIM_SECONDS + 1)
            # the claim's name moved with the clock: as the sweep finds it, and the sender too
            found = OutgoingMail.objects.get(pk=row.pk)
            OutgoingMail.objects.filter(pk=row.pk).update(claimed_at=self.claim)
            assert found.handovers == 2
            mail.sweep()
            assert OutgoingMail.objects.get(pk=row.pk).failed_at

        hand_over = mail._hand_over

        def noted(claimed):
            self.claim = claimed.claimed_at
            return hand_over(claimed)

        self.sink.on_data = give_up_in_thread(give_up)
        with mock.patch.object(mail, "_hand_over", noted):
            done = self.sent(row)
        assert done.sent_at
        assert (done.failed_at, done.why, done.text) == (None, "", "")

    def test_a_refusal_after_anothers_answer_changes_nothing(self):
        for answer in ("451 Later", "550 Nobody here"):
            self.sink.answers = [answer]
            row = post()
            claimed = mail._claim(row.pk)
            assert mail._hand_over(claimed)
            time_passes(mail.CLAIM_SECONDS + 1)
            other = mail._claim(row.pk)
            error = smtplib.SMTPDataError(int(answer[:3]), b"no")
            mail._refused(claimed, error, was_handed_over=True)
            mail._failed(mail._mine(claimed), error)
            row.refresh_from_db()
            assert (row.claimed_at, row.failed_at, row.refusals) == (other.claimed_at, None, 0)

    def test_one_line_serves_many_mails_and_a_dead_one_is_made_anew(self):
        rows = [post() for _time in range(4)]
        with mock.patch.object(mail, "get_connection", wraps=mail.get_connection) as made:
            for row in rows[:2]:
                assert self.sent(row).sent_at
            assert made.call_count <= 1
            mail.line.connection.connection.sock.close()  # the server hung up meanwhile
            assert self.sent(rows[2]).sent_at
            mail.line.used_at -= mail.KEPT_LINE_SECONDS + 1
            assert self.sent(rows[3]).sent_at
        assert [row.refusals for row in rows] == [0, 0, 0, 0]
        assert len(self.sink.mails) == 4

    def test_it_takes_the_mail_and_goes_silent(self):
        self.sink.on_data = lambda: time.sleep(1.5)
        row = self.sent(post())
        assert (row.handovers, row.sent_at, row.failed_at) == (1, None, None)
        assert row.claimed_at  # it may have it: nobody else sends now
        assert not mail.send(row.pk)


class TestTheOutbox:
    def test_one_key_one_mail(self):
        first = post(key="digest:2026-11-25:7")
        assert post(key="digest:2026-11-25:7", text="again") is None
        assert OutgoingMail.objects.get() == first

    def test_a_rollback_takes_the_mail_along(self):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            post()
            raise ZeroDivisionError
        assert not OutgoingMail.objects.exists()

    def test_a_line_break_in_a_subject_is_no_header(self):
        assert post(subject="Olá\r\nBcc: b@example.com").subject == "Olá Bcc: b@example.com"

    def test_two_sweeps_at_once_send_one(self, sink, tmp_path):
        with mock.patch("core.mail.enqueue"):
            post()
        time_passes(mail.FIRST_LOOK_SECONDS + 1)
        assert [mail.sweep(), mail.sweep()] == [1, 0]
        with worker(tmp_path / "worker.log", EMAIL_URL=sink.url) as found:
            sink.wait_for(1)
            found.wait_for("core.tasks.send_mail", 2)
        assert len(sink.mails) == 1

    def test_the_pauses_between_looks_end_at_ten_minutes(self):
        with mock.patch("core.mail.enqueue"):
            row = post()
            time_passes(12 * 3600)
            assert mail.sweep() == 1
        row.refresh_from_db()
        assert row.due_at <= timezone.now() + mail.MOST_PAUSE + timedelta(minutes=1, seconds=1)

    def test_a_long_queue_is_not_made_longer(self):
        post(queue=BULK)
        post(queue=CRITICAL)
        time_passes(mail.FIRST_LOOK_SECONDS + 1)
        lengths = {CRITICAL: 3, DEFAULT: None, BULK: mail.MOST_WAITING + 1}
        with mock.patch("core.mail.queue_lengths", return_value=lengths):
            assert mail.sweep() == 1
        assert mail.sweep() == 1

    def test_what_went_long_ago_is_deleted_and_what_waits_is_not(self):
        long_ago = timezone.now() - mail.KEPT - timedelta(days=1)
        waits, went = post(), post()
        OutgoingMail.objects.update(created_at=long_ago)
        OutgoingMail.objects.filter(pk=went.pk).update(sent_at=long_ago)
        assert mail.clear_old() == 1
        assert OutgoingMail.objects.get() == waits

    def test_how_much_waits(self):
        assert mail.backlog() == dict.fromkeys(NAMES, mail.Backlog())
        for queue, seconds, refusals in (
            (CRITICAL, 90, 0), (CRITICAL, 130, 0), (CRITICAL, 9_000, 1), (BULK, 9_000, 3),
        ):  # fmt: skip
            row, ago = post(queue=queue), timezone.now() - timedelta(seconds=seconds)
            OutgoingMail.objects.filter(pk=row.pk).update(created_at=ago, refusals=refusals)
        found = mail.backlog()
        assert (found[CRITICAL].waiting, found[CRITICAL].overdue) == (3, 1)
        assert 130 <= found[CRITICAL].age < 140  # what was refused waits for its next try
        assert found[BULK] == mail.Backlog(waiting=1)
        assert found[DEFAULT] == mail.Backlog()


def test_every_queue_is_served_by_the_procfile_and_by_the_owners_one_worker(tmp_path):

    lines = procfile.commands(settings.BASE_DIR)
    served = [name for line in lines.values() if " -Q " in line
              for name in line.split(" -Q ")[1].split()[0].split(",")]  # fmt: skip
    assert sorted(served) == sorted(NAMES)
    with worker(tmp_path / "worker.log") as found:
        for name in NAMES:
            assert f".> {name}" in found.said()
