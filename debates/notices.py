"""The rows of notifications and the count of unread ones, which moves with them.

Whoever changes rows of a reader holds the reader's row first, several in the order of their
ids, so that the count is what the rows say whatever comes together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Count, F, Max, Min, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import User
from core.models import Book, OutgoingMail

from . import visibility
from .models import DebatePost, DebateTopic, Notification

CHUNK = 500  # rows a transaction
KEPT_READ, KEPT = timedelta(days=30), timedelta(days=180)
UNREAD = Q(read_at__isnull=True)


def add(topic: DebateTopic, post: DebatePost | None, people: dict[int, str]) -> list[int]:
    """Tell ``people`` (user ids with the reason) once; return whom nobody had told.

    The caller holds their rows, in the order of their ids. Two queries.
    """
    if not people:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO debates_notification (user_id, topic_id, post_id, reason, created_at)"
            " SELECT who, %s, %s, why, %s FROM unnest(%s::bigint[], %s::text[]) told (who, why)"
            " ORDER BY who ON CONFLICT DO NOTHING RETURNING user_id",
            [
                topic.pk, post and post.pk, timezone.now(), list(people),
                [str(reason) for reason in people.values()],
            ],
        )  # fmt: skip
        told = [user_id for (user_id,) in cursor.fetchall()]
    User.objects.filter(pk__in=told).update(unread_count=F("unread_count") + 1)
    return told


@transaction.atomic
def mark_read(
    user: User, *, topic_id: int | None = None, notification_id: int | None = None
) -> int:
    """Mark what is unread as read: one, those of a debate, or all. Returns how many. Repeatable."""
    _lock([user.pk])
    rows = Notification.objects.filter(UNREAD, user=user)
    if topic_id is not None:
        rows = rows.filter(topic_id=topic_id)
    if notification_id is not None:
        rows = rows.filter(pk=notification_id)
    read = rows.update(read_at=timezone.now())
    if read:
        _count([user.pk])
    return read


def mail_key(topic_id: int, post_id: int | None, user_id: int) -> str:
    """What makes the mail of a notification one, also after it was removed and told anew."""
    row = f"post:{post_id}" if post_id else f"topic:{topic_id}"
    return f"notification:{row}:{user_id}"


@transaction.atomic
def remove(ids: Iterable[int]) -> int:
    """Delete the notifications ``ids``, at most a chunk of them, what they count, and their mails
    that were not handed over yet."""
    rows = Notification.objects.filter(pk__in=list(ids))
    _lock(rows.values_list("user_id", flat=True))
    held = rows.order_by("pk").select_for_update()
    found = list(held.values_list("topic_id", "post_id", "user_id"))
    keys = [mail_key(*row) for row in found]
    mails = OutgoingMail.objects.filter(key__in=keys)
    mails.filter(claimed_at__isnull=True, sent_at__isnull=True).delete()
    gone = rows.delete()[0]
    _count([user_id for _topic, _post, user_id in found])
    return gone


def remove_old(now: datetime | None = None) -> int:
    """Delete what was read 30 days ago, what is 180 days old, and what a failed removal left.

    In chunks; how many.
    """
    now = now or timezone.now()
    # rows are written in the order of their ids, so the oldest are the first
    oldest = Notification.objects.order_by("pk")
    read = Notification.objects.filter(read_at__lt=now - KEPT_READ).order_by("read_at")
    wordless = Notification.objects.filter(visibility.NOT_TOLD).order_by("pk")
    gone = 0
    for rows in (read, wordless):
        while ids := list(rows.values_list("pk", flat=True)[:CHUNK]):
            gone += remove(ids)
    while rows := list(oldest.values_list("pk", "created_at")[:CHUNK]):
        ids = [pk for pk, created_at in rows if created_at < now - KEPT]
        if not ids:
            break
        gone += remove(ids)
    return gone


def reconcile(size: int = 1_000) -> list[tuple[int, int, int]]:
    """Recount everybody's unread, a range of ids at a time; (user, stored, real) of each drift."""
    ids = User.objects.aggregate(first=Min("pk"), last=Max("pk"))
    drift: list[tuple[int, int, int]] = []
    if ids["first"] is None:
        return drift
    for first in range(ids["first"], ids["last"] + 1, size):
        people = User.objects.filter(pk__range=(first, first + size - 1)).order_by("pk")
        suspects = people.alias(real=_real()).exclude(unread_count=F("real"))
        drift += [found for pk in suspects.values_list("pk", flat=True) if (found := _recount(pk))]
    return drift


@transaction.atomic
def _recount(user_id: int) -> tuple[int, int, int] | None:
    _lock([user_id])
    person = User.objects.filter(pk=user_id).annotate(real=_real())
    stored, real = person.values_list("unread_count", "real")[0]
    if stored == real:  # it moved while it was looked at
        return None
    User.objects.filter(pk=user_id).update(unread_count=real)
    return user_id, stored, real


def _real() -> Coalesce:
    """The unread ones as pages show them: those of words that are still there."""
    rows = Notification.objects.filter(UNREAD, visibility.TOLD, user=OuterRef("pk"))
    return Coalesce(Subquery(rows.order_by().values("user").annotate(n=Count("pk")).values("n")), 0)


def _lock(user_ids: Iterable[int]) -> None:
    people = User.objects.filter(pk__in=user_ids).order_by("pk")
    list(people.select_for_update(no_key=True).values_list("pk"))


def _count(user_ids: Iterable[int]) -> None:
    """Recount readers whose rows are held; an UPDATE that had to wait would count too early."""
    User.objects.filter(pk__in=set(user_ids)).update(unread_count=_real())


@dataclass
class Group:
    """What a reader is told of one debate, newest first."""

    topic: DebateTopic
    rows: list[Notification]

    @property
    def has_unread(self) -> bool:
        return any(row.read_at is None for row in self.rows)

    @property
    def book(self) -> Book | None:
        """The book, if the reader is told because they follow it."""
        reason = Notification.Reason.BOOK
        return self.topic.book if any(row.reason == reason for row in self.rows) else None


def by_topic(rows: Iterable[Notification]) -> list[Group]:
    """Gather notifications by their debate, in the order of each debate's first."""
    groups: dict[int, Group] = {}
    for row in rows:
        groups.setdefault(row.topic_id, Group(row.topic, [])).rows.append(row)
    return list(groups.values())
