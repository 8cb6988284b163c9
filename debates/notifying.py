"""Who is told of a post or of a new debate, and that everybody is told exactly once.

The write path leaves ``notified_at`` empty: its notifications are owed. ``settle`` makes them
what they should be, chunk by chunk, and then dates the row. Each step may be repeated and two
workers may do it at once: a notification is unique, and whoever is killed leaves the row owed
for the sweep. A row that was removed owes the removal of its notifications, by the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from time import monotonic

from celery import Task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models import User
from core.enqueue import enqueue
from core.queues import BULK

from . import following, notice_mails, notices, visibility
from .mentions import mentioned
from .models import OWED, DebatePost, DebateTopic, Follow, Notification

logger = logging.getLogger(__name__)

Row = DebateTopic | DebatePost
Reason, State = Notification.Reason, Follow.State

CHUNK = notices.CHUNK  # followers a transaction
FIRST_LOOK = timedelta(seconds=30)  # what is owed longer, nobody's message brought
MOST_SWEPT = 500
SWEEP_SECONDS = 5  # a run; critical mail waits behind it


def owe(row: Row, names: Iterable[str] = ()) -> list[str]:
    """Say that the notifications of ``row`` must be put right; the columns its ``save`` must name.

    What was settled once owes no more than ``names``: whoever an edit calls.
    """
    if row.notified_at is not None:
        row.owed_names = list(names)
    elif row.owed_names is not None:
        row.owed_names = list(dict.fromkeys([*row.owed_names, *names]))
    row.notified_at = None
    announce(row)
    return ["notified_at", "owed_names"]


def owe_names(row: Row, before: str, after: str) -> list[str]:
    """``owe`` those whom an edit calls and the text did not call before; nothing without any."""
    called = set(mentioned(before))
    names = [name for name in mentioned(after) if name not in called]
    return owe(row, names) if names else []


def announce(row: Row) -> None:
    """Have a worker settle ``row`` once this transaction commits."""
    enqueue(_task(type(row)), row.pk)


def notify(model: type[Row], pk: int, after: int = 0) -> None:
    """Settle what ``model`` row ``pk`` owes; many followers are left to the bulk queue."""
    rest = settle(model, pk, after, most=None if after else 1)
    if rest is not None:
        enqueue(_task(model), pk, rest, queue=BULK)


def _task(model: type[Row]) -> Task:
    from . import tasks

    return tasks.notify_of_post if issubclass(model, DebatePost) else tasks.notify_of_topic


def sweep() -> int:
    """Settle what nobody settled: its message was lost, or its worker killed. How many rows.

    Takes ``SWEEP_SECONDS``; the next run goes on, also in the middle of a row's followers.
    """
    until, number = monotonic() + SWEEP_SECONDS, 0
    for model in (DebateTopic, DebatePost):
        owed = model.objects.filter(OWED, created_at__lt=timezone.now() - FIRST_LOOK)
        for pk in list(owed.order_by("pk").values_list("pk", flat=True)[:MOST_SWEPT]):
            if monotonic() > until:
                return number
            try:
                settle(model, pk, until=until)
            except SoftTimeLimitExceeded:
                raise
            except Exception:
                # the others must not wait for ever behind one that fails
                logger.exception("not settled %s=%s", model._meta.model_name, pk)
            number += 1
    if number:
        logger.warning("notifications found by the sweep rows=%d", number)
    return number


def settle(
    model: type[Row],
    pk: int,
    after: int = 0,
    *,
    most: int | None = None,
    until: float | None = None,
) -> int | None:
    """Do what is owed from the follower after ``after`` on; ``None`` when nothing is left.

    ``until`` (of the monotonic clock) bounds the time, ``most`` the chunks of followers; never
    those of a removal. The id to go on after is returned.
    """
    followers: int | None = after
    chunks, alone = 0, False
    while True:
        told: list[int] = []
        is_through = False
        with transaction.atomic():
            row = _owed(model, pk, alone=alone)
            if row is None:
                return None
            topic, post = _topic_and_post(row)
            is_gone = not visibility.may_be_told(topic, post)
            if not is_gone:
                told, followers, is_through = _tell_some(row, followers)
            elif alone and not _forget_some(row):
                _settled(row)
                return None
        if is_gone and not alone:
            alone = True  # whoever is telling just now is waited for
            continue
        alone = is_gone
        if is_through:
            told = notice_mails.waiting(topic, post)  # one who was killed told, and did not mail
            if not told and _settled(row):
                return None
        if told:
            notice_mails.send_at_once(topic, post, told)
        chunks += 1
        is_late = until is not None and monotonic() > until
        if is_gone and is_late:
            return 0
        if not is_gone and followers is not None and (is_late or chunks == most):
            return followers


# --- one step, in one transaction ----------------------------------------------------


def _owed(model: type[Row], pk: int, *, alone: bool) -> Row | None:
    """Hold the row, if it owes anything, and read it with its debate.

    Held is its key, and that of its debate: the removal of what was told (``alone``) waits for
    those who tell, and nobody who votes, answers or edits does, for a worker may hang in the
    middle. ``alone`` holds the debate's key too: the row may be restored by then, and is told of.
    Whoever changes the row meanwhile keeps ``_settled`` from dating it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_HOLD[model, alone], [pk])
        if not cursor.fetchone():
            return None
    rows = model._default_manager.all()
    if model is DebatePost:
        rows = rows.select_related("topic", "parent").defer(
            "topic__description", "topic__description_html",
            "parent__content", "parent__content_html",
        )  # fmt: skip
    return rows.get(pk=pk)


