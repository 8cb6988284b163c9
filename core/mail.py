"""Every mail of the site: written as a row with what it tells of, sent by a worker.

The row is claimed, and its hand-over is noted before it begins. Whoever is killed in the middle leaves
a hand-over without an answer; a sweep has that mail handed over once more, with the same Message-ID,
and then never again: at most two copies, which a mail program shows as one. A server that says no, or cannot be
reached, has taken nothing, and is asked again for a day.
"""

from __future__ import annotations

import contextlib
import logging
import smtplib
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from email.utils import make_msgid, parseaddr
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import transaction
from django.db.models import Count, F, Min, Q, QuerySet, Value
from django.db.models.functions import Least, Now
from django.utils import timezone

from . import pruning
from .enqueue import enqueue, queue_lengths
from .models import OutgoingMail
from .queues import DEFAULT, NAMES

logger = logging.getLogger(__name__)

# Seconds. A worker may take SEND_SECONDS for one mail and is killed soon after; a claim older than
# CLAIM_SECONDS is a dead worker's. With a sweep a minute it is found within two.
SEND_SECONDS, KILL_SECONDS, CLAIM_SECONDS = 30, 40, 50
FIRST_LOOK_SECONDS = 30  # a mail whose message was lost
MOST_HANDOVERS = 2
MOST_SWEPT = 1_000  # a run; the next one goes on
MOST_WAITING = 100  # messages in a queue that the sweep adds to
MOST_PAUSE = timedelta(minutes=10)
OVERDUE_SECONDS = 120  # by then the sweep has found what was lost
KEPT_LINE_SECONDS = 30  # servers hang up after minutes
RETRY_MINUTES = (1, 2, 4, 8, 16, 32, 60)
GIVE_UP = timedelta(hours=24)
KEPT = timedelta(days=90)  # rows without their words: a key is known so long

WAITING = Q(sent_at__isnull=True, failed_at__isnull=True)


def post(
    *,
    to: str,
    subject: str,
    text: str,
    html: str = "",
    headers: dict[str, str] | None = None,
    queue: str = DEFAULT,
    key: str = "",
) -> OutgoingMail | None:
    """Write a mail with the caller's transaction; a worker sends it once that commits.

    ``key`` names what the mail tells of: a second one with the same key is not written, and
    ``None`` is returned. One query; two with a key.
    """
    mail = OutgoingMail(
        key=key or None,
        queue=queue,
        to=to,
        subject=" ".join(subject.split())[:250],
        text=text,
        html=html,
        headers=headers or {},
        message_id=make_msgid(domain=_domain()),
        due_at=timezone.now() + timedelta(seconds=FIRST_LOOK_SECONDS),
    )
    if key:
        OutgoingMail.objects.bulk_create([mail], ignore_conflicts=True)
        written = OutgoingMail.objects.filter(message_id=mail.message_id).first()
        if written is None:
            return None
        mail = written
    else:
        mail.save(force_insert=True)
    _enqueue(mail.pk, queue)
    return mail


def _enqueue(pk: int, queue: str) -> None:
    from .tasks import send_mail

    enqueue(send_mail, pk, queue=queue)


def _domain() -> str:
    """The right side of a Message-ID: the site's own name, never this machine's."""
    return (
        urlsplit(settings.SITE_URL).hostname
        or parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    )


# --- sending -----------------------------------------------------------------------


def send(pk: int) -> bool:
    """Claim mail ``pk`` and hand it over; whether it went. ``False`` if it is nobody's to send.

    Raises nothing that a mail server can cause. Four statements around the conversation with it.
    """
    mail = _claim(pk)
    if mail is None:
        return False
    try:
        connection = line.opened()
    except (OSError, smtplib.SMTPException) as error:  # nothing was said of the mail yet
        _refused(mail, error, was_handed_over=False)
        return False
    if not _hand_over(mail):
        return False
    try:
        _message(mail, connection).send()
    except (OSError, smtplib.SMTPException) as error:
        line.hang_up()
        if (code := _refusal(error)) is None:
            # The line broke in the middle: it may have taken the mail. The claim stays.
            logger.warning("mail handed over without an answer mail=%s: %s", pk, _kind(error))
        elif code >= 500:
            _failed(_mine(mail), error)
        else:
            _refused(mail, error, was_handed_over=True)
        return False
    except BaseException:
        line.hang_up()  # whoever is next must not find it in the middle of this
        raise
    _sent(mail)
    return True


