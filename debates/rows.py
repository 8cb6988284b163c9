"""The rows that nearly every request on a debate asks for, by statements written once.

Who may see them is said by the querysets; how they are written once, by ``core/statements.py``.
"""

from __future__ import annotations

from functools import cache

from accounts.models import User
from core.statements import OneRow

from .models import DebatePost, DebateTopic

# Long texts of others than the row itself.
_TEXTS_OF_TOPIC = ("topic__description", "topic__description_html")
_TEXTS_OF_BOOK = ("topic__book__description", "topic__book__search_text")


@cache
def topic_seen_by(*, is_staff: bool) -> OneRow[DebateTopic]:
    """A debate's own page by its slug, if such a viewer may open it."""
    topics = DebateTopic.objects.visible_to(User(is_staff=is_staff)).for_page()
    return OneRow(lambda slug: topics.filter(slug=slug), "")


@cache
def post_seen_by(*, is_staff: bool) -> OneRow[DebatePost]:
    """A post by its id with debate, book and author, if such a viewer may read its words."""
    posts = DebatePost.objects.visible_to(User(is_staff=is_staff))
    posts = posts.select_related("topic__book", "author").defer(
        *_TEXTS_OF_TOPIC, *_TEXTS_OF_BOOK, "author__bio", "author__password"
    )
    return OneRow(lambda pk: posts.filter(pk=pk), 0)


def _topics_locked(pk: int):
    # no_key: inserting a row that points here need not wait. The book, because its page hears
    # of every change.
    topics = DebateTopic.objects.select_for_update(no_key=True, of=("self",)).filter(pk=pk)
    return topics.select_related("book").defer("book__description", "book__search_text")


def _posts_locked(pk: int):
    return DebatePost.objects.select_for_update(no_key=True).filter(pk=pk)


def _posts_locked_to_vote(pk: int):
    posts = DebatePost.objects.select_for_update(no_key=True, of=("self",)).filter(pk=pk)
    posts = posts.select_related("topic", "author")
    return posts.defer("content", "content_html", *_TEXTS_OF_TOPIC)


TOPIC_LOCKED = OneRow(_topics_locked, 0)  # by its id, with its book
POST_LOCKED = OneRow(_posts_locked, 0)  # by its id
POST_LOCKED_TO_VOTE = OneRow(_posts_locked_to_vote, 0)  # with its debate, which is not locked
