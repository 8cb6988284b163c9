"""Notifications by mail: each at once, or gathered in a digest, as its reader chose.

A notification is dated as mailed in the transaction that writes its mail, so that it is in one
mail and no other. The outbox of ``core.mail`` sends.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from html import unescape

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.html import strip_tags
from django.utils.text import Truncator
from django.utils.translation import ngettext

from accounts.models import User
from core import mail
from core.queues import BULK, DEFAULT

from . import following, mail_links, notices
from .models import DebatePost, DebateTopic, Follow, Notification
from .querysets import NotificationQuerySet

CHUNK_MAILS = 50  # written in a transaction
CHUNK_READERS = 500
MOST_TOLD = 40  # notifications a digest spells out
WORDS_ALONE, WORDS_IN_DIGEST = 600, 200  # characters that are quoted
DIGEST_HOUR = 7  # in the site's time zone; weekly ones on Mondays
Frequency = User.MailFrequency


def send_at_once(topic: DebateTopic, post: DebatePost | None) -> None:
    """Mail what was told of ``post`` (or the opening) to those who want it at once.

    Holds the notifications, a chunk at a time: who comes meanwhile waits, and finds them mailed.
    """
    waiting = (
        Notification.objects.unread()
        .filter(topic=topic, post=post, mailed_at__isnull=True)
        .filter(user__mail_frequency=Frequency.AT_ONCE, user__is_active=True)
        .exclude(user__email="")
        .select_related("user")
        .select_for_update(no_key=True, of=("self",))
        .order_by("pk")
    )
    while True:
        with transaction.atomic():
            rows = list(waiting[:CHUNK_MAILS])
            for row in rows:
                row.topic, row.post = topic, post  # one object each, and its author is read once
                _post_alone(row)
            told = Notification.objects.filter(pk__in=[row.pk for row in rows])
            told.update(mailed_at=timezone.now())
        if len(rows) < CHUNK_MAILS:
            return


def _post_alone(row: Notification) -> None:
    with translation.override(settings.LANGUAGE_CODE):
        context = {
            "row": row,
            "words": _words(row, WORDS_ALONE),
            "url": mail_links.absolute(row.target_url),
            "mute_url": mail_links.mute_topic(row.user_id, row.topic_id),
        }
        subject = f"{row.headline}: {row.topic.title}"
        _post(row.user, subject, "notification", context, f"notification:{row.pk}", DEFAULT)


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
    while readers := list(waiting.filter(pk__gt=after)[:CHUNK_READERS]):
        sent += sum(_send_digest(reader, until) for reader in readers)
        after = readers[-1].pk
    return sent


def _owed(until: datetime) -> QuerySet[Notification]:
    rows = Notification.objects.unread().told()
    return rows.filter(mailed_at__isnull=True, created_at__lt=until)


@transaction.atomic
def _send_digest(reader: User, until: datetime) -> bool:
    owed = _owed(until).filter(user=reader)
    newest = owed.for_page().order_by(*NotificationQuerySet.NEWEST)
    rows = list(newest.select_for_update(no_key=True, of=("self",))[:MOST_TOLD])
    if not rows:
        return False  # somebody else was here
    number = owed.update(mailed_at=timezone.now())
    with translation.override(settings.LANGUAGE_CODE):
        groups = [
            {
                "topic": group.topic,
                "url": mail_links.absolute(group.topic.get_absolute_url()),
                "mute_url": mail_links.mute_topic(reader.pk, group.topic.pk),
                "rows": [
                    {
                        "headline": row.headline,
                        "url": mail_links.absolute(row.target_url),
                        "words": _words(row, WORDS_IN_DIGEST),
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


def _words(row: Notification, length: int) -> str:
    """The beginning of what was said, without Markdown; ``""`` where it may not be quoted."""
    return Truncator(unescape(strip_tags(row.words_html)).strip()).chars(length)


def stop(user_id: int, topic: DebateTopic | None) -> bool:
    """End a reader's mails, or mute ``topic`` for them; ``False`` if there is no such reader."""
    reader = User.objects.filter(pk=user_id)
    if topic is None:
        return bool(reader.update(mail_frequency=Frequency.NEVER))
    if (user := reader.only("pk").first()) is None:
        return False
    following.set_state(user=user, state=Follow.State.MUTE, topic=topic)
    return True