class _Line(threading.local):
    """This thread's line to the mail server, kept for a while: a digest morning has thousands.

    Making one costs TLS and a password each time, most of what a mail takes.
    """

    connection: Any = None
    used_at = 0.0

    def opened(self) -> Any:
        """A line that answers; raises what ``smtplib`` raises when there is none to be had."""
        if self.connection is not None and not self._is_alive():
            self.hang_up()
        if self.connection is None:
            connection = get_connection()
            connection.open()
            self.connection = connection
        self.used_at = time.monotonic()
        return self.connection

    def _is_alive(self) -> bool:
        if time.monotonic() - self.used_at > KEPT_LINE_SECONDS:
            return False
        smtp = getattr(self.connection, "connection", None)
        try:
            return smtp is None or smtp.noop()[0] == 250  # only SMTP has one to ask
        except (OSError, smtplib.SMTPException):
            return False

    def hang_up(self) -> None:
        """Close it, whatever state it is in."""
        connection, self.connection = self.connection, None
        if connection is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                connection.close()


line = _Line()


def _claim(pk: int) -> OutgoingMail | None:
    """One worker's alone from here on, until the claim is old; two statements.

    The first is one UPDATE, so two at once cannot both have it. ``claimed_at`` is the claim's
    name: what follows is done only while it still stands there.
    """
    now = timezone.now()
    is_free = Q(claimed_at__isnull=True) | Q(claimed_at__lt=now - timedelta(seconds=CLAIM_SECONDS))
    mine = OutgoingMail.objects.filter(WAITING, is_free, pk=pk, handovers__lt=MOST_HANDOVERS)
    if not mine.update(claimed_at=now, due_at=now + timedelta(seconds=CLAIM_SECONDS)):
        return None
    return OutgoingMail.objects.filter(pk=pk, claimed_at=now).first()


def _mine(mail: OutgoingMail) -> QuerySet[OutgoingMail]:
    """The row while nobody took the claim over and nobody ended it."""
    return OutgoingMail.objects.filter(WAITING, pk=mail.pk, claimed_at=mail.claimed_at)


def _hand_over(mail: OutgoingMail) -> bool:
    """Note that from now on the server may have it; ``False`` if the claim is another's by now."""
    if not _mine(mail).update(handovers=F("handovers") + 1):
        return False
    mail.handovers += 1
    return True


def _message(mail: OutgoingMail, connection) -> EmailMultiAlternatives:
    message = EmailMultiAlternatives(
        mail.subject,
        mail.text,
        to=[mail.to],
        connection=connection,
        headers={**mail.headers, "Message-ID": mail.message_id},
    )
    if mail.html:
        message.attach_alternative(mail.html, "text/html")
    return message


