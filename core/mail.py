"""Every mail of the site: written as a row with what it tells of, sent by a worker.

The row is claimed before its mail is handed over. Whoever is killed in between leaves a claim
behind; a sweep hands that mail over once more, with the same Message-ID, and then never again:
at most two copies, which a mail program shows as one. A server that says no, or cannot be
reached, has taken nothing, and is asked again for a day.
"""

from __future__ import annotations

import logging
import smtplib
from contextlib import closing
from datetime import timedelta
from email.utils import make_msgid, parseaddr
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import transaction
from django.db.models import Count, F, Min, Q
from django.db.models.functions import Now
from django.utils import timezone

from . import pruning
from .enqueue import enqueue
from .models import OutgoingMail
from .queues import DEFAULT

logger = logging.getLogger(__name__)

# Seconds. A worker may take SEND_SECONDS for one mail and is killed soon after; a claim older than
# CLAIM_SECONDS is a dead worker's. With a sweep a minute it is found within two.
SEND_SECONDS, KILL_SECONDS, CLAIM_SECONDS = 30, 40, 50
FIRST_LOOK_SECONDS = 30  # a mail whose message was lost
MOST_HANDOVERS = 2
MOST_SWEPT = 1_000  # a run; the next one goes on
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

    Raises nothing that a mail server can cause. Two statements around the conversation with it.
    """
    if not _claim(pk):
        return False
    mail = OutgoingMail.objects.get(pk=pk)
    connection = get_connection()
    try:
        connection.open()
    except (OSError, smtplib.SMTPException) as error:  # nothing was said of the mail yet
        _refused(mail, error)
        return False
    try:
        with closing(connection):
            _message(mail, connection).send()
    except (OSError, smtplib.SMTPException) as error:
        if (code := _refusal(error)) is None:
            # The line broke in the middle: it may have taken the mail. The claim stays.
            logger.warning("mail handed over without an answer mail=%s: %s", pk, _kind(error))
        elif code >= 500:
            _failed(mail, error)
        else:
            _refused(mail, error)
        return False
    _sent(mail)
    return True


def _claim(pk: int) -> bool:
    """One worker's alone from here on. One statement, so two at once cannot both have it."""
    now = timezone.now()
    is_free = Q(claimed_at__isnull=True) | Q(claimed_at__lt=now - timedelta(seconds=CLAIM_SECONDS))
    mine = OutgoingMail.objects.filter(WAITING, is_free, pk=pk, handovers__lt=MOST_HANDOVERS)
    return bool(mine.update(claimed_at=now, handovers=F("handovers") + 1, due_at=_after_claim(now)))


def _after_claim(now):
    return now + timedelta(seconds=CLAIM_SECONDS)


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
    now = timezone.now()
    OutgoingMail.objects.filter(pk=mail.pk).update(sent_at=now, text="", html="", headers={})
    logger.info("mail sent mail=%s queue=%s", mail.pk, mail.queue)


def _failed(mail: OutgoingMail, why: object) -> None:
    """Give up; the words stay for staff, who may have it sent again."""
    words = _kind(why) if isinstance(why, Exception) else str(why)
    OutgoingMail.objects.filter(pk=mail.pk).update(failed_at=timezone.now(), why=words[:250])
    logger.error("mail given up mail=%s queue=%s: %s", mail.pk, mail.queue, words)


def _refused(mail: OutgoingMail, error: Exception) -> None:
    """Certainly not taken: take the claim back and wait, longer each time, for a day."""
    if timezone.now() - mail.created_at > GIVE_UP:
        _failed(mail, error)
        return
    minutes = RETRY_MINUTES[min(mail.refusals, len(RETRY_MINUTES) - 1)]
    OutgoingMail.objects.filter(pk=mail.pk).update(
        claimed_at=None,
        handovers=F("handovers") - 1,
        refusals=F("refusals") + 1,
        due_at=timezone.now() + timedelta(minutes=minutes),
        why=_kind(error)[:250],
    )
    logger.warning("mail not taken mail=%s again in %d min: %s", mail.pk, minutes, _kind(error))


# --- finding what was lost ---------------------------------------------------------


def sweep() -> int:
    """Send the mails that nobody sent, on their queues; how many. Repeatable, and safe twice at once.

    A mail is looked at again only after a minute more each time, so that a queue that is long is
    not made longer. Those that were handed over twice without an answer are given up.
    """
    now = timezone.now()
    due = OutgoingMail.objects.filter(WAITING, due_at__lte=now)
    for mail in due.filter(handovers__gte=MOST_HANDOVERS).only("pk", "queue")[:MOST_SWEPT]:
        _failed(mail, "handed over twice, and no answer")
    with transaction.atomic():
        rows = list(
            due.filter(handovers__lt=MOST_HANDOVERS)
            .order_by("due_at")
            .select_for_update(skip_locked=True)
            .values_list("pk", "queue")[:MOST_SWEPT]
        )
        again = OutgoingMail.objects.filter(pk__in=[pk for pk, _queue in rows])
        again.update(due_at=Now() + timedelta(minutes=1) + (Now() - F("created_at")) / 2)
        for pk, queue in rows:
            _enqueue(pk, queue)
    if rows:
        logger.warning("mails found by the sweep number=%d", len(rows))
    return len(rows)


def send_again(mails) -> int:
    """Let staff have given-up ``mails`` sent once more; how many."""
    number = 0
    with transaction.atomic():
        for mail in mails.filter(failed_at__isnull=False).exclude(text="").order_by("pk"):
            OutgoingMail.objects.filter(pk=mail.pk).update(
                failed_at=None, claimed_at=None, handovers=0, refusals=0, why="",
                created_at=Now(), due_at=Now(),
            )  # fmt: skip
            _enqueue(mail.pk, mail.queue)
            number += 1
    return number


def backlog() -> tuple[int, float]:
    """How many mails wait, and the age of the oldest in seconds (0 if none). One query."""
    found = OutgoingMail.objects.filter(WAITING).aggregate(n=Count("pk"), first=Min("created_at"))
    age = (timezone.now() - found["first"]).total_seconds() if found["first"] else 0.0
    return found["n"], age


def clear_old() -> int:
    """Delete the rows of mails that went, or were given up, 90 days ago."""
    old = OutgoingMail.objects.exclude(WAITING).filter(created_at__lt=timezone.now() - KEPT)
    return pruning.delete_in_chunks(old)
