"""Notifications by mail: each at once, or gathered in a digest, as its reader chose.

A notification is dated as mailed in the transaction that writes its mail, so that it is in one
mail and no other. The outbox of ``core.mail`` sends.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import ngettext

from accounts.models import User
from core import mail
from core.models import Book
from core.queues import BULK, DEFAULT

from . import following, mail_links, notices, visibility
from .models import DebatePost, DebateTopic, Follow, Notification
from .querysets import NotificationQuerySet

CHUNK_MAILS = 50  # written in a transaction
CHUNK_READERS = 500
MOST_TOLD = 40  # notifications a digest spells out
WORDS_ALONE, WORDS_IN_DIGEST = 600, 200  # characters that are quoted
DIGEST_HOUR = 7  # in the site's time zone, as the schedule has it; weekly ones on Mondays
Frequency = User.MailFrequency
AT_ONCE = Q(mail_frequency=Frequency.AT_ONCE, is_active=True)

logger = logging.getLogger(__name__)


def waiting(topic: DebateTopic, post: DebatePost | None) -> list[int]:
    """Readers who were told of ``post`` (or the opening), want a mail at once and have none."""
    rows = _unmailed(topic.pk, post and post.pk)
    readers = User.objects.filter(AT_ONCE).exclude(email="")
    return list(rows.filter(user__in=readers).values_list("user_id", flat=True))


def send_at_once(topic: DebateTopic, post: DebatePost | None, told: list[int]) -> None:
    """Mail what readers ``told`` were told of ``post`` (or the opening) to those who want it at once.

    A transaction a chunk, which holds the readers' rows.
    """
    wanting = User.objects.filter(AT_ONCE, pk__in=told).order_by("pk").values_list("pk", flat=True)
    ids = list(wanting)
    for first in range(0, len(ids), CHUNK_MAILS):
        _send_some(topic.pk, post and post.pk, ids[first : first + CHUNK_MAILS])


@transaction.atomic
def _send_some(topic_id: int, post_id: int | None, reader_ids: list[int]) -> None:
    readers = User.objects.filter(AT_ONCE, pk__in=reader_ids).exclude(email="").order_by("pk")
    held = {reader.pk: reader for reader in readers.select_for_update(no_key=True, of=("self",))}
    rows = list(_unmailed(topic_id, post_id).filter(user__in=held).order_by("pk"))
    if not rows:
        return
    # As they are now: an edit may have folded the words since somebody was told of them.
    topic = DebateTopic.objects.select_related("creator", "book").get(pk=topic_id)
    post = DebatePost.objects.select_related("author").get(pk=post_id) if post_id else None
    if not visibility.may_be_told(topic, post):
        return  # and whoever settles it next removes what told of it
    for row in rows:
        row.user, row.topic, row.post = held[row.user_id], topic, post
        _post_alone(row)
    told = Notification.objects.filter(pk__in=[row.pk for row in rows])
    told.update(mailed_at=timezone.now())


def _unmailed(topic_id: int, post_id: int | None) -> QuerySet[Notification]:
    rows = Notification.objects.unread().filter(mailed_at__isnull=True)
    return rows.filter(topic=topic_id, post=post_id)


def _post_alone(row: Notification) -> None:
    is_of_book = row.reason == Notification.Reason.BOOK
    with translation.override(settings.LANGUAGE_CODE):
        context = {
            "row": row,
            "book": row.topic.book if is_of_book else None,
            "words": row.words(WORDS_ALONE),
            "url": mail_links.absolute(row.target_url),
            "mute_url": mail_links.mute_topic(row.user_id, row.topic_id),
            "mute_book_url": mail_links.mute_book(row.user_id, row.topic.book_id),
        }
        subject = f"{row.headline}: {row.topic.title}"
        key = notices.mail_key(row.topic_id, row.post_id, row.user_id)
        _post(row.user, subject, "notification", context, key, DEFAULT)


def due(frequency: str, now: datetime) -> datetime:
    """When the newest digest of this frequency was due: seven o'clock, of a day or of a Monday."""
    local = timezone.localtime(now)
    moment = local.replace(hour=DIGEST_HOUR, minute=0, second=0, microsecond=0)
    if moment > local:
        moment -= timedelta(days=1)
    if frequency == Frequency.WEEKLY:
        moment -= timedelta(days=moment.weekday())
    return moment