_POST_AND_TOPIC = "debates_debatepost row JOIN debates_debatetopic topic ON topic.id = row.topic_id"
_HOLD = {
    (model, alone): f"SELECT 1 FROM {tables} WHERE row.id = %s AND row.notified_at IS NULL {locks}"  # noqa: S608  ours
    for model, alone, tables, locks in (
        (DebateTopic, False, "debates_debatetopic row", "FOR KEY SHARE"),
        (DebateTopic, True, "debates_debatetopic row", "FOR UPDATE"),
        (DebatePost, False, _POST_AND_TOPIC, "FOR KEY SHARE"),
        (DebatePost, True, _POST_AND_TOPIC, "FOR UPDATE OF row FOR KEY SHARE OF topic"),
    )
}


def _settled(row: Row) -> bool:
    """Date ``row``, unless somebody wrote to it since it was read; whether it is dated.

    Each edit has another date, so nobody's names are lost. One statement, which holds nothing.
    """
    unchanged = {"is_deleted": row.is_deleted, "edited_at": row.edited_at}
    rows = type(row)._default_manager.filter(pk=row.pk, **unchanged)
    return bool(rows.update(notified_at=timezone.now()))


def _tell_some(row: Row, after: int | None) -> tuple[list[int], int | None, bool]:
    """Tell those who are named, and the next followers.

    Returns who was told, where to go on, and whether that was all. ``after`` is ``None`` once
    the followers are through: then whoever an edit named meanwhile is still told, and when
    there is nobody new all is told.
    """
    topic, post = _topic_and_post(row)
    # a row's notifications are kept for 30 days at least, so nobody is told of it twice
    is_recent = row.created_at > timezone.now() - notices.KEPT_READ
    is_first = row.owed_names is None
    named = _named(row) if is_recent else {}
    chunk = _followers(row, after) if is_recent and is_first and after is not None else []
    reason = Reason.FOLLOWED if post else Reason.BOOK
    people = dict.fromkeys(chunk, reason) | named
    told = notices.add(topic, post, {pk: people[pk] for pk in _hearing(row, people)})
    if len(chunk) == CHUNK:
        return told, chunk[-1], False
    return told, None, after is None and not told


def _named(row: Row) -> dict[int, str]:
    """Who is called in the words, and whose post they answer, with the stronger reason of two."""
    topic, post = _topic_and_post(row)
    names = mentioned(post.content if post else topic.description)
    if row.owed_names is not None:
        names = [name for name in names if name in row.owed_names]
    called = User.objects.alias(login=Lower("username")).filter(login__in=names)
    called_ids = called.values_list("pk", flat=True) if names else []
    answers = post and post.parent and row.owed_names is None
    people = {post.parent.author_id: Reason.REPLY} if answers else {}
    return people | dict.fromkeys(called_ids, Reason.MENTION)


def _followers(row: Row, after: int) -> list[int]:
    """The next followers in the order of their ids, of those who followed before the words.

    Without those who are told already, so that a sweep goes on where the last one ended.
    """
    topic, post = _topic_and_post(row)
    subject = {"topic": topic} if post else {"book_id": topic.book_id}
    known = Follow.objects.filter(
        state=State.FOLLOW, user__gt=after, created_at__lte=row.created_at, **subject
    )
    told = Notification.objects.filter(topic=topic, post=post, user=OuterRef("user"))
    known = known.filter(~Exists(told))
    return list(known.order_by("user").values_list("user_id", flat=True)[:CHUNK])


def _hearing(row: Row, people: dict[int, str]) -> list[int]:
    """Hold the rows of those ``people`` who want to hear of it, in the order of their ids.

    Not the author, nobody inactive, nobody who muted it (``following.hearing``).
    """
    topic, post = _topic_and_post(row)
    hearing = (
        User.objects.filter(pk__in=people, is_active=True)
        .exclude(pk=post.author_id if post else topic.creator_id)
        .filter(following.hearing(OuterRef("pk"), topic.pk, topic.book_id))
    )
    held = hearing.order_by("pk").select_for_update(no_key=True, of=("self",))
    return list(held.values_list("pk", flat=True))


def _forget_some(row: Row) -> bool:
    """Remove a chunk of what told of a removed row, which is held alone; whether there was any."""
    topic, post = _topic_and_post(row)
    if post:
        rows = Notification.objects.filter(post=post)
    else:
        rows = Notification.objects.filter(topic=topic)
    return bool(notices.remove(list(rows.values_list("pk", flat=True)[:CHUNK])))


def _topic_and_post(row: Row) -> tuple[DebateTopic, DebatePost | None]:
    return (row.topic, row) if isinstance(row, DebatePost) else (row, None)
