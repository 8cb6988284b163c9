"""Writes of the debates: lock the parent, check, write, derive, in one transaction.

Locks are taken in one order everywhere, topic before post, so that no two writers wait
for each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from core.markdown import render
from core.models import Book
from core.services import Refused
from core.text import create_with_slug

from . import cache, following, notifying, rows
from .counters import drifted_posts
from .models import PATH_LEVELS, DebatePost, DebateTopic

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

TOPIC_FLAGS = {
    "pin": ("is_pinned", True),
    "unpin": ("is_pinned", False),
    "lock": ("is_locked", True),
    "unlock": ("is_locked", False),
}
POST_FLAGS = {"lock": ("is_locked", True), "unlock": ("is_locked", False)}
DERIVED = ("posts_count", "last_post_id", "updated_at")  # of a debate, from its posts


class TopicClosed(Refused):
    message = _("Este debate está fechado: nada nele muda mais.")


class PostClosed(Refused):
    message = _("Esta resposta está fechada pela moderação.")


class Gone(Refused):
    message = _("Isto foi removido e não pode mais ser mudado.")


class NotYours(Refused):
    message = _("Só quem escreveu pode fazer isso.")


class OwnPost(Refused):
    message = _("Não se vota na própria resposta.")


# --- debates -----------------------------------------------------------------------


@transaction.atomic
def create_topic(
    *, creator: User, book: Book, title: str, description: str, spoiler_percent: int = 0
) -> DebateTopic:
    """Open a debate on ``book``."""
    now = timezone.now()
    topic = create_with_slug(
        title,
        fallback="debate",
        create=lambda slug: DebateTopic.objects.create(
            book=book,
            creator=creator,
            title=title,
            slug=slug,
            description=description,
            description_html=render(description),
            spoiler_percent=spoiler_percent,
            created_at=now,
            updated_at=now,
        ),
    )
    following.follow_own(topic, creator, now)
    notifying.announce(topic)
    return topic


@transaction.atomic
def edit_topic(
    *, topic: DebateTopic, editor: User, title: str, description: str, spoiler_percent: int
) -> DebateTopic:
    """Change the words of a debate; its address stays."""
    topic = _lock_open_topic(topic.pk)
    _require_author(topic.creator_id, editor)
    owed = notifying.owe_names(topic, topic.description, description)
    topic.title, topic.description = title, description
    topic.description_html = render(description)
    topic.spoiler_percent = spoiler_percent
    topic.edited_at = timezone.now()
    words = ["title", "description", "description_html", "spoiler_percent", "edited_at"]
    topic.save(update_fields=[*words, *owed])
    return topic


@transaction.atomic
def delete_topic(*, topic: DebateTopic, actor: User) -> bool:
    """Take a debate away: its creator while it is open, staff always. ``True`` if it changed."""
    topic = _lock_topic(topic.pk)
    if topic.is_deleted:
        return False
    if not actor.is_staff:
        _require_author(topic.creator_id, actor)
        _require_open(topic)
    _mark_deleted(topic, actor)
    return True


@transaction.atomic
def restore_topic(*, topic: DebateTopic, actor: User) -> bool:
    """Bring a removed debate back (staff). ``True`` if it changed."""
    _require_staff(actor)
    topic = _lock_topic(topic.pk)
    return _unmark_deleted(topic)


@transaction.atomic
def moderate_topic(*, topic: DebateTopic, actor: User, action: str) -> bool:
    """Pin, unpin, lock, unlock, hide or restore a debate (staff). ``True`` if it changed."""
    _require_staff(actor)
    if action == "hide":
        return delete_topic(topic=topic, actor=actor)
    if action == "restore":
        return restore_topic(topic=topic, actor=actor)
    flag, value = TOPIC_FLAGS[action]
    return _set_flag(_lock_topic(topic.pk), flag, value)


# --- posts -------------------------------------------------------------------------


@transaction.atomic
def create_post(
    *,
    topic: DebateTopic,
    author: User,
    content: str,
    parent: DebatePost | None = None,
    spoiler_percent: int = 0,
) -> DebatePost:
    """Reply to a debate, or to ``parent`` in it. Holds the topic's row, then the parent's."""
    topic = _lock_open_topic(topic.pk)
    if parent is not None:
        parent = _lock_post(parent.pk)
        if parent.topic_id != topic.pk:
            raise ValueError("the parent is in another debate")
        _require_open(topic, parent)
        DebatePost.objects.filter(pk=parent.pk).update(replies_count=F("replies_count") + 1)
    post = DebatePost(
        topic=topic,
        author=author,
        parent=parent,
        depth=parent.depth + 1 if parent else 0,
        content=content,
        content_html=render(content),
        spoiler_percent=spoiler_percent,
        # The clock of this machine: never before the reply that another one wrote.
        created_at=max(timezone.now(), topic.updated_at),
    )
    _insert_last(post, parent.path[:PATH_LEVELS] if parent else [])
    cache.topic_changed(topic)
    following.follow_own(topic, author, post.created_at)
    notifying.announce(post)
    return post


@transaction.atomic
def edit_post(*, post: DebatePost, editor: User, content: str, spoiler_percent: int) -> DebatePost:
    """Change the words of a reply."""
    post = _lock_with_topic(post)
    _require_open(post.topic, post)
    _require_author(post.author_id, editor)
    owed = notifying.owe_names(post, post.content, content)
    post.content, post.content_html = content, render(content)
    post.spoiler_percent, post.edited_at = spoiler_percent, timezone.now()
    post.save(update_fields=["content", "content_html", "spoiler_percent", "edited_at", *owed])
    return post


@transaction.atomic
def delete_post(*, post: DebatePost, actor: User) -> bool:
    """Take a reply away: its author while it is open, staff always. ``True`` if it changed."""
    post = _lock_with_topic(post)
    if post.is_deleted:
        return False
    if not actor.is_staff:
        _require_author(post.author_id, actor)
        _require_open(post.topic, post)
    _mark_deleted(post, actor)
    _derive_activity(post.topic_id, posts_delta=-1)
    return True


@transaction.atomic
def restore_post(*, post: DebatePost, actor: User) -> bool:
    """Bring a removed reply back (staff). ``True`` if it changed."""
    _require_staff(actor)
    post = _lock_with_topic(post)
    if not _unmark_deleted(post):
        return False
    _derive_activity(post.topic_id, posts_delta=1)
    return True


@transaction.atomic
def moderate_post(*, post: DebatePost, actor: User, action: str) -> bool:
    """Lock, unlock, hide or restore a reply (staff). ``True`` if it changed."""
    _require_staff(actor)
    if action == "hide":
        return delete_post(post=post, actor=actor)
    if action == "restore":
        return restore_post(post=post, actor=actor)
    flag, value = POST_FLAGS[action]
    return _set_flag(_lock_with_topic(post), flag, value)


@transaction.atomic
def vote_post(*, post: DebatePost, user: User, value: int) -> DebatePost:
    """Make ``user``'s vote on ``post`` be ``value``: 1 up, -1 down, 0 none. Repeatable.

    Of ``post`` the id is enough; raises its ``DoesNotExist``. Holds the post's row, so that the
    recount sees every vote before it; the topic's row is read, not held, so votes in one debate do
    not queue behind each other.
    """
    post = rows.POST_LOCKED_TO_VOTE.get(post.pk)
    _require_open(post.topic, post)
    if post.author_id == user.pk:
        raise OwnPost
    with connection.cursor() as cursor:
        if value:
            cursor.execute(_VOTE, [post.pk, user.pk, value, timezone.now()])
        else:
            cursor.execute(_NO_VOTE, [post.pk, user.pk])
    post.score = sync_score(post.pk)
    post.my_vote = value
    cache.votes_changed(post.topic)
    return post


# --- derived columns ---------------------------------------------------------------


# By hand: a vote is the commonest write, and having Django write the three takes 400 microseconds.
_VOTE = """
    INSERT INTO debates_debatevote (post_id, user_id, value, created_at) VALUES (%s, %s, %s, %s)
    ON CONFLICT (post_id, user_id) DO UPDATE SET value = EXCLUDED.value
