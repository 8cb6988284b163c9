"""The one place that decides what a viewer may see of a debate.

Pages, permalinks, search, profiles, admin links and everything that quotes a post ask here.
"""

from __future__ import annotations

from django.db.models import Q

PUBLISHED_TOPICS = Q(is_deleted=False)
PUBLISHED_POSTS = Q(is_deleted=False, topic__is_deleted=False)  # a removed debate takes its posts

# What a reader may be told of; staff hear no more than everybody.
TOLD = Q(topic__is_deleted=False) & (Q(post__isnull=True) | Q(post__is_deleted=False))
NOT_TOLD = Q(topic__is_deleted=True) | Q(post__is_deleted=True)


def topics(user) -> Q:
    """Debates that ``user`` may open."""
    return Q() if user.is_staff else PUBLISHED_TOPICS


def posts(user) -> Q:
    """Posts whose words ``user`` may read."""
    return Q() if user.is_staff else PUBLISHED_POSTS


def thread(user) -> Q:
    """Posts that keep a place in their thread: a removed one that was answered stays, wordless."""
    return Q() if user.is_staff else Q(is_deleted=False) | Q(replies_count__gt=0)


def permalinks(user) -> Q:
    """Posts whose address leads somewhere: a place in the thread of a debate that opens."""
    return Q() if user.is_staff else thread(user) & Q(topic__is_deleted=False)


def shows_words(post, user) -> bool:
    """Whether ``post``, standing in its thread, shows its text to ``user``."""
    return user.is_staff or not post.is_deleted


def is_folded(post, topic) -> bool:
    """Whether ``post`` shows its words only on demand: it tells more of the book than its debate says."""
    return post.spoiler_percent > topic.spoiler_percent


def quote_is_folded(post) -> bool:
    """The same where the debate's own warning is not in sight: a profile, for example."""
    return post.spoiler_percent > 0 or post.topic.spoiler_percent > 0


def excerpt_allowed(topic) -> bool:
    """Whether the opening may be quoted away from its page: the meta description."""
    return not topic.is_deleted and topic.spoiler_percent == 0


def excerpt_of_post_allowed(post, topic) -> bool:
    """Whether the words of ``post`` may stand in a notification or a mail: nobody unfolds those."""
    if post.is_deleted or topic.is_deleted:
        return False
    return post.spoiler_percent == 0 and topic.spoiler_percent == 0


def may_be_told(topic, post=None) -> bool:
    """Whether anybody is notified of ``post``, or of the opening of ``topic``."""
    return not topic.is_deleted and (post is None or not post.is_deleted)
