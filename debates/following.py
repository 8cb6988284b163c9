"""Following and muting: what readers say of a debate, or of all debates on a book."""

from __future__ import annotations

from django.db import connection, transaction
from django.utils.translation import gettext as _

from accounts.models import User
from core.models import Book

from .models import DebateTopic, Follow


@transaction.atomic
def set_state(
    *, user: User, state: str, topic: DebateTopic | None = None, book: Book | None = None
):
    """Make ``user`` follow or mute one debate or one book; ``""`` takes back either. Repeatable."""
    if not state:
        Follow.objects.filter(user=user, topic=topic, book=book).delete()
        return
    Follow.objects.bulk_create(
        [Follow(user=user, topic=topic, book=book, state=state)],
        update_conflicts=True,
        unique_fields=["topic" if topic else "book", "user"],
        update_fields=["state"],
    )


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


def told(state: str) -> str:
    """What the reader reads after choosing ``state``."""
    if state == Follow.State.FOLLOW:
        return _("Seguindo: você recebe um aviso do que for novo aqui.")
    if state == Follow.State.MUTE:
        return _("Silenciado: você não recebe mais avisos daqui.")
    return _("Pronto: você não segue nem silencia mais.")