"""
_NO_VOTE = "DELETE FROM debates_debatevote WHERE post_id = %s AND user_id = %s"
_SCORE = """
    UPDATE debates_debatepost SET score = (
        SELECT coalesce(sum(value), 0) FROM debates_debatevote WHERE post_id = debates_debatepost.id
    ) WHERE id = %s RETURNING score
"""


def sync_score(post_id: int) -> int:
    """Recount one post's score and return it; one query. The caller holds the post's row lock.

    Without the lock an UPDATE that waited would read the row anew, but not its subquery.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SCORE, [post_id])
        return cursor.fetchone()[0]


@transaction.atomic
def sync_topic(topic_id: int) -> dict[str, tuple[Any, Any]]:
    """Recount a debate and its posts from the rows, under the topic's lock.

    Returns what had drifted: ``{"topic.posts_count": (stored, real)}`` and so on. Reads
    every post of the debate, so it is for repair and not for a request.
    """
    topic = _lock_topic(topic_id)
    posts = DebatePost.objects.filter(topic_id=topic_id)
    stored = {name: getattr(topic, name) for name in DERIVED}
    visible = posts.filter(is_deleted=False).count()
    _derive_activity(topic_id, posts_delta=visible - topic.posts_count)
    topic.refresh_from_db(fields=DERIVED)
    drift: dict[str, tuple[Any, Any]] = {
        f"topic.{name}": (value, getattr(topic, name))
        for name, value in stored.items()
        if value != getattr(topic, name)
    }
    for pk in drifted_posts(posts).order_by("pk").values_list("pk", flat=True):
        post = _lock_post(pk)
        before = (post.score, post.replies_count)
        sync_score(pk)
        DebatePost.objects.filter(pk=pk).update(
            replies_count=DebatePost.objects.filter(parent_id=pk).count()
        )
        post.refresh_from_db(fields=["score", "replies_count"])
        if before[0] != post.score:
            drift[f"post.{pk}.score"] = (before[0], post.score)
        if before[1] != post.replies_count:
            drift[f"post.{pk}.replies_count"] = (before[1], post.replies_count)
    if drift:
        cache.topic_changed(topic)
    return drift


