"""Following and muting: what readers say of a debate, or of all debates on a book."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from core.models import Book

from .models import DebateTopic, Follow


@transaction.atomic
def set_state(
    *, user: User, state: str, topic: DebateTopic | None = None, book: Book | None = None
):
    """Make ``user`` follow or mute one debate or one book; ``""`` takes back either. Repeatable.

    It counts from now on: whoever follows again is not told of what was written meanwhile.
    """
    if not state:
        Follow.objects.filter(user=user, topic=topic, book=book).delete()
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO debates_follow (user_id, topic_id, book_id, state, created_at)"  # noqa: S608  ours
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT ("
            + ("topic_id" if topic else "book_id")
            + ", user_id) DO UPDATE SET state = EXCLUDED.state, created_at = EXCLUDED.created_at"
            " WHERE debates_follow.state <> EXCLUDED.state",
            [user.pk, topic and topic.pk, book and book.pk, state, timezone.now()],
        )


def hearing(user: Any, topic: Any, book: Any) -> Q:
    """Whether ``user`` wants to hear of ``topic``, a debate on ``book``: ids, or references to them.

    Muting the debate silences all of it; muting the book silences those of its debates that
    the reader does not follow.
    """
    own = Follow.objects.filter(user=user)
    of_topic = own.filter(topic=topic)
    mutes_topic = of_topic.filter(state=Follow.State.MUTE)
    mutes_book = own.filter(book=book, state=Follow.State.MUTE)
    return Q(~Exists(mutes_topic)) & (Q(~Exists(mutes_book)) | Q(Exists(of_topic)))


def follow_own(topic: DebateTopic, writer: User, since) -> None:
    """Whoever writes in a debate follows it from now on, unless they muted it or its book.

    One query, in the transaction of the words: who writes next must find the follower.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO debates_follow (user_id, topic_id, state, created_at)"
            " SELECT %s, %s, %s, %s WHERE NOT EXISTS ("
            " SELECT 1 FROM debates_follow WHERE book_id = %s AND user_id = %s AND state = %s)"
            " ON CONFLICT DO NOTHING",
            [
                writer.pk, topic.pk, Follow.State.FOLLOW, since,
                topic.book_id, writer.pk, Follow.State.MUTE,
            ],
        )  # fmt: skip


def state_of_book(user: User, book_id: int) -> str:
    """What ``user`` says of the book: ``""`` for nothing. One query; none for the stand-in, id 0."""
    if not user.pk:
        return ""
    own = Follow.objects.filter(book_id=book_id, user=user)
    return own.values_list("state", flat=True).first() or ""


def told(state: str, *, of_book: bool) -> str:
    """What the reader reads after choosing ``state``, of a book or of a debate."""
    if state == Follow.State.FOLLOW:
        return _("Seguindo: você recebe um aviso do que for novo aqui.")
    if state == Follow.State.MUTE and of_book:
        return _(
            "Silenciado: você não recebe mais avisos daqui, exceto dos debates que você segue."
        )
    if state == Follow.State.MUTE:
        return _("Silenciado: você não recebe mais avisos daqui.")
    return _("Pronto: você não segue nem silencia mais.")
