"""Which rows of a database were made here, and how they are taken away again.

A reader made here is called ``carga`` and a number, with an address at ``carga.invalid``,
where no mail arrives; a debate made here was opened by such a reader; a book made here has
the source ``carga``.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from django.db import connection
from django.db.models import Exists, IntegerField, Max, Model, OuterRef, Q, QuerySet
from django.db.models.functions import Cast, Substr

from accounts.models import BookReview, ReadingProgress, ShelfItem, User
from core.models import Author, Book, BookAuthor
from core.services import Refused
from debates import notices
from debates.models import DebatePost, DebateTopic, DebateVote, Follow, Notification
from debates.services import sync_score

from .copying import check_foreign_keys, rewind
from .people import recount_reviews

PREFIX = "carga"
MAIL = "@carga.invalid"
SOURCE = "carga"
TABLES: tuple[type[Model], ...] = (
    User, Author, Book, BookAuthor, ShelfItem, ReadingProgress, BookReview, DebateTopic,
    DebatePost, DebateVote,
)  # fmt: skip
OURS = Q(username__regex=rf"^{PREFIX}[0-9]+$", email__endswith=MAIL)


def readers() -> QuerySet[User]:
    """Return the readers made here."""
    return User.objects.filter(OURS)


def strangers() -> str:
    """Say what the database holds that was not made here; ``""`` when there is nothing."""
    others = User.objects.exclude(OURS).count()
    topics = DebateTopic.objects.exclude(creator__in=readers()).count()
    found = [(others, "readers"), (topics, "debates")]
    return " and ".join(f"{count} {name}" for count, name in found if count)


def next_number(model: type[Model], field: str, prefix: str) -> int:
    """Return the number after the highest that follows ``prefix`` in ``field``. Reads the table."""
    named = model._base_manager.filter(**{f"{field}__iregex": rf"^{prefix}[0-9]{{1,9}}$"})
    number = Cast(Substr(field, len(prefix) + 1), IntegerField())
    return (named.aggregate(last=Max(number))["last"] or 0) + 1


def clear() -> None:
    """Take away all that was made here, and let the ids go on from what is left.

    Raises ``Refused`` where such a reader wrote in somebody else's debate: a thread with
    replies from others cannot lose a post.
    """
    posts = DebatePost.objects.filter(author__in=readers())
    if count := posts.exclude(topic__creator__in=readers()).count():
        raise Refused(f"{count} posts of {PREFIX}… readers stand in debates of others.")
    _clear_debates()
    _clear_readers()
    _clear_books()
    for model in TABLES:
        rewind(model)


def _clear_debates() -> None:
    topics = DebateTopic.objects.filter(creator__in=readers())
    _clear_told(topics)
    check_foreign_keys()  # TRUNCATE waits for no pending check
    with connection.cursor() as cursor:
        if not DebateTopic.objects.exclude(creator__in=readers()).exists():
            # a table emptied by DELETE keeps its size, and would be measured with it
            of_books = list(Follow.objects.all())
            cursor.execute(
                "TRUNCATE debates_debatevote, debates_debatepost, debates_debatetopic,"
                " debates_notification, debates_follow"
            )
            Follow.objects.bulk_create(of_books)
            return
        ids = list(topics.values_list("pk", flat=True))
        cursor.execute(
            "DELETE FROM debates_debatevote USING debates_debatepost post"
            " WHERE post_id = post.id AND post.topic_id = ANY(%s)",
            [ids],
        )
        cursor.execute("DELETE FROM debates_debatepost WHERE topic_id = ANY(%s)", [ids])
        cursor.execute("DELETE FROM debates_debatetopic WHERE id = ANY(%s)", [ids])
    votes = DebateVote.objects.filter(user__in=readers())
    voted = DebatePost.objects.filter(votes__in=votes).order_by("pk").distinct()
    held = DebatePost.objects.filter(pk__in=list(voted.values_list("pk", flat=True)))
    posts = list(held.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
    votes.delete()
    for pk in posts:
        sync_score(pk)


def _clear_told(topics: QuerySet[DebateTopic]) -> None:
    """Notifications of these debates and of our readers, and what either follow."""
    gone = Q(topic__in=topics) | Q(user__in=readers())
    Follow.objects.filter(gone).delete()
    rows = Notification.objects.filter(gone).order_by("pk")
    while ids := list(rows.values_list("pk", flat=True)[: notices.CHUNK]):
        notices.remove(ids)


def _clear_readers() -> None:
    reviews = BookReview.objects.filter(user__in=readers())
    books = list(reviews.order_by("book_id").values_list("book_id", flat=True).distinct())
    for rows in (
        reviews,
        *(m.objects.filter(user__in=readers()) for m in (ShelfItem, ReadingProgress)),
    ):
        rows.delete()
    recount_reviews(books)
    ids = list(readers().values_list("pk", flat=True))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_user WHERE id = ANY(%s)", [ids])
    check_foreign_keys()


def _clear_books() -> None:
    """Delete the books made here that nobody uses, and the authors left without one."""
    used = [
        Exists(model.objects.filter(book=OuterRef("pk")))
        for model in (DebateTopic, BookReview, ShelfItem, ReadingProgress, Follow)
    ]
    books = Book.objects.filter(source=SOURCE).exclude(reduce(or_, used))
    books.delete()
    written = Exists(BookAuthor.objects.filter(author=OuterRef("pk")))
    Author.objects.filter(slug__startswith=f"{SOURCE}-autor-").exclude(written).delete()