def _derive_activity(topic_id: int, *, posts_delta: int) -> None:
    """Set last post and last activity from the newest visible reply. The topic is locked.

    The posts of a debate have no bound, so their count is moved by what this transaction
    changed; the nightly ``sync_topic`` recounts it.
    """
    newest = (
        DebatePost.objects.filter(topic_id=topic_id, is_deleted=False)
        .order_by("-created_at", "-pk")
        .only("created_at")
        .first()
    )
    DebateTopic.objects.filter(pk=topic_id).update(
        # a count that had drifted must not turn a removal into an error; the night repairs it
        posts_count=Greatest(F("posts_count") + posts_delta, 0),
        last_post=newest,
        updated_at=newest.created_at if newest else F("created_at"),
    )


# By hand and in one: the row's path names its id, the debate its last post; as three statements, two
# of them written by Django, they took 0.7 ms. ARRAY[id], not id: what appends an element is stored
# in a longer form, which the first UPDATE of the row shortens; Postgres takes that for another key,
# and locks the row against everybody who only names it.
_INSERT_LAST = """
    WITH own AS (SELECT nextval(pg_get_serial_sequence('debates_debatepost', 'id')) AS id),
    post AS (
        INSERT INTO debates_debatepost (
            id, path, topic_id, author_id, parent_id, depth, content, content_html, spoiler_percent,
            created_at, score, replies_count, is_locked, is_deleted
        )
        SELECT id, %(above)s::bigint[] || ARRAY[id], %(topic)s, %(author)s, %(parent)s, %(depth)s,
            %(content)s, %(content_html)s, %(spoiler_percent)s, %(created_at)s, 0, 0, false, false
        FROM own
        RETURNING id, path
    )
    UPDATE debates_debatetopic SET
        posts_count = posts_count + 1, last_post_id = post.id, updated_at = %(created_at)s
    FROM post WHERE debates_debatetopic.id = %(topic)s
    RETURNING post.id, post.path
"""


def _insert_last(post: DebatePost, above: list[int]) -> None:
    """Insert ``post`` under the path ``above`` as the newest of its debate, which is locked; one query."""
    values: dict[str, Any] = {
        "above": above,
        "topic": post.topic_id,
        "author": post.author_id,
        "parent": post.parent_id,
        "depth": post.depth,
        "content": post.content,
        "content_html": post.content_html,
        "spoiler_percent": post.spoiler_percent,
        "created_at": post.created_at,
    }
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_LAST, values)
        post.pk, post.path = cursor.fetchone()
    post._state.adding, post._state.db = False, connection.alias


def closed_because(topic: DebateTopic, post: DebatePost | None = None) -> StrOrPromise:
    """Return the sentence that refuses a change here, or ``""``: for pages that would ask in vain."""
    try:
        _require_open(topic, post)
    except Refused as refusal:
        return refusal.message
    return ""


# --- locks and rules ---------------------------------------------------------------


def _lock_topic(pk: int) -> DebateTopic:
    return rows.TOPIC_LOCKED.get(pk)


def _lock_open_topic(pk: int) -> DebateTopic:
    topic = _lock_topic(pk)
    _require_open(topic)
    return topic


def _lock_post(pk: int) -> DebatePost:
    return rows.POST_LOCKED.get(pk)


def _lock_with_topic(post: DebatePost) -> DebatePost:
    topic = _lock_topic(post.topic_id)
    post = _lock_post(post.pk)
    post.topic = topic
    return post


def _require_open(topic: DebateTopic, post: DebatePost | None = None) -> None:
    if topic.is_deleted or (post and post.is_deleted):
        raise Gone
    if topic.is_locked:
        raise TopicClosed
    if post and post.is_locked:
        raise PostClosed


def _require_author(author_id: int, user: User) -> None:
    if author_id != user.pk:
        raise NotYours


def _require_staff(user: User) -> None:
    if not user.is_staff:
        raise NotYours(_("Só a moderação pode fazer isso."))


def _mark_deleted(row: DebateTopic | DebatePost, actor: User) -> None:
    row.is_deleted, row.deleted_at, row.deleted_by = True, timezone.now(), actor
    row.save(update_fields=["is_deleted", "deleted_at", "deleted_by", *notifying.owe(row)])


def _unmark_deleted(row: DebateTopic | DebatePost) -> bool:
    if not row.is_deleted:
        return False
    row.is_deleted, row.deleted_at, row.deleted_by = False, None, None
    row.save(update_fields=["is_deleted", "deleted_at", "deleted_by"])
    return True


def _set_flag(row: DebateTopic | DebatePost, flag: str, value: bool) -> bool:
    if getattr(row, flag) == value:
        return False
    setattr(row, flag, value)
    row.save(update_fields=[flag])
    return True