def _refusal(error: Exception) -> int | None:
    """The code with which the server declined the mail; ``None`` if it may have taken it."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max(code for code, _words in error.recipients.values())
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else None


def _kind(error: Exception) -> str:
    """What the log may say: servers repeat addresses in their words."""
    code = _refusal(error)
    return f"{type(error).__name__}{f' {code}' if code else ''}"


def _sent(mail: OutgoingMail) -> None:
    """It went, also if the sweep gave it up meanwhile."""
    mine = OutgoingMail.objects.filter(pk=mail.pk, claimed_at=mail.claimed_at, sent_at__isnull=True)
    mine.update(sent_at=timezone.now(), failed_at=None, why="", text="", html="", headers={})
    logger.info("mail sent mail=%s queue=%s", mail.pk, mail.queue)


def _failed(rows: QuerySet[OutgoingMail], why: object) -> None:
    """Give ``rows`` up; their words stay for staff, who may have them sent again."""
    words = _kind(why) if isinstance(why, Exception) else str(why)
    for pk, queue in list(rows.values_list("pk", "queue")[:MOST_SWEPT]):
        if rows.filter(pk=pk).update(failed_at=timezone.now(), why=words[:250]):
            logger.error("mail given up mail=%s queue=%s: %s", pk, queue, words)


def _refused(mail: OutgoingMail, error: Exception, *, was_handed_over: bool) -> None:
    """Certainly not taken: take the claim back and wait, longer each time, for a day."""
    if timezone.now() - mail.created_at > GIVE_UP:
        _failed(_mine(mail), error)
        return
    minutes = RETRY_MINUTES[min(mail.refusals, len(RETRY_MINUTES) - 1)]
    _mine(mail).update(
        claimed_at=None,
        handovers=mail.handovers - was_handed_over,
        refusals=F("refusals") + 1,
        due_at=timezone.now() + timedelta(minutes=minutes),
        why=_kind(error)[:250],
    )
    logger.warning("mail not taken mail=%s again in %d min: %s", mail.pk, minutes, _kind(error))


# --- finding what was lost ---------------------------------------------------------


def sweep() -> int:
    """Send the mails that nobody sent, on their queues; how many. Repeatable, and safe twice at once.

    A mail is looked at again only after a minute more each time, and a long queue is not made
    longer: what was lost among its messages is found when they are done. Mails that were handed
    over twice without an answer, and those of yesterday, are given up.
    """
    now = timezone.now()
    due = OutgoingMail.objects.filter(WAITING, due_at__lte=now)
    _failed(due.filter(handovers__gte=MOST_HANDOVERS), "handed over twice, and no answer")
    _failed(due.filter(created_at__lt=now - GIVE_UP, refusals=0), "nobody sent it for a day")
    long = [name for name, length in queue_lengths().items() if (length or 0) > MOST_WAITING]
    with transaction.atomic():
        rows = list(
            due.filter(handovers__lt=MOST_HANDOVERS)
            .exclude(queue__in=long)
            .order_by("due_at")
            .select_for_update(skip_locked=True)
            .values_list("pk", "queue")[:MOST_SWEPT]
        )
        pause = Least((Now() - F("created_at")) / 2, Value(MOST_PAUSE))
        again = OutgoingMail.objects.filter(pk__in=[pk for pk, _queue in rows])
        again.update(due_at=Now() + timedelta(minutes=1) + pause)
        for pk, queue in rows:
            _enqueue(pk, queue)
    if rows:
        logger.warning("mails found by the sweep number=%d", len(rows))
    return len(rows)


def send_again(mails: QuerySet[OutgoingMail]) -> int:
    """Let staff have given-up ``mails`` sent once more; how many."""
    number = 0
    with transaction.atomic():
        given_up = mails.filter(failed_at__isnull=False).exclude(text="")
        for mail in given_up.order_by("pk").select_for_update():
            OutgoingMail.objects.filter(pk=mail.pk).update(
                failed_at=None, claimed_at=None, handovers=0, refusals=0, why="",
                created_at=Now(), due_at=Now(),
            )  # fmt: skip
            _enqueue(mail.pk, mail.queue)
            number += 1
    return number


@dataclass(frozen=True)
class Backlog:
    """The mails of one queue that have not gone.

    ``overdue`` and ``age`` (seconds, of the oldest) leave out those that a server refused for now:
    they wait for their next try, and one full mailbox is no trouble of ours.
    """

    waiting: int = 0
    overdue: int = 0
    age: float = 0.0


def backlog() -> dict[str, Backlog]:
    """What waits in each queue. One query over the waiting mails alone."""
    now = timezone.now()
    untried = Q(refusals=0)
    late = untried & Q(created_at__lt=now - timedelta(seconds=OVERDUE_SECONDS))
    rows = OutgoingMail.objects.filter(WAITING).order_by().values("queue").annotate(
        waiting=Count("pk"),
        overdue=Count("pk", filter=late),
        oldest=Min("created_at", filter=untried),
    )  # fmt: skip
    found = dict.fromkeys(NAMES, Backlog())
    for row in rows:
        age = (now - row["oldest"]).total_seconds() if row["oldest"] else 0.0
        found[row["queue"]] = Backlog(row["waiting"], row["overdue"], max(age, 0.0))
    return found


def clear_old() -> int:
    """Delete the rows of mails that went, or were given up, 90 days ago."""
    old = OutgoingMail.objects.exclude(WAITING).filter(created_at__lt=timezone.now() - KEPT)
    return pruning.delete_in_chunks(old)