def send_digests(frequency: str, now: datetime | None = None) -> int:
    """Mail to each reader of ``frequency`` what was unread when it was due; how many mails.

    Repeatable: one digest a reader and date, of what no mail told. Reads the readers once, in
    chunks of ids.
    """
    until, after, sent = due(frequency, now or timezone.now()), 0, 0
    waiting = (
        User.objects.filter(is_active=True, mail_frequency=frequency, unread_count__gt=0)
        .filter(Exists(_owed(until).filter(user=OuterRef("pk"))))
        .exclude(email="")
        .order_by("pk")
    )
    while ids := list(waiting.filter(pk__gt=after).values_list("pk", flat=True)[:CHUNK_READERS]):
        sent += sum(_try_digest(pk, frequency, until) for pk in ids)
        after = ids[-1]
    return sent


def _owed(until: datetime) -> QuerySet[Notification]:
    """What a digest tells: unread, in no mail yet, and not muted since."""
    rows = Notification.objects.unread().told()
    hearing = following.hearing(OuterRef("user"), OuterRef("topic"), OuterRef("topic__book"))
    return rows.filter(hearing, mailed_at__isnull=True, created_at__lt=until)


def _try_digest(reader_id: int, frequency: str, until: datetime) -> bool:
    """The others must not wait behind one whose digest fails."""
    try:
        return _send_digest(reader_id, frequency, until)
    except SoftTimeLimitExceeded:
        raise
    except Exception:
        logger.exception("no digest written user=%s", reader_id)
        return False


@transaction.atomic
def _send_digest(reader_id: int, frequency: str, until: datetime) -> bool:
    readers = User.objects.filter(pk=reader_id, is_active=True, mail_frequency=frequency)
    # the reader's row first, as whoever changes notifications holds it
    reader = readers.exclude(email="").select_for_update(no_key=True).first()
    if reader is None:
        return False  # they changed their mind meanwhile
    owed = _owed(until).filter(user=reader)
    rows = list(owed.for_mail().order_by(*NotificationQuerySet.NEWEST)[:MOST_TOLD])
    if not rows:
        return False  # somebody else was here
    number = owed.update(mailed_at=timezone.now())
    with translation.override(settings.LANGUAGE_CODE):
        groups = [
            {
                "topic": group.topic,
                "url": mail_links.absolute(group.topic.get_absolute_url()),
                "mute_url": mail_links.mute_topic(reader.pk, group.topic.pk),
                "mute_book_url": mail_links.mute_book(reader.pk, group.topic.book_id),
                "book": group.book,
                "rows": [
                    {
                        "headline": row.headline,
                        "url": mail_links.absolute(row.target_url),
                        "words": row.words(WORDS_IN_DIGEST),
                        "is_folded": row.is_folded,
                    }
                    for row in group.rows
                ],
            }
            for group in notices.by_topic(rows)
        ]
        subject = ngettext(
            "%(n)d aviso novo no CGBookStore", "%(n)d avisos novos no CGBookStore", number
        ) % {"n": number}
        context = {"groups": groups, "more": number - len(rows), "subject": subject}
        key = f"digest:{until:%Y-%m-%d}:{reader.pk}"
        if _post(reader, subject, "digest", context, key, BULK):
            return True
    transaction.set_rollback(True)  # this date's is sent: they stay for the next one
    return False


def _post(reader: User, subject: str, name: str, context: dict, key: str, queue: str) -> bool:
    stop_url = mail_links.stop_mails(reader.pk)
    context |= {
        "reader": reader,
        "stop_url": stop_url,
        "all_url": mail_links.absolute(reverse("debates:notifications")),
        "account_url": mail_links.absolute(reverse("accounts:edit_profile")),
    }
    written = mail.post(
        to=reader.email,
        subject=subject,
        text=render_to_string(f"emails/{name}.txt", context),
        html=render_to_string(f"emails/{name}.html", context),
        headers={
            "List-Unsubscribe": f"<{stop_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "Auto-Submitted": "auto-generated",
        },
        queue=queue,
        key=key,
    )
    return written is not None


def stop(user_id: int, topic: DebateTopic | None, book: Book | None) -> bool:
    """End a reader's mails, or mute ``topic`` or ``book`` for them; ``False`` without such a reader."""
    reader = User.objects.filter(pk=user_id)
    if topic is None and book is None:
        return bool(reader.update(mail_frequency=Frequency.NEVER))
    if (user := reader.only("pk").first()) is None:
        return False
    following.set_state(user=user, state=Follow.State.MUTE, topic=topic, book=book)
    return True
